"""Each lie diverges from the truth exactly at the step that it is about."""

import pytest

from protocol.history import History
from protocol.params import MINIMAL
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Phase
from sim.baits import make_epoch
from sim.villains.lies import LIES


@pytest.mark.parametrize("name", LIES)
def test_lie__traced__diverges_at_its_step(name: str) -> None:
    lie = LIES[name]
    scribe, batches = make_epoch(MINIMAL, lie.bait)
    truth = History(Machine(State(MINIMAL), batches, scribe.rules))
    false = History(Machine(State(MINIMAL), batches, scribe.rules, lie.steps))
    assert false.root != truth.root
    assert false.machine.header.is_halted
    assert false.machine.header.state != truth.machine.header.state
    step = next(i for i in range(truth.steps + 1) if truth.get_leaf(i) != false.get_leaf(i))
    phase = Phase(truth.get_machine(step - 1).header.phase)
    assert phase == lie.phase or (phase == Phase.TAKER and lie.phase == Phase.MAKER)
