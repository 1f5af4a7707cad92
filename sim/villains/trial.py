"""One villain before a court: it claims its lie first, defends it as well as a liar can, and an honest challenger has to beat it."""

from dataclasses import dataclass

from l1.contracts import ClaimDied, StepProven
from protocol.operations import Kind
from protocol.params import MINIMAL, Params
from protocol.steps import MODULES
from protocol.types import Phase
from sim.arena import Party, Villain, World, play
from sim.villains.lies import Lie

HONEST = 0xA11CE
TURNS = 40
DISPUTE = ("Claims.claim", "Claims.reveal", "Claims.descend", "Claims.prove")


@dataclass(frozen=True)
class Verdict:
    """`caught`: the lie is dead, the truth is final, and a proven step of the kind that the lie is about decided it.

    `by` names that step, `operation` the kind of the row that it belongs to (or the step, where it belongs to none). `txs` and `gas` are
    those of the dispute, claims and proof included.
    """

    name: str
    caught: bool
    by: str
    operation: str
    txs: int
    gas: int


def run_trial(lie: Lie, params: Params = MINIMAL) -> Verdict:
    """Plays it to the end."""
    world = World(lie, params)
    wrong = world.lie()
    party = Party(world, HONEST)
    play(world, [party], Villain(world, wrong), turns=TURNS)
    court = world.court
    events = [event for block in court.blocks for event in block.events]
    is_dead = any(isinstance(event, ClaimDied) and event.claim_id == wrong for event in events)
    is_proven = any(isinstance(event, StepProven) for event in events)
    court.set_time(max(court.now, court.get_position(court.genesis).close))
    play(world, [party], turns=TURNS, tick_s=5)
    winner: bytes = court.get_position(court.genesis).winner
    is_final = (
        court.call("Claims", "is_final", winner) and court.call("Claims", "get_final_root", winner) == world.truth.machine.header.state
    )
    spent = [receipt for receipt in court.receipts if receipt.function in DISPUTE]
    phase, operation = find_divergence(world)
    caught = is_dead and is_proven and bool(is_final) and MODULES[phase] is MODULES[lie.phase]
    return Verdict(lie.name, caught, phase.name, operation, len(spent), sum(receipt.gas for receipt in spent))


def find_divergence(world: World) -> tuple[Phase, str]:
    """The first step at which lie and truth part, and the operation that it belongs to."""
    low, high = 0, max(world.truth.steps, world.false.steps)
    while low + 1 < high:  # the two agree at `low`, and differ at `high`
        middle = low + high >> 1
        low, high = (middle, high) if world.truth.get_leaf(middle) == world.false.get_leaf(middle) else (low, middle)
    machine = world.truth.get_machine(low)
    phase, items = Phase(machine.header.phase), machine.preimages.items
    return phase, Kind(items[0] & 15).name if phase > Phase.FETCH and items else phase.name
