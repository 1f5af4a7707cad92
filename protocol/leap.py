"""Leaps: many steps at once, to the same state.

A leap runs the steps' own code over a full state without the roots and hashes between, and replaces what is worth it: a mark's scan by one
vectorized margin of all accounts, a side's margin by a kernel that remembers. The tests hold every leap against the steps.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from protocol.codec.frames import Batch
from protocol.codec.inflate import decode_frame
from protocol.codec.rows import decode_row
from protocol.codes import Code
from protocol.keccak import ZERO
from protocol.kernel_fast import FastKernel
from protocol.machine import Preimages, advance_clock, is_admitted
from protocol.margin import Margin
from protocol.margin_fast import Margins, RiskTable, ScanBook
from protocol.operations import get_layout
from protocol.rules import Rules
from protocol.signing import get_signature, get_signer
from protocol.state import State
from protocol.steps import STEPS, commit, margin, order, scan, terms
from protocol.types import WORD_ACCOUNTS, Account, Header, Phase, is_risky

COMPACT_MARKS = 63  # every 64th mark the book forgets series that nobody holds


class Outcome(NamedTuple):
    """What became of one row."""

    items: tuple[int, ...]
    code: Code


class _View:
    """The state, noting whose account changed: the scan's book follows those."""

    def __init__(self, state: State, changed: set[int]) -> None:
        self.params = state.params
        self.get_globals, self.put_globals = state.get_globals, state.put_globals
        self.get_markets, self.put_markets = state.get_markets, state.put_markets
        self.get_account = state.get_account
        self.get_order, self.put_order = state.get_order, state.put_order
        self.get_word, self.put_word = state.get_word, state.put_word
        self.append_outbox = state.append_outbox
        self._put_account = state.put_account
        self._changed = changed

    def put_account(self, index: int, value: Account) -> None:
        self._changed.add(index)
        self._put_account(index, value)


class Leap:
    """Applies rows, frames and batches to `state`, which it owns.

    `get_signer` may answer from signatures verified before; it must give what `signing.get_signer` gives.
    """

    def __init__(self, state: State, rules: Rules, get_signer: Callable[[bytes, bytes | None], int] = get_signer) -> None:
        self.state = state
        self.rules = replace(rules, kernel=FastKernel(get_signer))
        self.changed: set[int] = set(state.accounts)  # since the book was last brought up to date
        self._book = ScanBook()
        self._held: set[int] = set()  # accounts of the book
        self._flagged = {index for index, account in state.accounts.items() if account.flag}
        self._view = _View(state, self.changed)
        self._pre = Preimages(())
        self._header = Header(ZERO, ZERO, 0)
        self._signature = 0  # how many the open source's rows have taken

    # -- sources of rows

    def open_message(self, time: int, authority: int, signatures: bytes) -> None:
        """The rows that follow are a forced message's."""
        self._open(time, authority, signatures)

    def open_frame(self, time: int, signatures: bytes = b"") -> None:
        """The rows that follow are a frame's; `time` is already clamped to its batch's bounds."""
        self._open(time, 0, signatures)

    def _open(self, time: int, authority: int, signatures: bytes) -> None:
        self.state.put_globals(advance_clock(self.state.globals, time, self.rules.params))
        self._pre.signatures = signatures
        self._header = Header(ZERO, ZERO, 0, authority=authority, phase=Phase.FETCH)
        self._signature = 0

    def bring_signatures(self, signatures: bytes) -> None:
        """The row that is about to be applied has these, exactly as many as it takes; those of the rows before it are used up."""
        self._pre.signatures = signatures
        self._signature = 0

    # -- rows

    def apply_row(self, items: tuple[int, ...]) -> Code:
        """One row of the open source, admitted already or about to be by `is_admitted`."""
        g = self.state.globals
        layout = get_layout(items)
        if layout is None:
            self.state.put_globals(g.spend(1))
            return Code.MALFORMED
        self.state.put_globals(g.spend(layout.steps))
        if layout.phase == Phase.TERMS:
            return self._apply_trade(items)
        if layout.phase == Phase.ORDER:
            return self._apply_order(items)
        self._pre.items = items
        h = self._header._replace(phase=layout.phase, signature=self._signature)
        h, code = STEPS[layout.phase](h, self._view, self._pre, self.rules)
        if h.phase == Phase.SCAN:
            self._scan()
        self._signature = h.signature
        return code

    def _apply_order(self, items: tuple[int, ...]) -> Code:
        """ORDER without a header."""
        signature = get_signature(self._pre.signatures, self._signature)
        self._signature += 1
        return order.apply(self._view, items, signature, self.rules)

    def _apply_trade(self, items: tuple[int, ...]) -> Code:
        """TERMS, MAKER, TAKER and COMMIT in one."""
        trade, code = terms.compute_terms(self._view, items, self.rules)
        if trade is None:
            return code
        maker, code = margin.check(self._view, trade, True, self.rules)
        if code != Code.OK:
            return code
        taker, code = margin.check(self._view, trade, False, self.rules)
        if code == Code.OK:
            commit.apply_trade(self._view, trade, maker, taker)
        return code

    @property
    def is_admitted(self) -> bool:
        """Whether the open source's next row runs."""
        return is_admitted(self._header.authority, self.state.globals.allowance, self.rules.params)

    def apply_rows(self, rows: bytes) -> list[Outcome]:
        """All rows of the open source, as FETCH takes them."""
        outcomes = []
        offset = 0
        while offset < len(rows) and self.is_admitted:
            items, offset = decode_row(rows, offset)
            if items is None:
                break
            outcomes.append(Outcome(items, self.apply_row(items)))
        return outcomes

    def apply_batch(self, batch: Batch) -> list[Outcome]:
        """Messages first, then frames."""
        outcomes = []
        for message in batch.messages:
            self.open_message(message.time, message.authority, message.signatures)
            outcomes += self.apply_rows(message.rows)
        for frame in batch.frames:
            self.open_frame(min(max(frame.time, batch.record.first), batch.record.last), frame.signatures)
            outcomes += self.apply_rows(decode_frame(frame.data) or b"")
        return outcomes

    # -- the scan

    def _refresh(self) -> None:
        """Brings the book up to date with the accounts."""
        for index in self.changed:
            account = self.state.get_account(index)
            if self.state.get_word(index >> 8) >> (index & 255) & 1:
                self._book.set_account(index, account.cash, account.positions)
                self._held.add(index)
            elif index in self._held:
                self._book.remove_account(index)
                self._held.discard(index)
        self.changed.clear()
        if self.state.globals.marks & COMPACT_MARKS == 0:
            self._book.compact()

    def _scan(self) -> None:
        """The whole scan of a mark."""
        self._refresh()
        g = self.state.globals
        margins = self._book.compute_margins(RiskTable(self._book.series, self.state.markets))
        steps = self._count_steps()
        self._apply_flags(margins)
        self.state.put_globals(g._replace(cursor=0, allowance=g.allowance - steps))

    def _apply_flags(self, margins: Margins) -> None:
        accounts = margins.accounts
        cash = np.array([self.state.accounts[int(index)].cash for index in accounts], dtype=np.int64)
        weak = (margins.has_short & (margins.equity < margins.maintenance)) | (cash < 0)
        idle = ~margins.has_short & (cash >= 0)
        flagged = np.isin(accounts, np.fromiter(self._flagged, dtype=np.int64, count=len(self._flagged)))
        for at in np.flatnonzero(weak | idle | flagged).tolist():
            index = int(accounts[at])
            account = self.state.get_account(index)
            maintenance, has_short = int(margins.maintenance[at]), bool(margins.has_short[at])
            risk = Margin(int(margins.equity[at]), maintenance, 0, has_short, account.cash)
            after = scan.compute_flag(account, risk, self.state.globals.marks)
            if after is not account:
                self._view.put_account(index, after)
                (self._flagged.add if after.flag else self._flagged.discard)(index)
            if not is_risky(account.cash, account.positions):
                word = self.state.get_word(index >> 8)
                self.state.put_word(index >> 8, word & ~(1 << (index & 255)))
                self.changed.add(index)

    def _count_steps(self) -> int:
        """As many as the steps would take: one for each set bit, and one for the rest of a word that does not end with one."""
        opened = self.state.globals.accounts
        steps = 0
        for word_index in range((opened + WORD_ACCOUNTS - 1) >> 8):
            word = self.state.get_word(word_index)
            steps += word.bit_count()
            end = min(opened - (word_index << 8), WORD_ACCOUNTS)
            steps += word.bit_length() < end
        return steps
