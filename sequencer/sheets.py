"""Sheets of quotes: one signature for all that a maker quotes. A newer sheet takes the place of the older one in the books at once.

Each side of each quote rests in the book of its series. On the chain there are only pages that fill: a page's SHEET row goes before the
first TRADE against it. A quote never takes, so a side that would trade at once is left out, and the answer says so.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from protocol.codes import Code
from protocol.legs import pack_plain
from protocol.operations import build_sheet
from protocol.series import STRIKE_UNIT, encode_series
from protocol.signing import compute_sheet_digest
from protocol.types import POST_ONLY, Page, TwoWay
from sequencer.book import Book, OrderKey, Resting
from sequencer.events import PageTerms, QuoteDropped, SheetReceived


@dataclass(slots=True)
class Sheet:
    """`left` is what may still fill of each page."""

    account: int
    nonce: int
    generation: int
    valid_until: int  # of the quotes: not later than its session key's
    signed_until: int
    pages: tuple[PageTerms, ...]
    hashes: tuple[bytes, ...]
    signature: bytes
    digest: bytes
    left: list[int]

    def build_row(self, page: int) -> tuple[int, ...]:
        """As the page will be posted."""
        return build_sheet(self.account, self.nonce, self.signed_until, self.hashes, page, build_page(self.pages[page]))


def build_page(terms: PageTerms) -> Page:
    """What of a page is signed."""
    underlying, expiry, max_lots, quotes = terms
    return Page(underlying=underlying, expiry=expiry, max_lots=max_lots, quotes=tuple(TwoWay(*quote) for quote in quotes))


def check_form(event: SheetReceived) -> Code:
    """What no row can carry: parts of a cent in a strike."""
    is_whole = all(quote[0] % STRIKE_UNIT == 0 for _, _, _, quotes in event.pages for quote in quotes)
    return Code.OK if is_whole else Code.SERIES


def build_sheet_of(event: SheetReceived, domain: bytes, valid_until: int) -> Sheet:
    """With all that it has left."""
    digest = compute_sheet_digest(domain, event.account, event.hashes, event.nonce, event.generation, event.valid_until)
    left = [max_lots for _, _, max_lots, _ in event.pages]
    terms = (event.account, event.nonce, event.generation, valid_until, event.valid_until)
    return Sheet(*terms, event.pages, event.hashes, event.signature, digest, left)


def list_sides(sheet: Sheet, owner: int, now: int) -> Iterator[Resting]:
    """Every side that has lots, bids first, page by page."""
    for number, (underlying, expiry, max_lots, quotes) in enumerate(sheet.pages):
        for at, (strike, is_call, bid, bid_lots, ask, ask_lots) in enumerate(quotes):
            legs = pack_plain(encode_series(underlying, expiry, strike, is_call))
            for is_ask, price, lots in ((0, bid, bid_lots), (1, ask, ask_lots)):
                left = min(lots, max_lots)
                if left:
                    yield Resting(
                        account=sheet.account,
                        nonce=sheet.nonce + number,
                        owner=owner,
                        legs=legs,
                        is_buy=1 - is_ask,
                        price=price,
                        lots=lots,
                        left=left,
                        generation=sheet.generation,
                        valid_until=sheet.valid_until,
                        flags=POST_ONLY,
                        created=now,
                        place=1 + 2 * at + is_ask,
                    )


class Sheets:
    """The newest sheet of each account that has one, and its quotes in the book."""

    def __init__(self, book: Book) -> None:
        self.by_account: dict[int, Sheet] = {}
        self._book = book

    def place(self, sheet: Sheet, owner: int, now: int, check: Callable[[Resting], Code]) -> tuple[int, tuple[QuoteDropped, ...]]:
        """How many sides are in the book, and those that `check` left out. The account has no other sheet."""
        assert sheet.account not in self.by_account
        self.by_account[sheet.account] = sheet
        count, dropped = 0, []
        for side in list_sides(sheet, owner, now):
            code = check(side)
            if code == Code.OK:
                self._book.add(side)
                count += 1
            else:
                dropped.append(QuoteDropped(side.legs, side.is_buy, code))
        return count, tuple(dropped)

    def get(self, quote: Resting) -> tuple[Sheet, int]:
        """The sheet of a quote that rests, and the number of its page."""
        sheet = self.by_account[quote.account]
        return sheet, quote.nonce - sheet.nonce

    def fill(self, quote: Resting, lots: int) -> None:
        """Takes `lots` off the quote, and off its page: no quote of it has more left than the page has."""
        sheet, page = self.get(quote)
        self._book.fill(quote, lots)
        sheet.left[page] -= lots
        for key in self._list_keys(sheet, page):
            other = self._book.orders.get(key)
            if other is not None and other.left > sheet.left[page]:
                self._book.fill(other, other.left - sheet.left[page])

    def remove(self, account: int) -> Sheet | None:
        """With all its quotes; None where there is none."""
        sheet = self.by_account.pop(account, None)
        if sheet is not None:
            for page in range(len(sheet.pages)):
                for key in self._list_keys(sheet, page):
                    if key in self._book.orders:
                        self._book.remove(key)
        return sheet

    @staticmethod
    def _list_keys(sheet: Sheet, page: int) -> list[OrderKey]:
        quotes = sheet.pages[page][3]
        return [(sheet.account, sheet.nonce + page, place) for place in range(1, 2 * len(quotes) + 1)]
