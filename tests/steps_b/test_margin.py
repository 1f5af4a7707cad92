"""MAKER and TAKER: both twins on random accounts, and every code."""

import random
from collections import Counter

import pytest

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.margin import compute_mark
from protocol.series import decode_series, encode_series
from protocol.state import State
from protocol.types import MAX_CASH, MAX_LOTS, Account, Market, Phase, Position
from tests.steps_b.worlds import ADDRESSES, World, make_globals, make_market, make_positions, make_rules, make_series, make_trade

RULES = make_rules()
PRICES = (1, 100, 10_000, 10**6, 10**8, (1 << 37) - 1)


def make_world(
    account: Account, markets: tuple[Market, Market], index: int = 0, change: int = 1, price: int = 100, series: int = 0
) -> World:
    """`index` 0 is the maker, 1 the taker; `change` is what the account's position changes by."""
    state = State(RULES.params)
    state.put_globals(make_globals(accounts=2))
    state.put_markets(markets)
    world = World(RULES, state, Preimages([]))
    world.put_account(index, account)
    world.put_account(1 - index, Account(owner=ADDRESSES[5]))
    world.pre.trade = make_trade(series, change if index == 0 else -change, price, fee=50_000)
    return world


def run(world: World, index: int = 0) -> Code:
    """The step of that side."""
    outcome, _ = world.run(Phase.TAKER if index else Phase.MAKER)
    return outcome.code


def make_random_world(rng: random.Random, is_wild: bool) -> tuple[World, int]:
    """From empty accounts to full ones, some of them near the bounds, bankrupt, flagged or behind an old mark."""
    markets = tuple(
        make_market(rng, underlying, rng.randint(1, 6), is_wild, rng.choice((0, 0, 55, 56, 1000)), rng.choice((0, 0, 1)))
        for underlying in range(2)
    )
    markets = (markets[0], markets[1])
    count = rng.choice((0, 1, 2, 3, 8, 20))
    most = rng.choice((5, 1_000, MAX_LOTS))
    positions = make_positions(rng, markets, count, most, rng.choice((0.0, 0.5, 1.0)))
    account = Account(
        owner=ADDRESSES[0],
        cash=rng.choice((0, -1, 10**6, 10**9, 10**12, 10**15, MAX_CASH - 1, -(10**9))),
        generation=rng.randrange(3),
        nonce=rng.randrange(3),
        flag=rng.choice((0, 0, 0, 6)),
        positions=positions,
    )
    underlying = rng.randrange(2)
    series = make_series(rng, underlying, rng.choice(markets[underlying].slices))
    lots = rng.randint(1, most)
    if positions and rng.random() < 0.7:
        series, held = rng.choice(positions)
        if rng.random() < 0.5:
            lots = abs(held)
    market = markets[decode_series(series).underlying]
    mark = compute_mark(series, market) or 0
    price = rng.choice((max(mark // 100, 1), rng.choice(PRICES)))
    index = rng.randrange(2)
    return make_world(account, markets, index, rng.choice((-lots, lots)), min(price, (1 << 37) - 1), series), index


@pytest.mark.parametrize("is_wild", [False, True])
def test_twins_agree_on_random_accounts(seed: int, is_wild: bool) -> None:
    rng = random.Random(seed)
    codes: Counter[Code] = Counter()
    for _ in range(150):
        world, index = make_random_world(rng, is_wild)
        codes[run(world, index)] += 1
    print(codes)
    assert {Code.OK, Code.CASH, Code.FLAGGED, Code.STALE, Code.MARGIN, Code.POSITIONS} <= set(codes)


def make_calm(seed: int, age_s: int = 0) -> tuple[tuple[Market, Market], int, int]:
    """Markets, a call at the money of the first slice, and its mark per lot."""
    rng = random.Random(seed)
    markets = make_market(rng, 0, 3, age_s=age_s), make_market(rng, 1, 3, age_s=age_s)
    item = markets[0].slices[0]
    series = encode_series(0, item.expiry, item.forward // 10_000 * 10_000, 1)
    mark = compute_mark(series, markets[0])
    assert mark is not None
    return markets, series, mark // 100


def test_initial_margin_decides_to_the_unit(seed: int) -> None:
    markets, series, mark = make_calm(seed)
    low, high = 0, 10**12
    while high - low > 1:
        cash = (low + high) >> 1
        world = make_world(Account(owner=1, cash=cash), markets, 0, -10, mark, series)
        low, high = (low, cash) if run(world) == Code.OK else (cash, high)
    assert run(make_world(Account(owner=1, cash=low), markets, 0, -10, mark, series)) == Code.MARGIN
    assert run(make_world(Account(owner=1, cash=high), markets, 0, -10, mark, series)) == Code.OK


def test_old_marks_stop_what_adds_risk_only(seed: int) -> None:
    for age_s, expected in ((55, Code.OK), (56, Code.STALE)):
        markets, series, mark = make_calm(seed, age_s)
        assert run(make_world(Account(owner=1, cash=10**12), markets, 0, -10, mark, series)) == expected
        held = Account(owner=1, cash=10**12, positions=((series, -20),))
        assert run(make_world(held, markets, 0, 10, mark, series)) == Code.OK
        assert run(make_world(Account(owner=1, cash=10**12), markets, 0, 10, mark, series)) == Code.OK


def test_flagged_account_may_only_reduce(seed: int) -> None:
    markets, series, mark = make_calm(seed)
    held = Account(owner=1, cash=10**12, flag=3, positions=((series, -20),))
    assert run(make_world(held, markets, 1, -1, mark, series), 1) == Code.FLAGGED
    assert run(make_world(held, markets, 1, 5, mark, series), 1) == Code.OK
    assert run(make_world(held, markets, 1, 20, mark, series), 1) == Code.OK


@pytest.mark.parametrize(("numerator", "expected"), [(1, Code.OK), (-1, Code.STRIKE)])
def test_strike_is_bounded_at_the_opening(seed: int, numerator: int, expected: Code) -> None:
    markets, _, _ = make_calm(seed)
    market = markets[0]
    item = market.slices[0]._replace(forward=50_000_000_000)
    markets = (market._replace(slices=(item, *market.slices[1:])), markets[1])
    for strike, inward in ((5_000_000_000, 1), (500_000_000_000, -1)):
        for shift in (0, 10_000 * inward * numerator):
            series = encode_series(0, item.expiry, strike + shift, 0)
            code = run(make_world(Account(owner=1, cash=10**15), markets, 0, 1, 100, series))
            assert code == (Code.OK if shift == 0 else expected)
    outside = encode_series(0, item.expiry, 4_990_000_000, 0)
    held = Account(owner=1, cash=10**15, positions=((outside, 5),))
    assert run(make_world(held, markets, 0, 1, 100, outside)) == Code.OK


def test_strike_of_a_slice_that_is_gone(seed: int) -> None:
    markets, series, _ = make_calm(seed)
    gone = series + (1 << 49)
    assert run(make_world(Account(owner=1, cash=10**15), markets, 0, 1, 100, gone)) == Code.STRIKE
    held = Account(owner=1, cash=10**15, positions=((gone, 5),))
    assert run(make_world(held, markets, 0, 1, 100, gone)) == Code.OK


def make_many(markets: tuple[Market, Market], count: int, lots: int) -> tuple[Position, ...]:
    """Long puts of one slice."""
    item = markets[0].slices[0]
    strike = item.forward // 10_000 * 10_000
    return tuple((encode_series(0, item.expiry, strike + 10_000 * number, 0), lots) for number in range(count))


def test_bounds_of_positions(seed: int) -> None:
    markets, _, _ = make_calm(seed)
    full = make_many(markets, 129, 1)
    rich = Account(owner=1, cash=10**15, positions=full[:128])
    assert run(make_world(rich, markets, 0, 1, 100, full[128][0])) == Code.POSITIONS
    assert run(make_world(rich, markets, 0, 1, 100, full[0][0] - 2)) == Code.POSITIONS
    assert run(make_world(rich, markets, 0, -1, 100, full[64][0])) == Code.OK
    assert run(make_world(rich._replace(positions=full[1:128]), markets, 0, 1, 100, full[0][0])) == Code.OK
    one = Account(owner=1, cash=10**15, positions=((full[0][0], MAX_LOTS - 1),))
    assert run(make_world(one, markets, 0, 1, 100, full[0][0])) == Code.OK
    assert run(make_world(one, markets, 0, 2, 100, full[0][0])) == Code.POSITIONS
    heavy = make_many(markets, 64, MAX_LOTS)
    most = Account(owner=1, cash=10**15, positions=(*heavy[:63], (heavy[63][0], MAX_LOTS - 1)))
    assert run(make_world(most, markets, 0, 1, 100, heavy[63][0])) == Code.OK
    assert run(make_world(most, markets, 0, 1, 100, full[100][0])) == Code.OK
    assert run(make_world(most._replace(positions=heavy), markets, 0, 1, 100, full[100][0])) == Code.POSITIONS


def test_bounds_of_cash(seed: int) -> None:
    markets, series, _ = make_calm(seed)
    rich = Account(owner=1, cash=MAX_CASH - 101, positions=((series, 5),))
    assert run(make_world(rich, markets, 0, -1, 100, series)) == Code.OK
    assert run(make_world(rich._replace(cash=MAX_CASH - 100), markets, 0, -1, 100, series)) == Code.CASH
    poor = Account(owner=1, cash=99, positions=((series, -5),))
    assert run(make_world(poor, markets, 0, 1, 100, series)) == Code.CASH
    deep = Account(owner=1, cash=1 - MAX_CASH, positions=((series, -5),))
    assert run(make_world(deep, markets, 0, 1, 100, series)) == Code.CASH
    below = Account(owner=1, cash=-1000, positions=((series, -5),))
    assert run(make_world(below, markets, 0, -1, 100, series)) == Code.MARGIN
