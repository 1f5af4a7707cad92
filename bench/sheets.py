"""How a mass quote is best posted: bytes and L1 gas a trade, for each form in which a maker's quotes could reach L1.

    python -m bench.sheets                                  a generated market, 128 series
    python -m bench.sheets --quotes FILE --start 12:30      recorded quotes (Tardis.dev options_chain); the takers are made up all the same

Eight makers quote every series on both sides, anew every so many seconds, each around the market's best; takers come at random and hit the
best price. What the makers sign never changes with the form: only quotes that fill reach L1, and the forms differ in what else comes along.

- orders: each quote that fills is posted as an ORDER, with a signature of its own
- paths: a signed root of all quotes, then each quote that fills with its Merkle path
- pages: the page of a quote that fills, with the hashes of the others and the sheet's signature (SHEET, as built)
- lists: the hashes of all pages with the signature once, then the pages that fill, by themselves
- sheets: the whole sheet, at its first fill

Rows go through the codec, in frames of a second as the sequencer closes them; gas is the floor price of their calldata (EIP-7623), which is
what a batch costs. Rows of forms that are not built are laid out in the same way, at most 128 items each.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from l1.devnet_node import compute_floor_gas
from protocol.codec.frames import MAX_SIGNATURES, SIGNATURE_BYTES, Frame, encode_payload
from protocol.codec.inflate import MAX_ROWS_BYTES, encode_frame
from protocol.codec.rows import encode_row
from protocol.keccak import encode_words, keccak
from protocol.merkle import Tree
from protocol.operations import build_order, build_sheet, build_trade, encode_row_quotes, get_layout
from protocol.params import MAINNET
from protocol.series import decode_series, encode_series
from protocol.signing import compute_page_hash
from protocol.types import MAX_PAGES, MAX_QUOTES, POST_ONLY, Page, TwoWay
from sequencer.engine import Limits
from sim.market.source import Book, ReplaySource, Source, WalkSource

START = 1_790_000_000
SEED = 1
MAKERS = 8
TAKERS = 200
TRADES = 3_000  # of a run
TICK = 1_000  # of prices, 1e-6 USD a lot: 0.10 USD a unit
TICKS = 12  # that a maker's price is at most off the best
SIZES = (10, 20, 50, 100)  # lots of a quote
LOTS = (1, 1, 2, 5, 10)  # of a taker
MAX_PAGE_LOTS = 500
FLOWS = ((1, 20), (1, 80), (5, 80), (20, 80))  # seconds from one sheet to the next, takers a second
BATCH_FRAMES = 5  # a batch is of five seconds
ROOT_KIND, PATH_KIND = 14, 15  # of rows that no exchange has

Items = tuple[int, ...]


class Board(WalkSource):
    """As many series as a sheet holds: 2 underlyings, 4 expiries, 8 strikes, both kinds."""

    EXPIRY_DAYS = (2, 7, 14, 28)
    MONEYNESS = (85, 90, 95, 98, 102, 105, 110, 115)


class Sheet(NamedTuple):
    """What a maker quotes at a time."""

    account: int
    nonce: int
    valid_until: int
    pages: tuple[Page, ...]


class Fill(NamedTuple):
    """A taker's order met a side (0 bid, 1 ask) of a quote."""

    time: int
    sheet: Sheet
    page: int
    quote: int
    side: int
    lots: int
    taker: Items  # the order's row
    is_first: int  # of the order


class Flow:
    """Makers, takers and what fills."""

    def __init__(self, source: Source, start: int, every: int, rate: int) -> None:
        self._source = source
        self._start, self._every, self._rate = start, every, rate
        self._rng = random.Random(SEED)
        self._sheets: list[Sheet] = []
        self._places: list[dict[int, tuple[int, int]]] = []  # page and quote of a series, by maker
        self._left: dict[tuple[int, int, int, int], int] = {}  # by maker, page, quote, side
        self._weights: dict[int, float] = {}  # a series' popularity is its own
        self.sheets = self.sides = 0

    def run(self) -> Iterator[Fill]:
        """Second by second, until there are enough trades."""
        count, now = 0, self._start
        while count < TRADES and self._source.advance(now):
            books = sorted(self._source.get_books(), key=lambda book: book.series)
            for maker in range(MAKERS):
                if now == self._start or now % self._every == maker % self._every:
                    self._quote(maker, now, books)
            for _ in range(self._rate):
                for fill in self._take(now, books):
                    yield fill
                    count += 1
            now += 1

    def _quote(self, maker: int, now: int, books: list[Book]) -> None:
        nonce = 1 + (now - self._start) * MAX_PAGES
        sheet = Sheet(maker, nonce, now + MAINNET.sheet_life_s, tuple(self._write_pages(books)))
        self._sheets[maker : maker + 1] = [sheet]
        self.sheets += 1
        places: dict[int, tuple[int, int]] = {}
        self._places[maker : maker + 1] = [places]
        for at, page in enumerate(sheet.pages):
            for number, quote in enumerate(page.quotes):
                places[encode_series(page.underlying, page.expiry, quote.strike, quote.is_call)] = at, number
                self._left[maker, at, number, 0], self._left[maker, at, number, 1] = quote.bid_lots, quote.ask_lots
                self.sides += (quote.bid_lots > 0) + (quote.ask_lots > 0)

    def _write_pages(self, books: list[Book]) -> Iterator[Page]:
        listings: dict[tuple[int, int], list[TwoWay]] = {}
        for book in books:
            underlying, expiry, strike, is_call = decode_series(book.series)
            bid = max(book.bid // TICK - self._rng.randrange(TICKS), 0)
            ask = book.ask // TICK + self._rng.randrange(TICKS) if book.ask else 0
            bid_lots, ask_lots = (self._rng.choice(SIZES) if price else 0 for price in (bid, ask))
            quote = TwoWay(strike, is_call, bid * TICK, bid_lots, ask * TICK, ask_lots)
            listings.setdefault((underlying, expiry), []).append(quote)
        for (underlying, expiry), quotes in list(listings.items())[:MAX_PAGES]:
            yield Page(underlying=underlying, expiry=expiry, max_lots=MAX_PAGE_LOTS, quotes=tuple(quotes[:MAX_QUOTES]))

    def _take(self, now: int, books: list[Book]) -> Iterator[Fill]:
        """One taker, from the best maker to the next, at any price."""
        rng = self._rng
        for book in books:
            self._weights.setdefault(book.series, 1 / (1 + rng.randrange(len(books))))
        series = rng.choices(books, [self._weights[book.series] for book in books])[0].series
        side, lots = rng.randrange(2), rng.choice(LOTS)
        found = sorted(self._find(series, side))
        limit = abs(found[-1][0]) if found else 0
        taker = build_order(MAKERS + rng.randrange(TAKERS), series, side, limit, lots, rng.randrange(1, 1 << 16), now + 60)
        is_first = 1
        for _, maker, page, quote in found:
            key = (maker, page, quote, side)
            filled = min(lots, self._left[key])
            if filled:
                self._left[key] -= filled
                lots -= filled
                yield Fill(now, self._sheets[maker], page, quote, side, filled, taker, is_first)
                is_first = 0
            if not lots:
                return

    def _find(self, series: int, side: int) -> Iterator[tuple[int, int, int, int]]:
        """Price (bids negated, so that the best comes first), maker, page and quote of each that has lots left."""
        for maker, places in enumerate(self._places):
            if series in places:
                page, number = places[series]
                quote = self._sheets[maker].pages[page].quotes[number]
                if self._left[maker, page, number, side]:
                    yield (quote.ask if side else -quote.bid), maker, page, number


class Row(NamedTuple):
    """Items, and how many signatures."""

    items: Items
    signatures: int


Form = Callable[[Fill, set[object]], list[Row]]  # what goes before the fill's TRADE; the set remembers what was posted


def hash_pages(sheet: Sheet) -> list[bytes]:
    return [compute_page_hash(page.underlying, page.expiry, page.max_lots, [quote[:6] for quote in page.quotes]) for page in sheet.pages]


def is_new(posted: set[object], key: object) -> bool:
    """Whether it was not posted yet; it is now."""
    is_first = key not in posted
    posted.add(key)
    return is_first


def post_nothing(*_: object) -> list[Row]:
    """What all forms have: the takers and the trades."""
    return []


def post_order(fill: Fill, posted: set[object]) -> list[Row]:
    s, page = fill.sheet, fill.sheet.pages[fill.page]
    if not is_new(posted, (s.account, s.nonce, fill.page, fill.quote, fill.side)):
        return []
    quote = page.quotes[fill.quote]
    series = encode_series(page.underlying, page.expiry, quote.strike, quote.is_call)
    price, lots = (quote.ask, quote.ask_lots) if fill.side else (quote.bid, quote.bid_lots)
    place = (fill.page * MAX_QUOTES + fill.quote) * 2 + fill.side
    nonce = s.nonce * 2 * MAX_QUOTES + place  # a quote has a nonce of its own
    return [Row(build_order(s.account, series, 1 - fill.side, price, lots, nonce, s.valid_until, POST_ONLY), 1)]


def post_path(fill: Fill, posted: set[object]) -> list[Row]:
    s, page = fill.sheet, fill.sheet.pages[fill.page]
    if not is_new(posted, (s.account, s.nonce, fill.page, fill.quote)):
        return []
    leaves = [(each.underlying, each.expiry, *quote[:6]) for each in s.pages for quote in each.quotes]
    tree = Tree((len(leaves) - 1).bit_length())
    for at, leaf in enumerate(leaves):
        tree.set_leaf(at, keccak(encode_words(leaf)))
    at = sum(len(each.quotes) for each in s.pages[: fill.page]) + fill.quote
    path = [int.from_bytes(node, "big") for node in tree.prove(at)]
    terms = encode_row_quotes(page.quotes[fill.quote : fill.quote + 1])
    rows = [Row((PATH_KIND, s.account, s.nonce, at, page.underlying, page.expiry, *terms, *path), 0)]
    if is_new(posted, (s.account, s.nonce)):
        rows.insert(0, Row((ROOT_KIND, s.account, s.nonce, s.valid_until, int.from_bytes(tree.get_root(), "big")), 1))
    return rows


def post_page(fill: Fill, posted: set[object]) -> list[Row]:
    s = fill.sheet
    if not is_new(posted, (s.account, s.nonce, fill.page)):
        return []
    return [Row(build_sheet(s.account, s.nonce, s.valid_until, hash_pages(s), fill.page, s.pages[fill.page]), 1)]


def post_list(fill: Fill, posted: set[object]) -> list[Row]:
    s = fill.sheet
    if not is_new(posted, (s.account, s.nonce, fill.page)):
        return []
    page = s.pages[fill.page]
    content = (page.underlying, page.expiry, page.max_lots, *encode_row_quotes(page.quotes))
    rows = [Row((PATH_KIND, s.account, s.nonce, fill.page, *content), 0)]
    if is_new(posted, (s.account, s.nonce)):
        hashes = [int.from_bytes(digest, "big") for digest in hash_pages(s)]
        rows.insert(0, Row((ROOT_KIND, s.account, s.nonce, s.valid_until, *hashes), 1))
    return rows


def post_sheet(fill: Fill, posted: set[object]) -> list[Row]:
    """As many rows as pages, one signature."""
    s = fill.sheet
    if not is_new(posted, (s.account, s.nonce)):
        return []
    rows = [(s.account, s.nonce, page.underlying, page.expiry, page.max_lots, *encode_row_quotes(page.quotes)) for page in s.pages]
    return [Row((ROOT_KIND, s.account, s.nonce, s.valid_until, len(rows)), 1), *(Row((PATH_KIND, *row), 0) for row in rows)]


FORMS: dict[str, Form] = {"orders": post_order, "paths": post_path, "pages": post_page, "lists": post_list, "sheets": post_sheet}


def write_rows(fills: list[Fill], form: Form) -> Iterator[tuple[int, Row]]:
    """With their times, in the order in which they are posted."""
    posted: set[object] = set()
    for fill in fills:
        for row in form(fill, posted):
            yield fill.time, row
        if fill.is_first:
            yield fill.time, Row(fill.taker, 1)
        slot = MAINNET.get_slot(fill.sheet.nonce + fill.page) | (1 + 2 * fill.quote + fill.side) << MAINNET.slot_depth
        _, taker, *_, taker_nonce, _, _ = fill.taker
        yield fill.time, Row(build_trade(fill.sheet.account, slot, taker, MAINNET.get_slot(taker_nonce), fill.lots), 0)


def pack(rows: Iterator[tuple[int, Row]]) -> Iterator[Frame]:
    """As the sequencer does: a frame is of one second at most, and closes when it is full. Signatures are noise of their length."""
    rng = random.Random(SEED)
    time, data, signatures = 0, b"", b""
    for now, row in rows:
        more = encode_row(row.items)
        assert row.items[0] in (ROOT_KIND, PATH_KIND) or get_layout(row.items) is not None, "the exchange would skip this row"
        is_full = len(data) + len(more) > MAX_ROWS_BYTES or len(signatures) >= MAX_SIGNATURES * SIGNATURE_BYTES
        if data and (now - time >= Limits.frame_s or is_full):
            yield Frame(time, encode_frame(data), signatures)
            time, data, signatures = now, b"", b""
        time = time or now
        data += more
        signatures += b"".join(rng.randbytes(SIGNATURE_BYTES - 1) + b"\x1b" for _ in range(row.signatures))
    yield Frame(time, encode_frame(data), signatures)


def measure(fills: list[Fill], form: Form) -> dict[str, float]:
    """Each a trade: bytes of rows as posted, bytes of signatures, all bytes, gas."""
    frames = list(pack(write_rows(fills, form)))
    payloads = [encode_payload(frames[at : at + BATCH_FRAMES]) for at in range(0, len(frames), BATCH_FRAMES)]
    size = len(fills)
    signatures = sum(len(frame.signatures) for frame in frames)
    total = sum(map(len, payloads))
    gas = sum(map(compute_floor_gas, payloads))
    return {"rows": (total - signatures) / size, "signatures": signatures / size, "bytes": total / size, "gas": gas / size}


def run(make_source: Callable[[], tuple[Source, int]], flows: Sequence[tuple[int, int]] = FLOWS) -> list[dict[str, Any]]:
    """All forms; the maker's part is what is above `post_nothing`."""
    figures: list[dict[str, Any]] = []
    for every, rate in flows:
        flow = Flow(*make_source(), every, rate)
        fills = list(flow.run())
        least = measure(fills, post_nothing)
        hit = len({(fill.sheet.account, fill.sheet.nonce, fill.page, fill.quote, fill.side) for fill in fills})
        pages = len({(fill.sheet.account, fill.sheet.nonce, fill.page) for fill in fills})
        head = {
            "requote_s": every,
            "takers_per_second": rate,
            "series": flow.sides // flow.sheets // 2,
            "filled_percent": 100 * hit / flow.sides,
            "fills_per_sheet": len(fills) / flow.sheets,
            "fills_per_posted_page": len(fills) / pages,
        }
        for name, form in FORMS.items():
            found = measure(fills, form)
            figures.append({**head, "form": name, **found, "maker_bytes": found["bytes"] - least["bytes"]})
    return figures


def make_board() -> tuple[Source, int]:
    """The generated market, and when it begins."""
    return Board(SEED, START), START


def measure_sheets() -> dict[str, float]:
    """Of the busy flow with a new sheet each second."""
    return {f"maker_bytes_per_trade_as_{figure['form']}": figure["maker_bytes"] for figure in run(make_board, FLOWS[1:2])}


def main() -> None:
    """Prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m bench.sheets", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quotes", type=Path)
    parser.add_argument("--start", default="12:30")
    parser.add_argument("--out", type=Path, default=Path(".out/sheets.json"))
    arguments = parser.parse_args()

    def make_source() -> tuple[Source, int]:
        source = ReplaySource(arguments.quotes, arguments.start)
        return source, source.start

    figures = run(make_source if arguments.quotes else make_board)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    table = Table(title="a trade, with its taker's order")
    for name in figures[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for figure in figures:
        table.add_row(*(f"{value:,.1f}" if isinstance(value, float) else str(value) for value in figure.values()))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
