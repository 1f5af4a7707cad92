# pragma version 0.4.3
"""
@title Nodes of a history commitment
"""

# ---- structs

struct Difference:  # of two nodes: the first of the 16 nodes four levels below in which they differ
    place: uint256  # among the 16
    node_mine: bytes32
    node_other: bytes32
    siblings_mine: bytes32[4]  # bottom first
    siblings_other: bytes32[4]

# ---- constants

NODES: constant(uint256) = 16  # of a reveal
LEVELS: constant(uint256) = 4  # of a reveal
MAX_HEIGHT: constant(uint256) = 28


# ---- internal

@internal
@pure
def _fold(nodes: DynArray[bytes32, NODES]) -> bytes32:
    """
    @notice The node four levels above 16 nodes.
    """
    assert len(nodes) == NODES, "claims: wrong number of nodes"
    level: bytes32[8] = empty(bytes32[8])
    for i: uint256 in range(8):
        level[i] = keccak256(concat(nodes[2 * i], nodes[2 * i + 1]))
    for i: uint256 in range(4):
        level[i] = keccak256(concat(level[2 * i], level[2 * i + 1]))
    left: bytes32 = keccak256(concat(level[0], level[1]))
    return keccak256(concat(left, keccak256(concat(level[2], level[3]))))


@internal
@pure
def _raise(d: Difference) -> (bytes32, bytes32):
    """
    @notice The two nodes above a difference. All to its left is the same in both: every sibling on the left is.
    """
    assert d.place < NODES and d.node_mine != d.node_other, "claims: no difference"
    mine: bytes32 = d.node_mine
    other: bytes32 = d.node_other
    for i: uint256 in range(LEVELS):
        if (d.place >> i) & 1 == 0:
            mine = keccak256(concat(mine, d.siblings_mine[i]))
            other = keccak256(concat(other, d.siblings_other[i]))
        else:
            assert d.siblings_mine[i] == d.siblings_other[i], "claims: not the first difference"
            mine = keccak256(concat(d.siblings_mine[i], mine))
            other = keccak256(concat(d.siblings_other[i], other))
    return mine, other


@internal
@pure
def _climb(leaf: bytes32, index: uint256, siblings: DynArray[bytes32, MAX_HEIGHT]) -> bytes32:
    """
    @notice The root above a leaf, siblings bottom first.
    """
    node: bytes32 = leaf
    place: uint256 = index
    for sibling: bytes32 in siblings:
        if place & 1 == 0:
            node = keccak256(concat(node, sibling))
        else:
            node = keccak256(concat(sibling, node))
        place >>= 1
    return node
