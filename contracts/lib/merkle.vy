# pragma version ~=0.4.3
"""
@title Merkle paths over the state
@dev Twin of protocol/merkle.py and protocol/state.py. Siblings come bottom first. `rest` is the right child of the root, the globals the left.
"""

from . import types

MARKETS: constant(uint256) = 0
WORDS: constant(uint256) = 1
ACCOUNTS: constant(uint256) = 2
OUTBOX: constant(uint256) = 3

BITMAP_BITS: constant(uint256) = 2  # of a word's index: which bitmap
WORD_BITS: constant(uint256) = 8  # a word covers 256 accounts
RISKY: constant(uint256) = 0
HOLDER: constant(uint256) = 1
REQUEST: constant(uint256) = 2

@internal
@pure
def _join(left: bytes32, right: bytes32) -> bytes32:
    return keccak256(concat(left, right))

@internal
@pure
def _root_from_path(leaf: bytes32, index: uint256, path: DynArray[bytes32, 32]) -> bytes32:
    """
    @notice The root that `leaf` at `index` has under its siblings.
    """
    node: bytes32 = leaf
    i: uint256 = index
    for sibling: bytes32 in path:
        if i & 1 == 0:
            node = self._join(node, sibling)
        else:
            node = self._join(sibling, node)
        i = i >> 1
    return node

@internal
@pure
def _fold(root: bytes32, index: uint256, depth: uint256, old: bytes32, new: bytes32, path: DynArray[bytes32, 32]) -> bytes32:
    """
    @notice The root after the leaf at `index` went from `old` to `new`; reverts if `old` is not what `root` holds there.
    """
    assert len(path) == depth and index >> depth == 0, "merkle: path"
    h: bytes32 = old
    g: bytes32 = new
    i: uint256 = index
    for s: bytes32 in path:
        if i & 1 == 0:
            h = keccak256(concat(h, s))
            g = keccak256(concat(g, s))
        else:
            h = keccak256(concat(s, h))
            g = keccak256(concat(s, g))
        i = i >> 1
    assert h == root, "merkle: leaf"
    return g

@internal
@pure
def _fold_place(rest: bytes32, place: uint256, index: uint256, depth: uint256, old: bytes32, new: bytes32, path: DynArray[bytes32, 32]) -> bytes32:
    """
    @notice `_fold` below `rest`: two more levels choose the place.
    """
    assert index >> depth == 0, "merkle: index"
    return self._fold(rest, (place << depth) | index, depth + 2, old, new, path)

@internal
@pure
def _fold_markets(rest: bytes32, old: bytes32, new: bytes32, path: bytes32[2]) -> bytes32:
    """
    @notice As `_fold`, for the node above both markets' leaves.
    """
    assert keccak256(concat(keccak256(concat(old, path[0])), path[1])) == rest, "merkle: markets"
    return keccak256(concat(keccak256(concat(new, path[0])), path[1]))

@internal
@pure
def _markets_node(first: types.Market, second: types.Market) -> bytes32:
    return keccak256(concat(types._market_leaf(first), types._market_leaf(second)))

@internal
@pure
def _check_globals(state: bytes32, g: types.Globals, rest: bytes32):
    assert keccak256(concat(types._globals_leaf(g), rest)) == state, "merkle: globals"

@internal
@pure
def _root(g: types.Globals, rest: bytes32) -> bytes32:
    return keccak256(concat(types._globals_leaf(g), rest))

@internal
@pure
def _put_bit(
    rest: bytes32, bitmap: uint256, account: uint256, depth: uint256, is_set: bool, word: uint256, path: DynArray[bytes32, 32]
) -> bytes32:
    """
    @notice `rest` after the account's bit of a bitmap was set or cleared.
    @param depth of the account tree
    """
    bit: uint256 = 1 << (account & 255)
    after: uint256 = word | bit if is_set else word & ~bit
    index: uint256 = (bitmap << (depth - WORD_BITS)) | (account >> WORD_BITS)
    return self._fold_place(
        rest, WORDS, index, depth - WORD_BITS + BITMAP_BITS, convert(word, bytes32), convert(after, bytes32), path
    )
