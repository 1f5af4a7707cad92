# pragma version ~=0.4.3
"""
@title COMMIT: the only step of a TRADE that writes
@dev Twin of protocol/steps/commit.py. The touched leaves are folded one after the other, each proven against the root that the last fold gave.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import positions as book
from ..lib import types

ONE: constant(uint256) = 1
WORD_BITS: constant(uint256) = 8  # a bitmap word covers 256 accounts

ACCOUNT_DEPTH: immutable(uint256)
SLOT_DEPTH: immutable(uint256)

struct Side:
    index: uint256
    slot: uint256
    lots: int256  # signed: what the position changes by
    cash: int256  # what the cash changes by

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    SLOT_DEPTH = rules.slot_depth

@internal
@view
def _apply_side(
    rest: bytes32,
    trade: types.Trade,
    side: Side,
    account: types.Account,
    path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    order: types.Order,
    order_path: DynArray[bytes32, 8],
) -> (bytes32, bool):
    """
    @notice The new `rest`, and whether the scan must visit the account.
    """
    assert book._hash(positions) == account.positions, "commit: positions"
    a: types.Account = account
    o: types.Order = order
    merged: DynArray[uint256, 129] = book._apply_lots(positions, trade.series, side.lots)
    o.filled += convert(abs(side.lots), uint256)
    a.cash += side.cash
    a.positions = book._hash(merged)
    a.orders = merkle._fold(account.orders, side.slot, SLOT_DEPTH, types._order_leaf(order), types._order_leaf(o), order_path)
    r: bytes32 = merkle._fold_place(
        rest, merkle.ACCOUNTS, side.index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path
    )
    # a flagged account stays in the scan: only that can take its flag away
    return r, a.flag != 0 or book._is_risky(a.cash, merged)

@internal
@view
def _put_bit(rest: bytes32, index: uint256, is_visited: bool, word: uint256, path: DynArray[bytes32, 32]) -> bytes32:
    """
    @notice Keeps the bitmap of the accounts that the scan visits.
    """
    bit: uint256 = ONE << (index & 255)
    new: uint256 = word & ~bit
    if is_visited:
        new = word | bit
    return merkle._fold_place(
        rest, merkle.WORDS, index >> WORD_BITS, ACCOUNT_DEPTH - WORD_BITS, convert(word, bytes32), convert(new, bytes32), path
    )

@external
@view
def step(
    header: types.Header,
    trade: types.Trade,
    globals: types.Globals,
    rest: bytes32,
    maker: types.Account,
    maker_path: DynArray[bytes32, 32],
    maker_positions: DynArray[uint256, 128],
    maker_order: types.Order,
    maker_order_path: DynArray[bytes32, 8],
    taker: types.Account,
    taker_path: DynArray[bytes32, 32],
    taker_positions: DynArray[uint256, 128],
    taker_order: types.Order,
    taker_order_path: DynArray[bytes32, 8],
    maker_word: uint256,
    maker_word_path: DynArray[bytes32, 32],
    taker_word: uint256,
    taker_word_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice Nothing came between the checks and this.
    """
    # READ
    assert types._trade_hash(trade) == header.scratch, "commit: trade"
    merkle._check_globals(header.state, globals, rest)
    # COMPUTE
    g: types.Globals = globals
    g.fees += trade.fee
    premium: int256 = trade.maker_lots * convert(trade.price, int256)
    maker_side: Side = Side(index=trade.maker, slot=trade.maker_slot, lots=trade.maker_lots, cash=-premium)
    taker_side: Side = Side(
        index=trade.taker, slot=trade.taker_slot, lots=-trade.maker_lots, cash=premium - convert(trade.fee, int256)
    )
    # WRITE
    r: bytes32 = rest
    is_maker_visited: bool = False
    is_taker_visited: bool = False
    r, is_maker_visited = self._apply_side(
        r, trade, maker_side, maker, maker_path, maker_positions, maker_order, maker_order_path
    )
    r, is_taker_visited = self._apply_side(
        r, trade, taker_side, taker, taker_path, taker_positions, taker_order, taker_order_path
    )
    r = self._put_bit(r, trade.maker, is_maker_visited, maker_word, maker_word_path)
    r = self._put_bit(r, trade.taker, is_taker_visited, taker_word, taker_word_path)
    h: types.Header = machine._next_row(header)
    h.state = merkle._root(g, r)
    return h, codes.OK
