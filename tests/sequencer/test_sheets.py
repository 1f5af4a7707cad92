"""Sheets of quotes: one signature, many books; only what fills reaches L1, and L1 agrees."""

from protocol.codec.inflate import decode_frame
from protocol.codec.rows import decode_row
from protocol.codes import Code
from protocol.legs import pack_plain
from protocol.operations import Kind
from protocol.series import encode_series
from protocol.types import FILL_OR_KILL, MAX_PAGES, MAX_QUOTES, POST_ONLY, SCOPE_TRADE
from sequencer.events import (
    Cancelled,
    CancelReceived,
    ClockElapsed,
    Event,
    OrderRemoved,
    QuoteDropped,
    Refusal,
    SheetPlaced,
    SheetReceived,
    SheetRemoved,
)
from sequencer.snapshot import dump_machine, load_machine
from tests.sequencer.test_machine import MARK, finish, list_news, replay_on_l1
from tests.sequencer.test_orders import expect_placed, expect_refusal
from tests.sequencer.world import (
    CALL,
    EXPIRY,
    PLAIN,
    START,
    USD,
    World,
    build_authorize_event,
    build_cancel_event,
    build_order_event,
    build_sheet_event,
)

STRIKE = 51_000 * USD
QUOTE = (STRIKE, 1, MARK - 50, 20, MARK + 50, 30)  # of CALL
PUT = (STRIKE, 0, MARK, 10, 0, 0)


def place_sheet(world: World, event: SheetReceived) -> SheetPlaced:
    placed = world.ask(event)
    assert isinstance(placed, SheetPlaced), placed
    return placed


def list_kinds(world: World) -> list[Kind]:
    """Of all rows that landed."""
    kinds = []
    for batch in world.landed:
        for frame in batch.frames:
            rows, offset = decode_frame(frame.data) or b"", 0
            while offset < len(rows):
                items, offset = decode_row(rows, offset)
                assert items is not None
                kinds.append(Kind(items[0] & 15))
    return kinds


def get_tops(world: World, legs: tuple[int, ...] = PLAIN) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return world.machine.book.get_depth(legs, 1, 9), world.machine.book.get_depth(legs, 0, 9)


def test_a_sheet__fills_on_both_sides__and_posts_its_page_once() -> None:
    world = World()
    world.open()
    assert place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE])) == SheetPlaced(0, 1, 2, ())
    assert get_tops(world) == ([(MARK - 50, 20)], [(MARK + 50, 30)])
    bought = expect_placed(world, build_order_event(START + 2, 1, 1, MARK + 50, 5, 1))
    assert [(fill.maker, fill.maker_nonce, fill.price, fill.lots) for fill in bought.fills] == [(0, 1, MARK + 50, 5)]
    expect_placed(world, build_order_event(START + 2, 1, 1, MARK + 50, 6, 2))
    sold = expect_placed(world, build_order_event(START + 3, 2, 0, MARK - 50, 8, 1))
    assert [(fill.price, fill.lots) for fill in sold.fills] == [(MARK - 50, 8)]
    assert get_tops(world) == ([(MARK - 50, 12)], [(MARK + 50, 19)])
    finish(world, START + 20)
    assert replay_on_l1(world).get_account(0).positions == ((CALL, -3),)
    assert list_kinds(world).count(Kind.SHEET) == 1
    assert list_kinds(world).count(Kind.TRADE) == 3


def test_pages_that_do_not_fill__are_not_posted() -> None:
    world = World()
    world.open()
    page = (0, EXPIRY, 100, (QUOTE,))
    others = tuple((0, EXPIRY, 100, ((STRIKE + at * 1_000 * USD, 1, USD, 5, 0, 0),)) for at in range(1, MAX_PAGES))
    placed = place_sheet(world, build_sheet_event(START + 1, 0, 1, [], pages=(*others, page)))
    assert placed.quotes == MAX_PAGES - 1 + 2
    expect_placed(world, build_order_event(START + 2, 1, 1, MARK + 50, 5, 1))
    finish(world, START + 20)
    assert list_kinds(world).count(Kind.SHEET) == 1
    assert replay_on_l1(world).get_account(0).sheet == 1


def test_a_newer_sheet__replaces_the_old_one_at_once() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE, PUT]))
    expect_placed(world, build_order_event(START + 1, 1, 1, MARK + 50, 5, 1))
    place_sheet(world, build_sheet_event(START + 2, 0, 2, [(STRIKE, 1, MARK - 80, 7, 0, 0)]))
    assert get_tops(world) == ([(MARK - 80, 7)], [])
    assert len(world.machine.book.orders) == 1
    expect_refusal(world, build_sheet_event(START + 2, 0, 2, [QUOTE]), Code.NONCE)  # whoever kept an old one cannot bring it back
    expect_refusal(world, build_sheet_event(START + 2, 0, 1, [QUOTE, PUT]), Code.NONCE)
    place_sheet(world, build_sheet_event(START + 3, 0, 3, []))  # nothing is quoted any more
    assert not world.machine.book.orders
    finish(world, START + 20)


def test_a_page__fills_no_more_than_its_bound() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE, (STRIKE + 1_000 * USD, 1, USD, 40, 0, 0)], max_lots=25))
    assert get_tops(world) == ([(MARK - 50, 20)], [(MARK + 50, 25)])
    expect_placed(world, build_order_event(START + 1, 1, 1, MARK + 50, 15, 1))
    assert get_tops(world) == ([(MARK - 50, 10)], [(MARK + 50, 10)])
    taken = expect_placed(world, build_order_event(START + 1, 1, 1, MARK + 50, 15, 2))
    assert [fill.lots for fill in taken.fills] == [10]
    assert [order.account for order in world.machine.book.orders.values()] == [1]  # only what the taker has left
    finish(world, START + 20)


def test_a_quote_that_would_take__is_left_out_and_told() -> None:
    world = World()
    world.open()
    expect_placed(world, build_order_event(START + 1, 1, 0, MARK, 5, 1))
    placed = place_sheet(world, build_sheet_event(START + 1, 0, 1, [(STRIKE, 1, MARK, 20, MARK + 50, 30)]))
    assert placed == SheetPlaced(0, 1, 1, (QuoteDropped(PLAIN, 1, Code.POST_ONLY),))
    inverted = place_sheet(world, build_sheet_event(START + 1, 2, 1, [(STRIKE, 0, MARK + 9, 5, MARK, 5)]))  # crosses itself
    assert [side.is_buy for side in inverted.dropped] == [0]
    expect_refusal(world, build_order_event(START + 2, 2, 1, MARK + 50, 5, 257, flags=POST_ONLY), Code.POST_ONLY)
    finish(world, START + 20)


def test_an_expiry_that_is_not_listed__leaves_its_quotes_out() -> None:
    world = World()
    world.open()
    pages = ((0, EXPIRY, 100, (QUOTE,)), (0, EXPIRY + 1, 100, (QUOTE,)), (1, EXPIRY, 100, (QUOTE,)))
    placed = place_sheet(world, build_sheet_event(START + 1, 0, 1, [], pages=pages))
    assert (placed.quotes, [side.code for side in placed.dropped]) == (2, [Code.SERIES] * 4)


def test_a_sheet__expires_within_its_life_and_takes_no_longer() -> None:
    world = World()
    world.open()
    life = world.rules.params.sheet_life_s
    expect_refusal(world, build_sheet_event(START + 1, 0, 1, [QUOTE], valid_s=life + 1), Code.SHEET)
    expect_refusal(world, build_sheet_event(START + 1, 0, 1, [QUOTE], valid_s=-1), Code.EXPIRED)
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE], valid_s=life))
    assert not list_news(world.apply(ClockElapsed(START + 1 + life)), SheetRemoved)
    (removed,) = list_news(world.apply(ClockElapsed(START + 2 + life)), SheetRemoved)
    assert (removed.account, removed.nonce, removed.code) == (0, 1, Code.EXPIRED)
    assert not world.machine.book.orders
    finish(world, START + 60)


def test_a_late_taker__meets_no_quote_that_is_over() -> None:
    """The clock's next tick would remove it; an order may come before that."""
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE], valid_s=5))
    effects = world.apply(build_order_event(START + 9, 1, 1, MARK + 50, 5, 1))
    assert [(gone.account, gone.code) for gone in list_news(effects, OrderRemoved)] == [(0, Code.EXPIRED)]
    assert world.machine.state.get_account(1).positions == ()
    finish(world, START + 20)


def test_cancelled_by_wish_by_generation_and_with_its_session_key() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE]))
    assert world.ask(CancelReceived(START + 1, 1, 0, ())) == Cancelled((), True)
    assert not world.machine.book.orders
    place_sheet(world, build_sheet_event(START + 2, 0, 2, [QUOTE]))
    (removed,) = list_news(world.apply(build_cancel_event(START + 2, 0, 1)), SheetRemoved)
    assert removed.code == Code.GENERATION
    world.ask(build_authorize_event(START + 3, 0, 7, SCOPE_TRADE, START + 8, 2))
    place_sheet(world, build_sheet_event(START + 4, 0, 3, [QUOTE], key=7, generation=2))
    expect_placed(world, build_order_event(START + 5, 1, 1, MARK + 50, 5, 1))
    assert list_news(world.apply(ClockElapsed(START + 9)), SheetRemoved)  # with its key
    finish(world, START + 40)


def test_sheets_of_a_bad_form__are_refused_and_the_old_one_stays() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE]))
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK + 900, 5, 300))
    cases: list[tuple[SheetReceived, int]] = [
        (build_sheet_event(START + 1, 9, 2, [QUOTE]), Code.ACCOUNT),
        (build_sheet_event(START + 1, 0, 2, [QUOTE], key=2), Code.SIGNATURE),
        (build_sheet_event(START + 1, 0, 2, [QUOTE], generation=1), Code.GENERATION),
        (build_sheet_event(START + 1, 0, 0, [QUOTE]), Code.NONCE),
        (build_sheet_event(START + 1, 0, (1 << 64) - 1, [], pages=[(0, EXPIRY, 1, ())] * 2), Code.NONCE),
        (build_sheet_event(START + 1, 0, 2, [(STRIKE + 1, 1, MARK, 5, 0, 0)]), Code.SERIES),
        (build_sheet_event(START + 1, 0, 2, [(0, 1, MARK, 5, 0, 0)]), Code.SERIES),
        (build_sheet_event(START + 1, 0, 2, [(STRIKE, 1, 0, 5, 0, 0)]), Code.PRICE),
        (build_sheet_event(START + 1, 0, 2, [(STRIKE, 1, 1 << 37, 5, 0, 0)]), Code.PRICE),
        (build_sheet_event(START + 1, 0, 2, [(STRIKE, 1, MARK, (1 << 20) + 1, 0, 0)]), Code.LOTS),
        (build_sheet_event(START + 1, 0, 2, [QUOTE], max_lots=1 << 26), Code.LOTS),
        (build_sheet_event(START + 1, 0, 300 - 256 + 256, [QUOTE]), Refusal.SLOT_BUSY),
    ]
    for event, code in cases:
        expect_refusal(world, event, code)
    assert get_tops(world) == ([(MARK - 50, 20)], [(MARK + 50, 30), (MARK + 900, 5)])
    expect_placed(world, build_order_event(START + 2, 1, 1, MARK + 50, 5, 1))  # its signer is still known
    finish(world, START + 20)


def test_an_order_may_not_have_a_pages_slot_below_it() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 300, [QUOTE]))
    expect_refusal(world, build_order_event(START + 1, 0, 0, MARK + 90, 5, 300 - 256), Code.NONCE)
    finish(world, START + 20)


def test_a_taker_who_wants_all_or_nothing__meets_quotes_too() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE]))
    expect_refusal(world, build_order_event(START + 2, 1, 1, MARK + 50, 31, 1, flags=FILL_OR_KILL), Code.FILL_OR_KILL)
    expect_placed(world, build_order_event(START + 2, 1, 1, MARK + 50, 30, 1, flags=FILL_OR_KILL))
    finish(world, START + 20)


def test_own_orders_and_quotes_do_not_meet() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE]))
    effects = world.apply(build_order_event(START + 2, 0, 1, MARK + 50, 5, 9))
    assert [(gone.place, gone.code) for gone in list_news(effects, OrderRemoved)] == [(2, Code.SELF_TRADE)]
    assert get_tops(world) == ([(MARK + 50, 5), (MARK - 50, 20)], [])
    finish(world, START + 20)


def test_a_snapshot__has_sheets_requests_and_their_memory() -> None:
    world = World()
    world.open()
    place_sheet(world, build_sheet_event(START + 1, 0, 1, [QUOTE], max_lots=25))
    expect_placed(world, build_order_event(START + 1, 1, 1, MARK + 50, 15, 1))
    again = load_machine(dump_machine(world.machine), world.rules, world.machine.settings)
    assert dump_machine(again) == dump_machine(world.machine)
    events: list[Event] = [
        build_order_event(START + 2, 1, 1, MARK + 50, 15, 2),
        build_sheet_event(START + 2, 0, 1, [QUOTE]),
        build_sheet_event(START + 3, 0, 2, [QUOTE]),
        build_order_event(START + 3, 2, 0, MARK - 50, 15, 1),
    ]
    for event in events:
        assert world.machine.apply(event) == again.apply(event)
    assert again.state.get_root() == world.machine.state.get_root()


def test_the_largest_sheet__replaced_many_times__leaves_nothing_behind() -> None:
    world = World()
    world.open()
    pages = [
        (0, EXPIRY, 10**6, tuple((STRIKE + at * 10**7, at & 1, USD + page, 9, 0, 0) for at in range(MAX_QUOTES)))
        for page in range(MAX_PAGES)
    ]
    for at in range(40):
        place_sheet(world, build_sheet_event(START + 1, 0, 1 + MAX_PAGES * at, [], pages=pages))
    assert len(world.machine.book.orders) == MAX_PAGES * MAX_QUOTES
    assert len(world.machine._signers) == 1
    assert world.machine.book.get_depth(pack_plain(encode_series(0, EXPIRY, STRIKE, 0)), 1, 1)
