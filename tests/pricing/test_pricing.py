"""The kernel against high-precision Black-76, and what holds exactly."""

import itertools
import math
import re
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erfc

from protocol import fixed_point, pricing
from protocol.fixed_point import ONE, div_down, div_up, mod, mul_div_down, mul_div_up
from protocol.params import YEAR_S
from protocol.pricing import MAX_PRICE, MAX_V, MIN_GAMMA_V, compute_greeks, compute_price
from protocol.pricing_fast import compute_points, compute_prices
from tests.pricing.coefficients import compute_tables

FORWARD = 100_000_000_000
DAY_S = 86_400
prices = st.one_of(st.integers(1, MAX_PRICE), st.integers(10**9, 10**12), st.sampled_from([1, 2, 1 << 42, MAX_PRICE]))
volatilities = st.one_of(st.integers(0, MAX_V), st.integers(0, 2 * ONE), st.sampled_from([0, 1, 2, MAX_V]))


def test_the_constants_are_what_the_script_derives() -> None:
    for name, value in compute_tables().items():
        assert getattr(pricing, name) == value, name


def test_the_constants_of_the_contract_are_the_same() -> None:
    source = (Path(__file__).resolve().parents[2] / "contracts/lib/pricing.vy").read_text()
    numbers = {int(number) for number in re.findall(r"-?\b\d+\b", source)}
    for value in (*pricing.EXP2, *pricing.ATANH, *pricing.MILLS, pricing.LN2, pricing.LOG2E, pricing.CUTOFF):
        assert value in numbers


def make_grid() -> tuple[Any, Any, Any]:
    """Forward, strike and v for moneyness 0.2 to 5, volatility 5 to 300 %, time 0 to 2 years."""
    moneyness = [math.exp(math.log(0.2) + i * math.log(25) / 60) for i in range(61)] + [0.99, 0.999, 1.0, 1.001, 1.01]
    sigmas = [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0]
    years = [0, 60 / YEAR_S, 3600 / YEAR_S, 1 / 365, 7 / 365, 30 / 365, 0.25, 0.5, 1, 1.5, 2]
    points = list(itertools.product(moneyness, sigmas, years))
    forward = np.array([int(FORWARD * ratio) for ratio, _, _ in points], dtype=np.int64)
    v = np.array([int(sigma * math.sqrt(time) * ONE) for _, sigma, time in points], dtype=np.int64)
    return forward, np.full_like(forward, FORWARD), v


def test_prices_are_within_a_billionth_of_the_forward() -> None:
    forward, strike, v = make_grid()
    call, put = compute_prices(compute_points(forward, strike, v))
    real_v = np.maximum(v / ONE, 1e-300)
    d1 = np.log(forward / strike) / real_v + real_v / 2
    n1, n2 = erfc(-d1 / math.sqrt(2)) / 2, erfc(-(d1 - real_v) / math.sqrt(2)) / 2
    expected = np.where(v > 0, forward * n1 - strike * n2, np.maximum(forward - strike, 0))
    assert np.max(np.abs(call - expected) / forward) < 1e-9
    assert np.max(np.abs(put - (expected - forward + strike)) / forward) < 1e-9


def price_exactly(forward: int, strike: int, v: int) -> Any:
    """The call with 40 digits."""
    if v == 0:
        return mp.mpf(max(forward - strike, 0))
    real_v = mp.mpf(v) / ONE
    d1 = mp.log(mp.mpf(forward) / strike) / real_v + real_v / 2
    return forward * mp.ncdf(d1) - strike * mp.ncdf(d1 - real_v)


@given(st.floats(0.2, 5), st.floats(0.05, 3), st.floats(0, 2))
def test_single_prices_agree_with_forty_digits(ratio: float, sigma: float, years: float) -> None:
    forward, v = int(FORWARD * ratio), int(sigma * math.sqrt(years) * ONE)
    with mp.workdps(40):
        expected = price_exactly(forward, FORWARD, v)
        assert abs(compute_price(forward, FORWARD, v)[0] - expected) <= forward * mp.mpf("1e-9")


@given(prices, prices, volatilities)
def test_parity_is_exact_and_no_price_leaves_its_bounds(forward: int, strike: int, v: int) -> None:
    call, put = compute_price(forward, strike, v)
    assert call - put == forward - strike
    assert max(forward - strike, 0) <= call <= forward
    assert max(strike - forward, 0) <= put <= strike


@given(prices, prices)
def test_without_volatility_a_price_is_intrinsic(forward: int, strike: int) -> None:
    assert compute_price(forward, strike, 0) == (max(forward - strike, 0), max(strike - forward, 0))


@given(st.integers(10**10, 10**12), st.integers(10**10, 10**12), st.integers(ONE >> 6, 2 * ONE))
def test_prices_rise_with_forward_and_volatility(forward: int, strike: int, v: int) -> None:
    call, put = compute_price(forward, strike, v)
    up, _ = compute_price(forward + 10_000_000, strike, v)
    _, higher = compute_price(forward, strike, v + (ONE >> 10))
    assert up >= call - 1
    assert higher >= put - 1


@pytest.mark.parametrize("seconds", [300, 3600, DAY_S, 30 * DAY_S, 730 * DAY_S])
@pytest.mark.parametrize("sigma", [0.1, 0.6, 3.0])
def test_greeks(seconds: int, sigma: float) -> None:
    """Delta absolute; gamma relative where it matters; vega and theta per unit of forward."""
    years = seconds / YEAR_S
    v = int(sigma * math.sqrt(years) * ONE)
    for ratio in (0.2, 0.5, 0.8, 0.95, 0.999, 1.0, 1.001, 1.05, 1.3, 2.0, 5.0):
        forward = int(FORWARD * ratio)
        greeks = compute_greeks(forward, FORWARD, v, seconds)
        real_v = v / ONE
        d1 = math.log(forward / FORWARD) / real_v + real_v / 2
        density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
        assert (greeks.call, greeks.put) == compute_price(forward, FORWARD, v)
        assert abs(greeks.delta / ONE - math.erfc(-d1 / math.sqrt(2)) / 2) < 1e-8
        assert abs(greeks.gamma_f / ONE - density / real_v) < 1e-5 * max(density / real_v, 1e-3)
        assert abs(greeks.vega - forward * density * math.sqrt(years)) < 1e-9 * forward
        theta = -forward * density * real_v / (2 * years) / 365
        assert abs(greeks.theta - theta) < 2e-9 * forward / min(real_v, 1)


@given(prices, prices, volatilities, st.integers(0, 1 << 40))
def test_greeks_are_total_and_bounded(forward: int, strike: int, v: int, seconds: int) -> None:
    greeks = compute_greeks(forward, strike, v, seconds)
    assert 0 <= greeks.delta <= ONE
    assert 0 <= greeks.gamma_f <= ONE * ONE // MIN_GAMMA_V
    assert 0 <= greeks.vega
    assert greeks.theta <= 0
    if seconds == 0:
        assert (greeks.vega, greeks.theta) == (0, 0)


@given(st.integers(0, 1 << 90), st.integers(0, 1 << 90), st.integers(1, 1 << 90))
def test_divisions_round_as_named(a: int, b: int, c: int) -> None:
    assert div_down(a, c) * c <= a < (div_down(a, c) + 1) * c
    assert (div_up(a, c) - 1) * c < a <= div_up(a, c) * c
    assert div_down(a, c) * c + mod(a, c) == a
    assert mul_div_down(a, b, c) * c <= a * b < (mul_div_down(a, b, c) + 1) * c
    assert (mul_div_up(a, b, c) - 1) * c < a * b <= mul_div_up(a, b, c) * c
    assert fixed_point.div(a, c) == div_down(a << 38, c)
