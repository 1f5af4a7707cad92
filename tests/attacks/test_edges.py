"""Extremes that anyone can post: by steps, by leaps and on L1 they come to the same, and fit."""

import pytest

import protocol.history
from protocol.codec.frames import MAX_FRAMES, MAX_MESSAGE_BYTES, MAX_MESSAGES, Batch, Frame, Message, compute_record
from protocol.codec.inflate import MAX_FRAME_BYTES, encode_frame
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.history import History, compute_root
from protocol.leap import Leap
from protocol.params import MINIMAL
from protocol.rules import Rules
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Phase
from sim.twins import assert_twins
from sim.twins.runner import MAX_ARGUMENT_BYTES

START = 1_790_000_000
RULES = Rules(MINIMAL, bytes(32), (1, 2, 3))
MAX_STEP_GAS = 10_000_000
INVALID = (b"\x07", b"\x03", bytes(MAX_FRAME_BYTES), b"\xff" * MAX_FRAME_BYTES, b"\x01\x01\x00\xfe\xff")


def make_batch(messages: tuple[Message, ...], frames: tuple[Frame, ...], number: int = 0) -> Batch:
    return Batch(compute_record(number, START, START + 5, 0, messages, frames), messages, frames)


def run(batches: list[Batch], compare: int) -> Machine:
    """By steps and leaps; every `compare`-th step on L1 too."""
    machine = Machine(State(MINIMAL), batches, RULES)
    while not machine.is_halted:
        if machine.count % compare == 0:
            outcome = assert_twins(machine.header, machine.state.copy(), machine.preimages.copy(), RULES)
            assert outcome.gas <= MAX_STEP_GAS
            assert len(outcome.arguments) <= MAX_ARGUMENT_BYTES
        machine.step()
    leap = Leap(State(MINIMAL), RULES)
    for batch in batches:
        leap.apply_batch(batch)
    assert leap.state.get_root() == machine.state.get_root()
    return machine


def test_attack_02__sixteen_invalid_frames__no_rows_and_the_next_batch_runs() -> None:
    frames = tuple(Frame(START + i, INVALID[i % len(INVALID)], b"") for i in range(MAX_FRAMES))
    machine = run([make_batch((), frames), make_batch((), (Frame(START, encode_frame(encode_row((7,))), b""),), 1)], 1)
    assert machine.state.globals.allowance == MINIMAL.steps_cap - 1
    assert machine.count == 2 * (1 + MAX_FRAMES) - 1 + 4


@pytest.mark.parametrize("data", [b"\x03\x00", b"\x01\x00\x00\xff\xff", encode_frame(b"")])
def test_attack_02__frame_that_inflates_to_nothing__valid_and_empty(data: bytes) -> None:
    machine = run([make_batch((), (Frame(START, data, bytes(65)),))], 1)
    assert machine.count == 3
    assert machine.state.globals.allowance == MINIMAL.steps_cap


def test_attack_02__most_messages_of_most_bytes__fit_the_judge() -> None:
    rows = encode_row((6, *[(1 << 256) - 1] * 18)) + encode_row((3, *[(1 << 256) - 1] * 5))
    rows += b"\xf9" * (MAX_MESSAGE_BYTES - len(rows))
    messages = tuple(Message(START + i, 7 + i, rows, b"\xff" * 65 * 32) for i in range(MAX_MESSAGES))
    machine = run([make_batch(messages, ())], 257)
    assert machine.state.globals.clock == START + MAX_MESSAGES - 1


def test_attack_02__times_beyond_all_bounds__clamped() -> None:
    frames = tuple(Frame(time, encode_frame(b""), b"") for time in ((1 << 64) - 1, 0, START + 3))
    assert run([make_batch((), frames)], 1).state.globals.clock == START + 5


@pytest.mark.parametrize("beyond", range(-1, 3))
@pytest.mark.parametrize("chunks", [1, 3])
def test_attack_7__run_that_ends_at_a_chunks_edge__same_commitment(chunks: int, beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes, reveals and proofs are those of the plain tree, with a snapshot exactly where the machine halts."""
    steps = 16 * chunks + beyond
    batch = make_batch((Message(START, 7, encode_row(()) * (steps - 3), b""),), ())
    plain = History(Machine(State(MINIMAL), [batch], RULES))
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 4)
    history = History(Machine(State(MINIMAL), [batch], RULES))
    assert history.steps == plain.steps == steps
    assert history.root == plain.root
    for index in (0, 15, 16, 17, steps - 1, steps, steps + 1, steps + 16, (1 << 16) - 1):
        assert history.prove_leaf(index) == plain.prove_leaf(index)
    for index in (steps - 1, steps, steps + 1, steps + 16):
        witness = history.prove_step(index)
        assert witness.code == (Code.OK if index >= steps else Code.MALFORMED)
        assert witness.after == history.get_machine(index).header
    assert compute_root(history.get_reveal(16, 0)) == history.root
    assert history.get_machine(steps).header.phase == Phase.OPEN


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_attack_3__epoch_full_of_junk__few_snapshots_and_the_same_nodes(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot holds the whole state: one every 65,536 steps would be thousands in an epoch of junk, more than a laptop's memory."""
    batch = make_batch((Message(START, 7, encode_row(()) * 320, b""),), ())
    plain = History(Machine(State(MINIMAL), [batch], RULES))
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 2)
    monkeypatch.setattr(protocol.history, "KEPT_CHUNKS", 1)
    monkeypatch.setattr(protocol.history, "MAX_SNAPSHOTS", most)
    history = History(Machine(State(MINIMAL), [batch], RULES))
    assert history.root == plain.root
    assert 1 <= len(history._snapshots) <= most
    for index in range(0, history.steps + 9, 7):
        assert history.prove_leaf(index) == plain.prove_leaf(index)
        assert history.get_machine(index).header == plain.get_machine(index).header
        assert history.get_leaf(index) == plain.get_leaf(index)
