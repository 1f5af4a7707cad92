"""MARK: both twins on the quorum, the time, the shape, and what the market becomes."""

import random
from collections import Counter

import pytest

from protocol.breaker import observe
from protocol.codec.rows import encode_zigzag
from protocol.codes import Code
from protocol.keccak import ZERO
from protocol.machine import Preimages
from protocol.operations import MARK_HEAD, SLICE_ITEMS, build_mark
from protocol.params import MAINNET, MINIMAL
from protocol.rules import Rules
from protocol.signing import compute_mark_digest
from protocol.state import State
from protocol.types import MAX_FORWARD, MAX_SLICES, Account, Market, Phase, Slice, Sweep, compute_sweep_hash
from tests.steps_b.worlds import (
    ADDRESSES,
    DAY_S,
    MAX_PARAMETER,
    NANO,
    NOW,
    ORACLE,
    World,
    make_globals,
    make_market,
    make_rules,
    make_slice,
    place_signatures,
    sign,
)

RULES = make_rules()
CLOCK = NOW + 5
HUGE = (1 << 256) - 1
WORDS = (0, 1, 2, HUGE, HUGE - 1, 1 << 255, (1 << 255) - 1, (1 << 255) + 1, 1 << 40)


def make_world(markets: tuple[Market, Market], accounts: int = 3, rules: Rules = RULES) -> World:
    state = State(rules.params)
    state.put_globals(make_globals(accounts)._replace(slots_equity=3))
    state.put_markets(markets)
    world = World(rules, state, Preimages([]))
    for index in range(min(accounts, 3)):
        world.put_account(index, Account(owner=ADDRESSES[index]))
    return world


def run(world: World, items: tuple[int, ...], signers: tuple[int, ...] = (0, 1), first: int = 0) -> tuple[Code, State, int]:
    """A mark signed by the oracles `signers`, from number `first` of the source on; the code, the state and the phase after it."""
    _, underlying, previous, time, index = items[:MARK_HEAD]
    digest = compute_mark_digest(world.rules.domain, underlying, previous, time, index, items[MARK_HEAD:])
    world.pre.items = items
    world.pre.signatures = place_signatures([sign(ORACLE + number, digest) for number in signers], first, random.Random(1), after=0)
    outcome, after = world.run(Phase.MARK, signature=first)
    assert outcome.after.signature == first + world.rules.params.quorum
    assert outcome.after.scratch == (compute_sweep_hash(Sweep()) if outcome.after.phase == Phase.SCAN else ZERO)
    return outcome.code, after, outcome.after.phase


def seen(market: Market, before: Market) -> Market:
    """The market after a mark, with what its breaker makes of it."""
    return Market(*market[:3], *observe(before, market.mark_time, market.index_price, MINIMAL)[3:])


def make_next(seed: int, slices: int = 3, expired: int = 0, age_s: int = 20) -> tuple[tuple[Market, Market], Market]:
    """Both markets, and the mark that may come next for the first."""
    rng = random.Random(seed)
    markets = make_market(rng, 0, slices, age_s=age_s, expired=expired), make_market(rng, 1)
    fresh = tuple(make_slice(rng, markets[0].index_price, item.expiry) for item in markets[0].slices[expired:])
    return markets, Market(markets[0].index_price + 1, NOW, fresh)


def test_a_mark_replaces_the_live_slices_and_opens_the_scan(seed: int) -> None:
    markets, fresh = make_next(seed, slices=5, expired=2)
    code, after, phase = run(make_world(markets), build_mark(0, markets[0].mark_time, fresh))
    assert (code, phase) == (Code.OK, Phase.SCAN)
    kept = tuple(item._replace(close=fresh.index_price) for item in markets[0].slices[:2])
    assert after.get_markets() == (seen(fresh, markets[0])._replace(slices=kept + fresh.slices), markets[1])
    assert after.get_globals() == make_globals(3)._replace(marks=8, slots_equity=0)


def test_without_accounts_there_is_nothing_to_scan(seed: int) -> None:
    markets, fresh = make_next(seed)
    code, _, phase = run(make_world(markets, accounts=0), build_mark(0, markets[0].mark_time, fresh))
    assert (code, phase) == (Code.OK, Phase.FETCH)


def test_first_mark_of_the_second_market(seed: int) -> None:
    markets, _ = make_next(seed)
    fresh = markets[1]._replace(mark_time=NOW)
    code, after, _ = run(make_world((markets[0], Market())), build_mark(1, 0, fresh))
    assert code == Code.OK
    assert after.get_markets() == (markets[0], seen(fresh, Market()))
    assert (after.get_markets()[1].window, after.get_markets()[1].low) == (NOW, fresh.index_price)


@pytest.mark.parametrize("underlying", [2, 3, 256, HUGE])
def test_unknown_underlying(seed: int, underlying: int) -> None:
    markets, fresh = make_next(seed)
    items = build_mark(0, markets[0].mark_time, fresh)
    assert run(make_world(markets), (items[0], underlying, *items[2:]))[0] == Code.SERIES


@pytest.mark.parametrize(
    ("signers", "expected"),
    [((0, 1), Code.OK), ((1, 2), Code.OK), ((0, 2), Code.OK), ((0, 2, 1), Code.OK)]
    + [(signers, Code.QUORUM) for signers in ((1, 0), (2, 1), (0, 0), (0,), (), (3, 4), (0, 5), (-1, 0))],
)
@pytest.mark.parametrize("first", [0, 30, 31, 32, 95])
def test_quorum(seed: int, signers: tuple[int, ...], expected: Code, first: int) -> None:
    """Numbers 31 and 95 are the last of their chunks. Oracles are 0, 1, 2; others have keys, but no say."""
    markets, fresh = make_next(seed)
    assert run(make_world(markets), build_mark(0, markets[0].mark_time, fresh), signers, first)[0] == expected


def test_signatures_are_over_every_item(seed: int) -> None:
    markets, fresh = make_next(seed)
    items = build_mark(0, markets[0].mark_time, fresh)
    world = make_world(markets)
    assert run(world, items)[0] == Code.OK
    for at in range(2, len(items)):
        world.pre.items = (*items[:at], items[at] ^ 1, *items[at + 1 :])
        assert world.run(Phase.MARK)[0].code == Code.QUORUM


@pytest.mark.parametrize(
    ("age_s", "names_previous", "ahead_s", "expected"),
    [
        (5, True, 0, Code.OK),
        (4, True, 0, Code.MARK_TIME),
        (5, False, 0, Code.MARK_TIME),
        (599, False, 0, Code.MARK_TIME),
        (600, False, 0, Code.OK),
        (600, True, 0, Code.OK),
        (30, True, 5, Code.OK),
        (30, True, 6, Code.MARK_TIME),
    ],
)
def test_time(seed: int, age_s: int, names_previous: bool, ahead_s: int, expected: Code) -> None:
    """`NOW` is five seconds before the clock."""
    markets, fresh = make_next(seed, age_s=age_s)
    previous = markets[0].mark_time + (0 if names_previous else 1)
    fresh = fresh._replace(mark_time=NOW + ahead_s)
    assert run(make_world(markets), build_mark(0, previous, fresh))[0] == expected


@pytest.mark.parametrize("value", WORDS)
@pytest.mark.parametrize("place", range(2, MARK_HEAD + SLICE_ITEMS))
def test_any_word_anywhere(seed: int, place: int, value: int) -> None:
    markets, fresh = make_next(seed)
    items = list(build_mark(0, markets[0].mark_time, fresh))
    items[place] = value
    code, _, _ = run(make_world(markets), tuple(items))
    assert code in (Code.OK, Code.MARK_TIME, Code.MARK_SHAPE)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("forward", 1, MAX_FORWARD),
        ("a", -MAX_PARAMETER, MAX_PARAMETER),
        ("b", 0, MAX_PARAMETER),
        ("rho", 1 - NANO, NANO - 1),
        ("m", -MAX_PARAMETER, MAX_PARAMETER),
        ("sigma", 0, MAX_PARAMETER),
    ],
)
def test_bounds_of_a_slice(seed: int, name: str, low: int, high: int) -> None:
    markets, fresh = make_next(seed)
    place = MARK_HEAD + SLICE_ITEMS + Slice._fields.index(name)  # in the second slice
    for value, expected in ((low, Code.OK), (high, Code.OK), (low - 1, Code.MARK_SHAPE), (high + 1, Code.MARK_SHAPE)):
        items = list(build_mark(0, markets[0].mark_time, fresh))
        items[place] = value if name == "forward" else encode_zigzag(value)
        assert run(make_world(markets), tuple(items))[0] == expected


@pytest.mark.parametrize(
    ("index", "expected"), [(0, Code.MARK_SHAPE), (1, Code.OK), (MAX_FORWARD, Code.OK), (MAX_FORWARD + 1, Code.MARK_SHAPE)]
)
def test_bounds_of_the_index(seed: int, index: int, expected: Code) -> None:
    markets, fresh = make_next(seed)
    assert run(make_world(markets), build_mark(0, markets[0].mark_time, fresh._replace(index_price=index)))[0] == expected


def test_expiries(seed: int) -> None:
    markets, fresh = make_next(seed, slices=5, expired=1)
    new = make_slice(random.Random(seed), 60_000_000_000, NOW + 500 * DAY_S)
    first, second, *others = fresh.slices

    def check(*slices: Slice) -> Code:
        return run(make_world(markets), build_mark(0, markets[0].mark_time, fresh._replace(slices=slices)))[0]

    assert check(*fresh.slices) == Code.OK
    assert check(*fresh.slices, new) == Code.OK
    assert check(*fresh.slices, new, new) == Code.MARK_SHAPE
    assert check(second, first, *others) == Code.MARK_SHAPE
    assert check(first, *others) == Code.MARK_SHAPE
    assert check(first, second, *others[:-1]) == Code.MARK_SHAPE
    assert check(new) == Code.MARK_SHAPE
    assert check(first._replace(expiry=NOW), *fresh.slices[1:]) == Code.MARK_SHAPE
    assert check(first._replace(expiry=NOW), *fresh.slices) == Code.MARK_SHAPE
    assert check(first._replace(expiry=NOW + 1), *fresh.slices) == Code.OK
    assert check(*fresh.slices, new._replace(expiry=(1 << 40) - 1)) == Code.OK
    assert check(*fresh.slices, new._replace(expiry=1 << 40)) == Code.MARK_SHAPE


@pytest.mark.parametrize(("later_s", "expected"), [(0, Code.OK), (1, Code.MARK_SHAPE)])
def test_a_slice_is_over_at_its_expiry(seed: int, later_s: int, expected: Code) -> None:
    """Then a mark need not bring it; a second earlier it must."""
    markets, fresh = make_next(seed)
    over = markets[0].slices[0]._replace(expiry=NOW + later_s)
    market = markets[0]._replace(slices=(over, *markets[0].slices[1:]))
    mark = fresh._replace(slices=fresh.slices[1:])
    code, after, _ = run(make_world((market, markets[1])), build_mark(0, market.mark_time, mark))
    assert code == expected
    if code == Code.OK:
        assert after.get_markets()[0].slices == (over._replace(close=mark.index_price), *mark.slices)


def test_the_first_mark_after_expiry_says_where_a_slice_closed(seed: int) -> None:
    """Later ones do not change it."""
    markets, fresh = make_next(seed, slices=4, expired=2)
    first, second, *others = markets[0].slices
    market = markets[0]._replace(slices=(first._replace(close=7), second, *others))
    code, after, _ = run(make_world((market, markets[1])), build_mark(0, market.mark_time, fresh))
    assert code == Code.OK
    assert [item.close for item in after.get_markets()[0].slices] == [7, fresh.index_price, 0, 0]


# -- the circuit breaker


@pytest.mark.parametrize("other_halts", [False, True])
@pytest.mark.parametrize(("per_mille", "halts"), [(1_099, False), (1_100, True), (901, False), (900, True)])
def test_while_a_market_is_halted_no_auction_grows_older(seed: int, per_mille: int, halts: bool, other_halts: bool) -> None:
    """All accounts are scanned all the same."""
    markets, fresh = make_next(seed)
    low = markets[0].index_price
    calm = markets[0]._replace(window=NOW - 20, low=low, high=low, low_before=low, high_before=low)
    other = markets[1]._replace(halted_until=CLOCK + other_halts)
    mark = fresh._replace(index_price=low * per_mille // 1_000)
    code, after, phase = run(make_world((calm, other)), build_mark(0, calm.mark_time, mark))
    assert (code, phase) == (Code.OK, Phase.SCAN)
    assert after.get_markets()[0].halted_until == (NOW + MINIMAL.halt_s if halts else 0)
    assert after.get_globals().marks == (7 if halts or other_halts else 8)


def test_a_halt_is_over_at_its_end_by_the_clock(seed: int) -> None:
    markets, fresh = make_next(seed)
    for until, marks in ((CLOCK + 1, 7), (CLOCK, 8)):
        halted = markets[0]._replace(window=1, low=1, high=1, low_before=1, high_before=1, halted_until=until)
        code, after, _ = run(make_world((halted, markets[1])), build_mark(0, halted.mark_time, fresh))
        assert (code, after.get_globals().marks) == (Code.OK, marks)
        assert after.get_markets()[0][3:] == halted[3:]  # `NOW` is in the halt still


# -- after a shutdown


@pytest.mark.parametrize(("ahead_s", "expected"), [(0, Code.OK), (-1, Code.MARK_TIME), (1, Code.MARK_TIME)])
@pytest.mark.parametrize("previous", [0, 1])
def test_after_a_shutdown_one_more_mark_of_its_time_and_no_scan(seed: int, ahead_s: int, expected: Code, previous: int) -> None:
    """It need not name its predecessor nor keep the gap, since nobody may have been there to make one."""
    markets, fresh = make_next(seed, age_s=1)
    world = make_world(markets)
    frozen = world.state.get_globals()._replace(shutdown=NOW + ahead_s)
    world.state.put_globals(frozen)
    code, after, phase = run(world, build_mark(0, previous, fresh))
    assert (code, phase) == (expected, Phase.FETCH)
    if code == Code.OK:
        assert after.get_globals() == frozen._replace(marks=8)
        world.state = after
        assert run(world, build_mark(0, NOW, fresh))[0] == Code.MARK_TIME


@pytest.mark.parametrize(
    ("expired", "slices", "expected"),
    [(0, 16, Code.OK), (3, 13, Code.OK), (3, 14, Code.MARK_SHAPE), (15, 1, Code.OK), (16, 1, Code.MARK_SHAPE)],
)
def test_room_for_sixteen(seed: int, expired: int, slices: int, expected: Code) -> None:
    rng = random.Random(seed)
    markets = make_market(rng, 0, expired, age_s=20, expired=expired), make_market(rng, 1, MAX_SLICES)
    fresh = tuple(make_slice(rng, 60_000_000_000, NOW + (1 + number) * DAY_S) for number in range(slices))
    code, after, _ = run(make_world(markets), build_mark(0, markets[0].mark_time, Market(1, NOW, fresh)))
    assert code == expected
    if code == Code.OK:
        assert after.get_markets()[0].slices == tuple(item._replace(close=1) for item in markets[0].slices) + fresh


def test_twins_agree_on_random_marks(seed: int) -> None:
    """With all five oracles of the main network, and rows in which anything may be wrong."""
    rng = random.Random(seed)
    rules = make_rules(MAINNET)
    codes: Counter[Code] = Counter()
    for _ in range(200):
        slices, expired = rng.randint(1, 8), rng.choice((0, 0, 1, 2))
        markets = tuple(make_market(rng, of, slices + expired, age_s=rng.choice((20, 300, 700)), expired=expired) for of in range(2))
        underlying = rng.randrange(2)
        market = markets[underlying]
        live = [item.expiry for item in market.slices[expired:]]
        if rng.random() < 0.3:
            live = sorted({*live, NOW + rng.randint(-10, 400) * DAY_S})
        if rng.random() < 0.1:
            live.remove(rng.choice(live))
        fresh = tuple(make_slice(rng, market.index_price, expiry, rng.random() < 0.3) for expiry in live) or market.slices[:1]
        previous = rng.choice((market.mark_time,) * 4 + (0,))
        items = list(build_mark(underlying, previous, Market(market.index_price, NOW - rng.choice((0, 0, 15, -6)), fresh)))
        if rng.random() < 0.2:
            items[rng.randrange(2, len(items))] = rng.choice(WORDS)
        signers = rng.choice(((0, 1, 2), (0, 1, 2), (1, 2, 4), (2, 3, 4), (0, 3, 1), (0, 1, 5)))
        world = make_world((markets[0], markets[1]), rules=rules)
        codes[run(world, tuple(items), signers, rng.choice((0, 29, 30, 31)))[0]] += 1
    assert set(codes) == {Code.OK, Code.QUORUM, Code.MARK_TIME, Code.MARK_SHAPE}
