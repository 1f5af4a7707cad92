"""The circuit breaker: what halts, what never does, when a halt is over; in both languages."""

from functools import cache
from itertools import accumulate
from pathlib import Path

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from protocol.breaker import is_halted, observe
from protocol.params import MAINNET
from protocol.types import MAX_FORWARD, Market
from protocol.witness import MARKET_TYPE, _encode_market
from tests.codec import evm

P = MAINNET
START = 1_700_000_000
HARNESS = """
from contracts.lib import breaker
from contracts.lib import types
@external
@pure
def observe(market: types.Market, time: uint256, index_price: uint256, move: uint256, window: uint256, halt: uint256) -> types.Market:
    return breaker._observe(market, time, index_price, move, window, halt)
"""

Mark = tuple[int, int]  # time, index price
GAPS = st.sampled_from([5, 5, 30, 60, 149, 150, 151, 295, 299, 300, 301, 305, 595, 599, 600, 601, 605, 2_000])


def make_marks(least: int, most: int) -> st.SearchStrategy[list[Mark]]:
    """Up to thirty, at gaps around the window's length, with index prices from `least` to `most`."""
    steps = st.lists(st.tuples(GAPS, st.integers(least, most)), min_size=2, max_size=30)
    return steps.map(
        lambda found: list(zip(accumulate((gap for gap, _ in found), initial=START), (price for _, price in found), strict=False))
    )


def run(marks: list[Mark]) -> list[Market]:
    """The market after each mark."""
    market, found = Market(), []
    for time, index in marks:
        market = observe(market, time, index, P)._replace(index_price=index, mark_time=time)
        found.append(market)
    return found


def is_far(a: int, b: int) -> bool:
    """A move of a tenth or more, from `a` on."""
    return 10 * b >= 11 * a or 10 * b <= 9 * a


@given(make_marks(80, 130))
def test_any_far_move_within_the_window_is_a_halt(marks: list[Mark]) -> None:
    """Unless the first of the two marks was made during a halt: what a halted market does is no news."""
    markets = run(marks)
    for at, (time, index) in enumerate(marks):
        for (later, other), market in zip(marks[at + 1 :], markets[at + 1 :], strict=True):
            if later - time <= P.halt_window_s and is_far(index, other):
                assert is_halted(markets[at], time) or is_halted(market, later)


@given(make_marks(80, 130))
def test_a_far_move_between_two_marks_is_a_halt_however_long_nobody_looked(marks: list[Mark]) -> None:
    markets = run(marks)
    for (time, index), (later, other), before, after in zip(marks, marks[1:], markets, markets[1:], strict=False):
        if is_far(index, other) and later >= before.halted_until and not is_halted(before, time):
            assert is_halted(after, later) or before.window < before.halted_until


@given(make_marks(1_000_000, 1_099_999))
def test_a_calm_market_never_halts(marks: list[Mark]) -> None:
    assert not any(market.halted_until for market in run(marks))


@given(st.lists(st.integers(5, 60), min_size=2, max_size=150), st.sampled_from([-1, 1]))
def test_a_drift_that_takes_a_quarter_of_an_hour_never_halts(gaps: list[int], sign: int) -> None:
    """9 % in 720 s, for as long as it likes: two windows and two gaps are shorter."""
    times = list(accumulate(gaps, initial=START))
    marks = [(time, int(10**9 * (1.09 ** (sign * (time - START) / 720)))) for time in times]
    assert not any(market.halted_until for market in run(marks))


@given(make_marks(50, 200))
def test_a_halt_lasts_its_time_and_does_not_prolong_itself(marks: list[Mark]) -> None:
    markets = run(marks)
    for before, (time, _), after in zip([Market(), *markets], marks, markets, strict=False):
        breaker = after[3:]
        if is_halted(before, time):
            assert breaker == before[3:]  # the marks of a halt are not looked at
        elif is_halted(after, time):
            assert after.halted_until == time + P.halt_s
            # the first mark after a halt begins anew, so it never halts by itself
            assert not before.window < before.halted_until


@pytest.mark.parametrize(
    ("index", "halts"), [(1_100_000, True), (1_099_999, False), (900_000, True), (900_001, False), (1, True), (MAX_FORWARD, True)]
)
def test_a_tenth_exactly(index: int, halts: bool) -> None:
    assert (run([(START, 1_000_000), (START + 300, index)])[-1].halted_until > 0) == halts


@pytest.mark.parametrize(("age_s", "halts"), [(300, True), (604, True), (605, False)])
def test_what_is_older_than_both_windows_is_forgotten(age_s: int, halts: bool) -> None:
    """The low of the first window, then marks that lie between; a drift this slow never halted before."""
    middle = [(START + 10, 1_050_000)] + ([(START + 310, 1_050_000)] if age_s > 310 else [])
    markets = run([(START, 1_000_000), *middle, (START + age_s, 1_050_000), (START + age_s + 5, 1_120_000)])
    assert (markets[-1].halted_until > 0) == halts


@cache
def get_harness() -> evm.Contract:
    return evm.Contract(HARNESS, Path(__file__).with_suffix(".vy"))


def observe_on_l1(market: Market, time: int, index: int) -> tuple[object, ...]:
    types = [MARKET_TYPE, *["uint256"] * 5]
    values = [_encode_market(market), time, index, P.halt_move_ppm, P.halt_window_s, P.halt_s]
    (found,) = decode([MARKET_TYPE], get_harness().call("observe", encode(types, values)))
    return tuple(found)


WILD = st.one_of(st.integers(1, MAX_FORWARD), st.sampled_from([1, 2, 9, 10, 11, MAX_FORWARD - 1, MAX_FORWARD]))


@given(st.lists(st.tuples(st.one_of(GAPS, st.integers(5, 1 << 35)), st.one_of(WILD, st.integers(900, 1_200))), min_size=1, max_size=12))
def test_both_twins_agree_whatever_the_oracles_say(steps: list[tuple[int, int]]) -> None:
    market, time = Market(), 5
    for gap, index in steps:
        time += gap
        after = observe(market, time, index, P)
        assert observe_on_l1(market, time, index) == _encode_market(after)
        assert after[:3] == market[:3]
        if not is_halted(market, time):
            assert 0 < min(after.low, after.low_before) <= index <= max(after.high, after.high_before) <= MAX_FORWARD
        market = after._replace(index_price=index, mark_time=time)
