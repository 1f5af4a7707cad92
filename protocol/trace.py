"""Running an epoch step by step: what the history commitment commits to.

A `Machine` holds a full state and steps over it. With steps of one's own a single rule can be replaced: that is what a villain is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from protocol.codec.frames import Batch, compute_inbox_root
from protocol.codes import Code
from protocol.kernel_fast import FastKernel
from protocol.machine import Preimages, StepFunction
from protocol.rules import Rules
from protocol.state import State
from protocol.steps import STEPS
from protocol.types import Header, Phase, compute_header_leaf


class Applied(NamedTuple):
    """One step's outcome, for whoever watches: the phase that ran, its operation's items, and the code."""

    phase: Phase
    items: tuple[int, ...]
    code: Code


class Machine:
    """Owns `state`, which it changes."""

    def __init__(self, state: State, batches: Sequence[Batch], rules: Rules, steps: Mapping[Phase, StepFunction] = STEPS) -> None:
        self.state = state
        self.rules = replace(rules, kernel=FastKernel())
        self.steps = steps
        self.preimages = Preimages(batches)
        inbox = compute_inbox_root(self.preimages.record_hashes, rules.params.batch_depth)
        self.header = Header(state=state.get_root(), inbox=inbox, batches=len(self.preimages.batches))
        self.count = 0

    def copy(self) -> "Machine":
        """A snapshot that runs on independently."""
        twin = Machine.__new__(Machine)
        twin.state = self.state.copy()
        twin.rules = self.rules
        twin.steps = self.steps
        twin.preimages = self.preimages.copy()
        twin.header = self.header
        twin.count = self.count
        return twin

    @property
    def is_halted(self) -> bool:
        """Nothing left to run."""
        return self.header.is_halted

    def step(self) -> Applied:
        """Runs one step; the machine must not be halted."""
        phase = Phase(self.header.phase)
        header, code = self.steps[phase](self.header, self.state, self.preimages, self.rules)
        self.header = Header(self.state.get_root(), *header[1:])
        self.count += 1
        return Applied(phase, self.preimages.items, code)

    def run(self) -> None:
        """To the halt."""
        while not self.header.is_halted:
            self.step()

    def get_leaf(self) -> bytes:
        """Leaf of the history commitment at the present step."""
        return compute_header_leaf(self.header)
