"""SETTLE: both twins on who must sign, when an expiry may settle and at which price; then it opens the scan that pays."""

import random

import pytest

from protocol.codes import Code
from protocol.keccak import ZERO
from protocol.machine import Preimages
from protocol.operations import build_settle
from protocol.params import MAINNET
from protocol.rules import Rules
from protocol.signing import compute_settle_digest
from protocol.state import State
from protocol.types import MAX_FORWARD, Account, Market, Mode, Phase, Sweep, compute_sweep_hash
from tests.steps_b.worlds import ADDRESSES, NOW, ORACLE, World, make_globals, make_market, make_rules, make_slice, place_signatures, sign

RULES = make_rules()
FIRST_S, LAST_S = RULES.params.settle_first_s, RULES.params.settle_last_s
EXPIRY = NOW - 10  # of the first slice; the second is alive
PRICE = 61_234_567_800
CLOSE, FORWARD = 59_000_000_199, 60_000_000_001
HUGE = (1 << 256) - 1


def make_world(close: int = 0, clock: int = NOW, accounts: int = 3, rules: Rules = RULES, forward: int = FORWARD) -> World:
    """A market of two slices, the first over, and another market with the same expiry."""
    rng = random.Random(5)
    over = make_slice(rng, 60_000_000_000, EXPIRY)._replace(forward=forward, close=close)
    live = make_slice(rng, 60_000_000_000, NOW + 86_400)
    other = make_market(rng, 1)
    state = State(rules.params)
    state.put_globals(make_globals(accounts)._replace(clock=clock))
    state.put_markets((Market(60_000_000_000, NOW - 20, (over, live)), other._replace(slices=(over, *other.slices))))
    world = World(rules, state, Preimages([]))
    for index in range(min(accounts, 3)):
        world.put_account(index, Account(owner=ADDRESSES[index]))
    return world


def run(world: World, items: tuple[int, ...], signers: tuple[int, ...] = (0, 1), first: int = 0) -> tuple[Code, State, Sweep]:
    """The code, the state after it, and the scan that it opened."""
    digest = compute_settle_digest(world.rules.domain, *items[1:])
    world.pre.items = items
    world.pre.signatures = place_signatures([sign(ORACLE + number, digest) for number in signers], first, random.Random(1), after=0)
    outcome, after = world.run(Phase.SETTLE, signature=first)
    taken = 0 if items[0] >> 4 else world.rules.params.quorum
    assert outcome.after.signature == first + taken
    if outcome.after.phase == Phase.FETCH:
        assert outcome.after.scratch == ZERO
        return outcome.code, after, Sweep()
    assert outcome.after.phase == Phase.SCAN
    sweep = Sweep(Mode.SETTLE_TALLY, listing=items[1] << 40 | items[2], price=compute_price(world, items))
    assert outcome.after.scratch == compute_sweep_hash(sweep)
    assert after.get_root() == world.state.get_root()  # the scan does the rest
    return outcome.code, after, sweep


def compute_price(world: World, items: tuple[int, ...]) -> int:
    """As the page on SETTLE has it."""
    _, underlying, expiry, price = items
    if price:
        return price
    item = next(item for item in world.state.get_markets()[underlying].slices if item.expiry == expiry)
    return max((item.close or item.forward) // 100 * 100, 100)


@pytest.mark.parametrize("underlying", [0, 1])
def test_the_oracles_price_opens_the_scan(underlying: int) -> None:
    code, _, sweep = run(make_world(), build_settle(underlying, EXPIRY, PRICE))
    assert (code, sweep.price, sweep.listing) == (Code.OK, PRICE, underlying << 40 | EXPIRY)


@pytest.mark.parametrize("items", [build_settle(0, EXPIRY, PRICE), build_settle(0, EXPIRY, 0, by_fallback=True)])
def test_without_accounts_the_expiry_goes_at_once(items: tuple[int, ...]) -> None:
    world = make_world(accounts=0, clock=EXPIRY + LAST_S)
    code, after, sweep = run(world, items)
    (first, second), (less, same) = world.state.get_markets(), after.get_markets()
    assert (code, sweep, same) == (Code.OK, Sweep(), second)
    assert less == first._replace(slices=first.slices[1:])
    assert after.get_globals() == world.state.get_globals()


@pytest.mark.parametrize(
    ("signers", "expected"),
    [((0, 1), Code.OK), ((1, 2), Code.OK), ((0, 2, 1), Code.OK)]
    + [(signers, Code.QUORUM) for signers in ((1, 0), (0, 0), (0,), (), (3, 4), (0, 5), (-1, 0))],
)
@pytest.mark.parametrize("first", [0, 31, 95])
def test_quorum(signers: tuple[int, ...], expected: Code, first: int) -> None:
    """As of a mark: numbers 31 and 95 are the last of their chunks."""
    assert run(make_world(), build_settle(0, EXPIRY, PRICE), signers, first)[0] == expected


def test_all_five_oracles_of_the_main_network() -> None:
    world = make_world(rules=make_rules(MAINNET))
    for signers, expected in (((0, 2, 4), Code.OK), ((2, 3, 4), Code.OK), ((0, 4), Code.QUORUM), ((0, 2, 2), Code.QUORUM)):
        assert run(world, build_settle(0, EXPIRY, PRICE), signers)[0] == expected


def test_signatures_are_over_every_item_and_of_no_mark() -> None:
    world = make_world()
    items = build_settle(0, EXPIRY, PRICE)
    assert run(world, items)[0] == Code.OK
    for other in ((items[0], 1, EXPIRY, PRICE), (items[0], 0, EXPIRY + 1, PRICE), (items[0], 0, EXPIRY, PRICE + 100)):
        world.pre.items = other
        assert world.run(Phase.SETTLE)[0].code == Code.QUORUM


@pytest.mark.parametrize(
    ("underlying", "expiry", "expected"),
    [
        (2, EXPIRY, Code.SERIES),
        (HUGE, EXPIRY, Code.SERIES),
        (0, EXPIRY + 1, Code.SERIES),
        (0, 0, Code.SERIES),
        (0, HUGE, Code.SERIES),
        (1, EXPIRY, Code.OK),
        (0, NOW + 86400, Code.SETTLE_TIME),
    ],
)
@pytest.mark.parametrize("by_fallback", [False, True])
def test_only_an_expiry_that_is_listed_and_over(underlying: int, expiry: int, expected: Code, by_fallback: bool) -> None:
    """An empty place of a market is no slice of expiry 0."""
    world = make_world(clock=EXPIRY + LAST_S)
    assert run(world, build_settle(underlying, expiry, 0 if by_fallback else PRICE, by_fallback))[0] == expected


@pytest.mark.parametrize(("clock", "expected"), [(EXPIRY - 1, Code.SETTLE_TIME), (EXPIRY, Code.OK)])
def test_from_the_second_of_expiry_on(clock: int, expected: Code) -> None:
    assert run(make_world(clock=clock), build_settle(0, EXPIRY, PRICE))[0] == expected


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (100, Code.OK),
        (MAX_FORWARD // 100 * 100, Code.OK),
        (0, Code.PRICE),
        (1, Code.PRICE),
        (PRICE + 1, Code.PRICE),
        (MAX_FORWARD // 100 * 100 + 100, Code.PRICE),
        (MAX_FORWARD, Code.PRICE),
        (HUGE, Code.PRICE),
        (HUGE // 100 * 100, Code.PRICE),
    ],
)
def test_the_oracles_price_is_in_range_and_whole(price: int, expected: Code) -> None:
    assert run(make_world(), build_settle(0, EXPIRY, price))[0] == expected


@pytest.mark.parametrize(
    ("close", "age_s", "expected", "price"),
    [
        (CLOSE, FIRST_S - 1, Code.SETTLE_TIME, 0),
        (CLOSE, FIRST_S, Code.OK, 59_000_000_100),
        (CLOSE, LAST_S, Code.OK, 59_000_000_100),
        (0, FIRST_S, Code.SETTLE_TIME, 0),
        (0, LAST_S - 1, Code.SETTLE_TIME, 0),
        (0, LAST_S, Code.OK, 60_000_000_000),
        (1, FIRST_S, Code.OK, 100),
        (99, FIRST_S, Code.OK, 100),
        (MAX_FORWARD, FIRST_S, Code.OK, MAX_FORWARD // 100 * 100),
    ],
)
def test_fallbacks(close: int, age_s: int, expected: Code, price: int) -> None:
    """Nobody signs: the first mark after expiry a day later, the last forward a week later."""
    code, _, sweep = run(make_world(close, EXPIRY + age_s), build_settle(0, EXPIRY, 0, by_fallback=True), signers=())
    assert (code, sweep.price) == (expected, price)


@pytest.mark.parametrize("forward", [1, 99, 100])
def test_a_forward_of_almost_nothing_settles_at_the_least_price(forward: int) -> None:
    world = make_world(0, EXPIRY + LAST_S, forward=forward)
    assert run(world, build_settle(0, EXPIRY, 0, by_fallback=True))[2].price == 100


@pytest.mark.parametrize("price", [1, PRICE, HUGE])
def test_a_fallback_names_no_price(price: int) -> None:
    assert run(make_world(CLOSE, EXPIRY + LAST_S), build_settle(0, EXPIRY, price, by_fallback=True))[0] == Code.PRICE


def test_the_oracles_may_sign_long_after_the_fallback_was_due() -> None:
    assert run(make_world(CLOSE, EXPIRY + 10 * LAST_S), build_settle(0, EXPIRY, PRICE))[2].price == PRICE


def test_any_of_sixteen_slices_goes_and_the_others_move_up() -> None:
    rng = random.Random(3)
    slices = tuple(make_slice(rng, 60_000_000_000, EXPIRY - 15 + number) for number in range(16))
    for number, item in enumerate(slices):
        world = make_world(accounts=0)
        world.state.put_markets((world.state.get_markets()[0], Market(60_000_000_000, NOW, slices)))
        code, after, _ = run(world, build_settle(1, item.expiry, PRICE))
        assert code == Code.OK
        assert after.get_markets()[1].slices == (*slices[:number], *slices[number + 1 :])


def test_forged_witnesses_decide_nothing(seed: int) -> None:
    world = make_world()
    for items in (build_settle(0, EXPIRY, PRICE), build_settle(0, EXPIRY, 0, by_fallback=True)):
        run(world, items)
        assert world.count_reverts(Phase.SETTLE, random.Random(seed), 40) > 0


def test_a_slice_of_the_other_market_is_not_meant() -> None:
    world = make_world()
    first, second = world.state.get_markets()
    world.state.put_markets((first, second._replace(slices=tuple(item for item in second.slices if item.expiry != EXPIRY))))
    assert run(world, build_settle(1, EXPIRY, PRICE))[0] == Code.SERIES
    assert run(world, build_settle(0, EXPIRY, PRICE))[0] == Code.OK
