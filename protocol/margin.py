"""Margin by full revaluation: what an account is worth, and what it must be worth.

Every series is repriced by Black-76 on its slice under SPAN's 16 scenarios. Equity is cash plus positions at their marks,
a mark per lot rounded against the holder. Per underlying, maintenance is the worst scenario's loss, but at least 2 % of the
forward for every short lot (far out-of-the-money shorts have no scenario loss, and are not free); initial margin is 1.3 times the sum.

Values per lot are prices per unit // 100 of non-negative prices, rounded before the base is subtracted, so a change per lot
is an integer below 2**37 and a sum over an account (sum |lots| <= 2**26) stays inside int64. Source: CME, SPAN parameters.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from protocol.codes import Code
from protocol.fixed_point import div_down, div_up
from protocol.pricing import MAX_PRICE, MAX_V, compute_price
from protocol.series import decode_series
from protocol.svi import compute_surface, compute_surface_v
from protocol.types import LOTS_PER_UNIT, MAX_CASH, Market, Position, Slice

BASIS_POINTS = 10_000
MOVES = (-2000, -1333, -667, 0, 667, 1333, 2000)  # of the forward, basis points; each with v * 3/2, then with v / 2
EXTREMES = (-6000, 6000)  # at unchanged v
EXTREME_PERCENT = 35  # of an extreme's loss that counts
SCENARIOS = 2 * len(MOVES) + len(EXTREMES)
SHORT_LOTS_PER_FORWARD = 5_000  # 2 % of the forward a unit is 1 / 5000 of it a lot
MIN_INITIAL = 100_000_000  # 100 USD


class Risk(NamedTuple):
    """One series under the market's slice, in 1e-6 USD a lot."""

    down: int  # the mark of a long lot
    up: int  # the mark of a short lot
    minimum: int  # maintenance of a short lot, at least
    changes: tuple[int, ...]  # of the value of a long lot, by scenario


class Margin(NamedTuple):
    """All in 1e-6 USD."""

    equity: int
    maintenance: int
    initial: int
    has_short: bool
    cash: int


NO_RISK = Risk(0, 0, 0, (0,) * SCENARIOS)  # of a series that its market does not carry: no honest state has one


def get_slice(market: Market, expiry: int) -> Slice | None:
    """The market's slice of an expiry, None if it carries none."""
    for item in market.slices:
        if item.expiry == expiry and item.forward > 0:
            return item
    return None


def compute_mark(series: int, market: Market) -> int | None:
    """The mark in 1e-6 USD a unit, rounded down, of a series of this market's underlying; None without its slice."""
    _, expiry, strike, is_call = decode_series(series)
    item = get_slice(market, expiry)
    if item is None:
        return None
    return _compute_slice_mark(strike, is_call, item)


@lru_cache(maxsize=1 << 14)
def _compute_slice_mark(strike: int, is_call: int, item: Slice) -> int:
    surface = compute_surface(item)
    strike = min(max(strike, 1), MAX_PRICE)
    return compute_price(surface.forward, strike, compute_surface_v(surface, strike))[1 - is_call]


@lru_cache(maxsize=1 << 14)
def compute_risk(strike: int, is_call: int, item: Slice) -> Risk:
    """The 17 prices of a series: at the mark, and in every scenario. Shocked forwards round down to at least 1."""
    surface = compute_surface(item)
    strike = min(max(strike, 1), MAX_PRICE)
    v = compute_surface_v(surface, strike)
    kind = 1 - is_call

    def compute_lot(move: int, moved_v: int) -> int:
        forward = max(div_down(surface.forward * (BASIS_POINTS + move), BASIS_POINTS), 1)
        return div_down(compute_price(forward, strike, moved_v)[kind], LOTS_PER_UNIT)

    mark = compute_price(surface.forward, strike, v)[kind]
    base = div_down(mark, LOTS_PER_UNIT)
    changes = [compute_lot(move, moved_v) - base for move in MOVES for moved_v in (min(v + (v >> 1), MAX_V), v >> 1)]
    base_counted = div_down(base * EXTREME_PERCENT, 100)
    changes += [div_down(compute_lot(move, v) * EXTREME_PERCENT, 100) - base_counted for move in EXTREMES]
    return Risk(base, div_up(mark, LOTS_PER_UNIT), div_up(surface.forward, SHORT_LOTS_PER_FORWARD), tuple(changes))


def get_risk(series: int, markets: Sequence[Market]) -> Risk:
    """The series' risk, memoized: a pure function of its slice."""
    underlying, expiry, strike, is_call = decode_series(series)
    item = get_slice(markets[underlying], expiry) if underlying < len(markets) else None
    return compute_risk(strike, is_call, item) if item is not None else NO_RISK


def compute_initial(maintenance: int, has_short: bool) -> int:
    """1.3 times the maintenance, rounded up; at least 100 USD where there is a short."""
    initial = div_up(13 * maintenance, 10)
    return max(initial, MIN_INITIAL) if has_short else initial


def compute_margin(cash: int, positions: Sequence[Position], markets: Sequence[Market]) -> Margin:
    """Of an account with `positions` ascending by series, in `markets` indexed by underlying."""
    equity = cash
    maintenance = 0
    has_short = False
    underlying = -1
    sums = [0] * SCENARIOS
    minimum = 0
    for series, lots in positions:
        of, _, _, _ = decode_series(series)
        if of != underlying:
            maintenance += max(-min(sums), minimum, 0)
            underlying, sums, minimum = of, [0] * SCENARIOS, 0
        risk = get_risk(series, markets)
        if lots < 0:
            has_short = True
            equity += lots * risk.up
            minimum -= lots * risk.minimum
        else:
            equity += lots * risk.down
        sums = [total + lots * change for total, change in zip(sums, risk.changes)]
    maintenance += max(-min(sums), minimum, 0)
    return Margin(equity, maintenance, compute_initial(maintenance, has_short), has_short, cash)


def is_stale(positions: Sequence[Position], markets: Sequence[Market], now: int, max_age: int) -> bool:
    """Whether an underlying that is held was last marked more than `max_age` seconds ago; one without a market was at 0."""
    held = {decode_series(series).underlying for series, _ in positions}
    return any(now - (markets[of].mark_time if of < len(markets) else 0) > max_age for of in held)


def is_reducing(before: Margin, after: Margin) -> bool:
    """Whether risk falls and equity per unit of risk does not: else an almost bankrupt account gives its equity to a friend."""
    return (
        after.maintenance < before.maintenance
        and after.equity >= 0
        and after.equity * before.maintenance >= before.equity * after.maintenance
    )


def check_trade(before: Margin, after: Margin, is_flagged: bool, is_stale: bool) -> Code:
    """Whether an account may go from `before` to `after`; the first failing check gives the code."""
    if not -MAX_CASH < after.cash < MAX_CASH:
        return Code.CASH
    if after.cash < 0 and after.cash < before.cash:
        return Code.CASH
    if not after.has_short and after.cash >= 0 and not is_flagged:
        return Code.OK
    if is_reducing(before, after):
        return Code.OK
    if is_flagged:
        return Code.FLAGGED
    if is_stale:
        return Code.STALE
    return Code.OK if after.equity >= after.initial else Code.MARGIN
