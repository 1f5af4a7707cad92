# pragma version ~=0.4.3
"""
@title COMMIT: the only step of a TRADE that writes
@dev Twin of protocol/steps/commit.py. The touched leaves are folded one after the other, each proven against the root that the last fold gave.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import positions as book
from ..lib import quotes
from ..lib import types

ACCOUNT_DEPTH: immutable(uint256)
SLOT_DEPTH: immutable(uint256)

struct Side:
    index: uint256
    slot: uint256  # with the number of a quote above, for a maker's
    units: int256  # signed: what it buys
    cash: int256  # what its cash changes by

struct Bits:
    is_risky: bool
    is_holder: bool

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    SLOT_DEPTH = rules.slot_depth

@internal
@view
def _put_fill(
    root: bytes32, slot: uint256, units: int256, order: types.Order, page: types.Page, path: DynArray[bytes32, 32]
) -> bytes32:
    """
    @notice The slots' root with what has been filled of an order, or of the quote of a page that the slot names.
    """
    ref: uint256 = slot >> SLOT_DEPTH
    lots: uint256 = convert(abs(units), uint256)
    old: bytes32 = types._entry_leaf(order, page)
    new: bytes32 = empty(bytes32)
    if ref != 0:
        new = types._page_leaf(quotes._fill_quote(page, ref, lots))
    else:
        o: types.Order = order
        o.filled += lots
        new = types._order_leaf(o)
    return merkle._fold(root, slot ^ (ref << SLOT_DEPTH), SLOT_DEPTH, old, new, path)

@internal
@view
def _apply_side(
    rest: bytes32,
    legs: uint256[4],
    side: Side,
    account: types.Account,
    path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    order: types.Order,
    page: types.Page,
    slot_path: DynArray[bytes32, 32],
) -> (bytes32, Bits):
    """
    @notice The new `rest`, and which scans must visit the account.
    """
    assert book._hash(positions) == account.positions, "commit: positions"
    a: types.Account = account
    merged: DynArray[uint256, 132] = book._apply_legs(positions, legs, side.units)
    a.cash += side.cash
    a.positions = book._hash(merged)
    a.orders = self._put_fill(account.orders, side.slot, side.units, order, page, slot_path)
    r: bytes32 = merkle._fold_place(
        rest, merkle.ACCOUNTS, side.index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path
    )
    # a flagged account stays RISKY: only the scan can take its flag away
    return r, Bits(
        is_risky=a.flag != 0 or book._is_risky(a.cash, merged),
        is_holder=len(merged) > 0 or a.cash < 0 or a.shares > 0 or a.request != 0,
    )

@internal
@view
def _put_bits(
    rest: bytes32,
    index: uint256,
    bits: Bits,
    risky: uint256,
    risky_path: DynArray[bytes32, 32],
    holder: uint256,
    holder_path: DynArray[bytes32, 32],
) -> bytes32:
    """
    @notice Keeps the bitmaps of the accounts that scans visit.
    """
    r: bytes32 = merkle._put_bit(rest, merkle.RISKY, index, ACCOUNT_DEPTH, bits.is_risky, risky, risky_path)
    return merkle._put_bit(r, merkle.HOLDER, index, ACCOUNT_DEPTH, bits.is_holder, holder, holder_path)

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
    maker_page: types.Page,
    maker_slot_path: DynArray[bytes32, 32],
    taker: types.Account,
    taker_path: DynArray[bytes32, 32],
    taker_positions: DynArray[uint256, 128],
    taker_order: types.Order,
    taker_page: types.Page,
    taker_slot_path: DynArray[bytes32, 32],
    maker_risky: uint256,
    maker_risky_path: DynArray[bytes32, 32],
    maker_holder: uint256,
    maker_holder_path: DynArray[bytes32, 32],
    taker_risky: uint256,
    taker_risky_path: DynArray[bytes32, 32],
    taker_holder: uint256,
    taker_holder_path: DynArray[bytes32, 32],
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
    paid: int256 = trade.units * trade.price
    side: Side = Side(index=trade.maker, slot=trade.maker_slot, units=trade.units, cash=-paid)
    # WRITE
    r: bytes32 = rest
    maker_bits: Bits = empty(Bits)
    taker_bits: Bits = empty(Bits)
    r, maker_bits = self._apply_side(
        r, trade.legs, side, maker, maker_path, maker_positions, maker_order, maker_page, maker_slot_path
    )
    side = Side(index=trade.taker, slot=trade.taker_slot, units=-trade.units, cash=paid - convert(trade.fee, int256))
    r, taker_bits = self._apply_side(
        r, trade.legs, side, taker, taker_path, taker_positions, taker_order, taker_page, taker_slot_path
    )
    r = self._put_bits(r, trade.maker, maker_bits, maker_risky, maker_risky_path, maker_holder, maker_holder_path)
    r = self._put_bits(r, trade.taker, taker_bits, taker_risky, taker_risky_path, taker_holder, taker_holder_path)
    h: types.Header = machine._next_row(header)
    h.state = merkle._root(g, r)
    return h, codes.OK
