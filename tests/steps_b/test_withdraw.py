"""WITHDRAW: both twins on who may, what is free, and the outbox."""

import random
from collections import Counter

import pytest

from protocol.codes import Code
from protocol.free_cash import compute_free
from protocol.machine import Preimages
from protocol.margin import compute_margin
from protocol.operations import build_withdraw
from protocol.series import encode_series
from protocol.sessions import encode_session
from protocol.signing import compute_withdraw_digest
from protocol.state import State
from protocol.steps.withdraw import MIN_WITHDRAWAL as LEAST
from protocol.types import MAX_CASH, MAX_LOTS, SCOPE_TRADE, SCOPE_WITHDRAW, Account, Market, Phase
from tests.steps_b.worlds import (
    ADDRESSES,
    World,
    make_globals,
    make_market,
    make_positions,
    make_rules,
    make_series,
    place_signatures,
    sign,
)

RULES = make_rules()
INDEX = 300
HUGE = (1 << 256) - 1
CASH = 5_000_000
OUTBOX = 1 << RULES.params.outbox_depth


def make_world(account: Account, markets: tuple[Market, Market], paid_before: int = 0) -> World:
    """Account 300 of 400, after some withdrawals by others."""
    state = State(RULES.params)
    state.put_globals(make_globals(accounts=400)._replace(outbox=paid_before))
    state.put_markets(markets)
    for number in range(paid_before):
        state.append_outbox(number, ADDRESSES[4], 5 + number)
    world = World(RULES, state, Preimages([]))
    world.put_account(1, Account(owner=ADDRESSES[4], cash=1))
    world.put_account(INDEX, account)
    return world


def run(world: World, amount: int, nonce: int = 9, index: int = INDEX, key: int = 0, first: int = 3) -> tuple[Code, State]:
    """A withdrawal that `key` signed, at number `first` of the source."""
    world.pre.items = build_withdraw(index, amount, nonce)
    signature = sign(key, compute_withdraw_digest(RULES.domain, index, amount, nonce))
    world.pre.signatures = place_signatures([signature], first, random.Random(1))
    outcome, after = world.run(Phase.WITHDRAW, signature=first)
    assert outcome.after.signature == first + 1
    return outcome.code, after


def make_markets(seed: int, age_s: int = 0) -> tuple[Market, Market]:
    rng = random.Random(seed)
    return make_market(rng, 0, age_s=age_s), make_market(rng, 1, age_s=age_s)


def make_short(seed: int, markets: tuple[Market, Market], above: int) -> Account:
    """Equity `above` the initial margin."""
    positions = make_positions(random.Random(seed), markets, 4, shorts=1.0)
    margin = compute_margin(0, positions, markets)
    return Account(ADDRESSES[0], margin.initial - margin.equity + above, 2, 8, 0, positions)


@pytest.mark.parametrize(("amount", "paid"), [(LEAST, LEAST), (CASH - 1, CASH - 1), (CASH, CASH), (CASH + 1, CASH), (HUGE, CASH)])
def test_pays_at_most_the_cash(seed: int, amount: int, paid: int) -> None:
    world = make_world(Account(ADDRESSES[0], CASH, 2, 8), make_markets(seed), paid_before=3)
    code, after = run(world, amount)
    assert code == Code.OK
    assert after.get_account(INDEX) == Account(ADDRESSES[0], CASH - paid, 2, 9)
    assert after.outbox[3] == (ADDRESSES[0], paid)
    assert after.get_globals().outbox == 4


@pytest.mark.parametrize(
    ("cash", "amount", "paid"),
    [
        (CASH, 1, 0),
        (CASH, LEAST - 1, 0),
        (LEAST, LEAST - 1, 0),
        (LEAST, LEAST, LEAST),
        (LEAST - 1, LEAST - 2, 0),
        (LEAST - 1, LEAST - 1, LEAST - 1),
        (LEAST - 1, HUGE, LEAST - 1),
        (1, HUGE, 1),
        (0, HUGE, 0),
    ],
)
def test_less_than_the_minimum_only_as_the_last_of_the_cash(seed: int, cash: int, amount: int, paid: int) -> None:
    account = Account(ADDRESSES[0], cash, 2, 8)
    code, after = run(make_world(account, make_markets(seed)), amount)
    assert code == (Code.OK if paid else Code.NOTHING_FREE)
    assert after.get_account(INDEX) == (account._replace(cash=cash - paid, nonce=9) if paid else account)
    assert after.get_globals().outbox == (1 if paid else 0)


@pytest.mark.parametrize(
    ("above", "amount", "paid"),
    [
        (CASH, HUGE, CASH),
        (CASH, CASH - 1, CASH - 1),
        (CASH, LEAST - 1, 0),
        (LEAST, HUGE, LEAST),
        (LEAST - 1, HUGE, 0),
        (1, 7, 0),
        (0, 7, 0),
        (-1, 7, 0),
        (-1, HUGE, 0),
    ],
)
def test_shorts_keep_their_initial_margin(seed: int, above: int, amount: int, paid: int) -> None:
    markets = make_markets(seed)
    account = make_short(seed, markets, above)
    code, after = run(make_world(account, markets), amount)
    assert code == (Code.OK if paid else Code.NOTHING_FREE)
    assert after.get_account(INDEX).cash == account.cash - paid


def test_who_may(seed: int) -> None:
    markets = make_markets(seed)
    account = Account(ADDRESSES[0], CASH, 2, 8)
    for nonce, expected in (
        (8, Code.NONCE),
        (7, Code.NONCE),
        (9, Code.OK),
        ((1 << 64) - 1, Code.OK),
        (1 << 64, Code.NONCE),
        (HUGE, Code.NONCE),
    ):
        assert run(make_world(account, markets), LEAST, nonce)[0] == expected
    assert run(make_world(account, markets), LEAST, key=1)[0] == Code.SIGNATURE
    assert run(make_world(account, markets), LEAST, index=400)[0] == Code.ACCOUNT
    assert run(make_world(account, markets), LEAST, index=HUGE)[0] == Code.ACCOUNT
    held = account._replace(flag=6, positions=make_positions(random.Random(seed), markets, 1))
    assert run(make_world(held, markets), LEAST)[0] == Code.FLAGGED
    assert run(make_world(held._replace(positions=()), markets), LEAST)[0] == Code.OK
    assert run(make_world(account, markets), 0)[0] == Code.NOTHING_FREE
    assert run(make_world(account._replace(cash=-5), markets), LEAST)[0] == Code.NOTHING_FREE


@pytest.mark.parametrize("signature", [4, 31, 32, 40])
def test_signature_that_is_not_there(seed: int, signature: int) -> None:
    world = make_world(Account(ADDRESSES[0], CASH, 2, 8), make_markets(seed))
    world.pre.items = build_withdraw(INDEX, LEAST, 9)
    digest = compute_withdraw_digest(RULES.domain, INDEX, LEAST, 9)
    world.pre.signatures = place_signatures([sign(0, digest)], 3, random.Random(2), after=0)
    assert world.run(Phase.WITHDRAW, signature=3)[0].code == Code.OK
    assert world.run(Phase.WITHDRAW, signature=signature)[0].code == Code.SIGNATURE
    world.pre.signatures = world.pre.signatures[:-1]
    assert world.run(Phase.WITHDRAW, signature=3)[0].code == Code.SIGNATURE
    world.pre.signatures = b""
    assert world.run(Phase.WITHDRAW, signature=0)[0].code == Code.SIGNATURE


def test_by_authority(seed: int) -> None:
    world = make_world(Account(ADDRESSES[0], CASH, 2, 8), make_markets(seed))
    world.pre.items = build_withdraw(INDEX, LEAST, 9, by_authority=True)
    outcome, after = world.run(Phase.WITHDRAW, signature=2, authority=ADDRESSES[0])
    assert (outcome.code, outcome.after.signature, after.outbox) == (Code.OK, 2, [(ADDRESSES[0], LEAST)])
    for authority in (0, 1, ADDRESSES[1]):
        assert world.run(Phase.WITHDRAW, authority=authority)[0].code == Code.AUTHORITY


@pytest.mark.parametrize(("age_s", "expected"), [(55, Code.OK), (56, Code.STALE)])
def test_old_marks_hold_back_shorts_only(seed: int, age_s: int, expected: Code) -> None:
    markets = make_markets(seed, age_s)
    assert run(make_world(make_short(seed, markets, CASH), markets), LEAST)[0] == expected
    longs = make_positions(random.Random(seed), markets, 4, shorts=0.0)
    assert run(make_world(Account(ADDRESSES[0], CASH, 2, 8, 0, longs), markets), LEAST)[0] == Code.OK


def test_mark_of_an_underlying_that_is_only_held_long(seed: int) -> None:
    """An old mark of any underlying that is held counts, once there is a short."""
    rng = random.Random(seed)
    markets = make_markets(seed)
    positions = tuple(sorted((make_series(rng, of, markets[of].slices[0]), lots) for of, lots in ((0, -5), (1, 5))))
    account = Account(ADDRESSES[0], 10**12, 2, 8, 0, positions)
    assert run(make_world(account, markets), LEAST)[0] == Code.OK
    old = (markets[0], markets[1]._replace(mark_time=markets[1].mark_time - 100))
    assert run(make_world(account, old), LEAST)[0] == Code.STALE


def test_outbox_is_full(seed: int) -> None:
    account = Account(ADDRESSES[0], CASH, 2, 8)
    assert run(make_world(account, make_markets(seed), OUTBOX - 1), LEAST)[0] == Code.OK
    code, after = run(make_world(account, make_markets(seed), OUTBOX), LEAST)
    assert code == Code.NOTHING_FREE
    assert after.get_account(INDEX) == account


@pytest.mark.parametrize("is_wild", [False, True])
def test_twins_agree_on_random_accounts(seed: int, is_wild: bool) -> None:
    rng = random.Random(seed)
    codes: Counter[Code] = Counter()
    for _ in range(80):
        first, second = (make_market(rng, of, rng.randint(1, 5), is_wild, rng.choice((0, 0, 100)), rng.choice((0, 1))) for of in range(2))
        positions = make_positions(rng, (first, second), rng.choice((0, 1, 3, 10)), rng.choice((10, MAX_LOTS)))
        cash = rng.choice((0, LEAST - 1, 10**9, 10**12, 10**16, MAX_CASH - 1))
        account = Account(ADDRESSES[0], cash, 2, 8, rng.choice((0, 0, 0, 3)), positions)
        world = make_world(account, (first, second), 2)
        free, _ = compute_free(account, world.state.globals, (first, second), RULES)
        amount = rng.choice((1, LEAST - 1, LEAST, HUGE, HUGE, free, free + 1, 10**9))
        code, after = run(world, amount, first=rng.choice((0, 31, 32, 1000)))
        codes[code] += 1
        paid = min(amount, free)
        if code == Code.OK:
            assert after.outbox[2] == (ADDRESSES[0], paid)
            assert paid >= LEAST or paid == cash > 0
        elif code == Code.NOTHING_FREE:
            assert paid < LEAST
    assert {Code.OK, Code.FLAGGED, Code.STALE, Code.UNSETTLED, Code.NOTHING_FREE} <= set(codes)


@pytest.mark.parametrize(("left_s", "expected"), [(1, Code.OK), (0, Code.UNSETTLED), (-1, Code.UNSETTLED)])
def test_an_expired_position_waits_for_its_settlement(seed: int, left_s: int, expected: Code) -> None:
    """Long ones too: what it will pay, or owe to a loss that is shared, nobody knows yet."""
    markets = make_markets(seed)
    clock = make_globals(400).clock
    series = encode_series(0, clock + left_s, 10**10, 1)
    account = Account(ADDRESSES[0], CASH, 2, 8, 0, ((series, 5),))
    assert run(make_world(account, markets), LEAST)[0] == expected


def test_a_shutdown_lets_out_only_those_without_positions(seed: int) -> None:
    markets = make_markets(seed)
    flat = Account(ADDRESSES[0], CASH, 2, 8)
    for positions, expected in (((), Code.OK), (make_positions(random.Random(seed), markets, 2, shorts=0.0), Code.FROZEN)):
        world = make_world(flat._replace(positions=positions), markets)
        world.state.put_globals(world.state.globals._replace(shutdown=1))
        assert run(world, HUGE)[0] == expected


@pytest.mark.parametrize(("balance", "paid"), [(0, 0), (LEAST - 1, 0), (LEAST, LEAST), (CASH, CASH), (CASH + 1, CASH)])
def test_pays_no_more_than_l1_holds(seed: int, balance: int, paid: int) -> None:
    world = make_world(Account(ADDRESSES[0], CASH, 2, 8), make_markets(seed))
    world.state.put_globals(world.state.globals._replace(balance=balance))
    code, after = run(world, HUGE)
    assert code == (Code.OK if paid else Code.NOTHING_FREE)
    assert after.globals.balance == balance - paid
    assert after.get_account(INDEX).cash == CASH - paid


@pytest.mark.parametrize(
    ("key", "scope", "left_s", "expected"),
    [
        (1, SCOPE_WITHDRAW, 0, Code.OK),
        (1, SCOPE_WITHDRAW | SCOPE_TRADE, 9, Code.OK),
        (1, SCOPE_WITHDRAW, -1, Code.SIGNATURE),
        (1, SCOPE_TRADE, 9, Code.SIGNATURE),
        (1, 0, 9, Code.SIGNATURE),
        (2, SCOPE_WITHDRAW, 9, Code.SIGNATURE),
        (0, SCOPE_WITHDRAW, 9, Code.OK),
    ],
)
def test_a_session_key_withdraws_within_scope_and_time_and_to_the_owner(
    seed: int, key: int, scope: int, left_s: int, expected: Code
) -> None:
    """Key 1 is the session's, key 0 the owner's, key 2 nobody's."""
    session = encode_session(ADDRESSES[1], scope, make_globals(400).clock + left_s)
    code, after = run(make_world(Account(ADDRESSES[0], CASH, 2, 8, session=session), make_markets(seed)), LEAST, key=key)
    assert code == expected
    assert after.outbox == ([(ADDRESSES[0], LEAST)] if expected == Code.OK else [])


def test_the_sender_of_a_forced_row_is_the_owner_not_the_session_key(seed: int) -> None:
    session = encode_session(ADDRESSES[1], SCOPE_WITHDRAW, 2**40 - 1)
    world = make_world(Account(ADDRESSES[0], CASH, 2, 8, session=session), make_markets(seed))
    world.pre.items = build_withdraw(INDEX, LEAST, 9, by_authority=True)
    assert world.run(Phase.WITHDRAW, authority=ADDRESSES[1])[0].code == Code.AUTHORITY
