"""Margin against an independent model, and what must hold of it whatever the market.

The model is written from the rules' text: raw SVI, Black-76 with scipy's normal distribution, 16 scenarios, all in doubles. It shares
no line with `protocol`.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr

from protocol.margin import Margin, compute_margin, get_risk
from protocol.series import encode_series
from protocol.types import MAX_LOTS, MAX_POSITIONS, Market, Position, Slice
from tests.pricing.markets import DAY_S, NOW, make_markets, make_positions

Doubles = NDArray[np.float64]

MARKETS = 40
PORTFOLIOS = 250  # of each
POOL = 160  # series of each
# By the rules' text: moves of the forward, to a basis point, each with volatility up and down by half; two extremes that count 35 %.
SCENARIOS = [(move, factor, 1.0) for move in (-0.2, -0.1333, -0.0667, 0.0, 0.0667, 0.1333, 0.2) for factor in (1.5, 0.5)]
SCENARIOS += [(-0.6, 1.0, 0.35), (0.6, 1.0, 0.35)]

# Errors of the integers. Of a price: the kernel's 1e-10 of the forward, plus what an error of the variance does to it. That is below 2e-11
# (parameters and products at 2**-38, a logarithm at 1e-11), so v, at least 0.015 here and times 1.5, is off by at most 1e-9, and
# vega is at most 0.4 of the forward. So 5e-10 of a forward, which is 1.6 times the market's at most.
PRICE_ERROR = 1.6 * 5e-10
MARK_ROUNDING = 1.0  # of a lot: down for a long, up for a short
SCENARIO_ROUNDING = 1.35 + 0.01  # two prices rounded down, and again after 35 % of them; a moved forward rounded down
SHORT_ROUNDING = 1.0  # 2 % of the forward, up
SUM_ERROR = 1e-12  # relative, of sums of up to 128 doubles


class Pool(NamedTuple):
    """Some series in one state of the markets; values in 1e-6 USD a lot."""

    series: NDArray[np.int64]  # indices of `markets`' underlyings
    names: list[int]
    mark: Doubles
    changes: Doubles  # (16, n)
    minimum: Doubles


def price(forward: Doubles, strike: Doubles, v: Doubles, is_call: NDArray[np.bool_]) -> Doubles:
    """Black-76: F N(d1) - K N(d2), and the put by symmetry."""
    sign = np.where(is_call, 1.0, -1.0)
    d1 = np.log(forward / strike) / v + v / 2
    result: Doubles = sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - v)))
    return result


def draw_pool(rng: random.Random, markets: tuple[Market, ...], scenarios: Sequence[tuple[float, float, float]]) -> Pool:
    """Strikes from a tenth to ten times the forward, more of them near it."""
    rows: dict[int, tuple[int, Slice, int, int]] = {}
    while len(rows) < POOL:
        underlying, is_call = rng.randrange(len(markets)), rng.randrange(2)
        item = rng.choice(markets[underlying].slices)
        strike = int(item.forward * min(max(10 ** rng.gauss(0, 0.25), 0.1), 10)) // 10_000 * 10_000
        rows[encode_series(underlying, item.expiry, strike, is_call)] = underlying, item, strike, is_call
    names = sorted(rows)
    table = np.array([(*rows[name][1], *rows[name][2:]) for name in names], dtype=np.float64).T
    _, forward, a, b, rho, m, sigma, _, strike_, call = table
    k = np.log(strike_ / forward) - m / 1e9
    v = np.sqrt(a / 1e9 + b / 1e9 * (rho / 1e9 * k + np.sqrt(k * k + (sigma / 1e9) ** 2)))
    mark = price(forward, strike_, v, call > 0) / 100
    moved = [weight * (price(forward * (1 + move), strike_, v * factor, call > 0) / 100 - mark) for move, factor, weight in scenarios]
    underlyings = np.array([rows[name][0] for name in names], dtype=np.int64)
    return Pool(underlyings, names, mark, np.array(moved), 0.02 * forward / 100)


def compute_model(cash: int, lots: Doubles, pool: Pool) -> tuple[float, float, float]:
    """Equity, maintenance and initial margin of `lots` of each series of the pool."""
    equity = cash + float(lots @ pool.mark)
    maintenance = 0.0
    for underlying in range(2):
        held = np.where(pool.series == underlying, lots, 0)
        maintenance += max(float(np.max(-(pool.changes @ held))), float(np.maximum(-held, 0) @ pool.minimum), 0.0)
    initial = 1.3 * maintenance
    return equity, maintenance, max(initial, 100e6) if lots.min() < 0 else initial


def draw_lots(rng: random.Random) -> Doubles:
    """Of each series of a pool: mostly few positions, at times as many as may be; any size."""
    lots = np.zeros(POOL)
    most = rng.choice((10, 1_000, MAX_LOTS >> 1))
    for at in rng.sample(range(POOL), rng.choice((1, 2, 4, 8, 16, rng.randrange(1, MAX_POSITIONS + 1)))):
        lots[at] = rng.choice((-1, 1)) * rng.randrange(1, most + 1)
    return lots


def compute_errors(cash: int, lots: Doubles, pool: Pool) -> tuple[float, float]:
    """What the integers may be off by, in 1e-6 USD: of equity and of maintenance."""
    size, forwards = np.abs(lots), pool.minimum * 50
    priced = PRICE_ERROR * float(size @ forwards)
    summed = SUM_ERROR * (abs(cash) + float(size @ (pool.mark + forwards)))
    equity = MARK_ROUNDING * float(size.sum()) + priced + summed
    return equity, max(SCENARIO_ROUNDING, SHORT_ROUNDING) * float(size.sum()) + 2 * priced + summed


def measure_changes(pool: Pool, markets: tuple[Market, ...]) -> float:
    """The largest error of one series in one scenario, as a share of what is allowed: a margin shows only the worst scenario."""
    changes = np.array([get_risk(name, markets).changes for name in pool.names]).T
    allowed = SCENARIO_ROUNDING + 2 * PRICE_ERROR * pool.minimum * 50
    return float(np.max(np.abs(changes - pool.changes) / allowed))


def measure_margins(rng: random.Random, pool: Pool, markets: tuple[Market, ...], count: int) -> float:
    """The same of equity, maintenance and initial margin of `count` portfolios."""
    worst = 0.0
    for _ in range(count):
        cash, lots = rng.randrange(-(10**12), 10**12), draw_lots(rng)
        positions = tuple((pool.names[at], int(lots[at])) for at in np.flatnonzero(lots).tolist())
        margin = compute_margin(cash, positions, markets)
        equity, maintenance, initial = compute_model(cash, lots, pool)
        equity_error, maintenance_error = compute_errors(cash, lots, pool)
        worst = max(
            worst,
            abs(margin.equity - equity) / equity_error,
            abs(margin.maintenance - maintenance) / maintenance_error,
            abs(margin.initial - initial) / (1.3 * maintenance_error + 1),
        )
    return worst


def test_ten_thousand_portfolios_agree_with_the_model(seed: int) -> None:
    rng = random.Random(seed)
    changes, margins = 0.0, 0.0
    for _ in range(MARKETS):
        markets = make_markets(rng)
        pool = draw_pool(rng, markets, SCENARIOS)
        changes = max(changes, measure_changes(pool, markets))
        margins = max(margins, measure_margins(rng, pool, markets, PORTFOLIOS))
    print(f"of the allowed error: {changes:.3f} in a scenario, {margins:.3f} in the margin of {MARKETS * PORTFOLIOS} portfolios")
    assert changes < 1
    assert margins < 1


@pytest.mark.parametrize("at", range(len(SCENARIOS)))
def test_a_scenario_that_is_a_basis_point_off_is_seen(at: int, seed: int) -> None:
    rng = random.Random(seed)
    move, factor, weight = SCENARIOS[at]
    markets = make_markets(rng)
    for planted in ((move + 0.0001, factor, weight), (move, factor * 1.0001, weight), (move, factor, weight * 1.0001)):
        pool = draw_pool(rng, markets, [*SCENARIOS[:at], planted, *SCENARIOS[at + 1 :]])
        assert measure_changes(pool, markets) > 100


def test_a_short_minimum_that_is_a_basis_point_off_is_seen(seed: int) -> None:
    rng = random.Random(seed)
    markets = make_markets(rng)
    pool = draw_pool(rng, markets, SCENARIOS)
    assert measure_margins(rng, pool._replace(minimum=pool.minimum * 1.0001), markets, 100) > 100


# -- what must hold whatever the market

seeds = st.integers(0, (1 << 32) - 1)
moneys = st.integers(-(10**15), 10**15)


def draw_account(seed: int, most: int = 1_000) -> tuple[tuple[Position, ...], tuple[Market, ...], random.Random]:
    rng = random.Random(seed)
    markets = make_markets(rng, 2)
    return make_positions(rng, markets, rng.randrange(12), most), markets, rng


def scale(positions: Sequence[Position], k: int) -> tuple[Position, ...]:
    return tuple((series, k * lots) for series, lots in positions)


def merge(*accounts: Sequence[Position]) -> tuple[Position, ...]:
    """What one account would hold that took all of them over."""
    lots: dict[int, int] = {}
    for series, count in (item for positions in accounts for item in positions):
        lots[series] = lots.get(series, 0) + count
    return tuple((series, count) for series, count in sorted(lots.items()) if count)


@given(seeds, moneys, moneys)
def test_cash_is_equity_and_no_risk(seed: int, cash: int, added: int) -> None:
    positions, markets, _ = draw_account(seed)
    before, after = compute_margin(cash, positions, markets), compute_margin(cash + added, positions, markets)
    assert after == before._replace(equity=before.equity + added, cash=cash + added)


@given(seeds, moneys, st.integers(1, 1_000))
def test_margin_scales_with_the_portfolio(seed: int, cash: int, k: int) -> None:
    """Exactly, since values are rounded a lot: equity's positions and maintenance. Initial margin rounds once more, and has a floor."""
    positions, markets, _ = draw_account(seed)
    one, many = compute_margin(cash, positions, markets), compute_margin(cash, scale(positions, k), markets)
    assert many.equity - cash == k * (one.equity - cash)
    assert many.maintenance == k * one.maintenance
    exact = -(-13 * k * one.maintenance // 10)
    assert many.initial == (max(exact, 100_000_000) if one.has_short else exact)


@given(seeds, st.integers(0, 12))
def test_two_accounts_never_need_less_than_one(seed: int, shared: int) -> None:
    """Netting of shared series takes no margin and no value: a long's mark is never above a short's."""
    first, markets, rng = draw_account(seed)
    opposite = scale(rng.sample(first, min(shared, len(first))), -1)
    second = merge(opposite, make_positions(rng, markets, rng.randrange(12)))
    one, other, both = (compute_margin(0, positions, markets) for positions in (first, second, merge(first, second)))
    assert both.maintenance <= one.maintenance + other.maintenance
    assert both.initial <= one.initial + other.initial
    netted = sum(map(abs, (lots for _, lots in (*first, *second)))) - sum(abs(lots) for _, lots in merge(first, second))
    assert one.equity + other.equity <= both.equity <= one.equity + other.equity + netted // 2


def compute_each(positions: Sequence[Position], markets: Sequence[Market], of: Callable[[int], bool]) -> Margin:
    return compute_margin(0, [item for item in positions if of(item[0] >> 89)], markets)


@given(seeds)
def test_underlyings_add_up(seed: int) -> None:
    """So subadditivity is that of each underlying, and one never pays for the other."""
    positions, markets, _ = draw_account(seed)
    btc, eth = (compute_each(positions, markets, lambda of, which=which: of == which) for which in (0, 1))  # type: ignore[misc]
    both = compute_margin(0, positions, markets)
    assert (both.equity, both.maintenance) == (btc.equity + eth.equity, btc.maintenance + eth.maintenance)


@given(seeds, st.integers(10**6, 10**12), st.integers(1, 1_000))
def test_a_short_lot_never_lowers_the_short_minimum(seed: int, forward: int, lots: int) -> None:
    """In a market where no scenario changes a price, maintenance is the short minimum: 2 % of the forward of every short lot, rounded up.
    A lot sold out of a long position leaves it where it is."""
    rng = random.Random(seed)
    expiry = NOW + DAY_S
    market = Market(forward, NOW, (Slice(expiry, forward, 10_000, 0, 0, 0, 0),))  # 1 % of standard deviation
    names = [encode_series(0, expiry, forward * rng.randrange(3, 11), 1) for _ in range(4)]
    names += [encode_series(0, expiry, max(forward // rng.randrange(4, 11), 1), 0) for _ in range(4)]
    positions = tuple((series, rng.choice((-1, 1)) * rng.randrange(1, 100)) for series in sorted(set(names)))
    held = dict(positions)
    sold = rng.choice(names)
    before, after = compute_margin(0, positions, (market,)), compute_margin(0, merge(positions, ((sold, -lots),)), (market,))
    minimum = -(-forward // 5_000)
    assert before.maintenance == minimum * sum(-count for count in held.values() if count < 0)
    assert after.maintenance - before.maintenance == minimum * (max(lots - held[sold], 0) - max(-held[sold], 0))
    assert after.maintenance >= before.maintenance


@given(seeds)
def test_no_portfolio_has_less_than_the_minimum_of_its_shorts(seed: int) -> None:
    positions, markets, _ = draw_account(seed)
    forwards = {(of, item.expiry): item.forward for of, market in enumerate(markets) for item in market.slices}
    minimum = sum(max(-lots, 0) * -(-forwards[series >> 89, series >> 49 & (1 << 40) - 1] // 5_000) for series, lots in positions)
    assert compute_margin(0, positions, markets).maintenance >= minimum


@given(seeds, moneys)
def test_bought_options_cannot_lose_more_than_they_are_worth(seed: int, cash: int) -> None:
    positions, markets, _ = draw_account(seed, MAX_LOTS)
    longs = tuple((series, abs(lots)) for series, lots in positions)
    margin = compute_margin(cash, longs, markets)
    assert 0 <= margin.maintenance <= margin.equity - cash
    assert not margin.has_short
