"""Each lie's step table by name, `sim.villains.steps:OVERPAID_WITHDRAWAL`, as a tracer is told which steps to run.

A lie about an operation fires on its bait alone: on every other row a lying step and the honest one agree. Lies that need no bait would be
told in every epoch; here they are told in one, the epoch that holds batch `LYING_BATCH`, so that a run has one wrong claim to refute.
"""

from collections.abc import Mapping
from types import MappingProxyType

from protocol.codes import Code
from protocol.machine import Preimages, StepFunction
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import STEPS
from protocol.types import Header, Phase
from sim.villains.lies import LIES, Bait, Lie

LYING_BATCH = 8


def is_lying_epoch(pre: Preimages) -> bool:
    """Whether the epoch that runs holds the batch."""
    return any(batch.record.number == LYING_BATCH for batch in pre.batches)


def confine(phase: Phase, lie: StepFunction) -> StepFunction:
    """The lie in one epoch, the honest step in every other."""

    def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
        return (lie if is_lying_epoch(pre) else STEPS[phase])(h, view, pre, rules)

    return step


def build_table(lie: Lie) -> Mapping[Phase, StepFunction]:
    """Confined where nothing else confines it."""
    if lie.bait != Bait.NOTHING:
        return lie.steps
    return MappingProxyType({phase: step if step is STEPS[phase] else confine(phase, step) for phase, step in lie.steps.items()})


def get_table_name(lie: str) -> str:
    """`module:attribute` of a lie's table; KeyError for an unknown lie."""
    return f"{__name__}:{LIES[lie].name.upper().replace('-', '_')}"


TABLES = {name: build_table(lie) for name, lie in LIES.items()}

MINTED_ROOT = TABLES["minted-root"]
FORGED_SIGNATURE = TABLES["forged-signature"]
OVERFILL = TABLES["overfill"]
WAIVED_MARGIN = TABLES["waived-margin"]
OVERPAID_WITHDRAWAL = TABLES["overpaid-withdrawal"]
SPARED_ACCOUNT = TABLES["spared-account"]
FORGED_MARK = TABLES["forged-mark"]
INVENTED_DEPOSIT = TABLES["invented-deposit"]
MISINFLATED_FRAME = TABLES["misinflated-frame"]
