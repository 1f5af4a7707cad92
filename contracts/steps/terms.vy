# pragma version ~=0.4.3
"""
@title TERMS: the first step of a TRADE, which checks everything but margin
@dev Twin of protocol/steps/terms.py.
"""

from ..lib import codes
from ..lib import legs
from ..lib import machine
from ..lib import margin
from ..lib import merkle
from ..lib import quotes
from ..lib import types

LOTS_PER_UNIT: constant(uint256) = 100
MILLION: constant(uint256) = 1_000_000
POST_ONLY: constant(uint256) = 1
REDUCE_ONLY: constant(uint256) = 2
FILL_OR_KILL: constant(uint256) = 4
MAKER_REDUCES: constant(uint256) = 1  # flags of a trade
TAKER_REDUCES: constant(uint256) = 2

ACCOUNT_DEPTH: immutable(uint256)
SLOT_DEPTH: immutable(uint256)
FEES: immutable(uint256[6])

struct Quote:
    mark: uint256  # 1e-6 USD a unit of the underlying, rounded down
    forward: uint256

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    SLOT_DEPTH = rules.slot_depth
    FEES = rules.fees

@internal
@pure
def _div_up(a: uint256, b: uint256) -> uint256:
    return (a + b - 1) // b

@internal
@view
def _compute_fee(packed: uint256[4], found: Quote[4], price: int256, lots: uint256) -> uint256:
    """
    @notice Of the taker: so much of the forward, at most so much of the premium, at least the minimum. Each term rounds up. A combo's terms
            are sums over its legs, a leg's premium being its mark.
    """
    share: uint256 = 0
    premium: uint256 = 0
    least: uint256 = 0
    fees: uint256[6] = FEES
    for i: uint256 in range(4):
        if packed[i] == 0:
            break
        rate: uint256 = 3 * (legs._series(packed[i]) >> 89)
        size: uint256 = convert(abs(legs._ratio(packed[i])), uint256) * lots
        share += self._div_up(found[i].forward * size * fees[rate], MILLION * LOTS_PER_UNIT)
        paid: uint256 = found[i].mark
        if packed[1] == 0:
            paid = convert(price, uint256) * LOTS_PER_UNIT
        premium += self._div_up(paid * size * fees[rate + 1], MILLION * LOTS_PER_UNIT)
        least = max(least, fees[rate + 2])
    return max(least, min(share, premium))

@internal
@pure
def _is_broken(o: types.Order, lots: uint256) -> bool:
    """
    @notice An order that fills in one trade or not at all, and would not.
    """
    return o.flags & FILL_OR_KILL != 0 and (o.filled != 0 or lots != o.lots)

@internal
@pure
def _check_orders(
    m: types.Order, t: types.Order, maker_generation: uint256, taker_generation: uint256, lots: uint256, clock: uint256
) -> uint256:
    """
    @notice Whether two registered orders may meet for `lots` at the maker's price.
    """
    if m.generation != maker_generation or t.generation != taker_generation:
        return codes.GENERATION
    if m.valid_until < clock or t.valid_until < clock:
        return codes.EXPIRED
    for i: uint256 in range(4):
        if m.legs[i] != t.legs[i]:
            return codes.SERIES
    if m.is_buy == t.is_buy:
        return codes.SIDE
    if (t.price < m.price) if t.is_buy == 1 else (t.price > m.price):
        return codes.LIMIT
    if lots == 0:
        return codes.LOTS
    if lots > m.lots - m.filled or lots > t.lots - t.filled:
        return codes.OVERFILL
    if t.flags & POST_ONLY != 0:
        return codes.POST_ONLY
    if self._is_broken(m, lots) or self._is_broken(t, lots):
        return codes.FILL_OR_KILL
    return codes.OK

@internal
@pure
def _find_quotes(packed: uint256[4], markets: types.Market[2], clock: uint256) -> (Quote[4], uint256):
    """
    @notice Of every leg, if all are listed and not expired.
    """
    found: Quote[4] = empty(Quote[4])
    for i: uint256 in range(4):
        if packed[i] == 0:
            break
        series: uint256 = legs._series(packed[i])
        expiry: uint256 = (series >> 49) & (2**40 - 1)
        for item: types.Slice in markets[series >> 89].slices:
            if item.expiry == expiry and item.forward > 0:
                found[i].forward = item.forward
                break
        if found[i].forward == 0 or clock >= expiry:
            return found, codes.SERIES
        is_listed: bool = False
        mark: int256 = 0
        is_listed, mark = margin._compute_mark(series, markets[series >> 89])
        found[i].mark = convert(mark, uint256)
    return found, codes.OK

@internal
@pure
def _check_price(packed: uint256[4], found: Quote[4], price: int256) -> uint256:
    """
    @notice |price - mark| <= 5 % of the gross mark + 0.5 % of the gross forward, per unit; exact, without a division.
    """
    mark: int256 = 0
    gross: uint256 = 0
    forward: uint256 = 0
    for i: uint256 in range(4):
        if packed[i] == 0:
            break
        ratio: int256 = legs._ratio(packed[i])
        size: uint256 = convert(abs(ratio), uint256)
        mark += ratio * convert(found[i].mark, int256)
        gross += size * found[i].mark
        forward += size * found[i].forward
    distance: uint256 = convert(abs(price * convert(LOTS_PER_UNIT, int256) - mark), uint256)
    return codes.BAND if 1_000 * distance > 50 * gross + 5 * forward else codes.OK

@internal
@view
def _check_holding(
    rest: bytes32,
    index: uint256,
    account: types.Account,
    path: DynArray[bytes32, 32],
    slot: uint256,
    leaf: bytes32,
    slot_path: DynArray[bytes32, 32],
):
    """
    @notice Reverts unless `rest` holds the account, and the account the leaf in its slot.
    """
    merkle._fold(account.orders, slot, SLOT_DEPTH, leaf, leaf, slot_path)
    whole: bytes32 = types._account_leaf(account)
    merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, whole, whole, path)

@internal
@pure
def _get_maker_order(ref: uint256, order: types.Order, page: types.Page, sheet: uint256) -> (types.Order, uint256):
    """
    @notice What the maker's slot holds, an order or the side of a quote that `ref` names.
    @dev What has nonce 0 is not proven: nothing else of it is looked at.
    """
    if ref == 0:
        return order, codes.OK if order.nonce != 0 else codes.ORDER
    if page.nonce == 0:
        return order, codes.ORDER
    if page.sheet != sheet or not quotes._has_quote(page, ref):
        return order, codes.SHEET
    quoted: types.Order = quotes._get_quote_order(page, ref)
    return quoted, codes.OK if quoted.lots != 0 else codes.ORDER

@internal
@view
def _check_row(items: DynArray[uint256, 128], accounts: uint256) -> uint256:
    """
    @notice Whether the row names two accounts that are there, and slots that may be.
    """
    if items[1] >= accounts or items[3] >= accounts:
        return codes.ACCOUNT
    if items[1] == items[3]:
        return codes.SELF_TRADE
    return codes.ORDER if items[4] >> SLOT_DEPTH != 0 or items[2] >> SLOT_DEPTH > quotes.MAX_REF else codes.OK

@internal
@view
def _check_trade(m: types.Order, t: types.Order, lots: uint256, clock: uint256, markets: types.Market[2]) -> (uint256, uint256):
    """
    @notice The fee, if the markets and the taker let the trade be.
    """
    found: Quote[4] = empty(Quote[4])
    code: uint256 = codes.OK
    found, code = self._find_quotes(m.legs, markets, clock)
    if code != codes.OK:
        return 0, code
    code = self._check_price(m.legs, found, m.price)
    if code != codes.OK:
        return 0, code
    fee: uint256 = self._compute_fee(m.legs, found, m.price, lots)
    return fee, codes.FEE if fee > t.fee_cap * lots else codes.OK

@internal
@pure
def _make_trade(items: DynArray[uint256, 128], m: types.Order, t: types.Order, fee: uint256) -> types.Trade:
    """
    @notice What the margin steps go on with.
    """
    flags: uint256 = 0
    if m.flags & REDUCE_ONLY != 0:
        flags |= MAKER_REDUCES
    if t.flags & REDUCE_ONLY != 0:
        flags |= TAKER_REDUCES
    units: int256 = convert(items[5], int256)
    return types.Trade(
        maker=items[1],
        maker_slot=items[2],
        taker=items[3],
        taker_slot=items[4],
        legs=m.legs,
        units=units if m.is_buy == 1 else -units,
        price=m.price,
        fee=fee,
        flags=flags,
        equity=0,
        maintenance=0,
        nonce=0,
    )

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    globals: types.Globals,
    rest: bytes32,
    markets: types.Market[2],
    markets_path: bytes32[2],
    maker: types.Account,
    maker_path: DynArray[bytes32, 32],
    maker_order: types.Order,
    maker_page: types.Page,
    maker_slot_path: DynArray[bytes32, 32],
    taker: types.Account,
    taker_path: DynArray[bytes32, 32],
    t: types.Order,
    taker_page: types.Page,
    taker_slot_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice Writes nothing: the trade goes on to its margin steps in the scratch.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "terms: items"
    lots: uint256 = items[5]
    # READ
    merkle._check_globals(header.state, globals, rest)
    code: uint256 = self._check_row(items, globals.accounts)
    if code != codes.OK:
        return machine._next_row(header), code
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, both, both, markets_path)
    ref: uint256 = items[2] >> SLOT_DEPTH
    leaf: bytes32 = types._entry_leaf(maker_order, maker_page)
    self._check_holding(rest, items[1], maker, maker_path, items[2] ^ (ref << SLOT_DEPTH), leaf, maker_slot_path)
    leaf = types._entry_leaf(t, taker_page)
    self._check_holding(rest, items[3], taker, taker_path, items[4], leaf, taker_slot_path)
    # CHECK
    if maker.owner == taker.owner:
        return machine._next_row(header), codes.SELF_TRADE
    m: types.Order = empty(types.Order)
    m, code = self._get_maker_order(ref, maker_order, maker_page, maker.sheet)
    if t.nonce == 0:
        code = codes.ORDER
    if code == codes.OK:
        code = self._check_orders(m, t, maker.generation, taker.generation, lots, globals.clock)
    fee: uint256 = 0
    if code == codes.OK:
        fee, code = self._check_trade(m, t, lots, globals.clock, markets)
    if code != codes.OK:
        return machine._next_row(header), code
    # COMPUTE
    trade: types.Trade = self._make_trade(items, m, t, fee)
    # WRITE
    h: types.Header = header
    h.phase = machine.MAKER
    h.scratch = types._trade_hash(trade)
    return h, codes.OK
