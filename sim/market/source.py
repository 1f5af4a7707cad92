"""Where prices come from: a seeded walk or a recorded file, both asked in the same way.

A source moves forward only. At each instant it knows what the oracle would sign (`get_markets`) and what the best quotes are (`get_books`).
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from protocol.margin import compute_mark
from protocol.params import YEAR_S
from protocol.series import STRIKE_UNIT, decode_series, encode_series
from protocol.types import LOTS_PER_UNIT, MAX_LOTS, MAX_SLICES, UNDERLYINGS, Market, Slice
from sim.market.quotes import MICROS, Quote, QuoteFileError, read_quotes
from sim.market.surface import fit_slice

USD = 1_000_000
DAY_S = 86_400
EXPIRY_HOUR_S = 8 * 3_600
JUMPS = 0.002  # a second, of the walk
SIZES = (5, 10, 20, 50)  # lots
STALE_S = 1_800  # a recorded quote that has not changed for longer is not used


@dataclass(frozen=True)
class Book:
    """Best quotes of one series; prices per lot in 1e-6 USD, sizes in lots; 0 where there is none."""

    series: int
    bid: int
    bid_lots: int
    ask: int
    ask_lots: int


class Source(Protocol):
    """`advance` goes to a time not before the last; False when there is nothing any more."""

    def advance(self, now: int) -> bool: ...
    def get_markets(self) -> dict[int, Market]: ...
    def get_books(self) -> list[Book]: ...


class WalkSource:
    """A seeded random walk of BTC and ETH with jumps, and quotes around the model's prices."""

    EXPIRY_DAYS: tuple[int, ...] = (7, 14, 28)
    MONEYNESS: tuple[int, ...] = (80, 90, 95, 100, 105, 110, 120)
    START = (90_000.0, 3_000.0)
    VOL = (0.55, 0.70)
    GRID = (1_000, 50)  # of strikes, USD

    def __init__(self, seed: int, now: int, pace: float = 60.0, first_expiry_s: int = 0) -> None:
        """`pace` makes a second of the chain as lively as that many of a real market. With `first_expiry_s` one more expiry is listed, so
        many seconds from now."""
        self._rng = random.Random(seed)
        self._pace = pace
        self._now = now
        self._spots = list(self.START)
        midnight = now - now % DAY_S
        soon = [now + first_expiry_s] if first_expiry_s else []
        self._expiries = soon + [midnight + days * DAY_S + EXPIRY_HOUR_S for days in self.EXPIRY_DAYS]
        self._strikes = [
            sorted({round(spot * step / 100 / grid) * grid for step in self.MONEYNESS})
            for spot, grid in zip(self.START, self.GRID, strict=True)
        ]

    def advance(self, now: int) -> bool:
        """Always more. The walk goes second by second: whoever asks at other times, in another process, sees the same path."""
        while self._now < now:
            self._now += 1
            self._step()
        return True

    def _step(self) -> None:
        years = self._pace / YEAR_S
        for of, vol in enumerate(self.VOL):
            move = vol * math.sqrt(years) * self._rng.gauss(0, 1)
            if self._rng.random() < JUMPS:
                move += self._rng.choice((-1, 1)) * 0.004
            self._spots[of] *= math.exp(move)

    def get_markets(self) -> dict[int, Market]:
        """Both underlyings, all expiries."""
        return {of: Market(round(self._spots[of] * USD), self._now, self._get_slices(of)) for of in range(len(UNDERLYINGS))}

    def get_books(self) -> list[Book]:
        """Every listed series, 1 % and a tick around its model price."""
        books = []
        for of, market in self.get_markets().items():
            for expiry in self._get_live():
                for strike in self._strikes[of]:
                    for kind in (0, 1):
                        series = encode_series(of, expiry, strike * USD, kind)
                        mid = (compute_mark(series, market) or 0) // LOTS_PER_UNIT
                        half = mid // 100 + 100
                        lots = SIZES[(series ^ self._now) % len(SIZES)]
                        if mid > 4 * half:
                            books.append(Book(series, mid - half, lots, mid + half, lots))
        return books

    def _get_live(self) -> list[int]:
        return [expiry for expiry in self._expiries if expiry > self._now]

    def _get_slices(self, of: int) -> tuple[Slice, ...]:
        slices = []
        for expiry in self._get_live():
            years = (expiry - self._now) / YEAR_S
            w = self.VOL[of] ** 2 * years
            forward = round(self._spots[of] * (1 + 0.04 * years) * USD)
            slices.append(Slice(expiry, forward, round(0.6 * w * 1e9), round(1.6 * w * 1e9), -200_000_000, 0, 250_000_000))
        return tuple(slices)


def parse_window(path: Path, start: str, end: str, quotes: list[Quote]) -> tuple[int, int]:
    """`HH:MM` of the file's first day becomes seconds since 1970; `end` at or before `start` is on the next day."""
    if not quotes:
        raise QuoteFileError(f"{path.name}: no quotes of {' or '.join(UNDERLYINGS)}")
    middle = sorted(quote.time_us for quote in quotes)[len(quotes) // 2]
    midnight = datetime.fromtimestamp(middle // MICROS, UTC).replace(hour=0, minute=0, second=0)
    times = []
    for text in (start, end):
        try:
            hour, minute = map(int, text.split(":"))
            if not (0 <= minute < 60 and 0 <= 60 * hour + minute <= 24 * 60):
                raise ValueError("out of the day")
            times.append(midnight + timedelta(hours=hour, minutes=minute))
        except ValueError as error:
            raise QuoteFileError(f"not a time of day (HH:MM): {text}") from error
    if times[1] <= times[0]:
        times[1] += timedelta(days=1)
    return int(times[0].timestamp()), int(times[1].timestamp())


class ReplaySource:
    """A recorded file between two times of its day. What came before `start` is taken in at once: the books are full from the beginning."""

    def __init__(self, path: Path, start: str = "00:00", end: str = "24:00") -> None:
        quotes = list(read_quotes(path, UNDERLYINGS))
        self.start, self.end = parse_window(path, start, end, quotes)
        quotes.sort(key=lambda quote: quote.time_us)
        self._pending: Iterator[Quote] = iter([quote for quote in quotes if quote.time_us < self.end * MICROS])
        self._next = next(self._pending, None)
        self._quotes: dict[int, Quote] = {}
        self._forwards: dict[tuple[int, int], Quote] = {}
        self._listed: dict[int, tuple[int, ...]] = {}  # once live in a mark, an expiry stays until it expires
        self._now = self.start
        self.advance(self.start)

    def advance(self, now: int) -> bool:
        """False at the window's end."""
        self._now = now
        while self._next is not None and self._next.time_us <= now * MICROS:
            self._take(self._next)
            self._next = next(self._pending, None)
        return now < self.end

    def _take(self, quote: Quote) -> None:
        of = UNDERLYINGS.index(quote.underlying)
        strike = round(quote.strike * USD)
        if strike % STRIKE_UNIT == 0:
            self._quotes[encode_series(of, quote.expiry, strike, int(quote.is_call))] = quote
        self._forwards[of, quote.expiry] = quote

    def _get_live(self) -> dict[int, Quote]:
        horizon = (self._now - STALE_S) * MICROS
        return {series: quote for series, quote in self._quotes.items() if quote.time_us >= horizon and quote.expiry > self._now}

    def get_markets(self) -> dict[int, Market]:
        """Underlyings with at least one fitted expiry; the index is the nearest forward, as the file has no other."""
        points: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for quote in self._quotes.values():
            if quote.expiry > self._now and quote.iv:
                points.setdefault((UNDERLYINGS.index(quote.underlying), quote.expiry), []).append((quote.strike, quote.iv))
        markets = {}
        for of in range(len(UNDERLYINGS)):
            expiries = sorted(expiry for other, expiry in points if other == of)
            kept = [expiry for expiry in self._listed.get(of, ()) if expiry > self._now]
            chosen = sorted(kept + [expiry for expiry in expiries if expiry not in kept][: MAX_SLICES - 2 - len(kept)])
            if not chosen:
                continue
            self._listed[of] = tuple(chosen)
            forwards = {expiry: self._forwards[of, expiry].forward for expiry in chosen}
            slices = tuple(fit_slice(expiry, self._now, forwards[expiry], points[of, expiry]) for expiry in chosen)
            markets[of] = Market(slices[0].forward, self._now, slices)
        return markets

    def get_books(self) -> list[Book]:
        """The recorded best quotes that are not stale, in lots and ticks. Amounts are rounded down to lots, at least one."""
        books = []
        for series, quote in self._get_live().items():
            bid, ask = (round((price or 0) * USD) // LOTS_PER_UNIT for price in (quote.bid, quote.ask))
            lots = [min(max(int(amount * LOTS_PER_UNIT), 1), MAX_LOTS) for amount in (quote.bid_amount, quote.ask_amount)]
            if bid or ask:
                books.append(Book(series, bid, lots[0], ask, lots[1]))
        return books


class ShockedSource:
    """Another source until `at`; then all its forwards are higher by `share`, and quotes stand around the model's prices as wide as before.

    No recorded market moves so far within minutes. Where a simulation needs one that does, it says that the move is made up.
    """

    MIN_HALF = 100  # of a spread, 1e-6 USD a lot

    def __init__(self, source: Source, at: int, share: float) -> None:
        self._source = source
        self._at = at
        self._share = share
        self._now = 0

    def advance(self, now: int) -> bool:
        """As the source."""
        self._now = now
        return self._source.advance(now)

    def get_markets(self) -> dict[int, Market]:
        """With the move, once it has come."""
        markets = self._source.get_markets()
        return markets if self._now < self._at else {of: self._move(market) for of, market in markets.items()}

    def _move(self, market: Market) -> Market:
        slices = tuple(item._replace(forward=round(item.forward * (1 + self._share))) for item in market.slices)
        return market._replace(index_price=round(market.index_price * (1 + self._share)), slices=slices)

    def get_books(self) -> list[Book]:
        """Sizes stay."""
        books = self._source.get_books()
        if self._now < self._at:
            return books
        markets = self.get_markets()
        moved = []
        for book in books:
            market = markets.get(decode_series(book.series).underlying)
            mid = 0 if market is None else (compute_mark(book.series, market) or 0) // LOTS_PER_UNIT
            half = max((book.ask - book.bid) // 2 if book.bid else self.MIN_HALF, self.MIN_HALF)
            if mid > 2 * half:
                moved.append(Book(book.series, mid - half, max(book.bid_lots, 1), mid + half, max(book.ask_lots, 1)))
        return moved
