"""SCAN: both twins on every way through the bitmap, and on flags."""

import random
from collections import Counter

import pytest

from protocol.machine import Preimages
from protocol.margin import compute_margin
from protocol.state import State
from protocol.types import MAX_CASH, MAX_LOTS, Account, Globals, Market, Phase
from tests.steps_b.worlds import ADDRESSES, World, make_globals, make_market, make_positions, make_rules

RULES = make_rules()


def make_world(g: Globals, markets: tuple[Market, Market], accounts: dict[int, Account]) -> World:
    state = State(RULES.params)
    state.put_globals(g)
    state.put_markets(markets)
    world = World(RULES, state, Preimages([]))
    for index, account in accounts.items():
        world.put_account(index, account)
    return world


def run(world: World) -> tuple[State, bool]:
    """The state after the step, and whether the scan is over."""
    outcome, after = world.run(Phase.SCAN)
    return after, outcome.after.phase == Phase.FETCH


def make_markets(rng: random.Random) -> tuple[Market, Market]:
    return make_market(rng, 0), make_market(rng, 1)


def make_short(rng: random.Random, markets: tuple[Market, Market], above: int, flag: int = 0) -> Account:
    """Equity `above` units over the maintenance margin."""
    positions = make_positions(rng, markets, 5, shorts=1.0)
    margin = compute_margin(0, positions, markets)
    cash = margin.maintenance - margin.equity + above
    assert cash > 0
    return Account(owner=ADDRESSES[0], cash=cash, generation=4, flag=flag, positions=positions)


@pytest.mark.parametrize("bit", [0, 1, 5, 127, 128, 200, 255])
@pytest.mark.parametrize("back", [0, 1, 300])
def test_next_set_bit(seed: int, bit: int, back: int) -> None:
    rng = random.Random(seed)
    markets = make_markets(rng)
    accounts = {256 + bit: make_short(rng, markets, 0), 255: make_short(rng, markets, 0)}
    cursor = max(256 + bit - back, 256)
    after, is_over = run(make_world(make_globals(512, cursor), markets, accounts))
    assert is_over == (bit == 255)
    assert after.get_globals().cursor == (0 if is_over else 256 + bit + 1)
    assert after.get_globals().allowance == 999


@pytest.mark.parametrize(
    ("cursor", "accounts", "expected"), [(0, 512, 256), (17, 257, 256), (256, 512, 0), (300, 301, 0), (3, 256, 0), (0, 1, 0)]
)
def test_word_without_a_bit(seed: int, cursor: int, accounts: int, expected: int) -> None:
    rng = random.Random(seed)
    markets = make_markets(rng)
    after, is_over = run(make_world(make_globals(accounts, cursor), markets, {}))
    assert after.get_globals().cursor == expected
    assert is_over == (expected == 0)


def test_bits_below_the_cursor_do_not_count(seed: int) -> None:
    rng = random.Random(seed)
    markets = make_markets(rng)
    world = make_world(make_globals(512, 8), markets, {7: make_short(rng, markets, -1)})
    after, _ = run(world)
    assert after.get_globals().cursor == 256
    assert after.get_account(7).flag == 0


@pytest.mark.parametrize(("above", "flag", "expected", "generation"), [(0, 0, 0, 4), (-1, 0, 7, 5), (0, 3, 0, 4), (-1, 3, 3, 4)])
def test_flag_at_the_maintenance_margin(seed: int, above: int, flag: int, expected: int, generation: int) -> None:
    rng = random.Random(seed)
    markets = make_markets(rng)
    after, _ = run(make_world(make_globals(30), markets, {20: make_short(rng, markets, above, flag)}))
    assert (after.get_account(20).flag, after.get_account(20).generation) == (expected, generation)
    assert after.get_word(0) == 1 << 20


@pytest.mark.parametrize(("cash", "flag", "expected"), [(-1, 0, 7), (-1, 2, 2), (0, 2, 0), (0, 0, 0), (1 - MAX_CASH, 0, 7)])
def test_without_positions(seed: int, cash: int, flag: int, expected: int) -> None:
    """The bit is cleared once nothing is at risk: a deposit leaves that to the scan."""
    markets = make_markets(random.Random(seed))
    world = make_world(make_globals(30), markets, {})
    world.state.put_word(0, 0b1011 << 3)
    world.state.put_account(3, Account(owner=8, cash=cash, flag=flag))
    after, _ = run(world)
    assert after.get_account(3).flag == expected
    assert after.get_word(0) == (0b1011 << 3 if cash < 0 else 0b1010 << 3)


@pytest.mark.parametrize("is_wild", [False, True])
def test_twins_agree_on_random_accounts(seed: int, is_wild: bool) -> None:
    rng = random.Random(seed)
    changes: Counter[tuple[bool, bool]] = Counter()
    for _ in range(120):
        markets = tuple(make_market(rng, of, rng.randint(1, 5), is_wild, rng.choice((0, 500)), rng.choice((0, 1))) for of in range(2))
        positions = make_positions(rng, (markets[0], markets[1]), rng.choice((0, 1, 3, 10)), rng.choice((10, MAX_LOTS)))
        cash = rng.choice((0, -1, 10**8, 10**10, 10**12, 10**15, MAX_CASH - 1))
        account = Account(ADDRESSES[0], cash, 3, 9, rng.choice((0, 0, 5)), positions)
        index = rng.randrange(512)
        g = make_globals(rng.choice((index + 1, 512)), rng.choice((0, index, index >> 8 << 8)))
        after, _ = run(make_world(g._replace(allowance=rng.choice((-500, 0, 1))), (markets[0], markets[1]), {index: account}))
        if after.get_globals().cursor in (index + 1, 0):
            changes[account.flag > 0, after.get_account(index).flag > 0] += 1
    assert len(changes) == 4
