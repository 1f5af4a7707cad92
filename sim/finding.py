"""What gave a lie away: the disputed step run again, and held against what both claims said on L1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.machine import StepFunction
from protocol.operations import Kind
from protocol.rules import Rules
from protocol.state import State
from protocol.steps import STEPS
from protocol.trace import Machine
from protocol.types import Header, Phase

# Steps that only bring an operation in: what they leave in `items` is not theirs.
SOURCES = (Phase.OPEN, Phase.MESSAGE, Phase.INFLATE, Phase.FETCH)


@dataclass(frozen=True)
class Finding:
    """One step in words. `leaf` is the honest one after it, `lying_leaf` the lie's. `account` and `amount` (1e-6 USD) are those that the
    lie is about, -1 where it is about none; `reason` says what it got wrong.
    """

    batch: int
    phase: str
    operation: str
    account: int
    amount: int
    code: str
    reason: str
    leaf: bytes
    lying_leaf: bytes


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
        return Finding(-1, "HALT", "HALT", -1, -1, Code.OK.name, "the machine has halted before", machine.get_leaf(), b"")
    header = machine.header
    place = header.batch if header.phase == Phase.OPEN else header.batch - 1
    outbox = len(machine.state.outbox)
    liar = machine.copy()
    liar.steps = lie
    applied, _ = machine.step(), liar.step()
    is_row = applied.phase not in SOURCES and applied.phase != Phase.SCAN
    items = applied.items if is_row else ()
    operation = Kind(items[0] & 15).name if items else applied.phase.name
    difference = _compare(machine, liar, outbox)
    account = items[1] if items and operation != Kind.MARK.name else difference.account
    amount = items[2] if operation == Kind.WITHDRAW.name else difference.amount
    reason = difference.text if applied.code == Code.OK else f"honest nodes say {applied.code.name}, {difference.text}"
    number, leaves = batches[place].record.number, (machine.get_leaf(), liar.get_leaf())
    return Finding(number, applied.phase.name, operation, account, amount, applied.code.name, reason, *leaves)


class _Difference(NamedTuple):
    text: str
    account: int = -1
    amount: int = -1


def _compare(honest: Machine, liar: Machine, outbox: int) -> _Difference:
    """The first thing in which two machines differ after one step from the same place; `outbox` entries were there before."""
    right, wrong = honest.state, liar.state
    if right.outbox != wrong.outbox:
        paid, claimed = (sum(amount for _, amount in state.outbox[outbox:]) for state in (right, wrong))
        return _Difference(f"the claim pays {format_usd(claimed)} where {format_usd(paid)} is free", -1, claimed)
    for index in sorted(set(right.accounts) | set(wrong.accounts)):
        one, other = right.get_account(index), wrong.get_account(index)
        if one.cash != other.cash:
            text = f"the claim gives account {index} {format_usd(other.cash)} where it has {format_usd(one.cash)}"
            return _Difference(text, index, other.cash - one.cash)
        if one.flag != other.flag:
            return _Difference(f"the claim spares account {index}, which is below its maintenance margin", index)
    for index in sorted(set(right.orders) | set(wrong.orders)):
        if right.orders.get(index) != wrong.orders.get(index):
            return _Difference(f"the claim registers it for account {index}", index)
    if right.markets != wrong.markets:
        return _Difference("the claim takes it for a mark")
    return _compare_headers(honest.header, liar.header)


def _compare_headers(right: Header, wrong: Header) -> _Difference:
    if right.rows != wrong.rows:
        return _Difference("the frame inflates to other rows than the claim's")
    if right.phase != wrong.phase:
        return _Difference(f"the claim goes on to {Phase(wrong.phase).name}")
    return _Difference("the claim's header is another")
