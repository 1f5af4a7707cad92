"""Sources give markets that the rules accept and books that can trade."""

from pathlib import Path

import pytest

from protocol.margin import compute_mark
from protocol.steps.mark import merge_slices
from protocol.types import Market
from sim.market.source import ReplaySource, Source, WalkSource


def check_source(source: Source, times: range, min_books: int) -> None:
    before: dict[int, Market] = {}
    for now in times:
        source.advance(now)
        for of, market in source.get_markets().items():
            assert market.mark_time == now
            merged = merge_slices(before.get(of, Market()), now, market.index_price, market.slices)
            assert merged is not None
            before[of] = market
        books = source.get_books()
        assert len(books) >= min_books
        assert all(book.bid < book.ask or not book.bid or not book.ask for book in books)
        assert all(compute_mark(book.series, before[book.series >> 89]) is not None for book in books)


def test_walk__advances__marks_and_books_are_valid() -> None:
    check_source(WalkSource(7, 1_790_000_000), range(1_790_000_000, 1_790_000_600, 60), 40)


def test_walk__same_seed__same_market() -> None:
    one, two, other = WalkSource(1, 1_790_000_000), WalkSource(1, 1_790_000_000), WalkSource(2, 1_790_000_000)
    for source in (one, two, other):
        source.advance(1_790_000_100)
    assert one.get_markets() == two.get_markets() != other.get_markets()
    assert one.get_books() == two.get_books()


@pytest.mark.parametrize("start", ["06:30", "09:00"])
def test_replay__recorded_day__marks_and_books_are_valid(shared: Path, start: str) -> None:
    source = ReplaySource(shared / "deribit_btc_atm_quotes_20201201.csv.gz", start, "14:00")
    check_source(source, range(source.start, source.start + 7_200, 600), 5)
    assert not source.advance(source.end)
