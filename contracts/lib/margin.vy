# pragma version ~=0.4.3
"""
@title Margin by full revaluation: what an account is worth, and what it must be worth
@dev Twin of protocol/margin.py, bit for bit. Before and after a trade are computed in one pass, each series priced once. Never reverts:
     what could overflow is clamped or narrow by its encoding.
"""

from . import codes
from . import pricing
from . import svi
from . import types

struct Margin:
    equity: int256  # all in 1e-6 USD
    maintenance: int256
    initial: int256
    has_short: bool
    cash: int256

struct Risk:
    down: int256  # the mark of a long lot, 1e-6 USD
    up: int256  # the mark of a short lot
    changes: int256[16]  # of the value of a long lot, by scenario

# moved forwards in 1/10000; each with v * 3/2, then with v / 2
MOVES: constant(int256[7]) = [8000, 8667, 9333, 10000, 10667, 11333, 12000]
EXTREMES: constant(int256[2]) = [4000, 16000]  # at unchanged v
BASIS_POINTS: constant(int256) = 10000
EXTREME_PERCENT: constant(int256) = 35
SHORT_LOTS_PER_FORWARD: constant(int256) = 5000
LOTS_PER_UNIT: constant(int256) = 100
MIN_INITIAL: constant(int256) = 100_000_000
MAX_CASH: constant(int256) = 2**60
MAX_PRICE: constant(int256) = 2**43 - 1
MAX_V: constant(int256) = 2**41 - 1

UNDERLYINGS: constant(uint256) = 2
MAX_MERGED: constant(uint256) = 132  # an account's 128 positions and four legs
LOTS_BIAS: constant(int256) = 2**31
LANE: constant(uint256) = 128  # two signed sums share a word: before in the low half, after in the high one

@internal
@pure
def _get_surface(market: types.Market, expiry: uint256) -> svi.Surface:
    """
    @notice Of the market's slice of an expiry; forward 0 if it carries none.
    """
    for item: types.Slice in market.slices:
        if item.expiry == expiry and item.forward > 0:
            return svi._compute_surface(item)
    return empty(svi.Surface)

@internal
@pure
def _compute_mark(series: uint256, market: types.Market) -> (bool, int256):
    """
    @notice Whether the market carries the series, and its mark in 1e-6 USD a unit, rounded down.
    """
    surface: svi.Surface = self._get_surface(market, (series >> 49) & (2**40 - 1))
    if surface.forward == 0:
        return False, 0
    strike: int256 = min(max(convert((series >> 1) & (2**48 - 1), int256), 1), MAX_PRICE)
    call: int256 = 0
    put: int256 = 0
    call, put = pricing._compute_price(surface.forward, strike, svi._compute_surface_v(surface, strike))
    return True, call if series & 1 == 1 else put

@internal
@pure
def _compute_risk(forward: int256, strike: int256, is_call: bool, v: int256) -> Risk:
    """
    @notice 17 prices of a series. One logarithm serves both volatilities of a move.
    """
    risk: Risk = empty(Risk)
    lo: int256 = min(forward, strike)
    intrinsic: int256 = unsafe_sub(forward, lo) if is_call else unsafe_sub(strike, lo)
    mark: int256 = unsafe_add(intrinsic, pricing._compute_time_value(lo, pricing._compute_ln_ratio(max(forward, strike), lo), v))
    base: int256 = unsafe_div(mark, LOTS_PER_UNIT)
    risk.down = base
    risk.up = unsafe_div(unsafe_add(mark, LOTS_PER_UNIT - 1), LOTS_PER_UNIT)
    up: int256 = min(unsafe_add(v, v >> 1), MAX_V)
    i: uint256 = 0
    for move: int256 in MOVES:
        moved: int256 = max(unsafe_div(unsafe_mul(forward, move), BASIS_POINTS), 1)
        lo = min(moved, strike)
        x: int256 = pricing._compute_ln_ratio(max(moved, strike), lo)
        intrinsic = unsafe_sub(moved, lo) if is_call else unsafe_sub(strike, lo)
        risk.changes[i] = unsafe_sub(unsafe_div(unsafe_add(intrinsic, pricing._compute_time_value(lo, x, up)), LOTS_PER_UNIT), base)
        i = unsafe_add(i, 1)
        risk.changes[i] = unsafe_sub(unsafe_div(unsafe_add(intrinsic, pricing._compute_time_value(lo, x, v >> 1)), LOTS_PER_UNIT), base)
        i = unsafe_add(i, 1)
    base = unsafe_div(unsafe_mul(base, EXTREME_PERCENT), 100)
    for move: int256 in EXTREMES:
        moved: int256 = max(unsafe_div(unsafe_mul(forward, move), BASIS_POINTS), 1)
        lo = min(moved, strike)
        intrinsic = unsafe_sub(moved, lo) if is_call else unsafe_sub(strike, lo)
        price: int256 = unsafe_add(intrinsic, pricing._compute_time_value(lo, pricing._compute_ln_ratio(max(moved, strike), lo), v))
        risk.changes[i] = unsafe_sub(unsafe_div(unsafe_mul(unsafe_div(price, LOTS_PER_UNIT), EXTREME_PERCENT), 100), base)
        i = unsafe_add(i, 1)
    return risk

@internal
@pure
def _compute_worst(sums: int256[16]) -> (int256, int256):
    """
    @notice The largest loss of both lanes over the scenarios, not negative.
    """
    before: int256 = 0
    after: int256 = 0
    for total: int256 in sums:
        low: int256 = (total << LANE) >> LANE
        before = min(before, low)
        after = min(after, unsafe_sub(total, low) >> LANE)
    return unsafe_sub(0, before), unsafe_sub(0, after)

@internal
@pure
def _finish(margin: Margin) -> Margin:
    """
    @notice With the initial margin: 1.3 times the maintenance, rounded up; at least 100 USD where there is a short.
    """
    done: Margin = margin
    done.initial = unsafe_div(unsafe_add(unsafe_mul(13, margin.maintenance), 9), 10)
    if margin.has_short:
        done.initial = max(done.initial, MIN_INITIAL)
    return done

@internal
@pure
def _compute_margins(
    cash_before: int256, cash_after: int256, positions: DynArray[uint256, MAX_MERGED], markets: types.Market[UNDERLYINGS]
) -> (Margin, Margin, uint256):
    """
    @notice Margin before and after, and the oldest mark of the underlyings held after (the largest word if none is).
    @param positions Merged and ascending: series << 64 | before + 2**31 << 32 | after + 2**31; 0 lots where a side has none.
    """
    before: Margin = Margin(equity=cash_before, maintenance=0, initial=0, has_short=False, cash=cash_before)
    after: Margin = Margin(equity=cash_after, maintenance=0, initial=0, has_short=False, cash=cash_after)
    oldest: uint256 = max_value(uint256)
    sums: int256[16] = empty(int256[16])
    short_before: int256 = 0
    short_after: int256 = 0
    loss_before: int256 = 0
    loss_after: int256 = 0
    surface: svi.Surface = empty(svi.Surface)
    minimum: int256 = 0
    underlying: uint256 = max_value(uint256)
    listing: uint256 = max_value(uint256)  # underlying and expiry of `surface`
    for word: uint256 in positions:
        # READ
        lots_before: int256 = unsafe_sub(convert((word >> 32) & (2**32 - 1), int256), LOTS_BIAS)
        lots_after: int256 = unsafe_sub(convert(word & (2**32 - 1), int256), LOTS_BIAS)
        if word >> 153 != underlying:
            loss_before, loss_after = self._compute_worst(sums)
            before.maintenance = unsafe_add(before.maintenance, max(loss_before, short_before))
            after.maintenance = unsafe_add(after.maintenance, max(loss_after, short_after))
            sums = empty(int256[16])
            short_before = 0
            short_after = 0
            underlying = word >> 153
        if lots_after != 0:
            oldest = min(oldest, markets[underlying].mark_time if underlying < UNDERLYINGS else 0)
        if lots_before < 0:
            before.has_short = True
        if lots_after < 0:
            after.has_short = True
        if word >> 113 != listing:
            listing = word >> 113
            surface = empty(svi.Surface)
            if underlying < UNDERLYINGS:
                surface = self._get_surface(markets[underlying], listing & (2**40 - 1))
            minimum = unsafe_div(unsafe_add(surface.forward, SHORT_LOTS_PER_FORWARD - 1), SHORT_LOTS_PER_FORWARD)
        if surface.forward == 0:
            continue
        # COMPUTE
        strike: int256 = min(max(convert((word >> 65) & (2**48 - 1), int256), 1), MAX_PRICE)
        risk: Risk = self._compute_risk(surface.forward, strike, (word >> 64) & 1 == 1, svi._compute_surface_v(surface, strike))
        both: int256 = unsafe_add(lots_after << LANE, lots_before)
        for i: uint256 in range(16):
            sums[i] = unsafe_add(sums[i], unsafe_mul(both, risk.changes[i]))
        # WRITE
        before.equity = unsafe_add(before.equity, unsafe_mul(lots_before, risk.up if lots_before < 0 else risk.down))
        after.equity = unsafe_add(after.equity, unsafe_mul(lots_after, risk.up if lots_after < 0 else risk.down))
        short_before = unsafe_sub(short_before, unsafe_mul(min(lots_before, 0), minimum))
        short_after = unsafe_sub(short_after, unsafe_mul(min(lots_after, 0), minimum))
    loss_before, loss_after = self._compute_worst(sums)
    before.maintenance = unsafe_add(before.maintenance, max(loss_before, short_before))
    after.maintenance = unsafe_add(after.maintenance, max(loss_after, short_after))
    return self._finish(before), self._finish(after), oldest

@internal
@pure
def _insert(positions: DynArray[uint256, MAX_MERGED], series: uint256, first: int256, second: int256) -> DynArray[uint256, MAX_MERGED]:
    """
    @notice `first` more lots of `series` in the first lane, `second` more in the second.
    @dev Within |lots| < 2**31, which the bounds on a position ensure.
    """
    merged: DynArray[uint256, MAX_MERGED] = []
    zero: uint256 = convert(LOTS_BIAS, uint256)
    # modulo 2**256, so that adding it and masking is adding it
    first_word: uint256 = convert(convert(first, bytes32), uint256)
    second_word: uint256 = convert(convert(second, bytes32), uint256)
    is_placed: bool = False
    for word: uint256 in positions:
        of: uint256 = word >> 64
        before: uint256 = (word >> 32) & (2**32 - 1)
        after: uint256 = word & (2**32 - 1)
        if not is_placed and of >= series:
            is_placed = True
            if of == series:
                before = unsafe_add(before, first_word) & (2**32 - 1)
                after = unsafe_add(after, second_word) & (2**32 - 1)
            else:
                merged.append(
                    (series << 64) | ((unsafe_add(zero, first_word) & (2**32 - 1)) << 32) | (unsafe_add(zero, second_word) & (2**32 - 1))
                )
        merged.append((of << 64) | (before << 32) | after)
    if not is_placed:
        merged.append(
            (series << 64) | ((unsafe_add(zero, first_word) & (2**32 - 1)) << 32) | (unsafe_add(zero, second_word) & (2**32 - 1))
        )
    return merged

@internal
@pure
def _merge(positions: DynArray[uint256, 128], legs: uint256[4], first: int256, second: int256) -> DynArray[uint256, MAX_MERGED]:
    """
    @notice An account's positions (series << 32 | lots + 2**31) after `first` more units of the legs, and after `second`, for
            `_compute_margins`.
    """
    merged: DynArray[uint256, MAX_MERGED] = []
    for position: uint256 in positions:
        lots: uint256 = position & (2**32 - 1)
        merged.append(((position >> 32) << 64) | (lots << 32) | lots)
    for leg: uint256 in legs:
        if leg == 0:
            break
        ratio: int256 = unsafe_sub(convert(leg & (2**32 - 1), int256), LOTS_BIAS)
        merged = self._insert(merged, leg >> 32, unsafe_mul(ratio, first), unsafe_mul(ratio, second))
    return merged

@internal
@pure
def _compute_margin(cash: int256, positions: DynArray[uint256, 128], markets: types.Market[UNDERLYINGS]) -> (Margin, uint256):
    """
    @notice Of one account, its positions as in state: series << 32 | lots + 2**31; and the oldest mark that it depends on.
    """
    merged: DynArray[uint256, MAX_MERGED] = self._merge(positions, empty(uint256[4]), 0, 0)
    before: Margin = empty(Margin)
    after: Margin = empty(Margin)
    oldest: uint256 = 0
    before, after, oldest = self._compute_margins(cash, cash, merged, markets)
    return after, oldest

@internal
@pure
def _is_stale(oldest: uint256, now: uint256, max_age: uint256) -> bool:
    """
    @notice Whether the oldest mark (of `_compute_margins`) is more than `max_age` seconds old.
    """
    return now > oldest and unsafe_sub(now, oldest) > max_age

@internal
@pure
def _is_reducing(before: Margin, after: Margin) -> bool:
    """
    @notice Whether risk falls and equity per unit of risk does not.
    """
    return (
        after.maintenance < before.maintenance
        and after.equity >= 0
        and unsafe_mul(after.equity, before.maintenance) >= unsafe_mul(before.equity, after.maintenance)
    )

@internal
@pure
def _check_trade(before: Margin, after: Margin, is_flagged: bool, is_stale: bool) -> uint256:
    """
    @notice Whether an account may go from `before` to `after`; the first failing check gives the code.
    """
    if after.cash >= MAX_CASH or after.cash <= -MAX_CASH:
        return codes.CASH
    if after.cash < 0 and after.cash < before.cash:
        return codes.CASH
    if not after.has_short and after.cash >= 0 and not is_flagged:
        return codes.OK
    if self._is_reducing(before, after):
        return codes.OK
    if is_flagged:
        return codes.FLAGGED
    if is_stale:
        return codes.STALE
    return codes.OK if after.equity >= after.initial else codes.MARGIN
