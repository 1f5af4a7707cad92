"""`margin` for many series and many accounts at once, bit for bit.

A mark reprices every live series in one call (`RiskTable`); accounts are then sums of rows of its table. `ScanBook` keeps the
positions of many accounts as padded arrays that follow every change. Sums stay inside int64 within the protocol's bounds (see `margin`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.doubles import Ints, compute_sums, to_doubles
from protocol.fixed_point import div_down, div_up
from protocol.margin import (
    BASIS_POINTS,
    EXTREME_PERCENT,
    EXTREMES,
    MOVES,
    SCENARIOS,
    SHORT_LOTS_PER_FORWARD,
    Margin,
    compute_initial,
    get_slice,
)
from protocol.pricing import MAX_PRICE, MAX_V
from protocol.pricing_fast import (
    GreekArrays,
    Points,
    compute_greeks,
    compute_limits,
    compute_ln_ratios,
    compute_normals,
    compute_time_values,
    make_points,
)
from protocol.series import EXPIRY_BITS, STRIKE_BITS, UNDERLYING_SHIFT
from protocol.svi import Surface, compute_surface
from protocol.svi_fast import compute_surfaces_v
from protocol.types import LOTS_PER_UNIT, MAX_ACCOUNT_LOTS, MAX_LOTS, MAX_POSITIONS, Market, Position

Bools = NDArray[np.bool_]

# Columns of a table: the 16 changes, the mark, the short minimum, and two of zeros (rows of 160 bytes gather twice as fast as of 144).
MARK = SCENARIOS
MINIMUM = SCENARIOS + 1
WIDTH = SCENARIOS + 4
CAPACITIES = (2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, MAX_POSITIONS)  # of padded rows of positions
EMPTY_SURFACE = Surface(1, 0, 0, 0, 0, 0)
MOVED = np.array([*MOVES, *EXTREMES], dtype=np.int64)[:, None] + BASIS_POINTS
UNMOVED = MOVES.index(0)
# Of each of the 17 prices, the mark's first: the row of its forward among MOVED, and of its v among v, up and down.
PRICED = np.array([UNMOVED, *(i for i in range(len(MOVES)) for _ in range(2)), len(MOVES), len(MOVES) + 1])
SHIFTED = np.array([0, *([1, 2] * len(MOVES)), 0, 0])
WORD = 8  # bytes
MAX_STRIKES = (1 << STRIKE_BITS) - 1


class Terms(NamedTuple):
    """What is in a list of series. A call and a put of one strike and expiry share a *point*, and all that is computed of it."""

    rows: dict[int, int]  # place of each series
    point: NDArray[np.intp]  # of each series
    is_call: Bools
    strike: Ints  # of each point, as the next; within [1, MAX_PRICE]
    which: NDArray[np.intp]  # of the slices
    underlyings: list[int]  # of each slice, as the next
    expiries: Ints


@lru_cache(maxsize=8)
def decode_terms(series: tuple[int, ...]) -> Terms:
    """Series as `encode_series` makes them. Memoized: from mark to mark the list is mostly the same."""
    raw = b"".join([item.to_bytes(2 * WORD, "little") for item in series])
    low, high = np.frombuffer(raw, dtype="<i8").reshape(-1, 2).T
    after_strike = low >> STRIKE_BITS + 1 & (1 << 8 * WORD - STRIKE_BITS - 1) - 1
    slices, which = np.unique(high << 8 * WORD - STRIKE_BITS - 1 | after_strike, return_inverse=True)
    points, point = np.unique(which << STRIKE_BITS | low >> 1 & MAX_STRIKES, return_inverse=True)
    strike = np.minimum(np.maximum(points & MAX_STRIKES, 1), MAX_PRICE)
    rows = dict(zip(series, range(len(series)), strict=True))
    is_call = (low & 1).astype(np.bool_)
    underlyings, expiries = (slices >> EXPIRY_BITS).tolist(), slices & (1 << EXPIRY_BITS) - 1
    return Terms(rows, point, is_call, strike, points >> STRIKE_BITS, underlyings, expiries)


def compute_values(terms: Terms, markets: Sequence[Market]) -> tuple[Ints, Points]:
    """Table rows, a long and a short lot of each series, (2n, WIDTH), zero where the market does not carry it; and the marks' points."""
    _, point, is_call, strike, which, underlyings, expiries = terms
    slices = [get_slice(markets[of], at) if of < len(markets) else None for of, at in zip(underlyings, expiries.tolist(), strict=True)]
    surfaces = [compute_surface(item) if item is not None else EMPTY_SURFACE for item in slices]
    forward = np.array([item.forward for item in surfaces], dtype=np.int64)[which]
    # COMPUTE 9 moved forwards, 17 time values of each point, 17 prices of each series
    moved = np.maximum(div_down(forward * MOVED, BASIS_POINTS), 1)
    lo = np.minimum(moved, strike)
    x = compute_ln_ratios(np.maximum(moved, strike), lo)
    v = compute_surfaces_v(surfaces, which, strike, x[UNMOVED])
    shifted = np.stack([v, np.minimum(v + (v >> 1), MAX_V), v >> 1])
    normals = compute_normals(x[PRICED].ravel(), shifted[SHIFTED].ravel(), compute_limits(shifted)[SHIFTED].ravel())
    time_value = compute_time_values(lo[PRICED].ravel(), normals).reshape(len(PRICED), -1)
    inside = (moved - strike).take(point, axis=1)
    intrinsic = np.maximum(np.where(is_call, inside, -inside), 0)
    prices = intrinsic[PRICED] + time_value.take(point, axis=1)
    # WRITE
    lot = div_down(prices, LOTS_PER_UNIT)
    last = 2 * len(MOVES)
    values = np.zeros((len(point), 2, WIDTH), dtype=np.int64)
    values[:, 0, :last] = (lot[1 : last + 1] - lot[0]).T
    counted = div_down(lot[[0, last + 1, last + 2]] * EXTREME_PERCENT, 100)
    values[:, 0, last:SCENARIOS] = (counted[1:] - counted[0]).T
    values[:, 0, MARK] = lot[0]
    values[:, 1] = values[:, 0]
    values[:, 1, MARK] = div_up(prices[0], LOTS_PER_UNIT)
    values[:, 1, MINIMUM] = -div_up(forward, SHORT_LOTS_PER_FORWARD)[point]
    values[np.array([item is None for item in slices], dtype=np.bool_)[which[point]]] = 0
    return values.reshape(-1, WIDTH), make_points(forward, strike, v, normals)


class RiskTable:
    """The risk of a list of series under one state of the markets. `rows` finds a series; rows 2i and 2i + 1 of `values` are
    its long and its short lot, so that an account is one gather and one product with its lots."""

    def __init__(self, series: Sequence[int], markets: Sequence[Market]) -> None:
        self.markets = tuple(markets)
        self.series: list[int] = []
        self.rows: dict[int, int] = {}
        self.values = np.zeros((0, WIDTH), dtype=np.int64)
        self._points: list[tuple[Points, Terms]] = []  # as the table was extended
        self.extend(series)

    def extend(self, series: Sequence[int]) -> None:
        """Appends series that the table does not have, without duplicates."""
        terms = decode_terms(tuple(series))
        values, points = compute_values(terms, self.markets)
        self.rows.update(terms.rows if not self.rows else {item: len(self.series) + row for item, row in terms.rows.items()})
        self.series.extend(series)
        self.values = np.concatenate([self.values, values]) if len(self.values) else values
        self.doubles = to_doubles(self.values)
        self.largest = max(int(self.values.max(initial=0)), -int(self.values.min(initial=0)))
        self._points.append((points, terms))

    @property
    def changes(self) -> Ints:
        """(n, 16): of the value of a long lot, by scenario."""
        return self.values[0::2, :SCENARIOS]

    def compute_greeks(self, now: int) -> GreekArrays:
        """Of each series, a unit, in the order of `series`; where the market does not carry it, of a forward of 1 without volatility."""
        parts = [
            np.stack(compute_greeks(points, np.maximum(terms.expiries - now, 0), terms.which))[:, terms.point]
            for points, terms in self._points
        ]
        return GreekArrays(*np.concatenate(parts, axis=1))

    @property
    def marks(self) -> tuple[Ints, Ints]:
        """Of a long lot, rounded down, and of a short lot, rounded up."""
        return self.values[0::2, MARK], self.values[1::2, MARK]

    def compute_margin(self, cash: int, positions: Sequence[Position]) -> Margin:
        """`margin.compute_margin` of positions within the protocol's bounds; series that are new to the table are added."""
        series, sizes = split_positions(positions)
        if not all(map(self.rows.__contains__, series)):
            self.extend([item for item in series if item not in self.rows])
        lots = np.fromiter(sizes, np.int64, len(sizes))
        if int(np.abs(lots).sum()) > MAX_ACCOUNT_LOTS:
            raise ValueError("positions out of bounds: sums could wrap")
        index = np.fromiter(map(self.rows.__getitem__, series), np.intp, len(series))
        index *= 2
        index += lots < 0
        values = self.values.take(index, axis=0)
        parts = [lots[part].dot(values[part]) for part in split_underlyings(series).values()]
        return build_margin(cash, parts, min(sizes, default=0) < 0)


def split_positions(positions: Sequence[Position]) -> tuple[Sequence[int], Sequence[int]]:
    """Series and lots."""
    if not positions:
        return (), ()
    series, lots = zip(*positions, strict=True)
    return series, lots


def split_underlyings(series: Sequence[int]) -> dict[int, slice]:
    """Where each underlying is in ascending series."""
    parts = {}
    start = 0
    while start < len(series):
        underlying = series[start] >> UNDERLYING_SHIFT
        end = bisect_left(series, underlying + 1 << UNDERLYING_SHIFT, start)
        parts[underlying] = slice(start, end)
        start = end
    return parts


def build_margin(cash: int, parts: Sequence[Ints], has_short: bool) -> Margin:
    """Of one account, from its sums of table rows in each underlying."""
    equity, maintenance = cash, 0
    for part in parts:
        sums = part.tolist()
        equity += sums[MARK]
        maintenance += max(-min(sums[:SCENARIOS]), sums[MINIMUM], 0)
    return Margin(equity, maintenance, compute_initial(maintenance, has_short), has_short, cash)


class Margins(NamedTuple):
    """Of the accounts of a book, ascending."""

    accounts: Ints
    equity: Ints
    maintenance: Ints
    has_short: Bools


class _Bucket:
    """Padded positions of many accounts in one underlying: row i belongs to account slot `owner[i]`; unused places have 0 lots of row 0."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self.index = np.zeros((16, capacity), dtype=np.intp)
        self.lots = np.zeros((16, capacity), dtype=np.int64)
        self.owner = np.zeros(16, dtype=np.int64)

    def append(self, owner: int) -> int:
        """A fresh row of zeros."""
        if self.count == len(self.owner):
            self.index = np.concatenate([self.index, np.zeros_like(self.index)])
            self.lots = np.concatenate([self.lots, np.zeros_like(self.lots)])
            self.owner = np.concatenate([self.owner, np.zeros_like(self.owner)])
        self.owner[self.count] = owner
        self.count += 1
        return self.count - 1

    def remove(self, row: int) -> int:
        """Fills the row with the last one; returns the slot that moved (its own if it was the last)."""
        self.count -= 1
        last = self.count
        self.index[row], self.lots[row], self.owner[row] = self.index[last], self.lots[last], self.owner[last]
        self.index[last], self.lots[last] = 0, 0
        return int(self.owner[row])

    def write(self, row: int, index: list[int], lots: Sequence[int]) -> None:
        """Replaces what the row holds."""
        unused = [0] * (self.capacity - len(index))
        self.index[row] = index + unused
        self.lots[row] = [*lots, *unused]


class ScanBook:
    """Positions of many accounts, kept up one account at a time, margined all at once.

    The book numbers the series that it has seen in `series`; a table for it is `RiskTable(book.series, markets)`.
    """

    def __init__(self) -> None:
        self.series: list[int] = []
        self._rows: dict[int, int] = {}
        self._slots: dict[int, int] = {}  # account -> slot
        self._places: list[dict[int, int]] = []  # by slot: underlying -> row of its bucket
        self._capacities: list[dict[int, int]] = []  # by slot: underlying -> capacity of its bucket
        self._buckets: dict[tuple[int, int], _Bucket] = {}  # (underlying, capacity)
        self._accounts = np.zeros(16, dtype=np.int64)  # by slot, as the two below
        self._cash = np.zeros(16, dtype=np.int64)
        self._has_short = np.zeros(16, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._places)

    def set_account(self, account: int, cash: int, positions: Sequence[Position]) -> None:
        """Replaces what the book knows of an account; positions ascend by series and are within the protocol's bounds."""
        series, lots = split_positions(positions)
        sizes = list(map(abs, lots))
        if len(sizes) > MAX_POSITIONS or max(sizes, default=0) > MAX_LOTS or sum(sizes) > MAX_ACCOUNT_LOTS:
            raise ValueError(f"account {account}: positions out of bounds")
        slot = self._slots.get(account)
        if slot is None:
            slot = self._open(account)
        self._cash[slot] = cash
        self._has_short[slot] = min(lots, default=0) < 0
        parts = split_underlyings(series)
        for underlying in [item for item in self._places[slot] if item not in parts]:
            self._clear(slot, underlying)
        for underlying, part in parts.items():
            self._write(slot, underlying, series[part], lots[part])

    def remove_account(self, account: int) -> None:
        """Forgets an account; the last slot takes its place."""
        slot = self._slots.pop(account)
        for underlying in list(self._places[slot]):
            self._clear(slot, underlying)
        last = len(self._places) - 1
        if slot != last:
            moved = int(self._accounts[last])
            self._slots[moved] = slot
            self._accounts[slot], self._cash[slot], self._has_short[slot] = moved, self._cash[last], self._has_short[last]
            self._places[slot], self._capacities[slot] = self._places[last], self._capacities[last]
            for underlying, row in self._places[slot].items():
                self._buckets[underlying, self._capacities[slot][underlying]].owner[row] = slot
        self._places.pop()
        self._capacities.pop()

    def compute_margin(self, account: int, table: RiskTable) -> Margin:
        """Of one account; `table` begins with `series`."""
        slot = self._slots[account]
        parts = []
        for underlying, row in self._places[slot].items():
            bucket = self._buckets[underlying, self._capacities[slot][underlying]]
            parts.append(bucket.lots[row].dot(table.values.take(bucket.index[row], axis=0)))
        return build_margin(int(self._cash[slot]), parts, bool(self._has_short[slot]))

    def compute_margins(self, table: RiskTable) -> Margins:
        """Of every account of the book; `table` begins with `series`."""
        if table.series[: len(self.series)] != self.series:
            raise ValueError("the table is not of this book's series")
        n = len(self._places)
        equity = self._cash[:n].copy()
        maintenance = np.zeros(n, dtype=np.int64)
        for bucket in self._buckets.values():
            if not bucket.count:
                continue
            index, lots = bucket.index[: bucket.count], bucket.lots[: bucket.count]
            sums = compute_sums(index, lots, table.values, table.doubles, table.largest)
            owner = bucket.owner[: bucket.count]  # a slot has one row in each underlying: no owner occurs twice in a bucket
            equity[owner] += sums[:, MARK]
            worst = np.minimum.reduce(np.ascontiguousarray(sums[:, :SCENARIOS].T), axis=0)  # long rows are reduced three times as fast
            maintenance[owner] += np.maximum(np.maximum(-worst, sums[:, MINIMUM]), 0)
        order = np.argsort(self._accounts[:n], kind="stable")
        return Margins(self._accounts[:n][order], equity[order], maintenance[order], self._has_short[:n][order])

    def compact(self) -> None:
        """Forgets series that nobody holds any more, and renumbers the others in their order."""
        held = {int(row) >> 1 for bucket in self._buckets.values() for row in np.unique(bucket.index[bucket.lots != 0])}
        renumbered = np.zeros(2 * len(self.series), dtype=np.intp)
        kept = sorted(held)
        for row, old in enumerate(kept):
            renumbered[2 * old], renumbered[2 * old + 1] = 2 * row, 2 * row + 1
        for bucket in self._buckets.values():
            if kept:
                bucket.index = renumbered[bucket.index]
        self.series = [self.series[row] for row in kept]
        self._rows = {item: row for row, item in enumerate(self.series)}

    def _open(self, account: int) -> int:
        slot = len(self._places)
        if slot == len(self._accounts):
            self._accounts = np.concatenate([self._accounts, np.zeros_like(self._accounts)])
            self._cash = np.concatenate([self._cash, np.zeros_like(self._cash)])
            self._has_short = np.concatenate([self._has_short, np.zeros_like(self._has_short)])
        self._accounts[slot] = account
        self._slots[account] = slot
        self._places.append({})
        self._capacities.append({})
        return slot

    def _write(self, slot: int, underlying: int, series: Sequence[int], lots: Sequence[int]) -> None:
        capacity = CAPACITIES[bisect_left(CAPACITIES, len(series))]
        if self._capacities[slot].get(underlying, capacity) != capacity:
            self._clear(slot, underlying)
        if (underlying, capacity) not in self._buckets:
            self._buckets[underlying, capacity] = _Bucket(capacity)
        bucket = self._buckets[underlying, capacity]
        if underlying not in self._places[slot]:
            self._places[slot][underlying] = bucket.append(slot)
            self._capacities[slot][underlying] = capacity
        rows = self._rows
        for item in series:
            if item not in rows:
                rows[item] = len(self.series)
                self.series.append(item)
        index = [2 * rows[item] + (count < 0) for item, count in zip(series, lots, strict=True)]
        bucket.write(self._places[slot][underlying], index, lots)

    def _clear(self, slot: int, underlying: int) -> None:
        row = self._places[slot].pop(underlying)
        moved = self._buckets[underlying, self._capacities[slot].pop(underlying)].remove(row)
        if moved != slot:
            self._places[moved][underlying] = row
