"""What gave a lie away: the disputed step run again, and held against what both claims said on L1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.machine import StepFunction
from protocol.operations import Kind
from protocol.rules import Rules
from protocol.state import State
from protocol.steps import STEPS
from protocol.trace import Machine
from protocol.types import Phase

# Steps that only bring an operation in: what they leave in `items` is not theirs.
SOURCES = (Phase.OPEN, Phase.MESSAGE, Phase.INFLATE, Phase.FETCH)


@dataclass(frozen=True)
class Finding:
    """One step in words. `leaf` is the honest one after it. Money in 1e-6 USD; `asked` is what the row says, `paid` what the honest step
    paid out and `claimed` what the lie did; -1 where no money is paid.
    """

    batch: int
    phase: str
    operation: str
    account: int
    code: str
    leaf: bytes
    lying_leaf: bytes
    asked: int = -1
    paid: int = -1
    claimed: int = -1

    @property
    def reason(self) -> str:
        """Why the lie is one."""
        if self.paid >= 0 and self.claimed >= 0:
            return f"it pays {format_usd(self.claimed)} where {format_usd(self.paid)} is free"
        return f"honest nodes say {self.code}" if self.code != Code.OK.name else "it does not do what the rules say"


def format_usd(amount: int) -> str:
    """Of 1e-6 USD."""
    return f"{amount / 1_000_000:,.2f} USD"


def find_step(before: State, batches: Sequence[Batch], rules: Rules, index: int, lie: Mapping[Phase, StepFunction] = STEPS) -> Finding:
    """The step that leads to leaf `index` of an epoch that starts from `before`, by the rules and by `lie`."""
    if index < 1:
        raise ValueError("leaf 0 is the opening header, which no step leads to")
    machine = Machine(before.copy(), batches, rules)
    while machine.count < index - 1 and not machine.is_halted:
        machine.step()
    if machine.is_halted:
        return Finding(-1, "HALT", "", -1, Code.OK.name, machine.get_leaf(), b"")
    header = machine.header
    place = header.batch if header.phase == Phase.OPEN else header.batch - 1
    cursor, outbox = machine.state.globals.cursor, len(machine.state.outbox)
    liar = machine.copy()
    liar.steps = lie
    applied, _ = machine.step(), liar.step()
    items = applied.items if applied.phase not in SOURCES else ()
    operation = "SCAN" if applied.phase == Phase.SCAN else Kind(items[0] & 15).name if items else applied.phase.name
    account = cursor if applied.phase == Phase.SCAN else items[1] if items and operation != "MARK" else -1
    finding = Finding(
        batches[place].record.number, applied.phase.name, operation, account, applied.code.name, machine.get_leaf(), liar.get_leaf()
    )
    if applied.phase != Phase.WITHDRAW:
        return finding
    return replace(finding, asked=items[2], paid=_get_paid(machine.state, outbox), claimed=_get_paid(liar.state, outbox))


def _get_paid(state: State, place: int) -> int:
    """What the outbox has there."""
    return state.outbox[place][1] if place < len(state.outbox) else 0
