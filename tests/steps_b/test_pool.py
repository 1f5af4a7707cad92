"""POOL: both twins on who may ask to enter and to leave, with what, and that a request moves no money but the asker's own."""

import random

import pytest

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.margin import compute_margin
from protocol.operations import build_pool
from protocol.pool import MIN_ENTRY
from protocol.series import encode_series
from protocol.sessions import encode_session
from protocol.signing import compute_pool_digest
from protocol.state import State, get_word_index
from protocol.types import SCOPE_TRADE, SCOPE_WITHDRAW, Account, Bitmap, Market, Phase
from tests.steps_b.worlds import (
    ADDRESSES,
    World,
    make_globals,
    make_market,
    make_positions,
    make_rules,
    place_signatures,
    sign,
)

RULES = make_rules()
INDEX = 300
CASH = 50_000_000
CLOCK = make_globals(400).clock
HUGE = (1 << 256) - 1


def make_markets(seed: int, age_s: int = 0) -> tuple[Market, Market]:
    rng = random.Random(seed)
    return make_market(rng, 0, age_s=age_s), make_market(rng, 1, age_s=age_s)


def make_world(account: Account, markets: tuple[Market, Market]) -> World:
    """Account 300 of 400, where two others wait already."""
    state = State(RULES.params)
    state.put_globals(make_globals(400)._replace(requests=2))
    state.put_markets(markets)
    world = World(RULES, state, Preimages([]))
    world.put_account(INDEX, account)
    return world


def make_account(**fields: object) -> Account:
    return Account(ADDRESSES[0], CASH, 2, 8)._replace(**fields)  # type: ignore[arg-type]  # by name, checked by use


def run(world: World, amount: int, is_leaving: bool = False, nonce: int = 9, key: int = 0, index: int = INDEX) -> tuple[Code, State]:
    """A request that `key` signed."""
    world.pre.items = build_pool(index, amount, nonce, is_leaving)
    digest = compute_pool_digest(RULES.domain, index, amount, nonce, is_leaving)
    world.pre.signatures = place_signatures([sign(key, digest)], 3, random.Random(1))
    outcome, after = world.run(Phase.POOL, signature=3)
    assert outcome.after.signature == 4
    if outcome.code != Code.OK:
        assert after.get_root() == world.state.get_root()
    return outcome.code, after


def get_bit(state: State, bitmap: Bitmap) -> int:
    return state.get_word(get_word_index(bitmap, INDEX, RULES.params)) >> (INDEX & 255) & 1


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, Code.POOL),
        (MIN_ENTRY - 1, Code.POOL),
        (MIN_ENTRY, Code.OK),
        (CASH, Code.OK),
        (CASH + 1, Code.NOTHING_FREE),
        (HUGE, Code.NOTHING_FREE),
    ],
)
def test_cash_waits_as_the_request(seed: int, amount: int, expected: Code) -> None:
    code, after = run(make_world(make_account(), make_markets(seed)), amount)
    assert code == expected
    entered = make_account(cash=CASH - amount, nonce=9, request=amount, request_time=CLOCK)
    assert after.get_account(INDEX) == (entered if code == Code.OK else make_account())
    assert after.globals.requests == 2 + (code == Code.OK)
    assert get_bit(after, Bitmap.HOLDER) == get_bit(after, Bitmap.REQUEST) == (code == Code.OK)
    assert (after.globals.pool, after.globals.shares) == (0, 0)


@pytest.mark.parametrize(
    ("shares", "amount", "expected"),
    [
        (0, 0, Code.POOL),
        (0, 1, Code.POOL),
        (7, 0, Code.POOL),
        (7, 1, Code.OK),
        (7, 7, Code.OK),
        (7, 8, Code.POOL),
        (2**96, 2**96, Code.OK),
        (2**96, HUGE, Code.POOL),
    ],
)
def test_shares_stay_until_they_are_paid(seed: int, shares: int, amount: int, expected: Code) -> None:
    before = make_account(shares=shares)
    code, after = run(make_world(before, make_markets(seed)), amount, is_leaving=True)
    assert code == expected
    left = before._replace(nonce=9, request=-amount, request_time=CLOCK)
    assert after.get_account(INDEX) == (left if code == Code.OK else before)
    assert after.globals.requests == 2 + (code == Code.OK)


def test_leaving_asks_nothing_of_positions_or_marks(seed: int) -> None:
    """Whoever is in may go, in whatever trouble: that brings money to the account, it takes none."""
    markets = make_markets(seed, age_s=900)
    account = make_account(shares=7, flag=3, cash=-5, positions=make_positions(random.Random(seed), markets, 3, shorts=1.0))
    assert run(make_world(account, markets), 7, is_leaving=True)[0] == Code.OK


@pytest.mark.parametrize("request_", [1, -1, CASH])
@pytest.mark.parametrize("is_leaving", [False, True])
def test_one_request_at_a_time(seed: int, request_: int, is_leaving: bool) -> None:
    account = make_account(shares=CASH, request=request_, request_time=CLOCK - 5)
    assert run(make_world(account, make_markets(seed)), MIN_ENTRY, is_leaving)[0] == Code.POOL


@pytest.mark.parametrize(("above", "expected"), [(MIN_ENTRY, Code.OK), (MIN_ENTRY - 1, Code.NOTHING_FREE), (0, Code.NOTHING_FREE)])
def test_shorts_keep_their_initial_margin(seed: int, above: int, expected: Code) -> None:
    """All of the amount or nothing: a smaller entry than was asked for is not what its owner signed."""
    markets = make_markets(seed)
    positions = make_positions(random.Random(seed), markets, 4, shorts=1.0)
    margin = compute_margin(0, positions, markets)
    account = make_account(cash=margin.initial - margin.equity + above, positions=positions)
    assert run(make_world(account, markets), MIN_ENTRY)[0] == expected


def test_entering_asks_what_a_withdrawal_asks(seed: int) -> None:
    markets = make_markets(seed)
    longs = make_positions(random.Random(seed), markets, 2, shorts=0.0)
    shorts = make_positions(random.Random(seed), markets, 2, shorts=1.0)
    rich = make_account(cash=10**15, positions=shorts)
    assert run(make_world(rich, markets), MIN_ENTRY)[0] == Code.OK
    assert run(make_world(rich._replace(flag=3), markets), MIN_ENTRY)[0] == Code.FLAGGED
    assert run(make_world(rich, make_markets(seed, age_s=56)), MIN_ENTRY)[0] == Code.STALE
    assert run(make_world(make_account(positions=longs), make_markets(seed, age_s=56)), MIN_ENTRY)[0] == Code.OK
    expired = ((encode_series(0, CLOCK, 10**10, 1), 5),)
    assert run(make_world(make_account(positions=expired), markets), MIN_ENTRY)[0] == Code.UNSETTLED
    frozen = make_world(make_account(positions=longs), markets)
    frozen.state.put_globals(frozen.state.globals._replace(shutdown=1))
    assert run(frozen, MIN_ENTRY)[0] == Code.FROZEN


def test_only_the_owner_asks(seed: int) -> None:
    """A session key with every scope cannot tie its owner's cash up."""
    markets = make_markets(seed)
    account = make_account(session=encode_session(ADDRESSES[1], SCOPE_TRADE | SCOPE_WITHDRAW, 2**40 - 1), shares=7)
    for is_leaving, amount in ((False, MIN_ENTRY), (True, 7)):
        assert run(make_world(account, markets), amount, is_leaving, key=1)[0] == Code.SIGNATURE
        assert run(make_world(account, markets), amount, is_leaving)[0] == Code.OK
        world = make_world(account, markets)
        world.pre.items = build_pool(INDEX, amount, 9, is_leaving, by_authority=True)
        assert world.run(Phase.POOL, signature=2, authority=ADDRESSES[1])[0].code == Code.AUTHORITY
        outcome, after = world.run(Phase.POOL, signature=2, authority=ADDRESSES[0])
        assert (outcome.code, outcome.after.signature, after.globals.requests) == (Code.OK, 2, 3)


def test_a_signature_to_enter_is_none_to_leave(seed: int) -> None:
    world = make_world(make_account(shares=CASH), make_markets(seed))
    for signed in (False, True):
        digest = compute_pool_digest(RULES.domain, INDEX, MIN_ENTRY, 9, signed)
        world.pre.signatures = place_signatures([sign(0, digest)], 0, random.Random(1))
        for posted in (False, True):
            world.pre.items = build_pool(INDEX, MIN_ENTRY, 9, posted)
            assert world.run(Phase.POOL)[0].code == (Code.OK if posted == signed else Code.SIGNATURE)


def test_a_request_cannot_be_replayed(seed: int) -> None:
    """Not even once it is gone again."""
    world = make_world(make_account(), make_markets(seed))
    code, after = run(world, MIN_ENTRY)
    assert code == Code.OK
    again = World(RULES, after, world.pre)
    again.put_account(INDEX, after.get_account(INDEX)._replace(request=0))
    assert run(again, MIN_ENTRY)[0] == Code.NONCE
    assert run(make_world(make_account(), make_markets(seed)), MIN_ENTRY, nonce=1 << 64)[0] == Code.NONCE
    assert run(make_world(make_account(), make_markets(seed)), MIN_ENTRY, index=400)[0] == Code.ACCOUNT


def test_forged_witnesses_revert(seed: int) -> None:
    markets = make_markets(seed)
    account = make_account(cash=10**15, shares=7, positions=make_positions(random.Random(seed), markets, 5))
    world = make_world(account, markets)
    assert run(world, MIN_ENTRY)[0] == Code.OK
    assert world.count_reverts(Phase.POOL, random.Random(seed), 60, signature=3) > 20
