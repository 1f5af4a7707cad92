"""Each lie diverges from the truth exactly at the step that it is about, and loses before the real contracts."""

import pytest

from protocol.params import MINIMAL
from protocol.steps import MODULES
from sim.arena import World
from sim.villains.exchange import EXCHANGE_LIES
from sim.villains.lies import LIES as PATH_LIES
from sim.villains.trial import find_divergence, run_trial

LIES = {**PATH_LIES, **EXCHANGE_LIES}


@pytest.mark.parametrize("name", LIES)
def test_lie__traced__diverges_at_its_step(name: str) -> None:
    lie = LIES[name]
    world = World(lie, MINIMAL)
    assert world.false.machine.header.is_halted
    assert world.false.machine.header.state != world.truth.machine.header.state
    phase, _ = find_divergence(world)
    assert MODULES[phase] is MODULES[lie.phase]


@pytest.mark.parametrize("name", LIES)
def test_lie__tried__is_caught(name: str) -> None:
    verdict = run_trial(LIES[name])
    assert verdict.caught, verdict.faults
