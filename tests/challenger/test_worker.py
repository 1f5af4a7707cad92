"""The tracing process answers what the tracer answers; and it does not outlive its usefulness."""

import pytest
import trio
import trio.testing

from challenger.tracer import KEPT_HISTORIES, PAUSE_STEPS, Tracer
from challenger.wire import LENGTH_BYTES, decode, decode_rules, encode, encode_rules
from challenger.worker import WorkerDied, start_tracer
from protocol.codec.frames import Batch
from protocol.history import History
from protocol.keccak import ZERO, keccak
from protocol.params import MINIMAL, PRESETS, Params
from protocol.rules import Rules
from protocol.state import State
from protocol.trace import Machine
from sim.baits import make_epoch
from sim.court import get_oracles
from sim.scribe import Scribe
from sim.villains.lies import Bait

KEY, NEXT = keccak(b"first"), keccak(b"second")


@pytest.mark.parametrize("params", PRESETS.values())
def test_rules__told_to_a_worker__are_the_same(params: Params) -> None:
    """Whatever a parameter is made of: a worker that cannot read them dies at its start."""
    rules = Rules(params, KEY, get_oracles(params))
    told = decode_rules(decode(encode(encode_rules(rules))[LENGTH_BYTES:]))
    assert (told.params, told.domain, told.oracles) == (rules.params, rules.domain, rules.oracles)


async def test_worker__same_questions__same_answers_until_it_is_killed() -> None:
    scribe, batches = make_epoch(MINIMAL, Bait.DEPOSIT)
    local, remote = Tracer(scribe.rules), await start_tracer(scribe.rules)
    try:
        truth = local.trace(KEY, ZERO, batches)
        assert await remote.trace(KEY, ZERO, batches) == truth
        scribe.cancel(0)
        later = [scribe.close_batch()]
        assert await remote.leap(NEXT, KEY, later) == local.leap(NEXT, KEY, later)
        for step in (0, 1, truth.steps, truth.steps + 1):
            assert await remote.prove_step(KEY, step) == local.prove_step(KEY, step)
        assert await remote.get_reveal(NEXT, 8, 0) == local.get_reveal(NEXT, 8, 0)
        await remote.forget(NEXT)
    finally:
        await remote.close()
    with pytest.raises(WorkerDied):
        await remote.get_reveal(KEY, 8, 0)


def make_long_epoch() -> tuple[Scribe, list[Batch]]:
    """Hundreds of steps."""
    scribe, batches = make_epoch(MINIMAL, Bait.DEPOSIT)
    for _ in range(600):
        scribe.cancel(0)
    return scribe, [*batches, scribe.close_batch()]


async def test_worker__duel_asks_while_epochs_are_traced__is_answered_before_they_are() -> None:
    scribe, batches = make_long_epoch()
    remote = await start_tracer(scribe.rules)
    done: list[bytes] = []

    async def trace(key: bytes) -> None:
        await remote.trace(key, ZERO, batches)
        done.append(key)

    async def reveal() -> None:
        await remote.get_reveal(KEY, 16, 0)
        await remote.prove_step(KEY, 3)
        done.append(b"duel")

    later = [keccak(b"%d" % i) for i in range(6)]
    try:
        await remote.trace(KEY, ZERO, batches)
        async with trio.open_nursery() as nursery:
            for key in later:
                nursery.start_soon(trace, key)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(reveal)
    finally:
        await remote.close()
    assert done.index(b"duel") <= 2
    assert set(done) == {b"duel", *later}


async def test_worker__duels_about_histories_that_must_be_made_again__first_come_first_served() -> None:
    scribe, batches = make_long_epoch()
    remote = await start_tracer(scribe.rules)
    keys = [keccak(b"%d" % i) for i in range(4)]
    done: list[bytes] = []

    async def reveal(key: bytes) -> None:
        await remote.get_reveal(key, 8, 0)
        done.append(key)

    try:
        await remote.trace(KEY, ZERO, batches)
        for key in keys:
            await remote.leap(key, ZERO, batches)
        async with trio.open_nursery() as nursery:
            for key in [*keys, KEY]:
                nursery.start_soon(reveal, key)
                await trio.testing.wait_all_tasks_blocked()
    finally:
        await remote.close()
    assert [key for key in done if key != KEY] == keys
    assert done[-1] != KEY


def test_tracer__asked_in_the_middle_of_a_trace__answers_as_ever() -> None:
    scribe, batches = make_long_epoch()
    quiet = Tracer(scribe.rules)
    truth = quiet.trace(KEY, ZERO, batches)
    answers, busy = [], True

    def ask() -> None:
        if not busy:
            answers.append((tuple(tracer.get_reveal(KEY, 16, 0)), tracer.prove_step(KEY, 5)))

    tracer = Tracer(scribe.rules, pause=ask)
    assert tracer.trace(KEY, ZERO, batches) == truth
    busy = False
    assert tracer.trace(NEXT, ZERO, batches) == truth
    assert truth.steps // PAUSE_STEPS <= len(answers) <= truth.steps // PAUSE_STEPS + 1
    assert set(answers) == {(truth.nodes, quiet.prove_step(KEY, 5))}


def test_tracer__leapt_epoch__has_the_history_of_a_traced_one() -> None:
    scribe, batches = make_epoch(MINIMAL)
    tracer = Tracer(scribe.rules)
    history = History(Machine(State(MINIMAL), batches, scribe.rules))
    assert tracer.leap(KEY, ZERO, batches) == history.machine.header.state
    assert list(tracer.get_reveal(KEY, 16, 0)) == history.get_reveal(16, 0)
    proof = tracer.prove_step(KEY, 3)
    assert (proof.leaf_before, proof.leaf_after) == (history.get_leaf(2), history.get_leaf(3))


def test_tracer__parent_forgotten_and_history_evicted__traces_anew() -> None:
    scribe, batches = make_epoch(MINIMAL)
    tracer = Tracer(scribe.rules)
    tracer.trace(KEY, ZERO, batches)
    scribe.cancel(0)
    truth = tracer.trace(NEXT, KEY, [scribe.close_batch()])
    tracer.forget(KEY)
    key = NEXT
    for i in range(KEPT_HISTORIES):
        key, parent = keccak(b"%d" % i), key
        scribe.cancel(1)
        tracer.trace(key, parent, [scribe.close_batch()])
    assert tracer.get_reveal(NEXT, 16, 0) == truth.nodes
