"""Market makers: sheets of quotes that follow the best ones of a source. An account quotes whole expiries, with one signature for all.

The machine is told at each tick what the sequencer still has of the last sheet: a sheet that is near enough to what is wanted stays; one
that is not, that is mostly filled, or that is soon over is replaced, which takes all of its older quotes away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.series import decode_series
from protocol.types import MAX_PAGES, MAX_QUOTES
from sim.actors.trader import Page
from sim.market.source import Book

TOLERANCE = 200  # a quote stays while it is within a 200th of the source's
Pages = tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Resting:
    """The sheet that an account has placed last. `left` is what may still fill of each page, by the sequencer's word."""

    pages: Pages
    left: tuple[int, ...]
    valid_until: int


@dataclass(frozen=True, slots=True)
class Desk:
    """`accounts` share the expiries among them. At most `series` instruments are quoted: those nearest to the money by strike, of each
    expiry in turn. `max_lots` bounds one side of a quote."""

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


def write_sheets(desk: Desk, books: Sequence[Book]) -> dict[int, Pages]:
    """What each account wants to quote: of its expiries, one page after another."""
    groups: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for book in sorted(choose_books(books, desk.series), key=lambda book: book.series):
        underlying, expiry, strike, is_call = decode_series(book.series)
        bid_lots, ask_lots = min(book.bid_lots, desk.max_lots), min(book.ask_lots, desk.max_lots)
        quote = (strike, is_call, book.bid, bid_lots if book.bid else 0, book.ask, ask_lots if book.ask else 0)
        groups.setdefault((underlying, expiry), []).append(quote)
    sheets: dict[int, list[Page]] = {account: [] for account in desk.accounts}
    for at, ((underlying, expiry), quotes) in enumerate(sorted(groups.items())):
        pages = sheets[desk.accounts[at % len(desk.accounts)]]
        for start in range(0, len(quotes), MAX_QUOTES):
            some = tuple(quotes[start : start + MAX_QUOTES])
            pages.append((underlying, expiry, sum(quote[3] + quote[5] for quote in some), some))
    return {account: tuple(pages[:MAX_PAGES]) for account, pages in sheets.items()}


def choose_sheets(desk: Desk, until: int, books: Sequence[Book], resting: Mapping[int, Resting]) -> dict[int, Pages]:
    """The accounts that quote anew, and what. A sheet that is over before `until` (chain time) does not stay. Whoever wants to quote
    nothing any more places an empty page."""
    wanted = write_sheets(desk, books)
    stale = {account: pages for account, pages in wanted.items() if not _stays(resting.get(account), pages, until)}
    quoting = {account for account, found in resting.items() if any(page[3] for page in found.pages)}
    return {account: pages or ((0, 1, 0, ()),) for account, pages in stale.items() if pages or account in quoting}


def _stays(resting: Resting | None, wanted: Pages, until: int) -> bool:
    if resting is None or resting.valid_until < until or len(resting.pages) != len(wanted):
        return False
    has_size = all(2 * left >= page[2] for left, page in zip(resting.left, resting.pages, strict=True))
    return has_size and all(_is_near(old, new) for old, new in zip(resting.pages, wanted, strict=True))


def _is_near(old: Page, new: Page) -> bool:
    """The same series with the same sides, each price within the tolerance."""
    if (old[0], old[1], len(old[3])) != (new[0], new[1], len(new[3])):
        return False
    return all(
        one[:2] == other[:2]
        and all((one[at + 1] > 0) == (other[at + 1] > 0) and abs(one[at] - other[at]) * TOLERANCE <= other[at] for at in (2, 4))
        for one, other in zip(old[3], new[3], strict=True)
    )
