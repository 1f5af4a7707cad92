"""SHUTDOWN: both twins on who may freeze the exchange, when the rest follows, and what a frozen exchange still takes."""

import random

import pytest

from protocol.codec.frames import Batch, Message, compute_inbox_root, compute_record
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.keccak import ZERO
from protocol.machine import Preimages
from protocol.operations import build_cancel, build_shutdown, build_trade
from protocol.state import State
from protocol.types import (
    INBOX_AUTHORITY,
    VAULT_AUTHORITY,
    Account,
    Globals,
    Header,
    Mode,
    Phase,
    Sweep,
    compute_sweep_hash,
)
from sim.twins import assert_twins
from tests.steps_b.worlds import ADDRESSES, NOW, World, make_globals, make_rules

RULES = make_rules()
DELAY_S = RULES.params.shutdown_s


def make_world(accounts: int = 2, **fields: int) -> World:
    state = State(RULES.params)
    state.put_globals(make_globals(accounts)._replace(**fields))
    world = World(RULES, state, Preimages([]))
    for index in range(accounts):
        world.put_account(index, Account(owner=ADDRESSES[index], cash=7))
    world.pre.items = build_shutdown()
    return world


def run(world: World, authority: int) -> tuple[Code, Globals, Header]:
    outcome, after = world.run(Phase.SHUTDOWN, signature=3, authority=authority)
    assert outcome.after.signature == 3  # it takes none
    return outcome.code, after.get_globals(), outcome.after


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        (INBOX_AUTHORITY, Code.OK),
        (VAULT_AUTHORITY, Code.AUTHORITY),
        (0, Code.AUTHORITY),
        (3, Code.AUTHORITY),
        (ADDRESSES[0], Code.AUTHORITY),
    ],
)
def test_only_the_inbox_freezes_the_exchange(authority: int, expected: Code) -> None:
    world = make_world()
    code, g, h = run(world, authority)
    before = world.state.get_globals()
    assert (code, h.phase, h.scratch) == (expected, Phase.FETCH, ZERO)
    assert g == (before._replace(shutdown=before.clock) if code == Code.OK else before)


@pytest.mark.parametrize("authority", [0, INBOX_AUTHORITY, VAULT_AUTHORITY, ADDRESSES[1]])
@pytest.mark.parametrize(("age_s", "expected"), [(0, Code.SHUTDOWN_TIME), (DELAY_S - 1, Code.SHUTDOWN_TIME), (DELAY_S, Code.OK)])
def test_then_anyone_settles_everything_once_the_delay_is_over(authority: int, age_s: int, expected: Code) -> None:
    world = make_world(shutdown=NOW, clock=NOW + age_s)
    code, g, h = run(world, authority)
    assert (code, g) == (expected, world.state.get_globals())
    assert h.phase == (Phase.SCAN if code == Code.OK else Phase.FETCH)
    assert h.scratch == (compute_sweep_hash(Sweep(mode=Mode.SHUTDOWN_TALLY)) if code == Code.OK else ZERO)


def test_nothing_is_settled_twice() -> None:
    assert run(make_world(shutdown=NOW, clock=NOW + 10 * DELAY_S, is_settled=1), INBOX_AUTHORITY)[0] == Code.SHUTDOWN_TIME


def test_without_accounts_it_is_settled_at_once() -> None:
    world = make_world(0, shutdown=NOW, clock=NOW + DELAY_S)
    code, g, h = run(world, 0)
    assert (code, h.phase, g) == (Code.OK, Phase.FETCH, world.state.get_globals()._replace(is_settled=1))


@pytest.mark.parametrize("shutdown", [0, NOW])
def test_forged_witnesses_decide_nothing(seed: int, shutdown: int) -> None:
    world = make_world(shutdown=shutdown, clock=NOW + DELAY_S)
    assert world.count_reverts(Phase.SHUTDOWN, random.Random(seed), 40, authority=INBOX_AUTHORITY) > 0


def run_messages(state: State, messages: list[Message]) -> list[tuple[Phase, Code]]:
    """A batch of each by both twins, step by step: which steps ran, with what code."""
    pre = Preimages([Batch(compute_record(at, m.time, m.time, at, (m,), ()), (m,), ()) for at, m in enumerate(messages)])
    root = compute_inbox_root(pre.record_hashes, RULES.params.batch_depth)
    header, log = Header(state.get_root(), root, len(messages)), []
    while not header.is_halted:
        phase = Phase(header.phase)
        outcome = assert_twins(header, state, pre, RULES)
        header = outcome.after
        log.append((phase, outcome.code))
    return log


def test_from_the_message_of_l1_to_a_frozen_exchange() -> None:
    """The shutdown runs though the allowance is gone; a trade is dropped with one step, and a cancellation with its signature."""
    world = make_world(shutdown=0, allowance=-(10**9), accrued=NOW, clock=NOW)
    row = encode_row(build_shutdown())
    rows = encode_row(build_trade(0, 1, 1, 2, 3)) + encode_row(build_cancel(0, 9))
    forced = Message(NOW + 10**9, ADDRESSES[0], rows, bytes(65))
    log = run_messages(world.state, [Message(NOW + 9, INBOX_AUTHORITY, row, b""), forced])
    assert [item for item in log if item[0] == Phase.SHUTDOWN] == [(Phase.SHUTDOWN, Code.OK)]
    assert [code for phase, code in log if phase == Phase.FETCH] == [Code.OK, Code.OK, Code.FROZEN, Code.FROZEN, Code.OK]
    g = world.state.get_globals()
    assert g.shutdown == NOW + 9
    assert g.allowance == RULES.params.steps_cap - 2
