"""What expires is paid: by the oracles' word, or without it by the rules alone, and the sequencer then posts that itself."""

from protocol.codec.frames import Message
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.operations import Kind, build_order, build_settle, build_shutdown, build_trade
from protocol.types import INBOX_AUTHORITY
from sequencer.events import (
    BatchLost,
    ClockElapsed,
    Effect,
    Fill,
    Lapsed,
    ListingSettled,
    OrderRemoved,
    RfqReceived,
    RowApplied,
    RowReceived,
    SheetRemoved,
)
from sequencer.snapshot import dump_machine, load_machine
from tests.sequencer.test_machine import MARK, finish, list_news, replay_on_l1
from tests.sequencer.test_orders import expect_placed, expect_refusal
from tests.sequencer.world import (
    ADDRESSES,
    CALL,
    EXPIRY,
    FORWARD,
    PLAIN,
    START,
    USD,
    World,
    build_mark_event,
    build_order_event,
    build_settle_event,
    build_sheet_event,
    build_withdraw_event,
)

LOTS = 10
STRIKE = 51_000 * USD
DAY_S = 86_400
LATER = EXPIRY + 7 * DAY_S


def open_traded() -> World:
    """Account 0 is short, 1 is long; an order rests. All of it is on L1."""
    world = World()
    world.open()
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK, LOTS, 1))
    expect_placed(world, build_order_event(START + 1, 1, 1, MARK, LOTS, 1))
    finish(world, START + 20)
    expect_placed(world, build_order_event(START + 21, 2, 1, MARK // 2, 5, 1, valid_s=30 * DAY_S))
    return world


def get_cash(world: World) -> list[int]:
    return [world.machine.state.get_account(index).cash for index in range(3)]


def expect_paid(world: World, effects: list[Effect], before: list[int], price: int) -> None:
    """By this price of the underlying; orders of the expiry are gone, and L1 agrees."""
    assert list_news(effects, ListingSettled) == [ListingSettled(0, EXPIRY, price)]
    assert [(gone.account, gone.code) for gone in list_news(effects, OrderRemoved)] == [(2, Code.SERIES)]
    paid = max(price - STRIKE, 0) // 100 * LOTS
    assert get_cash(world) == [before[0] - paid, before[1] + paid, before[2]]
    assert world.machine.state.get_account(0).positions == world.machine.state.get_account(1).positions == ()
    assert world.machine.book.get_depth(PLAIN, 1, 5) == []
    finish(world, world.events[-1].now + 20)
    assert replay_on_l1(world).markets == world.machine.state.markets


def test_signed_by_the_quorum__at_expiry__pays_all() -> None:
    world = open_traded()
    before, price = get_cash(world), 53_000 * USD
    expect_refusal(world, build_settle_event(EXPIRY - 1, EXPIRY, price), Code.SETTLE_TIME)
    expect_refusal(world, build_settle_event(EXPIRY, EXPIRY + 1, price), Code.SERIES)
    expect_refusal(world, build_settle_event(EXPIRY, EXPIRY, price + 1), Code.PRICE)
    signed = build_settle_event(EXPIRY, EXPIRY, price)
    forged = RowReceived(EXPIRY, 1, build_settle(0, EXPIRY, price + 100), signed.signatures, True)
    expect_refusal(world, forged, Code.QUORUM)
    effects = world.apply(signed)
    expect_paid(world, effects, before, price)
    expect_refusal(world, build_settle_event(EXPIRY + 60, EXPIRY, price), Code.SERIES)


def test_without_the_oracles__a_day_later__the_first_mark_after_expiry_settles() -> None:
    world = open_traded()
    before, close = get_cash(world), 54_321 * USD + 7
    world.ask(build_mark_event(EXPIRY + 3, EXPIRY + 2, START, close, request=1, expiry=LATER))
    world.ask(build_mark_event(EXPIRY + 13, EXPIRY + 12, EXPIRY + 2, FORWARD, request=1, expiry=LATER))
    finish(world, EXPIRY + 40)
    assert world.machine.state.get_account(1).positions == ((CALL, LOTS),)
    fallback = RowReceived(EXPIRY + 41, 1, build_settle(0, EXPIRY, 0, True), b"", True)
    expect_refusal(world, fallback, Code.SETTLE_TIME)
    assert not list_news(world.apply(ClockElapsed(EXPIRY + DAY_S - 1)), ListingSettled)
    effects = world.apply(ClockElapsed(EXPIRY + DAY_S))
    expect_paid(world, effects, before, close - 7)  # whole micro-dollars a lot
    late = EXPIRY + DAY_S + 60
    expect_refusal(world, build_settle_event(late, EXPIRY, FORWARD), Code.SERIES)


def test_without_any_mark__a_week_later__the_last_forward_settles() -> None:
    world = open_traded()
    before = get_cash(world)
    world.ask(build_mark_event(START + 30, START + 30, START, FORWARD * 105 // 100, request=1))
    finish(world, START + 60)
    assert not list_news(world.apply(ClockElapsed(EXPIRY + 7 * DAY_S - 1)), ListingSettled)
    effects = world.apply(ClockElapsed(EXPIRY + 7 * DAY_S))
    expect_paid(world, effects, before, FORWARD * 105 // 100)


def test_a_fallback_whose_batch_is_lost__is_posted_again() -> None:
    world = open_traded()
    before, due = get_cash(world), EXPIRY + 7 * DAY_S
    finish(world, START + 60)
    world.apply(ClockElapsed(due))
    world.apply(ClockElapsed(due + 6))
    world.see(due + 6)
    (post,) = world.posts
    world.apply(BatchLost(due + 8, post.entry, True))
    world.posts.clear()
    finish(world, due + 40)
    assert get_cash(world) == before  # 51,000 is above the last forward: nothing to pay
    assert replay_on_l1(world).get_account(1).positions == ()


def test_a_clock_that_has_nothing_due__leaves_no_record() -> None:
    """The fallback is tried only when it may be used: a tick four times a second must not fill the disk."""
    world = open_traded()
    finish(world, START + 60)
    world.apply(ClockElapsed(EXPIRY + 60))
    assert world.apply(ClockElapsed(EXPIRY + 61)) == []


def test_a_fallback_that_is_forced_in__takes_the_orders_along() -> None:
    """Anyone may, through L1's inbox, where the sequencer does not."""
    world = open_traded()
    finish(world, START + 60)
    due = EXPIRY + 7 * DAY_S
    effects = world.queue(due, (Message(due, ADDRESSES[7], encode_row(build_settle(0, EXPIRY, 0, True)), b""),))
    assert list_news(effects, ListingSettled) == [ListingSettled(0, EXPIRY, FORWARD)]
    assert world.machine.state.get_account(1).positions == ()
    assert not world.machine.book.orders
    finish(world, due + 30)
    assert world.landed[-1].record.message_count == 1


def refuse_posts(world: World, now: int) -> int:
    """As an inbox that is shut does; how many there were."""
    posts, world.posts = world.posts, []
    for post in posts:
        world.apply(BatchLost(now, post.entry, True))
    return len(posts)


def post_queue(world: World, now: int) -> None:
    """Somebody does."""
    last = world.landed[-1].record
    waiting = len(world.messages) - last.message_start - last.message_count
    world.apply(world.build_landing(now, last.last, last.last, waiting, ()))
    world.see(now)


def force(world: World, now: int, items: tuple[int, ...], signatures: bytes = b"", authority: int = 7) -> list[Effect]:
    return world.queue(now, (Message(now, authority, encode_row(items), signatures),))


def test_shut_down__nothing_of_ours_is_posted_any_more_and_the_state_follows_l1() -> None:
    world = open_traded()
    finish(world, START + 40)
    froze = START + 50
    world.apply(build_sheet_event(froze, 1, 9, [(STRIKE, 1, MARK // 2, 5, 0, 0)]))
    assert isinstance(world.ask(build_withdraw_event(froze, 3, 5 * USD, 1)), RowApplied)
    world.apply(ClockElapsed(froze + 6))
    world.see(froze + 6)
    assert isinstance(world.ask(build_withdraw_event(froze + 7, 3, 7 * USD, 2)), RowApplied)
    effects = force(world, froze, build_shutdown(), authority=INBOX_AUTHORITY)
    assert refuse_posts(world, froze + 8) == 1
    effects += world.apply(ClockElapsed(froze + 9))
    effects = world.effects
    assert [gone.items[:3:2] for gone in list_news(effects, Lapsed)] == [(Kind.WITHDRAW, 5 * USD), (Kind.WITHDRAW, 7 * USD)]
    assert [(gone.account, gone.code) for gone in list_news(effects, OrderRemoved)] == [(2, Code.FROZEN)]
    assert [(gone.account, gone.code) for gone in list_news(effects, SheetRemoved)] == [(1, Code.FROZEN)]
    assert not world.machine.book.orders
    assert world.machine.state.globals.shutdown
    assert world.machine.state.get_account(3).cash == 10**12
    now = froze + 10
    for price in (MARK // 2, MARK):  # one that would fill, and one that would rest
        expect_refusal(world, build_order_event(now, 3, 0, price, 5, 1), Code.FROZEN)
    expect_refusal(world, build_sheet_event(now, 3, 1, [(STRIKE, 1, MARK, 5, 0, 0)]), Code.FROZEN)
    expect_refusal(world, RfqReceived(now, 1, 3, PLAIN, 5, now + 60), Code.FROZEN)
    mark = build_mark_event(now, froze, START, FORWARD * 105 // 100, request=1)
    expect_refusal(world, mark, Code.FROZEN)
    post_queue(world, now)
    restored = load_machine(dump_machine(world.machine), world.rules, world.machine.settings)
    assert restored.is_shut
    due = froze + world.rules.params.shutdown_s
    world.apply(ClockElapsed(due + 1))
    force(world, due + 2, mark.items, mark.signatures)
    force(world, due + 3, build_shutdown())
    state = world.machine.state
    assert state.globals.is_settled
    assert [state.get_account(index).positions for index in (0, 1)] == [(), ()]
    assert sum(get_cash(world)) + state.get_account(3).cash + state.globals.fees == 4 * 10**12
    post_queue(world, due + 4)
    world.apply(ClockElapsed(due + 700))
    world.see(due + 700)
    assert not world.posts
    assert replay_on_l1(world).get_root() == world.machine.state.get_root()


def test_what_is_forced_in_beside_an_order__is_told_too() -> None:
    """Messages wait while a batch has rows; whatever opens the next one takes them along."""
    world = open_traded()
    due = EXPIRY + 7 * DAY_S
    finish(world, START + 60)
    before = due - 3  # the sequencer's own clock is not there yet
    world.ask(build_withdraw_event(before, 3, USD, 1))
    message = Message(due, ADDRESSES[7], encode_row(build_settle(0, EXPIRY, 0, True)), b"")
    assert not list_news(world.queue(before, (message,)), ListingSettled)
    world.apply(ClockElapsed(before + 2))
    world.machine.engine.close_batch()
    effects = world.apply(build_withdraw_event(before + 2, 3, USD, 2))
    assert list_news(effects, ListingSettled) == [ListingSettled(0, EXPIRY, FORWARD)]
    assert [gone.code for gone in list_news(effects, OrderRemoved)] == [Code.SERIES]
    finish(world, due + 30)


def test_after_a_restart__orders_of_a_settled_listing_leave_the_book_too() -> None:
    world = open_traded()
    finish(world, EXPIRY - 60)
    machine = load_machine(dump_machine(world.machine), world.rules, world.machine.settings)
    settle = build_settle_event(EXPIRY + 1, EXPIRY, STRIKE)
    assert [type(effect) for effect in machine.apply(settle)] == [type(effect) for effect in world.apply(settle)]
    assert not machine.book.orders
    assert not world.machine.book.orders


def test_trades_that_are_forced_in__are_told_and_the_books_follow() -> None:
    """What is left on the chain of an order or of a quote, anybody may trade who has an order that crosses it."""
    world = World()
    world.open()
    book, slots = world.machine.book, world.rules.params.order_slots
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK, 10, 1))
    expect_placed(world, build_order_event(START + 1, 1, 1, MARK, 2, 1))
    quotes = [(STRIKE, 1, MARK - 2, 9, MARK + 1, 9), (STRIKE + USD, 1, 1, 9, 0, 0)]
    world.apply(build_sheet_event(START + 1, 3, 1, quotes, max_lots=9, valid_s=30))
    expect_placed(world, build_order_event(START + 1, 1, 0, MARK - 2, 2, 2))
    assert (book.get_depth(PLAIN, 1, 9), book.get_depth(PLAIN, 0, 9)) == ([(MARK - 2, 7)], [(MARK, 8), (MARK + 1, 7)])
    finish(world, START + 10)

    taker = build_order_event(START + 10, 2, 1, MARK + 1, 8, 1)
    rows = [build_order(2, CALL, 1, MARK + 1, 8, 1, taker.valid_until), build_trade(0, 1, 2, 1, 3), build_trade(3, 1 + 2 * slots, 2, 1, 5)]
    before = world.machine.state.globals.fees
    message = Message(START + 10, ADDRESSES[7], b"".join(map(encode_row, rows)), taker.signature)
    effects = world.queue(START + 10, (message,))
    fills = list_news(effects, Fill)
    assert [(fill.maker, fill.maker_nonce, fill.taker, fill.price, fill.lots) for fill in fills] == [
        (0, 1, 2, MARK, 3),
        (3, 1, 2, MARK + 1, 5),
    ]
    assert (book.get_depth(PLAIN, 1, 9), book.get_depth(PLAIN, 0, 9)) == ([(MARK - 2, 2)], [(MARK, 5), (MARK + 1, 2)])
    assert sum(fill.fee for fill in fills) == world.machine.state.globals.fees - before
    finish(world, START + 30)
    assert replay_on_l1(world).get_root() == world.machine.state.get_root()
