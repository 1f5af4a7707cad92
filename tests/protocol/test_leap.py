"""Every leap lands where the steps land: the same root after every batch, as many steps, and the same code for every row."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from protocol.leap import Leap
from protocol.params import DEVNET, MINIMAL
from protocol.state import State
from protocol.types import Mode
from sim.baits import make_epoch
from sim.villains.lies import Bait
from tests.protocol.branches import Steps
from tests.protocol.world import ACTIONS, World

PARAMS = replace(MINIMAL, outbox_depth=8)
CROWD = (0, 1, 2, 254, 255, 256, 257, 300, 506, 507)  # among as many as there can be: their last word is the pool slots' too
CASH = (300, 1_000, 5_000, 20_000, 50_000, 50_000, 100_000, 200_000, 300_000, 2_000_000)
ACTS = 250
SEEDS = 16


def make_world(is_crowded: bool) -> World:
    return World(CASH, CROWD, PARAMS.max_accounts, PARAMS) if is_crowded else World(CASH, params=PARAMS)


def live(world: World, rng: Random) -> Counter[str]:
    """A life from the first mark to the shutdown, by leaps and by steps; what it has reached."""
    steps = Steps(world.genesis, world.rules)

    def follow() -> None:
        codes = [code for batch in world.batches for code in steps.run(batch)]
        assert codes == [outcome.code for outcome in world.outcomes]
        assert steps.count == world.leap.count
        assert steps.state.globals == world.state.globals
        assert steps.state.accounts == world.state.accounts
        assert steps.state.get_root() == world.state.get_root()
        world.batches.clear()
        world.outcomes.clear()

    world.mark_both()
    follow()
    names = list(ACTIONS)
    weights = [weight * rng.choice((0, 1, 1, 3)) for _, weight in ACTIONS.values()]
    for _ in range(ACTS):
        world.wait(rng.choice((0, 0, 5, 30)))
        act, _ = ACTIONS[rng.choices(names, weights)[0]]
        act(world, rng)
        follow()
    world.shut_down(rng)
    follow()
    return steps.seen


@pytest.mark.parametrize("bait", Bait)
def test_leap__small_epochs__same_root(bait: Bait) -> None:
    scribe, batches = make_epoch(DEVNET, bait)
    leap, steps = Leap(State(DEVNET), scribe.rules), Steps(State(DEVNET), scribe.rules)
    for batch in batches:
        assert [outcome.code for outcome in leap.apply_batch(batch)] == steps.run(batch)
        assert leap.state.get_root() == steps.state.get_root()
        assert leap.count == steps.count


def test_leap__random_lives__same_root_after_every_batch() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen += live(make_world(seed % 2 == 1), Random(seed))
    for name in sorted(seen):
        print(f"{seen[name]:6} {name}")
    assert all(seen[mode.name] for mode in Mode)
