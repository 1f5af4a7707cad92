"""Lives of an exchange, run by the machine, their steps by both: states that nobody built by hand."""

from collections import Counter
from random import Random

from protocol.codes import Code
from protocol.trace import Machine
from protocol.types import Mode, Phase
from sim.twins import assert_twins
from tests.protocol.world import ACTIONS, World

CASH = (1_000, 5_000, 20_000, 50_000, 100_000, 300_000)
NAMES = [name for name, (_, weight) in ACTIONS.items() for _ in range(weight)]
ACTS = 100
MOST_LIVES = 30
OFTEN = 120  # comparisons of one kind of step are enough; the rare ones are all compared
CODES = {Code.FLAGGED, Code.MARGIN, Code.REDUCE_ONLY, Code.OVERFILL, Code.POST_ONLY, Code.SIGNATURE, Code.AUTHORITY}

Seen = Counter[tuple[Phase, Mode, Code]]


def write_life(rng: Random) -> World:
    """A hundred acts, then the end."""
    world = World(CASH)
    world.mark_both()
    for _ in range(ACTS):
        world.wait(rng.choice((0, 0, 5, 30)))
        ACTIONS[rng.choice(NAMES)][0](world, rng)
    world.shut_down(rng)
    return world


def run_life(world: World, seen: Seen) -> None:
    """By steps, and by both; in the end it is what the leaps came to."""
    state = world.genesis
    compared = Counter((phase, mode) for phase, mode, _ in seen.elements())
    for batch in world.batches:
        machine = Machine(state, [batch], world.rules)
        while not machine.is_halted:
            kind = Phase(machine.header.phase), Mode(machine.preimages.sweep.mode)
            if compared[kind] >= OFTEN:
                machine.step()
                continue
            outcome = assert_twins(machine.header, state.copy(), machine.preimages.copy(), world.rules)
            applied = machine.step()
            assert (machine.header, applied.code) == (outcome.after, outcome.code)
            compared[kind] += 1
            seen[*kind, applied.code] += 1
    assert state.get_root() == world.state.get_root()


def test_every_step_of_a_life_is_equal(seed: int) -> None:
    """One life after the other, until every step has applied, every mode has run and every one of these codes has come."""
    rng, seen = Random(seed), Seen()
    for _ in range(MOST_LIVES):
        run_life(write_life(rng), seen)
        phases = {phase for phase, _, code in seen if code == Code.OK}
        modes = {mode for phase, mode, _ in seen if phase == Phase.SCAN}
        codes = {code for _, _, code in seen}
        if (phases, modes) == (set(Phase), set(Mode)) and codes >= CODES:
            return
    raise AssertionError((set(Phase) - phases, set(Mode) - modes, CODES - codes))
