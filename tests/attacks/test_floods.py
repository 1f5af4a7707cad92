"""Floods of steps: an epoch's run must fit its history commitment whatever is posted and forced, else nobody can claim the truth."""

import pytest

from protocol.codec.frames import Batch, Frame, Message, compute_record
from protocol.codec.inflate import encode_frame
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.history import History
from protocol.keccak import keccak
from protocol.leap import Leap
from protocol.machine import Preimages, compute_most_steps
from protocol.operations import build_deposit
from protocol.params import DEVNET, MAINNET, MINIMAL, Params
from protocol.rules import Rules
from protocol.state import State
from protocol.trace import Machine
from protocol.types import VAULT_AUTHORITY, Globals, Header, Phase
from sim.twins import assert_twins

START = 1_790_000_000
ATTACKER = 0xBAD
JUNK = encode_row(()) * 1_024  # one step a byte
RULES = Rules(MINIMAL, bytes(32), (1, 2, 3))


def make_batch(messages: tuple[Message, ...], frames: tuple[Frame, ...] = ()) -> Batch:
    return Batch(compute_record(0, START, START, 0, messages, frames), messages, frames)


@pytest.mark.parametrize("speed", [1, 7, 60])
@pytest.mark.parametrize("params", [MAINNET, DEVNET, MINIMAL], ids=lambda params: params.name)
def test_attack_9__steps_of_an_epoch__bounded_below_the_history(params: Params, speed: int) -> None:
    assert compute_most_steps(params.at_speed(speed)) < 1 << params.history_height


def test_attack_9__flood_of_a_whole_epoch__below_the_bound() -> None:
    """Junk forced into every batch of an epoch, as far apart as L1 allows; the allowance is full at the start."""
    batches, first = [], START
    for number in range(1 << MINIMAL.batch_depth):
        junk = (Message(START - 86_400, ATTACKER, JUNK, b""),) * 6
        batches.append(Batch(compute_record(number, first, first, 0, junk, ()), junk, ()))
        first += (MINIMAL.epoch_s + MINIMAL.header_window_s) >> MINIMAL.batch_depth
    state = State(MINIMAL)
    state.put_globals(Globals(allowance=MINIMAL.steps_cap, accrued=START))
    machine = Machine(state, batches, RULES)
    machine.run()
    accrued = batches[-1].record.first - START
    assert machine.count > accrued * MINIMAL.steps_per_second + 2 * MINIMAL.steps_cap
    assert machine.count < compute_most_steps(MINIMAL)


def test_attack_9__forced_junk__fits_the_history() -> None:
    messages = tuple(Message(START, ATTACKER, JUNK, b"") for _ in range(70))
    history = History(Machine(State(MINIMAL), [make_batch(messages)], RULES))
    assert history.steps < 1 << MINIMAL.history_height
    assert history.machine.state.globals.allowance == -MINIMAL.steps_cap


def test_attack_9__forced_junk_that_has_waited_for_days__accrues_no_more_than_its_epoch() -> None:
    """Would each message's own time fill the allowance anew, there would be 71,821 steps for 65,536 leaves."""
    messages = tuple(Message(START + 40 * i, ATTACKER, JUNK, b"") for i in range(70))
    late = START + 7 * 86_400
    batch = Batch(compute_record(0, late, late, 0, messages, ()), messages, ())
    history = History(Machine(State(MINIMAL), [batch], RULES))
    assert history.steps < 2 * MINIMAL.steps_cap + 2_000
    leap = Leap(State(MINIMAL), RULES)
    leap.apply_batch(batch)
    assert leap.state.get_root() == history.post_root
    assert leap.count == history.steps


def test_attack_9__message_that_has_waited__runs_at_its_own_time_on_what_its_batch_brings() -> None:
    batches = []
    for number, first in enumerate((START, START + 3, START + 3, START + 10_000)):
        message = Message(START - 7 * number, ATTACKER, encode_row(()), b"")
        batches.append(Batch(compute_record(number, first, first, number, (message,), ()), (message,), ()))
    machine = Machine(State(MINIMAL), batches, RULES)
    machine.state.put_globals(Globals(clock=START - 100, allowance=-1_000, accrued=START))
    allowances = []
    while not machine.is_halted:
        if machine.header.phase == Phase.MESSAGE:
            before = machine.state.globals
            assert_twins(machine.header, machine.state.copy(), machine.preimages.copy(), RULES)
            machine.step()
            allowances.append(machine.state.globals.allowance - before.allowance)
            assert machine.state.globals.clock == START  # never back
        else:
            machine.step()
    assert allowances == [0, 3 * MINIMAL.steps_per_second, 0, MINIMAL.steps_cap - (-1_000 + 150 - 3)]


def test_attack_9__forced_junk__leap_lands_where_the_steps_do() -> None:
    messages = tuple(Message(START + i, ATTACKER, JUNK, b"") for i in range(12))
    batch = make_batch(messages, (Frame(START, encode_frame(JUNK), b""),))
    machine = Machine(State(MINIMAL), [batch], RULES)
    machine.run()
    leap = Leap(State(MINIMAL), RULES)
    leap.apply_batch(batch)
    assert leap.state.get_root() == machine.state.get_root()


def test_attack_9__deposit_after_a_flood__still_credited() -> None:
    deposit = Message(START, VAULT_AUTHORITY, encode_row(build_deposit(0, 0xA11CE, 10**7)), b"")
    batch = make_batch((*(Message(START, ATTACKER, JUNK, b"") for _ in range(6)), deposit))
    machine = Machine(State(MINIMAL), [batch], RULES)
    machine.run()
    assert machine.state.get_account(0).cash == 10**7


@pytest.mark.parametrize(
    ("authority", "allowance", "code"),
    [
        (0, 1, Code.OK),
        (0, 0, Code.ALLOWANCE),
        (ATTACKER, 1 - MINIMAL.steps_cap, Code.OK),
        (ATTACKER, -MINIMAL.steps_cap, Code.ALLOWANCE),
        (VAULT_AUTHORITY, -MINIMAL.steps_cap, Code.OK),
        (VAULT_AUTHORITY, -(1 << 60), Code.OK),
    ],
)
def test_attack_9__admission_to_the_step__same_on_l1(authority: int, allowance: int, code: Code) -> None:
    rows = encode_row(build_deposit(0, 0xA11CE, 10**7))
    state, pre = State(MINIMAL), Preimages([])
    state.put_globals(Globals(clock=START, allowance=allowance))
    pre.rows = rows
    header = Header(bytes(32), keccak(b"inbox"), 1, 1, authority=authority, rows=keccak(rows), phase=Phase.FETCH, messages=1, message=1)
    assert assert_twins(header, state, pre, RULES).code == code


def test_attack_6__frames_that_burn_the_allowance__messages_run_on_their_reserve() -> None:
    burn = tuple(Frame(START, encode_frame(encode_row(()) * 8_192), b"") for _ in range(2))
    first = Batch(compute_record(0, START, START, 0, (), burn), (), burn)
    honest = (Message(START, ATTACKER, encode_row((7,)), b""),)
    second = Batch(compute_record(1, START, START, 0, honest, ()), honest, ())
    leap = Leap(State(MINIMAL), RULES)
    leap.apply_batch(first)
    assert leap.state.globals.allowance == 0
    assert [outcome.code for outcome in leap.apply_batch(second)] == [Code.MALFORMED]
    assert leap.state.globals.allowance == -1
