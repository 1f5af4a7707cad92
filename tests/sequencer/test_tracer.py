"""The tracer gives what the history gives, leaps where the claim is known, runs other steps when told to. And the command's refusals."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from node.config import load_config
from node.steps import load_steps
from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.history import History
from protocol.machine import next_row
from protocol.params import DEVNET
from protocol.rules import Rules
from protocol.state import State
from protocol.steps import STEPS
from protocol.trace import Machine
from protocol.types import Header, Phase
from sequencer.config import SequencerConfig
from sequencer.events import ClockElapsed
from sequencer.journal import decode
from sequencer.tracer import EpochTracer, pack, serve
from tests.sequencer.test_machine import MARK
from tests.sequencer.world import ADDRESSES, DOMAIN, ORACLES, START, World, build_order_event

RULES = Rules(DEVNET, DOMAIN, tuple(ADDRESSES[i] for i in ORACLES))


def withhold(h: Header, view: Any, pre: Any, rules: Rules) -> tuple[Header, Code]:
    """A lie: trades are never committed."""
    return next_row(h), Code.OK


LIES = {**STEPS, Phase.COMMIT: withhold}


def build_batches() -> list[Batch]:
    """Two epochs of one batch."""
    world = World(params=DEVNET)
    world.open(2)
    for at in (1, 2):
        world.apply(build_order_event(START + at, 0, 0, MARK, 1, at))
        world.apply(build_order_event(START + at, 1, 1, MARK, 1, at))
        world.apply(ClockElapsed(START + 10 * at))
        world.land_all(START + 10 * at)
    assert len(world.landed) == 2
    return world.landed


def ask(requests: list[Any], steps: str) -> list[Any]:
    sink = io.BytesIO()
    head = pack((DEVNET.name, 1, DOMAIN, RULES.oracles, steps))
    serve(io.BytesIO(head + b"".join(map(pack, requests))), sink)
    data, answers = sink.getvalue(), []
    while data:
        size = int.from_bytes(data[:4], "big")
        answers.append(decode(data[4 : 4 + size]))
        data = data[4 + size :]
    return answers


def test_traces_are_the_histories() -> None:
    batches = build_batches()
    answers = ask([(b"", [tuple(batch)]) for batch in batches], "protocol.steps:STEPS")
    state = State(DEVNET)
    for batch, (post_root, root, nodes, siblings, steps) in zip(batches, answers, strict=True):
        history = History(Machine(state, [batch], RULES))
        state = history.machine.state
        assert (post_root, root, steps) == (state.get_root(), history.root, history.steps)
        assert list(nodes) == history.get_reveal(history.height, 0)
        assert list(siblings) == history.prove_leaf((1 << history.height) - 1)


def test_a_known_claim_is_leapt_over_and_a_lie_is_not() -> None:
    batches = build_batches()
    honest = ask([(b"", [tuple(batch)]) for batch in batches], "protocol.steps:STEPS")
    answers = ask([(honest[0][0], [tuple(batches[0])]), (b"", [tuple(batches[1])])], "protocol.steps:STEPS")
    assert answers == [None, honest[1]]
    lies = EpochTracer(RULES, LIES)
    lie = lies.trace([batches[0]])
    assert lie.post_root != honest[0][0]
    again = EpochTracer(RULES, LIES)
    assert not again.skip([batches[0]], lie.post_root)
    assert again.trace([batches[0]]) == lie
    assert load_steps("protocol.steps:STEPS") is STEPS


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sequencer", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_its_defaults_and_refuses_with_a_code(tmp_path: Path) -> None:
    printed = run("--print-default")
    path = tmp_path / "sequencer.toml"
    path.write_text(printed.stdout)
    assert load_config(path, SequencerConfig).batches == SequencerConfig().batches
    refused = run("--config", str(path), "--set", "server.port=0")
    assert refused.returncode == 2
    assert json.loads(refused.stderr.splitlines()[-1])["code"] == "deployment"
    refused = run("--config", str(path), "--set", "server.port=70000")
    assert json.loads(refused.stderr.splitlines()[-1])["code"] == "config-field"
    assert refused.stdout == ""


def test_an_epoch_that_is_asked_for_twice_runs_once() -> None:
    """An endpoint that fails between the trace and the claim makes the claimer ask again: a second run would be a wrong claim."""
    first, second = build_batches()
    honest = "protocol.steps:STEPS"
    requests = [(b"", [tuple(first)]), (b"", [tuple(first)]), (b"", [tuple(second)]), (b"", [tuple(second)])]
    once = ask([requests[0], requests[2]], honest)
    assert ask(requests, honest) == [once[0], once[0], once[1], once[1]]


def test_an_epoch_out_of_its_place_is_not_traced() -> None:
    first, second = build_batches()
    tracer = EpochTracer(RULES, STEPS)
    with pytest.raises(ValueError, match="batch 0 is next"):
        tracer.trace([second])
    tracer.trace([first])
    for batches in ([first], [first, second]):
        with pytest.raises(ValueError, match="batch 1 is next"):
            tracer.skip(batches, bytes(32))
