"""Tracing epochs in a process of its own: `python -m sequencer.tracer`. A trace takes longer than everything else, and must not hold
orders up.

Records go both ways over pipes: 4 bytes of length, then MessagePack. First the rules, then one epoch after the other, each from the state
that the last one left. The table of steps is given by name, so that whoever wants to can run other rules; the answer is then another claim.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from node.steps import load_steps
from protocol.codec.frames import Batch
from protocol.history import History
from protocol.leap import Leap
from protocol.params import PRESETS
from protocol.rules import Rules
from protocol.state import State
from protocol.trace import Machine
from sequencer.journal import decode, decode_batch, encode

LENGTH_BYTES = 4


@dataclass(frozen=True)
class Trace:
    """What a claim is made of. `nodes` is the first reveal; `siblings` prove the last leaf."""

    post_root: bytes
    history: bytes
    nodes: tuple[bytes, ...]
    siblings: tuple[bytes, ...]
    steps: int


class EpochTracer:
    """Owns the state that the epochs so far lead to."""

    def __init__(self, rules: Rules, steps: Mapping[Any, Any]) -> None:
        self._rules = rules
        self._steps = steps
        self._state = State(rules.params)
        self._next = 0  # number of the next epoch's first batch

    def trace(self, batches: Sequence[Batch]) -> Trace:
        """One epoch, step by step."""
        self._check_order(batches)
        history = History(Machine(self._state, batches, self._rules, self._steps))
        self._state = history.machine.state
        self._next += len(batches)
        height = history.height
        nodes, siblings = tuple(history.get_reveal(height, 0)), tuple(history.prove_leaf((1 << height) - 1))
        return Trace(self._state.get_root(), history.root, nodes, siblings, history.steps)

    def skip(self, batches: Sequence[Batch], post_root: bytes) -> bool:
        """In one leap, if that leads to the state that was claimed; else nothing is changed."""
        self._check_order(batches)
        leap = Leap(self._state.copy(), self._rules)
        for batch in batches:
            leap.apply_batch(batch)
        if leap.state.get_root() != post_root:
            return False
        self._state = leap.state
        self._next += len(batches)
        return True

    def _check_order(self, batches: Sequence[Batch]) -> None:
        """An epoch that does not follow the one before it (a reorganisation) would give a wrong claim, and lose the stake: better to die,
        and to be started anew."""
        if [batch.record.number for batch in batches] != list(range(self._next, self._next + len(batches))):
            raise ValueError(f"batch {self._next} is next")


def pack(value: Any) -> bytes:
    """With its length."""
    data = encode(value)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def _read(source: IO[bytes]) -> Any:
    head = source.read(LENGTH_BYTES)
    return decode(source.read(int.from_bytes(head, "big"))) if len(head) == LENGTH_BYTES else None


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """The worker's loop, until its input ends."""
    preset, speed, domain, oracles, steps = _read(source)
    tracer = EpochTracer(Rules(PRESETS[preset].at_speed(speed), domain, oracles), load_steps(steps))
    last, answer = None, None
    while (request := _read(source)) is not None:
        claimed, packed = request
        if packed != last:  # whoever could not make use of an answer asks again: the epoch must not run twice
            batches = [decode_batch(batch) for batch in packed]
            if claimed and tracer.skip(batches, claimed):
                answer = None
            else:
                trace = tracer.trace(batches)
                answer = (trace.post_root, trace.history, trace.nodes, trace.siblings, trace.steps)
            last = packed
        sink.write(pack(answer))
        sink.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
