"""The actors' machines, driven by events."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from node.instruments import decode_instrument, encode_instrument
from protocol.codes import Code
from protocol.series import decode_series, encode_series
from protocol.types import MAX_PAGES, MAX_QUOTES, Market, Slice
from sim.actors import oracle
from sim.actors.liquidator import choose_lot, open_bid
from sim.actors.makers import TOLERANCE, Desk, Resting, choose_books, choose_sheets
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


# -- the oracle


def get_previous(effects: Sequence[object]) -> int:
    (mark,) = [effect for effect in effects if isinstance(effect, oracle.SubmitMark)]
    return mark.previous


def test_oracle__market_read__names_the_last_mark_and_waits_for_its_fate() -> None:
    state, marks = oracle.advance(Oracle(5, {0: NOW - 10}), MarketsRead(NOW, {0: make_market(NOW)}))
    assert [(mark.underlying, mark.previous) for mark in marks if isinstance(mark, oracle.SubmitMark)] == [(0, NOW - 10)]
    state, marks = oracle.advance(state, MarketsRead(NOW + 20, {0: make_market(NOW + 20)}))
    assert marks == []
    state, _ = oracle.advance(state, MarkTaken(0, NOW))
    _, marks = oracle.advance(state, MarketsRead(NOW + 20, {0: make_market(NOW + 20)}))
    assert get_previous(marks) == NOW


def test_oracle__sooner_than_the_gap__stays_silent() -> None:
    _, marks = oracle.advance(Oracle(5, {0: NOW}), MarketsRead(NOW + 4, {0: make_market(NOW + 4)}))
    assert marks == []
    _, marks = oracle.advance(Oracle(5, {0: NOW}), MarketsRead(NOW + 5, {0: make_market(NOW + 5)}))
    assert len(marks) == 1


def test_oracle__refused_for_its_time__takes_the_sequencers_word() -> None:
    state, _ = oracle.advance(Oracle(5), MarketsRead(NOW, {0: make_market(NOW)}))
    state, _ = oracle.advance(state, MarkRefused(0, Code.MARK_TIME, NOW - 7))
    _, marks = oracle.advance(state, MarketsRead(NOW + 1, {0: make_market(NOW + 1)}))
    assert get_previous(marks) == NOW - 7


def test_oracle__refused_otherwise__keeps_its_predecessor() -> None:
    state, _ = oracle.advance(Oracle(5, {0: NOW - 30}), MarketsRead(NOW, {0: make_market(NOW)}))
    state, _ = oracle.advance(state, MarkRefused(0, Code.MARK_SHAPE, 0))
    assert state.last[0] == NOW - 30
    assert state.refusals == 1


def read(state: Oracle, time: int, index: int, expiry: int = EXPIRIES[0]) -> tuple[Oracle, list[oracle.SubmitMark | oracle.SubmitSettle]]:
    """A look at a source whose only listing expires then."""
    slices = (Slice(expiry, index, 0, 0, 0, 0, 0),) if time < expiry else ()
    return oracle.advance(state, MarketsRead(time, {0: Market(index, time, slices)}))


def list_settlements(effects: Sequence[object]) -> list[oracle.SubmitSettle]:
    return [effect for effect in effects if isinstance(effect, oracle.SubmitSettle)]


def test_oracle__at_expiry__signs_the_average_of_the_half_hour_before() -> None:
    state, expiry = Oracle(5), EXPIRIES[0]
    for ago, index in ((1_900, 77), (1_800, 1_000), (900, 2_000), (1, 3_333)):  # the first one is too old to count
        state, effects = read(state, expiry - ago, index * 1_000_000)
        assert not list_settlements(effects)
    state, effects = read(state, expiry + 2, 9_999_000_000)
    (settle,) = list_settlements(effects)
    assert settle.listing == (0, expiry)
    assert settle.price == 6_333_000_000 // 3
    _, effects = read(state, expiry + 4, 9_999_000_000)
    assert not list_settlements(effects)  # it is on its way


def test_oracle__settlement_answered__is_over_or_tried_again() -> None:
    state, _ = read(Oracle(5), EXPIRIES[0] - 5, 1_000_000_050)
    state, effects = read(state, EXPIRIES[0], 1)
    assert [settle.price for settle in list_settlements(effects)] == [1_000_000_000]  # whole micro-dollars a lot
    waits, _ = oracle.advance(state, oracle.SettleAnswered((0, EXPIRIES[0]), Code.SETTLE_TIME))
    assert list_settlements(read(waits, EXPIRIES[0] + 1, 1)[1])
    for code in (Code.OK, Code.SERIES):
        done, _ = oracle.advance(state, oracle.SettleAnswered((0, EXPIRIES[0]), code))
        assert not list_settlements(read(done, EXPIRIES[0] + 1, 1)[1])


def test_oracle__that_saw_nothing_of_the_half_hour__does_not_sign() -> None:
    state, _ = read(Oracle(5), EXPIRIES[0] - 1_801, 1_000_000)
    assert not list_settlements(read(state, EXPIRIES[0], 1_000_000)[1])


# -- makers


def place(desk: Desk, books: Sequence[Book], until: int = NOW + 30) -> dict[int, Resting]:
    """What rests when all sheets were just placed."""
    return {
        account: Resting(pages, tuple(page[2] for page in pages), until) for account, pages in choose_sheets(desk, NOW, books, {}).items()
    }


def test_makers__nothing_rests__both_sides_of_every_book_on_whole_expiries() -> None:
    sheets = choose_sheets(Desk((3, 4, 5), 100, 15), NOW, make_books(), {})
    assert {account: [page[1] for page in pages] for account, pages in sheets.items()} == {3: [EXPIRIES[0]], 4: [EXPIRIES[1]]}
    ((_, _, bound, quotes),) = sheets[3]
    assert len(quotes) == 10
    assert {quote[2:] for quote in quotes} == {(50_000, 10, 51_000, 15)}
    assert bound == 250


def test_makers__many_books__pages_of_at_most_sixteen_quotes_and_eight_of_them() -> None:
    (pages,) = choose_sheets(Desk((3,), 1_000, 15), NOW, make_books(strikes=range(40, 140)), {}).values()
    assert [len(page[3]) for page in pages] == [MAX_QUOTES] * MAX_PAGES
    assert len({quote[:2] + page[:2] for page in pages for quote in page[3]}) == MAX_QUOTES * MAX_PAGES


def test_makers__all_rests__nothing_to_do() -> None:
    desk = Desk((3, 4), 100, 15)
    assert choose_sheets(desk, NOW + 5, make_books(), place(desk, make_books())) == {}


def test_makers__a_page_moved_or_half_filled_or_the_sheet_soon_over__that_sheet_is_replaced() -> None:
    desk, books = Desk((3, 4), 100, 15), make_books()
    resting = place(desk, books)
    moved = [replace(book, bid=49_700) if at == 0 else book for at, book in enumerate(books)]
    assert set(choose_sheets(desk, NOW, moved, resting)) == {3}
    one_sided = [replace(book, ask=0) if at == len(books) - 1 else book for at, book in enumerate(books)]
    assert set(choose_sheets(desk, NOW, one_sided, resting)) == {4}
    assert set(choose_sheets(desk, NOW, books, resting | {4: replace(resting[4], left=(124,))})) == {4}
    assert choose_sheets(desk, NOW, books, resting | {4: replace(resting[4], left=(125,))}) == {}
    assert set(choose_sheets(desk, NOW + 31, books, resting)) == {3, 4}


def test_makers__series_gone__an_empty_page_takes_the_quotes_out() -> None:
    desk = Desk((3, 4), 100, 50)
    sheets = choose_sheets(desk, NOW, [], place(desk, make_books()))
    assert [[page[3] for page in pages] for pages in sheets.values()] == [[()], [()]]
    assert choose_sheets(desk, NOW, [], {account: Resting(pages, (0,), NOW) for account, pages in sheets.items()}) == {}
    assert choose_sheets(desk, NOW, [], {}) == {}


@given(st.integers(1, 10_000_000), st.integers(-200_000, 200_000))
def test_makers__any_move__what_stays_is_within_the_tolerance(price: int, move: int) -> None:
    desk = Desk((1,), 10, 50)
    series = encode_series(0, EXPIRIES[0], 90_000_000_000, 1)
    resting = place(desk, [Book(series, price, 10, 0, 0)])
    after = max(price + move, 1)
    changes = choose_sheets(desk, NOW, [Book(series, after, 10, 0, 0)], resting)
    assert (changes == {}) == (abs(after - price) * TOLERANCE <= after)


# -- the liquidator


def test_liquidator__bids_for_the_largest_position_once_the_discount_is_worth_it() -> None:
    names = [encode_instrument(encode_series(0, EXPIRIES[0], strike * 1_000_000_000, 1)) for strike in (90, 95)]
    positions = [{"instrument_name": name, "size": size} for name, size in zip(names, (20, -30), strict=True)]
    auction = {"account": 5, "discount_percent": 0.5, "positions": positions}
    assert choose_lot(auction, 1.0) is None
    assert choose_lot(auction | {"positions": []}, 0.0) is None
    lot = choose_lot(auction, 0.5)
    assert lot == (decode_instrument(names[1]), -30)
    bid = open_bid(5, lot, -700, 25, NOW)
    assert (bid.target, bid.ratio, bid.units, bid.limit) == (5, -1, 25, -700)


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


def test_walk__a_first_expiry__is_listed_until_it_expires() -> None:
    source = WalkSource(3, NOW, first_expiry_s=50)
    source.advance(NOW + 49)
    assert source.get_markets()[0].slices[0].expiry == NOW + 50
    assert any(decode_series(book.series).expiry == NOW + 50 for book in source.get_books())
    source.advance(NOW + 50)
    assert all(item.expiry > NOW + 50 for item in source.get_markets()[0].slices)
    assert all(decode_series(book.series).expiry > NOW + 50 for book in source.get_books())
