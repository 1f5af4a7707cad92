"""The actors' machines, driven by events."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from protocol.codes import Code
from protocol.series import encode_series
from protocol.types import Market, Slice
from sim.actors import oracle
from sim.actors.makers import TOLERANCE, Cancel, Desk, Place, Resting, choose_books, compute_quotes
from sim.actors.oracle import MarketsRead, MarkRefused, MarkTaken, Oracle
from sim.actors.takers import Flow
from sim.market.source import Book, ShockedSource, WalkSource

NOW = 1_790_000_000
EXPIRIES = (NOW + 86_400, NOW + 7 * 86_400)


def make_market(time: int) -> Market:
    return Market(90_000_000_000, time, (Slice(EXPIRIES[0], 90_000_000_000, 0, 0, 0, 0, 0),))


def make_books(strikes: Sequence[int] = (80, 85, 90, 95, 100), bid: int = 50_000, ask: int = 51_000) -> list[Book]:
    return [
        Book(encode_series(0, expiry, strike * 1_000_000_000, kind), bid, 10, ask, 20)
        for expiry in EXPIRIES
        for strike in strikes
        for kind in (0, 1)
    ]


def rest(places: Sequence[Place | Cancel], first: int = 1) -> list[Resting]:
    """What the sequencer would tell of orders that were all taken and not filled."""
    return [
        Resting(place.account, nonce, place.series, place.is_buy, place.price, place.lots)
        for nonce, place in enumerate(places, start=first)
        if isinstance(place, Place)
    ]


# -- the oracle


def test_oracle__market_read__names_the_last_mark_and_waits_for_its_fate() -> None:
    state, marks = oracle.advance(Oracle(5, {0: NOW - 10}), MarketsRead(NOW, {0: make_market(NOW)}))
    assert [(mark.underlying, mark.previous) for mark in marks] == [(0, NOW - 10)]
    state, marks = oracle.advance(state, MarketsRead(NOW + 20, {0: make_market(NOW + 20)}))
    assert marks == []
    state, _ = oracle.advance(state, MarkTaken(0, NOW))
    _, marks = oracle.advance(state, MarketsRead(NOW + 20, {0: make_market(NOW + 20)}))
    assert marks[0].previous == NOW


def test_oracle__sooner_than_the_gap__stays_silent() -> None:
    _, marks = oracle.advance(Oracle(5, {0: NOW}), MarketsRead(NOW + 4, {0: make_market(NOW + 4)}))
    assert marks == []
    _, marks = oracle.advance(Oracle(5, {0: NOW}), MarketsRead(NOW + 5, {0: make_market(NOW + 5)}))
    assert len(marks) == 1


def test_oracle__refused_for_its_time__takes_the_sequencers_word() -> None:
    state, _ = oracle.advance(Oracle(5), MarketsRead(NOW, {0: make_market(NOW)}))
    state, _ = oracle.advance(state, MarkRefused(0, Code.MARK_TIME, NOW - 7))
    _, marks = oracle.advance(state, MarketsRead(NOW + 1, {0: make_market(NOW + 1)}))
    assert marks[0].previous == NOW - 7


def test_oracle__refused_otherwise__keeps_its_predecessor() -> None:
    state, _ = oracle.advance(Oracle(5, {0: NOW - 30}), MarketsRead(NOW, {0: make_market(NOW)}))
    state, _ = oracle.advance(state, MarkRefused(0, Code.MARK_SHAPE, 0))
    assert state.last[0] == NOW - 30
    assert state.refusals == 1


# -- makers


def test_makers__empty_book__both_sides_of_every_book() -> None:
    desk = Desk((3, 4), 100, 15)
    quotes = [quote for quote in compute_quotes(desk, NOW, make_books(), []) if isinstance(quote, Place)]
    assert len(quotes) == 40
    assert {(quote.is_buy, quote.price, quote.lots) for quote in quotes} == {(1, 50_000, 10), (0, 51_000, 15)}
    assert {quote.account for quote in quotes} == {3, 4}


def test_makers__all_rests__nothing_to_do() -> None:
    desk = Desk((3, 4), 100, 15)
    resting = rest(compute_quotes(desk, NOW, make_books(), []))
    assert compute_quotes(desk, NOW + 5, make_books(), resting) == []


def test_makers__price_moved_or_half_filled__cancel_comes_before_the_new_quote() -> None:
    desk = Desk((3,), 100, 50)
    books = make_books(strikes=(90,))[:1]
    resting = rest(compute_quotes(desk, NOW, books, []))
    moved = [books[0].__class__(books[0].series, 52_000, 10, 53_000, 20)]
    changes = compute_quotes(desk, NOW, moved, resting)
    assert [type(change) for change in changes] == [Cancel, Cancel, Place, Place]
    half = [Resting(o.account, o.nonce, o.series, o.is_buy, o.price, o.left // 2 - 1) for o in resting]
    assert [type(change) for change in compute_quotes(desk, NOW, books, half)] == [Cancel, Cancel, Place, Place]


def test_makers__series_gone__quotes_are_cancelled() -> None:
    desk = Desk((3,), 100, 50)
    resting = rest(compute_quotes(desk, NOW, make_books(), []))
    assert {type(change) for change in compute_quotes(desk, NOW, [], resting)} == {Cancel}


@given(st.integers(1, 10_000_000), st.integers(-200_000, 200_000))
def test_makers__any_move__what_stays_is_within_the_tolerance(price: int, move: int) -> None:
    desk = Desk((1,), 10, 50)
    series = encode_series(0, EXPIRIES[0], 90_000_000_000, 1)
    resting = rest(compute_quotes(desk, NOW, [Book(series, price, 10, 0, 0)], []))
    after = max(price + move, 1)
    changes = compute_quotes(desk, NOW, [Book(series, after, 10, 0, 0)], resting)
    assert (changes == []) == (abs(after - price) * TOLERANCE <= after)


def test_choose_books__fewer_than_there_are__middle_strikes_of_every_expiry() -> None:
    chosen = choose_books(make_books(), 4)
    assert [(book.series >> 1) & ((1 << 48) - 1) for book in chosen] == [90_000_000_000] * 4
    assert {(book.series >> 49) & ((1 << 40) - 1) for book in chosen} == set(EXPIRIES)


# -- takers


def test_takers__same_seed__same_orders_at_the_rate_across_the_spread() -> None:
    books = make_books()
    one, two = (Flow(7, (5, 6), 10.0) for _ in range(2))
    drawn = [one.draw(NOW + at, 0.25, books) for at in range(8)]
    assert drawn == [two.draw(NOW + at, 0.25, books) for at in range(8)]
    takes = [take for some in drawn for take in some]
    assert len(takes) == 20
    assert all(take.price >= 51_000 if take.is_buy else take.price <= 50_000 for take in takes)
    assert {take.account for take in takes} == {5, 6}


def test_takers__empty_books__no_orders() -> None:
    assert Flow(1, (1,), 100.0).draw(NOW, 1.0, []) == []


# -- sources


def test_walk__asked_at_other_times__same_path() -> None:
    one, two = WalkSource(3, NOW), WalkSource(3, NOW)
    for at in range(1, 61):
        one.advance(NOW + at)
        one.get_books()
    two.advance(NOW + 60)
    assert one.get_markets() == two.get_markets()
    assert one.get_books() == two.get_books()


def test_shock__before_and_after__forwards_move_and_books_still_trade() -> None:
    source, plain = ShockedSource(WalkSource(3, NOW), NOW + 60, 0.35), WalkSource(3, NOW)
    for one in (source, plain):
        one.advance(NOW + 59)
    assert source.get_markets() == plain.get_markets()
    assert source.get_books() == plain.get_books()
    for one in (source, plain):
        one.advance(NOW + 60)
    assert source.get_markets()[0].slices[0].forward == round(plain.get_markets()[0].slices[0].forward * 1.35)
    books = source.get_books()
    assert len(books) > 40
    assert all(0 < book.bid < book.ask for book in books)
