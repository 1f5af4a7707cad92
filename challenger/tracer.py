"""Runs epochs and answers what claims and duels ask about the truth.

The same class works in a simulation and in the worker process (`challenger.worker`). What it keeps is the state after each epoch; histories
are kept for the epochs asked about last, and traced anew for others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from challenger.evidence import StepFacts, StepProof, Truth
from challenger.forks import trace_on_cores
from protocol.codec.frames import Batch
from protocol.codec.rows import decode_zigzag
from protocol.codes import Code
from protocol.history import History
from protocol.keccak import ZERO
from protocol.leap import Leap
from protocol.machine import Preimages, StepFunction
from protocol.operations import Kind
from protocol.rules import Rules
from protocol.state import State
from protocol.steps import STEPS
from protocol.sweeps.modes import get_visited
from protocol.trace import Applied, Machine
from protocol.types import Header, Phase, Trade, compute_header_leaf, encode_header

KEPT_HISTORIES = 32  # more than there are open epochs on mainnet: a liar in every one of them must not make us trace anew
PAUSE_STEPS = 64  # a few hundredths of a second
SOURCES = (Phase.OPEN, Phase.MESSAGE, Phase.INFLATE, Phase.FETCH)  # steps that belong to no operation


@dataclass
class _Epoch:
    before: State  # never changed: whoever runs it copies it
    batches: tuple[Batch, ...]
    after: State


class Tracer:
    """Epochs are named by keys; the empty one is genesis. A parent is traced before its child.

    `pause` is called now and then while an epoch is run: what it asks of other epochs is answered meanwhile. With several cores children
    trace (`challenger.forks`), if the steps are the rules' own, which alone can be leapt over.
    """

    def __init__(
        self, rules: Rules, steps: Mapping[Phase, StepFunction] = STEPS, pause: Callable[[], None] | None = None, cores: int = 1
    ) -> None:
        self.rules = rules
        self.steps = steps
        self._pause = pause
        self._cores = cores
        self._until_pause = PAUSE_STEPS
        empty = State(rules.params)
        self._epochs: dict[bytes, _Epoch] = {ZERO: _Epoch(empty, (), empty)}
        self._histories: dict[bytes, History] = {}

    def trace(self, key: bytes, parent: bytes, batches: Sequence[Batch]) -> Truth:
        """Step by step."""
        before = self._epochs[parent].after
        self._epochs[key] = _Epoch(before, tuple(batches), before)
        history = self._get_history(key)
        self._epochs[key].after = history.machine.state
        last = (1 << history.height) - 1
        nodes = tuple(history.get_reveal(history.height, 0))
        return Truth(history.machine.header.state, history.root, nodes, tuple(history.prove_leaf(last)), history.steps)

    def leap(self, key: bytes, parent: bytes, batches: Sequence[Batch]) -> bytes:
        """The post-state's root only: for an epoch whose truth was traced before and is known."""
        before = self._epochs[parent].after
        after = before.copy()
        leap = Leap(after, self.rules)
        for batch in batches:
            leap.apply_batch(batch)
            self._rest()
        self._epochs[key] = _Epoch(before, tuple(batches), after)
        return after.get_root()

    def forget(self, key: bytes) -> None:
        """Nothing is asked of it any more, nor of a child that is not traced yet."""
        self._epochs.pop(key, None)
        self._histories.pop(key, None)

    def has_history(self, key: bytes) -> bool:
        """So that reveals and steps of it are quick."""
        return key in self._histories

    def get_reveal(self, key: bytes, height: int, index: int) -> tuple[bytes, ...]:
        """The 16 nodes four levels below a node."""
        return tuple(self._get_history(key).get_reveal(height, index))

    def prove_step(self, key: bytes, index: int) -> StepProof:
        """Of the step that leads to leaf `index`. Leaf 0 is L1's own to compute; after its halt the machine steps to itself."""
        history = self._get_history(key)
        leaf_after = history.get_leaf(index)
        if index == 0:
            return StepProof(b"", (), ZERO, leaf_after, StepFacts(-1, "OPENING", "", (), Code.OK.name, None, None))
        path, leaf_before = tuple(history.prove_leaf(index - 1)), history.get_leaf(index - 1)
        if index > history.steps:
            facts = StepFacts(-1, "HALT", "", (), Code.OK.name, None, None)
            return StepProof(encode_header(history.machine.header), path, leaf_before, leaf_after, facts)
        machine = history.get_machine(index - 1)
        before = machine.header
        facts = _describe(machine)
        witness = history.prove_step(index)
        assert compute_header_leaf(before) == leaf_before, "the trace gives another leaf than its history"
        return StepProof(witness.arguments, path, leaf_before, leaf_after, facts)

    def _get_history(self, key: bytes) -> History:
        history = self._histories.pop(key, None)
        if history is None:
            epoch = self._epochs[key]
            machine = Machine(epoch.before.copy(), epoch.batches, self.rules, self.steps)
            is_shared = self._cores > 1 and self.steps is STEPS
            history = trace_on_cores(machine, self._cores, self._rest) if is_shared else History(machine, self._count_step)
        self._histories[key] = history  # the newest is the last
        while len(self._histories) > KEPT_HISTORIES:
            del self._histories[next(iter(self._histories))]
        return history

    def _count_step(self, _applied: Applied, _header: Header) -> None:
        self._until_pause -= 1
        if self._until_pause <= 0:
            self._until_pause = PAUSE_STEPS
            self._rest()

    def _rest(self) -> None:
        if self._pause is not None:
            self._pause()


def _describe(machine: Machine) -> StepFacts:
    """Runs the next step of `machine` and says what it was about."""
    before, pre = machine.header, machine.preimages
    visited, side = _get_visited(machine), _get_side(before, pre)
    applied = machine.step()
    batch = pre.batches[max(before.batch - 1, 0) if before.phase != Phase.OPEN else before.batch].record.number
    is_row = applied.phase not in SOURCES or (applied.phase == Phase.FETCH and machine.header.phase not in SOURCES)
    items = applied.items if is_row else ()
    operation = Kind(items[0] & 15).name if items else ""
    account, amount = _get_subject(items)
    account = visited if visited is not None else side if side is not None else account
    return StepFacts(batch, applied.phase.name, operation, items, applied.code.name, account, amount)


def _get_visited(machine: Machine) -> int | None:
    """The account that a SCAN step is about to visit, if the rest of its word has any; that which is taken over or deleveraged."""
    sweep = machine.preimages.sweep
    match machine.header.phase:
        case Phase.SCAN:
            return get_visited(machine.state, sweep)
        case Phase.TAKEOVER:
            return sweep.account
        case Phase.DELEVERAGE:
            return sweep.bankrupt - 1
        case _:
            return None


def _get_side(h: Header, pre: Preimages) -> int | None:
    """Whose margin a step checks. The flagged account of a bid is the trade's maker."""
    match pre.trade, h.phase:
        case Trade(), Phase.MAKER | Phase.TARGET:
            return pre.trade.maker
        case Trade(), Phase.TAKER | Phase.BIDDER:
            return pre.trade.taker
        case _:
            return None


def _get_subject(items: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Account and amount by the row, where its kind has them. An order's amount is what all of it costs at its limit."""
    match Kind(items[0] & 15) if items else None:
        case Kind.DEPOSIT:
            return items[1], items[3]
        case Kind.WITHDRAW | Kind.POOL:
            return items[1], items[2]
        case Kind.ORDER:
            return items[1], items[5] * items[6]
        case Kind.COMBO:
            return items[1], decode_zigzag(items[2]) * items[3]
        case Kind.CANCEL | Kind.TRADE | Kind.SHEET | Kind.AUTHORIZE | Kind.BID:
            return items[1], None
        case _:
            return None, None
