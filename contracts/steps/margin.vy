# pragma version ~=0.4.3
"""
@title MAKER and TAKER: may this side of the trade have what the trade gives it?
@dev Twin of protocol/steps/margin.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import margin as risk
from ..lib import markets as book
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import types

LOTS_MASK: constant(uint256) = 2**32 - 1
LOTS_BIAS: constant(int256) = 2**31
MAX_STRIKE_RATIO: constant(uint256) = 10

struct Side:
    positions: DynArray[uint256, 129]  # of before and after, as lib/margin.vy takes them
    had_series: bool
    is_bounded: bool

ACCOUNT_DEPTH: immutable(uint256)
MARK_MAX_AGE: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MARK_MAX_AGE = rules.mark_max_age

@internal
@pure
def _merge(series: uint256, before: int256, after: int256) -> uint256:
    return (series << 64) | (convert(before + LOTS_BIAS, uint256) << 32) | convert(after + LOTS_BIAS, uint256)

@internal
@pure
def _compute_side(positions: DynArray[uint256, 128], series: uint256, change: int256) -> Side:
    """
    @notice The positions after `change` lots more of `series`, beside what they were, and whether they are within bounds.
    """
    side: Side = empty(Side)
    total: int256 = 0
    count: uint256 = 0
    is_placed: bool = False
    is_small: bool = True
    for word: uint256 in positions:
        of: uint256 = word >> 32
        before: int256 = convert(word & LOTS_MASK, int256) - LOTS_BIAS
        after: int256 = before
        if not is_placed and of > series:
            side.positions.append(self._merge(series, 0, change))
            is_placed = True
        if of == series:
            after = before + change
            side.had_series = True
            is_placed = True
        side.positions.append(self._merge(of, before, after))
    if not is_placed:
        side.positions.append(self._merge(series, 0, change))
    for word: uint256 in side.positions:
        size: int256 = abs(convert(word & LOTS_MASK, int256) - LOTS_BIAS)
        if size != 0:
            count += 1
        if size > holdings.MAX_LOTS:
            is_small = False
        total += size
    side.is_bounded = count <= holdings.MAX_POSITIONS and is_small and total <= holdings.MAX_ACCOUNT_LOTS
    return side

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
    side: Side = self._compute_side(positions, trade.series, lots)
    if not side.had_series and self._check_opening(trade.series, markets[trade.series >> 89]) != codes.OK:
        return codes.STRIKE
    if not side.is_bounded:
        return codes.POSITIONS
    before: risk.Margin = empty(risk.Margin)
    after: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    before, after, oldest = risk._compute_margins(account.cash, cash, side.positions, markets)
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
    book._check(rest, markets, markets_path)
    # CHECK
    code: uint256 = self._check_side(trade, account, positions, markets, globals.clock, is_maker)
    if code != codes.OK:
        return machine._next_row(header), code
    # WRITE
    h: types.Header = header
    h.phase = machine.TAKER if is_maker else machine.COMMIT
    return h, codes.OK
