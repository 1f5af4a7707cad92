"""Runs batches step by step and names what happens, so that a test can say what its random epochs have reached."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.rules import Rules
from protocol.state import State
from protocol.sweeps.modes import get_visited
from protocol.trace import Applied, Machine
from protocol.types import Account, Globals, Header, Mode, Phase, Sweep

SOURCES = (Phase.OPEN, Phase.MESSAGE, Phase.INFLATE)


@dataclass(frozen=True)
class Change:
    """One step of a scan, or what follows it: globals, sweep, the account in question, before and after."""

    g: Globals
    sweep: Sweep
    a: Account
    g_after: Globals
    sweep_after: Sweep
    a_after: Account


Check = Callable[[Change, Machine, Phase], None]


class Steps:
    """Owns `state`. `count` is of all steps; `seen` counts names of steps with their codes, and of what scans did."""

    def __init__(self, state: State, rules: Rules) -> None:
        self.state = state
        self.rules = rules
        self.count = 0
        self.seen: Counter[str] = Counter()
        self.checks: list[Check] = []  # called after every step

    def run(self, batch: Batch) -> list[Code]:
        """The codes of the batch's rows."""
        machine = Machine(self.state, [batch], self.rules)
        codes: list[Code] = []
        code = Code.OK
        while not machine.is_halted:
            before, sweep, g = machine.header, machine.preimages.sweep, self.state.globals
            index = self._get_subject(machine)
            a = self.state.get_account(index)
            applied = machine.step()
            change = Change(g, sweep, a, self.state.globals, machine.preimages.sweep, self.state.get_account(index))
            self._count(applied, change)
            for check in self.checks:
                check(change, machine, applied.phase)
            code = applied.code
            if is_row_over(before, machine.header, code):
                codes.append(code)
        self.count += machine.count
        return codes

    def _get_subject(self, machine: Machine) -> int:
        sweep = machine.preimages.sweep
        match machine.header.phase:
            case Phase.SCAN:
                found = get_visited(self.state, sweep)
                return -1 if found is None else found
            case Phase.TAKEOVER:
                return sweep.account
            case Phase.DELEVERAGE:
                return sweep.bankrupt - 1
        return -1

    def _count(self, applied: Applied, change: Change) -> None:
        is_scan = applied.phase == Phase.SCAN
        self.seen[Mode(change.sweep.mode).name if is_scan else f"{applied.phase.name} {applied.code.name}"] += 1
        if is_scan or applied.phase in (Phase.TAKEOVER, Phase.DELEVERAGE):
            name = Mode(change.sweep.mode).name if is_scan else applied.phase.name
            self.seen.update(f"{name}: {what}" for what in DESCRIBE[name](change))


def is_row_over(before: Header, after: Header, code: Code) -> bool:
    """Rows that FETCH drops with all the rest have no code of their own."""
    if before.phase in SOURCES:
        return False
    if before.phase == Phase.FETCH:
        return after.phase == Phase.FETCH and code in (Code.MALFORMED, Code.FROZEN)
    return after.phase == Phase.FETCH


def describe_flag(c: Change) -> Iterator[str]:
    """Users and slots."""
    if c.a.owner == 1:
        yield "slot freed" if not c.a.positions else "slot kept"
        if c.a.positions and c.g_after.pool < c.g.pool:
            yield "the pool puts in"
        if c.a.positions and c.g_after.pool > c.g.pool:
            yield "the pool takes out"
        if c.g_after.fund < c.g.fund:
            yield "the fund puts in"
        if c.sweep_after.bankrupt and not c.sweep.bankrupt:
            yield "slot bankrupt"
    elif c.a.owner:
        if c.a.flag != c.a_after.flag:
            yield "unflagged" if c.a.flag else "flagged"
        if not c.a.positions and c.a.cash >= 0:
            yield "idle"


def describe_takeover(c: Change) -> Iterator[str]:
    """Of a flagged user."""
    if not c.a.positions:
        yield "nothing left, and a debt" if c.g_after.debt > c.g.debt else "nothing left, and paid for"
    elif not c.a_after.positions:
        yield "into a free slot" if c.g.free_slot else "into a new slot"
        yield "with equity" if c.sweep.equity >= 0 else "without equity"
        if c.g_after.fund < c.g.fund:
            yield "the fund puts in"
    else:
        yield "impossible with equity" if c.sweep.equity >= 0 else "impossible without equity"
        if c.sweep_after.bankrupt and not c.sweep.bankrupt:
            yield "bankrupt"


def describe_deleverage(c: Change) -> Iterator[str]:
    """Of a bankrupt user or slot."""
    yield "slot" if c.a.owner == 1 else "user"
    if any(lots < 0 for _, lots in c.a.positions):
        yield "shorts"
    if any(lots > 0 for _, lots in c.a.positions):
        yield "longs stay" if c.a_after.positions else "longs to a slot"
    if c.g_after.debt > c.g.debt:
        yield "debt"


def describe_request(c: Change) -> Iterator[str]:
    """Entries and exits."""
    if c.a.request and not c.a_after.request:
        yield "out" if c.a.request < 0 else "in" if c.a_after.shares > c.a.shares else "refused"
    elif c.a.request:
        yield "not due"


def describe_tally(c: Change) -> Iterator[str]:
    """Of a settlement or the shutdown."""
    if c.sweep_after.total > c.sweep.total:
        yield "gain"
    if c.sweep_after.deficit > c.sweep.deficit:
        yield "deficit"
    if c.g_after.fund < c.g.fund:
        yield "the fund pays"
    if c.g_after.debt != c.g.debt:
        yield "debt"


def describe_pay(c: Change) -> Iterator[str]:
    """Of a settlement or the shutdown."""
    if c.a.owner and c.sweep.loss and c.sweep_after.before > c.sweep.before:
        yield "gain less a loss"
    if c.a.owner > 1 and c.a_after.cash > c.a.cash:
        yield "cash comes"
    if c.a.owner == 1:
        yield "slot"
    if c.sweep.pot and c.a.shares:
        yield "shares"


def describe_adl(c: Change) -> Iterator[str]:
    """Both passes."""
    if c.a_after.positions != c.a.positions:
        yield "slot cut" if c.a.owner == 1 else "user cut"


DESCRIBE = {
    Mode.FLAG.name: describe_flag,
    Phase.TAKEOVER.name: describe_takeover,
    Phase.DELEVERAGE.name: describe_deleverage,
    Mode.REQUEST.name: describe_request,
    Mode.SETTLE_TALLY.name: describe_tally,
    Mode.SHUTDOWN_TALLY.name: describe_tally,
    Mode.SETTLE_PAY.name: describe_pay,
    Mode.SHUTDOWN_PAY.name: describe_pay,
    Mode.ADL_TALLY.name: describe_adl,
    Mode.ADL_CUT.name: describe_adl,
}
