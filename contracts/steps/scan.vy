# pragma version ~=0.4.3
"""
@title SCAN: one account of the mandatory scan, or one bitmap word without any
@dev Twin of protocol/steps/scan.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import margin as risk
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import types

WORD_ACCOUNTS: constant(uint256) = 256
WORD_BITS: constant(uint256) = 8
HALVES: constant(uint256[8]) = [128, 64, 32, 16, 8, 4, 2, 1]

ACCOUNT_DEPTH: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth

@internal
@pure
def _get_next(word: uint256, cursor: uint256) -> uint256:
    """
    @notice The first account from `cursor` on whose bit is set in its word, or the first account of the next word.
    """
    left: uint256 = word >> (cursor & (WORD_ACCOUNTS - 1))
    if left == 0:
        return ((cursor >> WORD_BITS) << WORD_BITS) + WORD_ACCOUNTS
    index: uint256 = cursor
    for half: uint256 in HALVES:
        if left & ((1 << half) - 1) == 0:
            left = left >> half
            index += half
    return index

@internal
@pure
def _compute_flag(account: types.Account, margin: risk.Margin, mark: uint256) -> types.Account:
    """
    @notice Flags below maintenance, unflags at or above it. A flag kills the account's orders.
    """
    a: types.Account = account
    is_healthy: bool = margin.equity >= margin.maintenance and a.cash >= 0
    if a.flag != 0:
        if is_healthy:
            a.flag = 0
    elif a.cash < 0 or (margin.has_short and not is_healthy):
        a.flag = mark
        a.generation += 1
    return a

@internal
@view
def _fold_account(
    rest: bytes32,
    index: uint256,
    account: types.Account,
    positions: DynArray[uint256, 128],
    margin: risk.Margin,
    mark: uint256,
    path: DynArray[bytes32, 32],
) -> bytes32:
    assert holdings._hash(positions) == account.positions, "scan: positions"
    after: types.Account = self._compute_flag(account, margin, mark)
    return merkle._fold_place(
        rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(after), path
    )

@external
@view
def step(
    header: types.Header,
    globals: types.Globals,
    rest: bytes32,
    word: uint256,
    word_path: DynArray[bytes32, 32],
    account: types.Account,
    account_path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    markets_path: bytes32[2],
) -> (types.Header, uint256):
    """
    @notice The sequencer has no say in it: every set bit is visited, in index order. Folds come in the order of the arguments, each below
            what the one before left.
    """
    # READ
    merkle._check_globals(header.state, globals, rest)
    g: types.Globals = globals
    place: uint256 = g.cursor >> WORD_BITS
    index: uint256 = self._get_next(word, g.cursor)
    is_account: bool = index >> WORD_BITS == place
    # COMPUTE
    after: uint256 = word
    if is_account and not holdings._is_risky(account.cash, positions):
        after = word & ~(1 << (index & (WORD_ACCOUNTS - 1)))
    # WRITE
    node: bytes32 = merkle._fold_place(
        rest, merkle.WORDS, place, ACCOUNT_DEPTH - WORD_BITS, convert(word, bytes32), convert(after, bytes32), word_path
    )
    g.cursor = index
    if is_account:
        margin: risk.Margin = empty(risk.Margin)
        oldest: uint256 = 0
        margin, oldest = risk._compute_margin(account.cash, positions, markets)
        node = self._fold_account(node, index, account, positions, margin, g.marks, account_path)
        both: bytes32 = merkle._markets_node(markets[0], markets[1])
        merkle._fold_markets(node, both, both, markets_path)
        g.cursor = index + 1
    is_over: bool = g.cursor >= g.accounts
    if is_over:
        g.cursor = 0
    g.allowance -= 1
    h: types.Header = machine._next_row(header) if is_over else header
    h.state = merkle._root(g, node)
    return h, codes.OK
