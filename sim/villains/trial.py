"""One villain before a court: it plays as well as it can, and an honest challenger has to beat it."""

from dataclasses import dataclass

from protocol.operations import Kind
from protocol.params import MINIMAL, Params
from protocol.steps import MODULES
from protocol.types import Phase
from sim.arena import Party, World
from sim.villains.checks import Fate, find_fates, find_faults
from sim.villains.dispute.making import Villain
from sim.villains.lies import Lie
from sim.villains.stage import Hire, Stage


@dataclass(frozen=True)
class Verdict:
    """`caught`: the truth is final, the villain ended as it must, and all else holds that `sim.villains.checks` asks for.

    `faults` says what does not hold.

    `by` names the step that a lie is about, or how the villain's claims ended; `operation` the kind of the row that the step belongs to (or
    the step, where it belongs to none). `txs` and `gas` are those of the dispute, from claims to finality.
    """

    name: str
    caught: bool
    by: str
    operation: str
    txs: int
    gas: int
    faults: tuple[str, ...] = ()


def run_trial(villain: Lie | Villain, params: Params = MINIMAL, seed: int = 1, hire: Hire = Party) -> Verdict:
    """Plays it to the end."""
    return run_lie(villain, params, seed, hire) if isinstance(villain, Lie) else run_villain(villain, params, seed, hire)


def run_lie(lie: Lie, params: Params = MINIMAL, seed: int = 1, hire: Hire = Party) -> Verdict:
    """It is claimed first, and defended; the proof has to be about the step that the lie is about."""
    world = World(lie, params)
    stage = Stage(world, hire, seed=seed)
    stage.enter(world.false)
    stage.run()
    phase, operation = find_divergence(world)
    faults = find_faults(stage, frozenset({Fate.STEP}))
    if MODULES[phase] is not MODULES[lie.phase]:
        faults.append(f"decided by {phase.name} instead of {lie.phase.name}")
    return _judge(stage, lie.name, phase.name, operation, faults)


def run_villain(villain: Villain, params: Params = MINIMAL, seed: int = 1, hire: Hire = Party) -> Verdict:
    """One that plays the dispute."""
    stage = Stage(World(params=params), hire, claims=villain.claims, seed=seed)
    villain.act(stage)
    stage.run()
    faults = find_faults(stage, villain.fates)
    by = ", ".join(f"{fate} {count}" if count > 1 else fate.value for fate, count in find_fates(stage).items())
    return _judge(stage, villain.name, by, "dispute", faults)


def _judge(stage: Stage, name: str, by: str, operation: str, faults: list[str]) -> Verdict:
    spent = [receipt for receipt in stage.court.receipts if receipt.function.startswith("Claims.")]
    return Verdict(name, not faults, by, operation, len(spent), sum(receipt.gas for receipt in spent), tuple(faults))


def find_divergence(world: World) -> tuple[Phase, str]:
    """The first step at which lie and truth part, and the operation that it belongs to."""
    low, high = 0, max(world.truth.steps, world.false.steps)
    while low + 1 < high:  # the two agree at `low`, and differ at `high`
        middle = low + high >> 1
        low, high = (middle, high) if world.truth.get_leaf(middle) == world.false.get_leaf(middle) else (low, middle)
    machine = world.truth.get_machine(low)
    phase, items = Phase(machine.header.phase), machine.preimages.items
    return phase, Kind(items[0] & 15).name if phase > Phase.FETCH and items else phase.name
