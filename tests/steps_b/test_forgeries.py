"""A witness with something changed reverts or changes nothing: nobody decides a step but the state."""

import random
from collections.abc import Callable

import pytest
from eth_abi.abi import decode, encode

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.margin import compute_mark
from protocol.operations import MARK_HEAD, build_mark, build_trade, build_withdraw
from protocol.series import encode_series
from protocol.signing import compute_mark_digest, compute_withdraw_digest
from protocol.state import State
from protocol.types import Account, Market, Order, Phase
from protocol.witness import get_argument_types
from sim.twins.runner import get_twins
from tests.steps_b.worlds import (
    ADDRESSES,
    DAY_S,
    NOW,
    ORACLE,
    World,
    make_globals,
    make_market,
    make_positions,
    make_rules,
    make_slice,
    make_trade,
    place_signatures,
    sign,
)

RULES = make_rules()
ROUNDS = 150


def make_base(seed: int) -> World:
    """Three accounts: 0 with shorts, 1 with longs, 2 with cash and a flag that is about to go."""
    rng = random.Random(seed)
    markets = make_market(rng, 0, age_s=20), make_market(rng, 1)
    state = State(RULES.params)
    state.put_globals(make_globals(3))
    state.put_markets(markets)
    world = World(RULES, state, Preimages([]))
    world.put_account(0, Account(ADDRESSES[0], 10**15, 2, 8, 0, make_positions(rng, markets, 4, shorts=1.0)))
    world.put_account(1, Account(ADDRESSES[1], 10**9, 2, 8, 0, make_positions(rng, markets, 4, shorts=0.0)))
    world.put_account(2, Account(ADDRESSES[2], 10**9, 2, 8, 3))
    return world


def make_terms(seed: int) -> tuple[World, Phase, int]:
    world = make_base(seed)
    market = world.state.get_markets()[0]
    item = market.slices[1]
    series = encode_series(0, item.expiry, item.forward // 10_000 * 10_000, 1)
    price = (compute_mark(series, market) or 0) // 100
    world.state.put_order(0, 1, Order(5, 2, series, 0, price, 10, NOW + 100, 3))
    world.state.put_order(1, 2, Order(6, 2, series, 1, price, 10, NOW + 100, 3))
    world.pre.items = build_trade(0, 1, 1, 2, 5)
    return world, Phase.TERMS, 0


def make_maker(seed: int) -> tuple[World, Phase, int]:
    world = make_base(seed)
    series, _ = world.state.get_account(0).positions[0]
    world.pre.trade = make_trade(series, -5, 10**6, 50_000)
    return world, Phase.MAKER, 0


def make_taker(seed: int) -> tuple[World, Phase, int]:
    world, _, _ = make_maker(seed)
    return world, Phase.TAKER, 0


def make_scan(seed: int) -> tuple[World, Phase, int]:
    world = make_base(seed)
    world.state.put_globals(make_globals(3, cursor=2))
    return world, Phase.SCAN, 0


def make_empty_scan(seed: int) -> tuple[World, Phase, int]:
    world = make_base(seed)
    world.state.put_globals(make_globals(300, cursor=3))
    return world, Phase.SCAN, 0


def make_withdraw(seed: int) -> tuple[World, Phase, int]:
    world = make_base(seed)
    world.pre.items = build_withdraw(0, 10**6, 9)
    digest = compute_withdraw_digest(RULES.domain, 0, 10**6, 9)
    world.pre.signatures = place_signatures([sign(0, digest)], 40, random.Random(seed))
    return world, Phase.WITHDRAW, 40


def make_mark(seed: int) -> tuple[World, Phase, int]:
    world = make_base(seed)
    market = world.state.get_markets()[0]
    fresh = tuple(make_slice(random.Random(seed), market.index_price, item.expiry) for item in market.slices)
    world.pre.items = build_mark(0, market.mark_time, Market(market.index_price, NOW, fresh))
    _, underlying, previous, time, index = world.pre.items[:MARK_HEAD]
    digest = compute_mark_digest(RULES.domain, underlying, previous, time, index, world.pre.items[MARK_HEAD:])
    world.pre.signatures = place_signatures([sign(ORACLE, digest), sign(ORACLE + 1, digest)], 31, random.Random(seed))
    return world, Phase.MARK, 31


MAKERS = (make_terms, make_maker, make_taker, make_scan, make_empty_scan, make_withdraw, make_mark)


@pytest.mark.parametrize("make", MAKERS)
def test_forged_witnesses_do_not_decide(seed: int, make: Callable[[int], tuple[World, Phase, int]]) -> None:
    world, phase, signature = make(seed)
    outcome, _ = world.run(phase, signature)
    assert outcome.code == Code.OK
    reverts = world.count_reverts(phase, random.Random(seed), ROUNDS, signature)
    print(phase.name, reverts, "of", ROUNDS)
    assert reverts > ROUNDS // 10  # an empty word's scan looks at little


def set_item(value: object, place: tuple[int, ...], new: object) -> object:
    """A copy of nested tuples with one place changed."""
    if not place:
        return new
    assert isinstance(value, tuple)
    at, *rest = place
    return (*value[:at], set_item(value[at], tuple(rest), new), *value[at + 1 :])


def find_places(value: object, place: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """Every leaf of nested tuples."""
    if isinstance(value, tuple):
        return [found for at, item in enumerate(value) for found in find_places(item, (*place, at))]
    return [place]


def change(value: object) -> object:
    """By one bit; an empty string gets a byte."""
    if isinstance(value, int):
        return value ^ 1
    assert isinstance(value, bytes)
    return value[:-1] + bytes((value[-1] ^ 1,)) if value else b"\1"


@pytest.mark.parametrize("make", MAKERS)
def test_every_value_of_a_witness_is_proven(seed: int, make: Callable[[int], tuple[World, Phase, int]]) -> None:
    """Each word by itself, the header apart; only in a scan of an empty word some words are not looked at."""
    world, phase, signature = make(seed)
    outcome, _ = world.run(phase, signature)
    types = get_argument_types(phase)
    values = decode(types, outcome.arguments)
    for place in find_places(values):
        if place[0] == 0 or (make is make_empty_scan and place[0] > 4):
            continue
        value: object = values
        for at in place:
            assert isinstance(value, tuple)
            value = value[at]
        forged = set_item(values, place, change(value))
        assert isinstance(forged, tuple)
        answer, _, _ = get_twins().call(phase, encode(types, forged), RULES)
        assert answer is None, (place, value)


def test_a_market_without_a_mark_cannot_be_invented(seed: int) -> None:
    """Its leaf is zero, whatever a witness says that it holds."""
    world, phase, _ = make_terms(seed)
    full = world.state.get_markets()
    series = world.state.get_order(0, 1).series
    world.state.put_markets((Market(), full[1]))
    outcome, _ = world.run(phase)
    assert outcome.code == Code.SERIES
    types = get_argument_types(phase)
    values = list(decode(types, outcome.arguments))
    at = types.index("bytes32[2]") - 1
    slices = [tuple(item) for item in full[0].slices] + [(0,) * 7] * (16 - len(full[0].slices))
    values[at] = ((full[0].index_price, 0, slices), values[at][1])
    answer, _, _ = get_twins().call(phase, encode(types, values), RULES)
    assert answer is None
    assert series >> 89 == 0
    assert full[0].slices[1].expiry < NOW + 400 * DAY_S


@pytest.mark.parametrize("make", MAKERS)
def test_a_lower_index_of_the_same_path_does_not_pass(seed: int, make: Callable[[int], tuple[World, Phase, int]]) -> None:
    """Paths have one length: neither a node above a leaf nor one below it can be shown for it."""
    world, phase, signature = make(seed)
    outcome, _ = world.run(phase, signature)
    types = get_argument_types(phase)
    values = list(decode(types, outcome.arguments))
    used = 5 if make is make_empty_scan else len(values)
    for at, kind in enumerate(types[:used]):
        if kind != "bytes32[]" or not values[at]:
            continue
        for forged in (values[at][1:], values[at][:-1], (*values[at], bytes(32)), ()):
            answer, _, _ = get_twins().call(phase, encode(types, [*values[:at], forged, *values[at + 1 :]]), RULES)
            assert answer is None
