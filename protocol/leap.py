"""Leaps: many steps at once, to the same state.

A leap runs the steps' own code over a full state without the roots and hashes between, and replaces what is worth it: a mark's scan of
users by one vectorized margin of all of them, a side's margin by a kernel that remembers. The tests hold every leap against the steps.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from protocol.codec.frames import Batch, Frame, Message
from protocol.codec.inflate import decode_frame
from protocol.codec.rows import decode_row
from protocol.codes import Code
from protocol.keccak import ZERO
from protocol.kernel_fast import FastKernel
from protocol.leap_scan import ScanView, Watch
from protocol.machine import Preimages, advance_clock, is_admitted
from protocol.operations import count_signatures, get_layout
from protocol.rules import Rules
from protocol.signing import get_signature, get_signer
from protocol.state import State
from protocol.steps import STEPS, commit, margin, order, terms
from protocol.types import Header, Mode, Phase, Record


class Outcome(NamedTuple):
    """What became of one row."""

    items: tuple[int, ...]
    code: Code


def is_divisible(h: Header, pre: Preimages) -> bool:
    """Whether the next step is one of a scan whose steps a leap takes one by one."""
    return h.phase == Phase.SCAN and pre.sweep.mode != Mode.FLAG


class Leap:
    """Applies rows, frames and batches to `state`, which it owns. `count` is how many steps that takes a machine.

    `on_scan` is called before each step of a scan that is taken as a step, all but those for a mark's flags, with a header that has only
    what the rows have changed; `preimages` and `offset` (of the next row) are what a machine has there.
    `get_signer` may answer from signatures verified before; it must give what `signing.get_signer` gives.
    """

    def __init__(self, state: State, rules: Rules, get_signer: Callable[[bytes, bytes | None], int] = get_signer) -> None:
        self.state = state
        self.rules = replace(rules, kernel=FastKernel(get_signer))
        self.count = 0
        self.offset = 0
        self.on_scan: Callable[[Header], None] | None = None
        self._view = ScanView(state)
        self._watch = Watch(self._view)
        self.preimages = Preimages(())
        self._header = Header(ZERO, ZERO, 0)
        self._signature = 0  # how many the open source's rows have taken

    # -- sources of rows

    def open_message(self, time: int, first: int, authority: int, signatures: bytes) -> None:
        """The rows that follow are a forced message's, in a batch that begins at `first`."""
        self._open(time, first, authority, signatures)

    def open_frame(self, time: int, first: int, signatures: bytes = b"") -> None:
        """The rows that follow are a frame's, in a batch that begins at `first`; `time` is already clamped to the batch's bounds."""
        self._open(time, first, 0, signatures)

    def _open(self, time: int, first: int, authority: int, signatures: bytes) -> None:
        self.state.put_globals(advance_clock(self.state.globals, time, first, self.rules.params))
        self.preimages.signatures = signatures
        self._header = Header(ZERO, ZERO, 0, authority=authority, phase=Phase.FETCH)
        self._signature = 0

    def bring_signatures(self, signatures: bytes) -> None:
        """The row that is about to be applied has these, exactly as many as it takes; those of the rows before it are used up."""
        self.preimages.signatures = signatures
        self._signature = 0

    # -- rows

    def apply_row(self, items: tuple[int, ...]) -> Code:
        """One row of the open source, admitted already or about to be by `is_admitted`."""
        g = self.state.globals
        layout = get_layout(items)
        self.count += 1  # FETCH
        if layout is None:
            self.state.put_globals(g.spend(1))
            return Code.MALFORMED
        if g.shutdown and layout.is_frozen:
            self.state.put_globals(g.spend(1))
            self._signature += count_signatures(layout, items[0], self.rules.params.quorum)
            return Code.FROZEN
        self.state.put_globals(g.spend(layout.steps))
        if layout.phase == Phase.TERMS:
            return self._apply_trade(items)
        if layout.phase == Phase.ORDER:
            return self._apply_order(items)
        return self._apply_steps(items, layout.phase)

    def _apply_steps(self, items: tuple[int, ...], phase: Phase) -> Code:
        """Any row, by its steps one after the other."""
        self.preimages.items = items
        h, code = self._step(self._header._replace(phase=phase, signature=self._signature))
        if phase == Phase.MARK and h.phase == Phase.SCAN:
            h = self._scan_users(h)
        while h.phase != Phase.FETCH:
            if self.on_scan is not None and is_divisible(h, self.preimages):
                self.on_scan(h)
            h, code = self._step(h)
        self._signature = h.signature
        return code

    def _step(self, h: Header) -> tuple[Header, Code]:
        self.count += 1
        return STEPS[Phase(h.phase)](h, self._view, self.preimages, self.rules)

    def _scan_users(self, h: Header) -> Header:
        """The users' part of a mark's scan. In index order, since one who is taken over leaves less to pay for the next."""
        users = self._watch.get_users()
        skipped = self._watch.count_steps() - len(users)
        self._view.put_globals(self._view.get_globals().spend(skipped))
        self.count += skipped
        for index in users:
            self.preimages.sweep = self.preimages.sweep._replace(cursor=index)
            h, _ = self._step(h)
            if h.phase == Phase.TAKEOVER:
                h, _ = self._step(h)
        return h

    def _apply_order(self, items: tuple[int, ...]) -> Code:
        """ORDER without a header."""
        self.count += 1
        signature = get_signature(self.preimages.signatures, self._signature)
        self._signature += 1
        return order.apply(self._view, items, signature, self.rules)

    def _apply_trade(self, items: tuple[int, ...]) -> Code:
        """TERMS, MAKER, TAKER and COMMIT in one."""
        self.count += 1
        trade, code = terms.compute_terms(self._view, items, self.rules)
        if trade is None:
            return code
        self.count += 1
        maker, code = margin.check(self._view, trade, True, self.rules)
        if code != Code.OK:
            return code
        self.count += 1
        taker, code = margin.check(self._view, trade, False, self.rules)
        if code == Code.OK:
            self.count += 1
            commit.apply_trade(self._view, trade, maker, taker)
        return code

    @property
    def is_admitted(self) -> bool:
        """Whether the open source's next row runs."""
        return is_admitted(self._header.authority, self.state.globals.allowance, self.rules.params)

    def apply_rows(self, rows: bytes) -> list[Outcome]:
        """All rows of the open source, as FETCH takes them; its last one leaves the source."""
        outcomes = []
        self.preimages.rows, self.offset = rows, 0
        while self.offset < len(rows) and self.is_admitted:
            items, self.offset = decode_row(rows, self.offset)
            if items is None:
                break
            outcomes.append(Outcome(items, self.apply_row(items)))
        self.count += 1
        return outcomes

    # -- whole sources and batches

    def apply_message(self, message: Message, record: Record) -> list[Outcome]:
        """MESSAGE and its rows; `record` is the batch's."""
        self.count += 1
        self.open_message(message.time, record.first, message.authority, message.signatures)
        return self.apply_rows(message.rows)

    def apply_frame(self, frame: Frame, record: Record) -> list[Outcome]:
        """INFLATE and its rows; `record` is the batch's."""
        self.count += 1
        self.open_frame(min(max(frame.time, record.first), record.last), record.first, frame.signatures)
        return self.apply_rows(decode_frame(frame.data) or b"")

    def apply_batch(self, batch: Batch) -> list[Outcome]:
        """Messages first, then frames."""
        self.count += 1  # OPEN
        outcomes = []
        for message in batch.messages:
            outcomes += self.apply_message(message, batch.record)
        for frame in batch.frames:
            outcomes += self.apply_frame(frame, batch.record)
        return outcomes
