"""The most gas that a step of this room can use, calldata at its floor price included: built on purpose, in trees of the main network."""

import random
from dataclasses import replace

import pytest

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.margin import compute_mark
from protocol.operations import MARK_HEAD, build_mark, build_trade, build_withdraw
from protocol.params import MAINNET
from protocol.series import encode_series
from protocol.signing import compute_mark_digest, compute_withdraw_digest
from protocol.state import State
from protocol.types import MAX_POSITIONS, MAX_SLICES, Account, Market, Order, Phase, Position, Slice
from tests.steps_b.worlds import (
    ADDRESSES,
    DAY_S,
    NANO,
    NOW,
    ORACLE,
    World,
    make_globals,
    make_market,
    make_rules,
    make_slice,
    make_trade,
    make_worst_markets,
    make_worst_positions,
    place_signatures,
    sign,
)

MAX_GAS = 6_500_000  # measured 5.9 million; a proof may use 10 million
ACCOUNTS = 1 << MAINNET.account_depth
INDEX = 0xAAAAAA
RULES = make_rules(replace(MAINNET, oracle_count=8, quorum=8))  # what the contract has room for
SHAPES = (  # a, b, rho, m, sigma: total variance from next to nothing to its clamp
    (0, 0, 0, 0, 0),
    (NANO // 100, NANO // 100, NANO // 10, NANO // 10, NANO // 10),
    (NANO // 2, NANO // 3, -NANO // 3, NANO // 7, NANO // 5),
    (4 * NANO, NANO, NANO // 2, -NANO, 2 * NANO),
    (64 * NANO, 64 * NANO, NANO - 1, -64 * NANO, 64 * NANO),
)


def make_world(markets: tuple[Market, Market], positions: tuple[Position, ...], cursor: int = 0) -> World:
    """An account in a tree whose every level has a sibling that is not empty."""
    state = State(RULES.params)
    state.put_globals(make_globals(ACCOUNTS, cursor)._replace(outbox=0))
    state.put_markets(markets)
    world = World(RULES, state, Preimages([]))
    for level in range(MAINNET.account_depth):
        world.put_account(INDEX ^ 1 << level, Account(owner=ADDRESSES[level & 7], cash=1, positions=positions[:1]))
    world.put_account(INDEX, Account(owner=ADDRESSES[0], cash=10**17, positions=positions))
    return world


def make_full(
    shape: tuple[int, int, int, int, int] = SHAPES[2], count: int = MAX_POSITIONS
) -> tuple[tuple[Market, Market], tuple[Position, ...]]:
    """Sixteen slices of that shape in both markets, and positions over all of them."""
    first, second = (
        market._replace(slices=tuple(Slice(item.expiry, item.forward, *shape) for item in market.slices))
        for market in make_worst_markets(random.Random(1))
    )
    return (first, second), make_worst_positions((first, second), count)


def measure_margin(markets: tuple[Market, Market], positions: tuple[Position, ...]) -> int:
    """The maker sells one more lot of what it has."""
    world = make_world(markets, positions)
    series = positions[-1][0] if positions else encode_series(0, markets[0].slices[0].expiry, 60_000_000_000, 1)
    world.pre.trade = make_trade(series, -1, 1_000, 50_000, maker=INDEX, taker=1)
    outcome, _ = world.run(Phase.MAKER)
    assert outcome.code in (Code.OK, Code.MARGIN)
    return outcome.gas


def measure_scan(markets: tuple[Market, Market], positions: tuple[Position, ...]) -> int:
    """The account's word has no earlier bit after the cursor."""
    outcome, after = make_world(markets, positions, cursor=INDEX - 1).run(Phase.SCAN)
    assert after.get_globals().cursor == INDEX + 1
    return outcome.gas


def measure_withdraw(markets: tuple[Market, Market], positions: tuple[Position, ...]) -> int:
    """The last signature of a full frame."""
    world = make_world(markets, positions)
    world.pre.items = build_withdraw(INDEX, 10**6, 1)
    digest = compute_withdraw_digest(RULES.domain, INDEX, 10**6, 1)
    world.pre.signatures = place_signatures([sign(0, digest)], 1023, random.Random(1), after=0)
    outcome, _ = world.run(Phase.WITHDRAW, signature=1023)
    assert outcome.code in (Code.OK, Code.NOTHING_FREE)
    return outcome.gas


@pytest.mark.parametrize("shape", SHAPES)
def test_full_account(shape: tuple[int, int, int, int, int]) -> None:
    markets, positions = make_full(shape)
    gas = measure_margin(markets, positions), measure_scan(markets, positions), measure_withdraw(markets, positions)
    print("margin, scan, withdraw:", gas)
    assert max(gas) <= MAX_GAS


@pytest.mark.parametrize("count", [1, 8])
def test_typical_account(count: int) -> None:
    markets, positions = make_full(count=count)
    gas = measure_margin(markets, positions), measure_scan(markets, positions), measure_withdraw(markets, positions)
    print("margin, scan, withdraw:", gas)
    assert max(gas) <= 400_000 + 50_000 * count


def test_terms() -> None:
    markets, positions = make_full()
    world = make_world(markets, positions)
    series = positions[-1][0]
    price = (compute_mark(series, markets[series >> 89]) or 0) // 100
    taker = INDEX ^ 1 << 23
    for index, is_buy in ((INDEX, 0), (taker, 1)):
        for slot in range(256):
            world.state.put_order(index, slot, Order(slot + 256, 0, series, is_buy, price, 1 << 20, NOW + DAY_S, 1))
    world.state.put_account(taker, world.state.get_account(taker)._replace(owner=ADDRESSES[6]))
    world.pre.items = build_trade(INDEX, 0xAA, taker, 0x55, 1 << 19)
    outcome, _ = world.run(Phase.TERMS)
    print("terms:", outcome.gas)
    assert outcome.code == Code.OK
    assert outcome.gas <= 500_000


def test_mark() -> None:
    """Sixteen slices by a quorum of eight, its signatures in two chunks of a full frame."""
    rng = random.Random(1)
    markets = make_market(rng, 0, MAX_SLICES, age_s=20), make_market(rng, 1, MAX_SLICES)
    fresh = tuple(make_slice(rng, 60_000_000_000, item.expiry) for item in markets[0].slices)
    world = make_world(markets, ())
    world.pre.items = build_mark(0, markets[0].mark_time, Market(60_000_000_000, NOW, fresh))
    _, underlying, previous, time, index = world.pre.items[:MARK_HEAD]
    digest = compute_mark_digest(RULES.domain, underlying, previous, time, index, world.pre.items[MARK_HEAD:])
    world.pre.signatures = place_signatures([sign(ORACLE + number, digest) for number in range(8)], 956, rng, after=60)
    outcome, _ = world.run(Phase.MARK, signature=956)
    print("mark:", outcome.gas)
    assert outcome.code == Code.OK
    assert outcome.gas <= 1_000_000
