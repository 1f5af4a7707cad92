"""The Vyper libraries equal the reference bit for bit, on ordinary and on hostile inputs, and within a gas budget."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.legs import pack_leg
from protocol.margin import Margin, check_trade, compute_margin, compute_mark, compute_risk, is_stale
from protocol.pricing import MAX_PRICE, MAX_V, compute_price
from protocol.svi import compute_v
from protocol.types import LOTS_BIAS, MAX_LOTS, MAX_RATIO, MAX_SLICES, Market, Position, Slice, encode_legs, encode_position
from tests.pricing.conftest import Harness
from tests.pricing.markets import (
    INDEX,
    NOW,
    WORD_EDGES,
    make_hostile_markets,
    make_hostile_series,
    make_hostile_slice,
    make_markets,
    make_positions,
    make_slice,
)
from tests.pricing.test_fast import draw_inputs
from tests.pricing.test_margin import TRADES

NONE_HELD = (1 << 256) - 1
STEP_GAS = 6_000_000  # for 128 positions, of the 9.5M that the whole step may take
Merged = list[tuple[int, int, int]]  # series, lots before, lots after


def encode_market(market: Market) -> tuple[Any, ...]:
    """As ABI wants it."""
    index_price, mark_time, slices, *breaker = market
    empty = Slice(0, 0, 0, 0, 0, 0, 0)
    return index_price, mark_time, [*slices, *[empty] * (MAX_SLICES - len(slices))], *breaker


def get_before(merged: Merged) -> tuple[Position, ...]:
    return tuple((series, before) for series, before, _ in merged if before)


def get_after(merged: Merged) -> tuple[Position, ...]:
    return tuple((series, after) for series, _, after in merged if after)


def encode_merged(merged: Merged) -> list[int]:
    return [series << 64 | before + LOTS_BIAS << 32 | after + LOTS_BIAS for series, before, after in merged]


def check_margins(harness: Harness, cash: tuple[int, int], merged: Merged, markets: tuple[Market, ...]) -> int:
    """Both margins and the oldest mark; returns the gas."""
    encoded = [encode_market(market) for market in markets]
    before, after, oldest = harness.call("margins", *cash, encode_merged(merged), encoded)
    gas = harness.gas
    assert tuple(before) == compute_margin(cash[0], get_before(merged), markets)
    assert tuple(after) == compute_margin(cash[1], get_after(merged), markets)
    times = [markets[series >> 89][1] if series >> 89 < 2 else 0 for series, _ in get_after(merged)]
    assert oldest == min(times, default=NONE_HELD)
    return gas


def draw_merged(rng: random.Random, count: int, draw_series: Callable[[], int], most: int) -> Merged:
    """Mostly unchanged positions, some opened, closed or flipped."""
    merged: dict[int, tuple[int, int]] = {}
    while len(merged) < count:
        before = rng.choice((rng.randrange(-most, most + 1), 0))
        merged[draw_series()] = before, rng.choice((before, before, 0, rng.randrange(-most, most + 1)))
    return [(series, *lots) for series, lots in sorted(merged.items())]


def test_prices(harness: Harness, seed: int) -> None:
    for forward, strike, v, _ in draw_inputs(random.Random(seed), 1_500):
        assert harness.call("price", forward, strike, v) == compute_price(forward, strike, v)


@settings(max_examples=150)
@given(forward=st.integers(1, MAX_PRICE), strike=st.integers(1, MAX_PRICE), v=st.integers(0, MAX_V))
def test_prices_anywhere_within_bounds(harness: Harness, forward: int, strike: int, v: int) -> None:
    assert harness.call("price", forward, strike, v) == compute_price(forward, strike, v)


def test_surfaces(harness: Harness, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(400):
        item = rng.choice((make_hostile_slice(rng, 1), make_slice(rng, 10**11, rng.randrange(1, 700))))
        strike = rng.choice((rng.randrange(1 << 48), 10**11, rng.randrange(10**10, 10**12), 0, 1))
        assert harness.call("v", item, strike) == compute_v(item, strike)


def test_marks(harness: Harness, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        market, series = make_hostile_markets(rng)[0], make_hostile_series(rng)
        expected = compute_mark(series, market)
        assert harness.call("mark", series, encode_market(market)) == (expected is not None, expected or 0)


def test_every_scenario_of_a_series(harness: Harness, seed: int) -> None:
    """Not only the worst, which is all that a margin shows."""
    rng = random.Random(seed)
    for _ in range(200):
        item = rng.choice((make_hostile_slice(rng, 1), make_slice(rng, 10**11, rng.randrange(1, 700))))
        strike, is_call = rng.choice((rng.randrange(1, MAX_PRICE), 10**11, rng.randrange(10**10, 10**12), 1)), rng.randrange(2)
        expected = compute_risk(strike, is_call, item)
        assert harness.call("risk", item, strike, bool(is_call)) == (expected.down, expected.up, expected.changes)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 30, 128])
def test_margins_of_ordinary_accounts(harness: Harness, count: int, seed: int) -> None:
    rng = random.Random(seed * 1000 + count)
    for _ in range(3):
        markets = make_markets(rng)
        merged = draw_merged(rng, count, lambda markets=markets: make_positions(rng, markets, 1)[0][0], MAX_LOTS >> 1)  # type: ignore[misc]
        check_margins(harness, (rng.randrange(-(10**12), 10**12), rng.randrange(-(10**12), 10**12)), merged, markets)


def test_margins_never_revert(harness: Harness, seed: int) -> None:
    """Any words: lots of 32 bits, markets and series that no state has."""
    rng = random.Random(seed)
    for _ in range(60):
        merged = draw_merged(rng, rng.randrange(30), lambda: make_hostile_series(rng), LOTS_BIAS - 1)
        check_margins(
            harness, (rng.randrange(-(1 << 100), 1 << 100), rng.randrange(-(1 << 60), 1 << 60)), merged, make_hostile_markets(rng)
        )


@settings(max_examples=25)
@given(words=st.lists(st.integers(0, (1 << 256) - 1), max_size=132), cash=st.sampled_from(WORD_EDGES))
def test_any_words_at_all_have_an_answer(harness: Harness, words: list[int], cash: int) -> None:
    """Even what cannot be decoded as positions: only that it returns."""
    markets = [encode_market(market) for market in make_hostile_markets(random.Random(len(words)))]
    assert len(harness.call("margins", cash, cash, words, markets)) == 3


def test_margin_of_one_account(harness: Harness, seed: int) -> None:
    rng = random.Random(seed)
    for count in (0, 1, 12, 40):
        markets = make_markets(rng)
        positions = make_positions(rng, markets, count)
        encoded = [encode_market(market) for market in markets]
        margin, oldest = harness.call("margin_of", -3, [encode_position(item) for item in positions], encoded)
        assert tuple(margin) == compute_margin(-3, positions, markets)
        assert oldest == (NOW if count else NONE_HELD)


def test_merging_legs_into_positions(harness: Harness, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        held = {rng.randrange(40): rng.randrange(1, MAX_LOTS) * rng.choice((-1, 1)) for _ in range(rng.randrange(12))}
        legs = [
            (series, rng.choice((-1, 1)) * rng.randrange(1, MAX_RATIO + 1)) for series in sorted(rng.sample(range(40), rng.randrange(5)))
        ]
        units = [rng.choice((0, rng.randrange(-MAX_LOTS, MAX_LOTS))) for _ in range(2)]
        expected = {series: [lots, lots] for series, lots in held.items()}
        for series, ratio in legs:
            lanes = expected.get(series, [0, 0])
            expected[series] = [lots + ratio * change for lots, change in zip(lanes, units, strict=True)]
        merged = [(series, before, after) for series, (before, after) in sorted(expected.items())]
        positions = [encode_position(item) for item in sorted(held.items())]
        packed = encode_legs(tuple(pack_leg(*leg) for leg in legs))
        assert list(harness.call("merge", positions, packed, *units)) == encode_merged(merged)


@pytest.mark.parametrize("row", TRADES, ids=[row[0] for row in TRADES])
def test_the_decision_on_a_trade(harness: Harness, row: Sequence[Any]) -> None:
    _, before, after, flagged, stale, code = row
    assert harness.call("check_trade", before, after, flagged, stale) == code


def test_decisions_at_random(harness: Harness, seed: int) -> None:
    """Small numbers, so that every boundary is met."""
    rng = random.Random(seed)
    for _ in range(400):
        before, after = (
            Margin(rng.randrange(-3, 6), rng.randrange(5), rng.randrange(5), rng.random() < 0.7, rng.randrange(-3, 4)) for _ in range(2)
        )
        flags = rng.random() < 0.3, rng.random() < 0.3
        assert harness.call("check_trade", before, after, *flags) == check_trade(before, after, *flags)


def test_staleness(harness: Harness) -> None:
    for age in (-5, 0, 59, 60, 61, 10**9):
        markets = (Market(1, NOW - age, ()),)
        assert harness.call("is_stale", NOW - age, NOW, 60) == is_stale(((0, 1),), markets, NOW, 60)
    assert not harness.call("is_stale", NONE_HELD, NOW, 60)


def test_a_full_account_fits_into_its_gas(harness: Harness, seed: int) -> None:
    """128 positions in two markets of 16 slices, where no scenario ends early."""
    rng = random.Random(seed)
    markets = tuple(
        Market(index, NOW, tuple(make_slice(rng, index, days) for days in range(30, 30 + 20 * MAX_SLICES, 20))) for index in INDEX
    )

    def draw_series() -> int:
        underlying = rng.randrange(2)
        item = rng.choice(markets[underlying].slices)
        strike = int(item.forward * rng.uniform(0.97, 1.03))
        return underlying << 89 | item.expiry << 49 | strike << 1 | rng.randrange(2)

    gas = check_margins(harness, (0, 1), draw_merged(rng, 128, draw_series, 1_000), markets)
    print(f"128 positions: {gas} gas; libraries: {harness.size} bytes of code")
    assert gas < STEP_GAS
    assert harness.size < 12_000
