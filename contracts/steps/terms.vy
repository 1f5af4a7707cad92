# pragma version ~=0.4.3
"""
@title TERMS: the first step of a TRADE, which checks everything but margin
@dev Twin of protocol/steps/terms.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import margin
from ..lib import merkle
from ..lib import types

MIN_FEE: constant(uint256) = 50_000  # 0.05 USD
LOTS_PER_UNIT: constant(uint256) = 100

ACCOUNT_DEPTH: immutable(uint256)
SLOT_DEPTH: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    SLOT_DEPTH = rules.slot_depth

@internal
@pure
def _compute_fee(forward: uint256, price: uint256, lots: uint256) -> uint256:
    """
    @notice 3 basis points of the forward, at most 12.5 % of the premium, at least 0.05 USD. Rounded up, against the taker.
    """
    share: uint256 = (forward * lots * 3 + 10_000 * LOTS_PER_UNIT - 1) // (10_000 * LOTS_PER_UNIT)
    return max(MIN_FEE, min(share, (price * lots + 7) // 8))

@internal
@pure
def _check_orders(
    m: types.Order, t: types.Order, maker_generation: uint256, taker_generation: uint256, lots: uint256, clock: uint256
) -> uint256:
    """
    @notice Whether two registered orders may meet for `lots` at the maker's price.
    """
    if m.lots == 0 or t.lots == 0:
        return codes.ORDER
    if m.generation != maker_generation or t.generation != taker_generation:
        return codes.GENERATION
    if m.valid_until < clock or t.valid_until < clock:
        return codes.EXPIRED
    if m.series != t.series:
        return codes.SERIES
    if m.is_buy == t.is_buy:
        return codes.SIDE
    if (t.price < m.price) if t.is_buy == 1 else (t.price > m.price):
        return codes.LIMIT
    if lots == 0:
        return codes.LOTS
    if lots > m.lots - m.filled or lots > t.lots - t.filled:
        return codes.OVERFILL
    return codes.OK

@internal
@pure
def _check_price(series: uint256, price: uint256, market: types.Market, clock: uint256) -> (uint256, uint256):
    """
    @notice Listed, not expired, and |price - mark| <= 5 % of the mark + 0.5 % of the forward, per unit; with the forward of the slice.
    """
    expiry: uint256 = (series >> 49) & (2**40 - 1)
    forward: uint256 = 0
    for item: types.Slice in market.slices:
        if item.expiry == expiry and item.forward > 0:
            forward = item.forward
            break
    if forward == 0 or clock >= expiry:
        return codes.SERIES, 0
    is_listed: bool = False
    mark: int256 = 0
    is_listed, mark = margin._compute_mark(series, market)
    distance: uint256 = convert(abs(convert(price * LOTS_PER_UNIT, int256) - mark), uint256)
    if 1_000 * distance > 50 * convert(mark, uint256) + 5 * forward:
        return codes.BAND, 0
    return codes.OK, forward

@internal
@view
def _check_holding(
    rest: bytes32,
    index: uint256,
    account: types.Account,
    path: DynArray[bytes32, 32],
    slot: uint256,
    order: types.Order,
    order_path: DynArray[bytes32, 32],
):
    """
    @notice Reverts unless `rest` holds the account, and the account the order.
    """
    leaf: bytes32 = types._account_leaf(account)
    merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, leaf, leaf, path)
    leaf = types._order_leaf(order)
    merkle._fold(account.orders, slot, SLOT_DEPTH, leaf, leaf, order_path)

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
    m: types.Order,
    m_path: DynArray[bytes32, 32],
    taker: types.Account,
    taker_path: DynArray[bytes32, 32],
    t: types.Order,
    t_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice Writes nothing: the trade goes on to its margin steps in the scratch.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "terms: items"
    maker_index: uint256 = items[1]
    maker_slot: uint256 = items[2]
    taker_index: uint256 = items[3]
    taker_slot: uint256 = items[4]
    lots: uint256 = items[5]
    # READ
    merkle._check_globals(header.state, globals, rest)
    if maker_index >= globals.accounts or taker_index >= globals.accounts:
        return machine._next_row(header), codes.ACCOUNT
    if maker_index == taker_index:
        return machine._next_row(header), codes.SELF_TRADE
    if maker_slot >> SLOT_DEPTH != 0 or taker_slot >> SLOT_DEPTH != 0:
        return machine._next_row(header), codes.ORDER
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, both, both, markets_path)
    self._check_holding(rest, maker_index, maker, maker_path, maker_slot, m, m_path)
    self._check_holding(rest, taker_index, taker, taker_path, taker_slot, t, t_path)
    # CHECK
    if maker.owner == taker.owner:
        return machine._next_row(header), codes.SELF_TRADE
    code: uint256 = self._check_orders(m, t, maker.generation, taker.generation, lots, globals.clock)
    if code != codes.OK:
        return machine._next_row(header), code
    forward: uint256 = 0
    code, forward = self._check_price(m.series, m.price, markets[m.series >> 89], globals.clock)
    if code != codes.OK:
        return machine._next_row(header), code
    # WRITE
    maker_lots: int256 = convert(lots, int256)
    h: types.Header = header
    h.phase = machine.MAKER
    h.scratch = types._trade_hash(
        types.Trade(
            maker=maker_index,
            maker_slot=maker_slot,
            taker=taker_index,
            taker_slot=taker_slot,
            series=m.series,
            maker_lots=maker_lots if m.is_buy == 1 else -maker_lots,
            price=m.price,
            fee=self._compute_fee(forward, m.price, lots),
        )
    )
    return h, codes.OK
