"""The kernel that remembers: between two marks an account's risk changes only by what it trades.

Per account and underlying the 16 scenario sums, the value at the marks and the short minimum are kept as one row of 18 numbers; a trade
adds a multiple of its series' row. Rows of all series that were seen are repriced in one vectorized call when the markets change.

A row is one integer, sum of number[i] * 2**(64 i), so that adding rows and multiplying them by lots is one operation each. Numbers are
signed and inside int64 (`margin` says why), as what is out of bounds is never added up.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.kernel import Quote, SideRisk, get_quote
from protocol.margin import SCENARIOS, Margin, compute_initial, get_risk
from protocol.margin_fast import RiskTable
from protocol.positions import get_lots
from protocol.series import UNDERLYING_SHIFT, decode_series
from protocol.signing import get_signer
from protocol.types import MAX_ACCOUNT_LOTS, MAX_LOTS, MAX_POSITIONS, Account, Market, Position

WIDTH = SCENARIOS + 2  # scenario sums, value at the marks, short minimum
HALF = 1 << 63
MAX_GATHERED = 1 << 13  # accounts; some 20 MB with as many positions as there may be
LANES_BYTES = 8 * WIDTH
BIAS = sum(HALF << 64 * lane for lane in range(WIDTH))  # makes every lane of a row non-negative
SIGN = np.int64(-HALF)
Row = int
_unpack = Struct(f"<{WIDTH}Q").unpack


def _pack_row(numbers: NDArray[np.int64]) -> Row:
    """The sign bit turned over is 2**63 added, in every lane: what `BIAS` takes away again."""
    return int.from_bytes((numbers ^ SIGN).tobytes(), "little") - BIAS


class _Part(NamedTuple):
    """Of the positions in one underlying."""

    row: Row
    value: int
    need: int  # maintenance
    held: int  # positions


class _Summary(NamedTuple):
    """Of one account's positions; `parts` by underlying, none of them empty, and what they sum up to."""

    positions: tuple[Position, ...]
    parts: dict[int, _Part]
    value: int
    maintenance: int
    initial: int
    shorts: int
    size: int  # sum of |lots|

    def compute_margin(self, cash: int) -> Margin:
        """As `margin.compute_margin` does."""
        return Margin(cash + self.value, self.maintenance, self.initial, self.shorts > 0, cash)


class _Gathered(NamedTuple):
    """Positions in one underlying: where they are in the table, how many lots, those that it does not have, and how many in all."""

    rows: NDArray[np.intp]
    lots: NDArray[np.int64]
    rest: list[Position]
    held: int


def _get_underlying(position: Position) -> int:
    return position[0] >> UNDERLYING_SHIFT


def _build_part(row: Row, held: int) -> _Part:
    lanes = _unpack((row + BIAS).to_bytes(LANES_BYTES, "little"))
    return _Part(row, lanes[SCENARIOS] - HALF, max(HALF - min(lanes[:SCENARIOS]), lanes[SCENARIOS + 1] - HALF, 0), held)


NO_PART = _build_part(0, 0)


class FastKernel:
    """Give each state one of its own: accounts are remembered by index."""

    def __init__(self, get_signer: Callable[[bytes, bytes | None], int] = get_signer) -> None:
        self.get_signer = get_signer
        self._markets: Sequence[Market] = ()
        self._table = RiskTable([], ())
        self._rows: dict[int, tuple[Row, Row]] = {}  # series -> of a long and of a short lot
        self._quotes: dict[int, Quote | None] = {}
        self._gathered: dict[tuple[Position, ...], tuple[dict[int, _Gathered], int, int]] = {}
        self._summaries: dict[int, tuple[_Summary, _Summary]] = {}  # as last seen after and before a trade

    def get_quote(self, series: int, markets: Sequence[Market]) -> Quote | None:
        """Once for each series and mark."""
        if markets is not self._markets:
            self._see(markets)
        if series in self._quotes:
            return self._quotes[series]
        quote = self._quotes[series] = get_quote(series, markets)
        return quote

    def compute_margin(self, cash: int, positions: Sequence[Position], markets: Sequence[Market]) -> Margin:
        """By the rows of the markets."""
        if markets is not self._markets:
            self._see(markets)
        return self._summarize(tuple(positions)).compute_margin(cash)

    def compute_side(self, index: int, before: Account, after: Account, legs: Sequence[int], markets: Sequence[Market]) -> SideRisk:
        """The remembered row of the account plus what the trade adds to it."""
        if markets is not self._markets:
            self._see(markets)
        summary = self._get_summary(index, before.positions)
        margin = summary.compute_margin(before.cash)
        changes = [(leg >> 32, get_lots(before.positions, leg >> 32), get_lots(after.positions, leg >> 32)) for leg in legs]
        size = summary.size
        for _, old, new in changes:
            size += abs(new) - abs(old)
            if not -MAX_LOTS <= new <= MAX_LOTS:
                return SideRisk(margin, margin, False, ())
        if len(after.positions) > MAX_POSITIONS or size > MAX_ACCOUNT_LOTS:
            return SideRisk(margin, margin, False, ())
        then = self._shift(summary, after.positions, changes, size)
        self._summaries[index] = (then, summary)
        return SideRisk(margin, then.compute_margin(after.cash), True, then.parts)

    def _see(self, markets: Sequence[Market]) -> None:
        """New markets: reprices every listed series that was seen, in one call."""
        self._markets = markets
        self._summaries.clear()
        self._quotes.clear()
        listed = {(of, item.expiry) for of, market in enumerate(markets) for item in market.slices}
        seen = {*self._table.rows, *self._rows}
        series = sorted(item for item in seen if decode_series(item)[:2] in listed)
        if series != self._table.series:
            self._gathered.clear()
        self._table = RiskTable(series, markets)
        self._rows.clear()

    def _get_rows(self, series: int) -> tuple[Row, Row]:
        found = self._rows.get(series)
        if found is None:
            at = self._table.rows.get(series)
            if at is None:  # first seen since the mark: one series is priced faster by the reference than by arrays
                risk = get_risk(series, self._markets)
                pair = np.array(((*risk.changes, risk.down, 0), (*risk.changes, risk.up, -risk.minimum)), dtype=np.int64)
            else:
                pair = self._table.values[2 * at : 2 * at + 2, :WIDTH]
            found = self._rows[series] = _pack_row(pair[0]), _pack_row(pair[1])
        return found

    def _get_summary(self, index: int, positions: tuple[Position, ...]) -> _Summary:
        for summary in self._summaries.get(index, ()):
            if summary.positions is positions or summary.positions == positions:
                return summary
        return self._summarize(positions)

    def _summarize(self, positions: tuple[Position, ...]) -> _Summary:
        gathered, shorts, size = self._gather(positions)
        parts = {of: _build_part(self._sum(part), part.held) for of, part in gathered.items()}
        value = sum([part.value for part in parts.values()])
        maintenance = sum([part.need for part in parts.values()])
        return _Summary(positions, parts, value, maintenance, compute_initial(maintenance, shorts > 0), shorts, size)

    def _gather(self, positions: tuple[Position, ...]) -> tuple[dict[int, _Gathered], int, int]:
        """By underlying, how many are short, and the sum of |lots|. From mark to mark an account's positions are mostly the same."""
        kept = self._gathered.get(positions)
        if kept is not None:
            return kept
        if len(self._gathered) >= MAX_GATHERED:
            self._gathered.clear()
        parts = {of: self._gather_part(list(part)) for of, part in groupby(positions, _get_underlying)}
        sizes = [lots for _, lots in positions]
        found = parts, sum([lots < 0 for lots in sizes]), sum(map(abs, sizes))
        self._gathered[positions] = found
        return found

    def _gather_part(self, positions: list[Position]) -> _Gathered:
        """Of one underlying."""
        known = self._table.rows
        held = [item for item in positions if item[0] in known]
        lots = np.array([item[1] for item in held], dtype=np.int64)
        rows = 2 * np.array([known[series] for series, _ in held], dtype=np.intp) + (lots < 0)
        return _Gathered(rows, lots, [item for item in positions if item[0] not in known], len(positions))

    def _sum(self, part: _Gathered) -> Row:
        """Rows of the table at once, rows that it does not have added one by one."""
        total = _pack_row((part.lots @ self._table.values.take(part.rows, 0))[:WIDTH]) if len(part.lots) else 0
        return total + sum([lots * self._get_rows(series)[lots < 0] for series, lots in part.rest]) if part.rest else total

    def _shift(self, summary: _Summary, positions: tuple[Position, ...], changes: Sequence[tuple[int, int, int]], size: int) -> _Summary:
        """After a trade that leaves other lots of some series (series, before, after): only their underlyings' parts are others."""
        _, parts, value, maintenance, _, shorts, _ = summary
        parts = dict(parts)
        moved: dict[int, tuple[Row, int]] = {}  # rows are added up first: only their sum is sure to be in bounds
        for series, old, new in changes:
            of = series >> UNDERLYING_SHIFT
            row, held = moved.get(of, (0, 0))
            rows = self._get_rows(series)
            moved[of] = row + new * rows[new < 0] - old * rows[old < 0], held + (new != 0) - (old != 0)
            shorts += (new < 0) - (old < 0)
        for of, (row, held) in moved.items():
            part = parts.pop(of, NO_PART)
            shifted = _build_part(part.row + row, part.held + held)
            if shifted.held:
                parts[of] = shifted
            value += shifted.value - part.value
            maintenance += shifted.need - part.need
        return _Summary(positions, parts, value, maintenance, compute_initial(maintenance, shorts > 0), shorts, size)
