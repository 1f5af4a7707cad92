"""The surface against floats, its clamps, and totality."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.fixed_point import ONE
from protocol.pricing import MAX_V, compute_ln_ratio
from protocol.svi import MAX_PARAMETER, NANO, compute_q38, compute_v
from protocol.types import Slice
from tests.pricing.markets import DAY_S, NOW, make_slice

any_word = st.one_of(st.integers(-(1 << 255), (1 << 255) - 1), st.integers(-100 * NANO, 100 * NANO))


def compute_variance(item: Slice, strike: int) -> float:
    """SVI as in the paper."""
    k = math.log(strike / item.forward) - item.m / NANO
    return item.a / NANO + item.b / NANO * (item.rho / NANO * k + math.hypot(k, item.sigma / NANO))


def test_variance_agrees_with_floats(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        item = make_slice(rng, 10 ** rng.randrange(6, 12), rng.randrange(1, 700))
        strike = int(item.forward * math.exp(rng.uniform(-2.3, 2.3)))
        expected = compute_variance(item, strike)
        if expected > 1e-4:
            assert abs((compute_v(item, strike) / ONE) ** 2 - expected) < 1e-8


def test_a_flat_slice_has_its_volatility_at_every_strike() -> None:
    item = Slice(NOW + DAY_S, 10**11, 250_000_000, 0, 0, 0, 0)
    assert {compute_v(item, strike) for strike in (1, 10**10, 10**11, 10**12, 1 << 50)} == {ONE >> 1}


@given(any_word, st.integers(1, MAX_PARAMETER))
def test_parameters_round_towards_zero_and_clamp(parameter: int, bound: int) -> None:
    value = compute_q38(parameter, bound)
    assert value == -compute_q38(-parameter, bound)
    assert abs(value) * NANO <= min(abs(parameter), bound) * ONE < (abs(value) + 1) * NANO


@given(st.integers(0, (1 << 256) - 1), any_word, any_word, any_word, any_word, any_word, st.integers(0, (1 << 48) - 1))
def test_total_for_any_words(forward: int, a: int, b: int, rho: int, m: int, sigma: int, strike: int) -> None:
    assert 0 <= compute_v(Slice(1, forward, a, b, rho, m, sigma), strike) <= MAX_V


def test_variance_is_clamped_at_both_ends() -> None:
    assert compute_v(Slice(1, 10**11, -1, 0, 0, 0, 0), 10**11) == 0
    assert compute_v(Slice(1, 10**11, 64 * NANO, 0, 0, 0, 0), 10**11) == MAX_V


@pytest.mark.parametrize("ratio", [1, 1.0001, 2, 10, 1000])
def test_the_logarithm(ratio: float) -> None:
    lo = 10**9
    hi = int(lo * ratio)
    assert abs(compute_ln_ratio(hi, lo) / ONE - math.log(hi / lo)) < 1e-10


def test_the_logarithm_stops_at_1024() -> None:
    assert compute_ln_ratio(1 << 42, 1) == compute_ln_ratio(1 << 10, 1)
