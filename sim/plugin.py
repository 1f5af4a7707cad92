"""A pytest plugin for whoever tests a challenger or a sequencer of their own: a world, its villains, a seed to replay. docs/simulation.md.

Nothing of the simulation is imported before a test asks for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sim.arena import World
    from sim.villains.stage import Hire
    from sim.villains.trial import Verdict

GROUP = "dispute"
SEED = pytest.StashKey[int]()
USED = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Trial:
    """One villain of the catalogue, by name, and the seed of all that it draws."""

    name: str
    seed: int

    def run(self, hire: Hire | None = None) -> Verdict:
        """Plays it to its end against a challenger: whatever `hire(world, me, claim_if_missing=...)` gives; by default the daemon's own."""
        from sim.arena import Party
        from sim.villains.catalogue import select_villains
        from sim.villains.trial import run_trial

        (villain,) = select_villains(None, self.name)
        return run_trial(villain, seed=self.seed, hire=hire or Party)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("straddle").addoption("--straddle-seed", type=int, help="Seed of the fixture `seed` and of all that villains draw.")


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--straddle-seed")
    config.stash[SEED] = secrets.randbits(32) if given is None else given
    config.stash[USED] = False
    config.addinivalue_line(
        "markers", f"villain(*names, group={GROUP!r}): the fixture `villain` is each of these, or of all of a group of the catalogue"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("villain")
    if mark is None or "villain" not in metafunc.fixturenames:
        return
    from sim.villains.catalogue import select_villains

    try:
        chosen = [select_villains(None, name)[0] for name in mark.args] or select_villains(mark.kwargs.get("group", GROUP))
    except KeyError as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: no villain, or group of villains, {error}") from None
    metafunc.parametrize("villain", [villain.name for villain in chosen], indirect=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[USED]:
        terminalreporter.write_line(f"straddle: --straddle-seed={config.stash[SEED]} replays this run")


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """Drawn anew for every run unless `--straddle-seed` is given; the end of the run says what it was."""
    pytestconfig.stash[USED] = True
    return pytestconfig.stash[SEED]


@pytest.fixture
def world() -> World:
    """A court with every real contract, and an epoch of trading posted that is over: what is true about it, and a lie."""
    from sim.arena import World

    return World()


@pytest.fixture
def villain(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Trial:
    """One of those that `@pytest.mark.villain` names."""
    if not hasattr(request, "param"):
        raise pytest.UsageError(f"{request.node.nodeid} needs @pytest.mark.villain")
    pytestconfig.stash[USED] = True
    return Trial(request.param, pytestconfig.stash[SEED])
