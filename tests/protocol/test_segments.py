"""A run that is traced in segments has the commitment, the nodes and the proofs of one that is traced from its start to its end."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

import protocol.history
from protocol.codec.frames import Batch, Frame, Message, compute_record
from protocol.codec.inflate import encode_frame
from protocol.codec.rows import encode_row
from protocol.history import History, Snapshots
from protocol.params import MINIMAL
from protocol.segments import Mismatch, Seam, Segment, get_seam, join_segments, leap_ahead, trace_segment
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Mode, Phase
from sim.baits import make_epoch
from sim.villains.lies import LIES, Bait
from tests.protocol.world import ACTIONS, World

PARAMS = replace(MINIMAL, outbox_depth=8, batch_depth=8, history_height=16)
CASH = (300, 1_000, 5_000, 20_000, 50_000, 100_000, 300_000, 2_000_000)
CROWD = (0, 1, 255, 256, 257, 300, 506, 507)
ACTS = 25
SEEDS = 8
BROKEN = (b"\x07", b"\x00", encode_frame(b"\xf9\xff"), encode_frame(b""), encode_frame(encode_row((3, 1, 2)) + b"\x00" + encode_row(())))


def break_in(world: World, rng: Random) -> Batch:
    """A batch of what means nothing: frames that do not inflate, rows that end early, more of them than there is allowance for."""
    clock = world.scribe.clock
    flood = encode_row(()) * rng.choice((0, 1, 1, 40, 40, 40, 40, 2_100))
    frames = [Frame(clock + rng.randint(-9, 9), rng.choice((*BROKEN, encode_frame(flood))), bytes(65)) for _ in range(rng.randint(0, 4))]
    messages = [Message(clock, rng.choice((1, 2, 9)), rng.choice((b"", b"\xff", flood[:1_000])), b"") for _ in range(rng.randint(0, 3))]
    return Batch(compute_record(0, clock, clock, 0, messages, frames), tuple(messages), tuple(frames))


def live(seed: int) -> tuple[World, list[Batch]]:
    """Random acts, and what is broken between them."""
    rng = Random(seed)
    world = World(CASH, CROWD, PARAMS.max_accounts, PARAMS) if seed & 1 else World(CASH, params=PARAMS)
    world.mark_both()
    batches: list[Batch] = []
    for _ in range(ACTS):
        world.wait(rng.choice((0, 0, 5, 30)))
        act, _ = ACTIONS[rng.choices(list(ACTIONS), [weight for _, weight in ACTIONS.values()])[0]]
        act(world, rng)
        if rng.random() < 0.3:
            world.batches.append(break_in(world, rng))
        batches += world.batches
        world.batches.clear()
    if seed % 3 == 0:
        world.shut_down(rng)
    batches += world.batches
    return world, batches[: 1 << PARAMS.batch_depth]


def trace_apart(machine: Machine, spacing: int) -> tuple[list[Seam], list[Segment], History]:
    """As several processes would, in one."""
    snapshots, seams, segments = Snapshots(machine), [], []

    def look(is_seam: bool) -> None:
        if is_seam:
            snapshots.keep(machine)
            seams.append(get_seam(machine))
            segments.append(trace_segment(machine.copy(), spacing))

    leap_ahead(machine, spacing, look)
    return seams, segments, join_segments(machine, snapshots, seams, segments)


def assert_same(history: History, whole: History, rng: Random) -> None:
    """All that a duel asks for."""
    assert (history.root, history.post_root, history.steps) == (whole.root, whole.post_root, whole.steps)
    assert history.machine.header == whole.machine.header
    last = (1 << whole.height) - 1
    for index in (0, whole.steps - 1, whole.steps, whole.steps + 1, last, *(rng.randint(1, whole.steps) for _ in range(6))):
        assert history.prove_leaf(index) == whole.prove_leaf(index)
        assert history.get_leaf(index) == whole.get_leaf(index)
        height = 4 * rng.randint(1, whole.height >> 2)
        assert history.get_reveal(height, index >> height) == whole.get_reveal(height, index >> height)
        if 0 < index <= whole.steps:
            assert history.prove_step(index) == whole.prove_step(index)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_segments__random_epochs__same_history(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world, batches = live(seed)
    whole = History(Machine(world.genesis.copy(), batches, world.rules))
    rng = Random(seed)
    for chunk_height, chunks in ((rng.randint(1, 6), rng.choice((1, 2, 4))), (rng.randint(3, 9), 1), (16, 1)):
        monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", chunk_height)
        _, segments, history = trace_apart(Machine(world.genesis.copy(), batches, world.rules), chunks << chunk_height)
        assert len(segments) > 1 or chunks << chunk_height > 64
        assert_same(history, whole, rng)


@pytest.mark.parametrize("bait", [Bait.NOTHING, Bait.WEAK, Bait.DEPOSIT])
def test_segments__seam_at_every_source__same_history(bait: Bait, monkeypatch: pytest.MonkeyPatch) -> None:
    """With chunks of one leaf every batch, message and frame begins a segment, and nothing is traced twice."""
    scribe, batches = make_epoch(MINIMAL, bait)
    whole = History(Machine(State(MINIMAL), batches, scribe.rules))
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 0)
    seams, segments, history = trace_apart(Machine(State(MINIMAL), batches, scribe.rules), 1)
    assert len(seams) == sum(1 + len(batch.messages) + len(batch.frames) for batch in batches)
    assert sum(len(segment.roots) for segment in segments) == whole.steps + 1
    assert_same(history, whole, Random(0))


def test_segments__seam_at_every_step_of_a_scan__same_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settlements and the shutdown's; what a leap does not take step by step is never divided."""
    rng = Random(5)
    world = World(CASH, params=PARAMS)
    world.mark_both()
    for act in (World.trade, World.trade, World.trade, World.enter, World.settle, World.settle, World.trade):
        act(world, rng)
    world.shut_down(rng)
    whole = History(Machine(world.genesis.copy(), world.batches, world.rules))
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 0)
    seams, _, history = trace_apart(Machine(world.genesis.copy(), world.batches, world.rules), 1)
    modes = Counter[Mode]()
    for seam in seams:
        machine = history.get_machine(seam.step)
        assert machine.get_leaf() == seam.leaf == whole.get_leaf(seam.step)
        if machine.header.phase == Phase.SCAN:
            modes[Mode(machine.preimages.sweep.mode)] += 1
    assert set(modes) >= {Mode.SETTLE_TALLY, Mode.SETTLE_PAY, Mode.SHUTDOWN_TALLY, Mode.SHUTDOWN_PAY}
    assert Mode.FLAG not in modes
    assert_same(history, whole, rng)


def test_segments__steps_that_are_not_the_leaps__do_not_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 2)
    for lie in LIES.values():
        scribe, batches = make_epoch(MINIMAL, lie.bait)
        wrong = History(Machine(State(MINIMAL), batches, scribe.rules, lie.steps))
        machine = Machine(State(MINIMAL), batches, scribe.rules, lie.steps)
        if wrong.post_root != History(Machine(State(MINIMAL), batches, scribe.rules)).post_root:
            with pytest.raises(Mismatch):
                trace_apart(machine, 4)
