# pragma version ~=0.4.3
"""
@title MAKER and TAKER: may this side of the trade have what the trade gives it?
@dev Twin of protocol/steps/margin.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import margin as risk
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import types

MAX_STRIKE_RATIO: constant(uint256) = 10

ACCOUNT_DEPTH: immutable(uint256)
MARK_MAX_AGE: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MARK_MAX_AGE = rules.mark_max_age

@internal
@pure
def _is_bounded(merged: DynArray[uint256, 129]) -> bool:
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
def _check_opening(series: uint256, market: types.Market) -> uint256:
    """
    @notice A position is opened only at a strike between a tenth of the forward and ten times it.
    """
    expiry: uint256 = (series >> 49) & (2**40 - 1)
    strike: uint256 = (series >> 1) & (2**48 - 1)
    for item: types.Slice in market.slices:
        if item.expiry == expiry and item.forward > 0:
            if MAX_STRIKE_RATIO * strike < item.forward or strike > MAX_STRIKE_RATIO * item.forward:
                return codes.STRIKE
            return codes.OK
    return codes.STRIKE

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
    lots: int256 = trade.maker_lots if is_maker else -trade.maker_lots
    cash: int256 = account.cash - lots * convert(trade.price, int256) - (0 if is_maker else convert(trade.fee, int256))
    if holdings._get_lots(positions, trade.series) == 0 and self._check_opening(trade.series, markets[trade.series >> 89]) != codes.OK:
        return codes.STRIKE
    merged: DynArray[uint256, 129] = risk._merge(positions, trade.series, lots)
    if not self._is_bounded(merged):
        return codes.POSITIONS
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
    @notice The same for both sides; the phase says which.
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
    h.phase = machine.TAKER if is_maker else machine.COMMIT
    return h, codes.OK
