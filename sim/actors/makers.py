"""Market makers: their orders follow the best quotes of a source, series by series.

The machine remembers nothing of its orders: at each tick it is told what rests, so fills, expiries and cancelled generations need no
bookkeeping. A quote that is near enough to the source's stays; one that is not, or that is mostly filled, is cancelled and placed anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.series import decode_series
from sim.market.source import Book

TOLERANCE = 200  # a quote stays while it is within a 200th of the source's
VALID_S = 3_600  # chain seconds


@dataclass(frozen=True, slots=True)
class Resting:
    """An order of one of our accounts as the sequencer has it."""

    account: int
    nonce: int
    series: int
    is_buy: int
    price: int
    left: int


@dataclass(frozen=True, slots=True)
class Place:
    """`price` a lot in 1e-6 USD."""

    account: int
    series: int
    is_buy: int
    price: int
    lots: int
    valid_until: int


@dataclass(frozen=True, slots=True)
class Cancel:
    account: int
    nonce: int


@dataclass(frozen=True, slots=True)
class Desk:
    """`accounts` share the series among them. At most `series` instruments are quoted: those nearest to the money by strike, of each
    expiry in turn. `max_lots` bounds one quote."""

    accounts: tuple[int, ...]
    series: int
    max_lots: int


def choose_books(books: Sequence[Book], count: int) -> list[Book]:
    """At most `count`: of each expiry the strikes nearest to its middle one, one expiry after another, so that all are quoted."""
    groups: dict[tuple[int, int], list[Book]] = {}
    for book in books:
        underlying, expiry, _, _ = decode_series(book.series)
        groups.setdefault((underlying, expiry), []).append(book)
    ranked = [_rank_by_middle(group) for _, group in sorted(groups.items())]
    chosen: list[Book] = []
    for place in range(max(map(len, ranked), default=0)):
        chosen += [group[place] for group in ranked if place < len(group)]
    return chosen[:count]


def _rank_by_middle(group: list[Book]) -> list[Book]:
    """By distance from the middle strike."""
    strikes = sorted({decode_series(book.series).strike for book in group})
    middle = strikes[len(strikes) // 2]
    return sorted(group, key=lambda book: (abs(decode_series(book.series).strike - middle), book.series))


def compute_quotes(desk: Desk, now: int, books: Sequence[Book], resting: Sequence[Resting], speed: int = 1) -> list[Place | Cancel]:
    """What to do now. Cancellations come first: they free the slots."""
    wanted: dict[tuple[int, int], Place] = {}
    valid_until = now + VALID_S * speed
    for book in choose_books(books, desk.series):
        account = desk.accounts[hash_series(book.series) % len(desk.accounts)]
        for is_buy, price, lots in ((1, book.bid, book.bid_lots), (0, book.ask, book.ask_lots)):
            if price > 0 and lots > 0:
                wanted[book.series, is_buy] = Place(account, book.series, is_buy, price, min(lots, desk.max_lots), valid_until)
    cancels: list[Cancel] = []
    kept: set[tuple[int, int]] = set()
    for order in resting:
        place = (order.series, order.is_buy)
        quote = wanted.get(place)
        if quote is not None and place not in kept and is_near(order, quote):
            kept.add(place)
        else:
            cancels.append(Cancel(order.account, order.nonce))
    return [*cancels, *(quote for place, quote in wanted.items() if place not in kept)]


def is_near(order: Resting, quote: Place) -> bool:
    """Same account, price within the tolerance, at least half of the size left."""
    is_close = abs(order.price - quote.price) * TOLERANCE <= quote.price
    return order.account == quote.account and is_close and 2 * order.left >= quote.lots


def hash_series(series: int) -> int:
    """The same in every process, and evenly spread (Fibonacci hashing: Knuth, TAOCP 3, 6.4)."""
    return (series * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 40
