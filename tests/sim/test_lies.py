"""Each lie diverges from the truth exactly at the step that it is about. That it loses for that, `test_trial.py` shows."""

import pytest

from protocol.params import MINIMAL
from protocol.steps import MODULES
from sim.arena import World
from sim.villains.exchange import EXCHANGE_LIES
from sim.villains.lies import LIES as PATH_LIES
from sim.villains.trial import find_divergence

LIES = {**PATH_LIES, **EXCHANGE_LIES}


@pytest.mark.parametrize("name", LIES)
def test_lie__traced__diverges_at_its_step(name: str) -> None:
    lie = LIES[name]
    world = World(lie, MINIMAL)
    assert world.false.machine.header.is_halted
    assert world.false.machine.header.state != world.truth.machine.header.state
    phase, _ = find_divergence(world)
    assert MODULES[phase] is MODULES[lie.phase]


def test_catalogue__every_step__has_its_lie() -> None:
    assert {MODULES[lie.phase] for lie in LIES.values()} == set(MODULES.values())


def test_catalogue__names__are_unique_and_stories_told() -> None:
    assert len(LIES) == len(PATH_LIES) + len(EXCHANGE_LIES)
    assert all(lie.story and lie.story.endswith(".") for lie in LIES.values())
