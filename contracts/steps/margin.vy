# pragma version ~=0.4.3
"""
@title MAKER, TAKER and BIDDER: may this side of the trade have what the trade gives it?
@dev Twin of protocol/steps/margin.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import margin as risk
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import types

MAX_STRIKE_RATIO: constant(uint256) = 10
MAKER_REDUCES: constant(uint256) = 1  # flags of a trade
TAKER_REDUCES: constant(uint256) = 2

ACCOUNT_DEPTH: immutable(uint256)
MARK_MAX_AGE: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MARK_MAX_AGE = rules.mark_max_age

@internal
@pure
def _is_bounded(merged: DynArray[uint256, 132]) -> bool:
    """
    @notice As `_is_bounded` of lib/positions.vy, of the account as it would become: the low lots of the merged words.
    """
    count: uint256 = 0
    total: int256 = 0
    for word: uint256 in merged:
        size: int256 = abs(holdings._lots(word))
        if size > holdings.MAX_LOTS:
            return False
        if size > 0:
            count += 1
        total += size
    return count <= holdings.MAX_POSITIONS and total <= holdings.MAX_ACCOUNT_LOTS

@internal
@pure
def _check_opening(legs: uint256[4], positions: DynArray[uint256, 128], markets: types.Market[2]) -> uint256:
    """
    @notice A position is opened only at a strike between a tenth of the forward and ten times it; closing is always possible.
    """
    for leg: uint256 in legs:
        if leg == 0:
            break
        series: uint256 = leg >> 32
        if holdings._get_lots(positions, series) != 0:
            continue
        expiry: uint256 = (series >> 49) & (2**40 - 1)
        strike: uint256 = (series >> 1) & (2**48 - 1)
        forward: uint256 = 0
        for item: types.Slice in markets[series >> 89].slices:
            if item.expiry == expiry and item.forward > 0:
                forward = item.forward
                break
        if forward == 0 or MAX_STRIKE_RATIO * strike < forward or strike > MAX_STRIKE_RATIO * forward:
            return codes.STRIKE
    return codes.OK

@internal
@pure
def _check_shrinking(
    trade: types.Trade, positions: DynArray[uint256, 128], markets: types.Market[2], clock: uint256, is_maker: bool
) -> uint256:
    """
    @notice Positions may only become smaller where the order says so, and while the market of a leg is halted.
    """
    is_reduce_only: bool = trade.flags & (MAKER_REDUCES if is_maker else TAKER_REDUCES) != 0
    is_halted: bool = False
    for leg: uint256 in trade.legs:
        if leg != 0 and clock < markets[leg >> 121].halted_until:
            is_halted = True
    if not (is_reduce_only or is_halted):
        return codes.OK
    if holdings._is_shrinking(positions, trade.legs, trade.units if is_maker else -trade.units):
        return codes.OK
    return codes.REDUCE_ONLY if is_reduce_only else codes.HALTED

@internal
@view
def _check_side(
    trade: types.Trade,
    account: types.Account,
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    clock: uint256,
    is_maker: bool,
) -> uint256:
    """
    @notice Bounds first, so that what follows cannot overflow; then margin.
    """
    units: int256 = trade.units if is_maker else -trade.units
    cash: int256 = account.cash - units * trade.price - (0 if is_maker else convert(trade.fee, int256))
    code: uint256 = self._check_opening(trade.legs, positions, markets)
    if code != codes.OK:
        return code
    merged: DynArray[uint256, 132] = risk._merge(positions, trade.legs, 0, units)
    if not self._is_bounded(merged):
        return codes.POSITIONS
    code = self._check_shrinking(trade, positions, markets, clock, is_maker)
    if code != codes.OK:
        return code
    before: risk.Margin = empty(risk.Margin)
    after: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    before, after, oldest = risk._compute_margins(account.cash, cash, merged, markets)
    return risk._check_trade(before, after, account.flag != 0, risk._is_stale(oldest, clock, MARK_MAX_AGE))

@external
@view
def step(
    header: types.Header,
    trade: types.Trade,
    globals: types.Globals,
    rest: bytes32,
    account: types.Account,
    account_path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    markets_path: bytes32[2],
) -> (types.Header, uint256):
    """
    @notice The same for every side; the phase says which. A bidder is a taker: the flagged account is the maker.
    """
    is_maker: bool = header.phase == machine.MAKER
    assert types._trade_hash(trade) == header.scratch, "margin: trade"
    # READ
    merkle._check_globals(header.state, globals, rest)
    leaf: bytes32 = types._account_leaf(account)
    index: uint256 = trade.maker if is_maker else trade.taker
    merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, leaf, leaf, account_path)
    assert holdings._hash(positions) == account.positions, "margin: positions"
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, both, both, markets_path)
    # CHECK
    code: uint256 = self._check_side(trade, account, positions, markets, globals.clock, is_maker)
    if code != codes.OK:
        return machine._next_row(header), code
    # WRITE
    h: types.Header = header
    if is_maker:
        h.phase = machine.TAKER
    else:
        h.phase = machine.COMMIT if header.phase == machine.TAKER else machine.TARGET
    return h, codes.OK
