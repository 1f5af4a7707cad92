"""The machine by events: what is answered, what is posted, and that L1 runs to the state that was promised."""

from collections.abc import Sequence
from typing import Any

import pytest

from protocol.codes import Code
from protocol.leap import Leap
from protocol.margin import compute_mark
from protocol.operations import build_trade, build_withdraw
from protocol.state import State
from protocol.trace import Machine as Tracer
from protocol.types import POST_ONLY
from sequencer.chain import Fault, Status
from sequencer.engine import Limits
from sequencer.events import (
    IMMEDIATE,
    BatchClosed,
    BatchLanded,
    BatchLost,
    BlockSeen,
    Cancelled,
    CancelReceived,
    ClockElapsed,
    Effect,
    L1Undone,
    Lapsed,
    MessagesQueued,
    OrderPlaced,
    OrderRemoved,
    Persist,
    Publish,
    Refusal,
    Refused,
    Reply,
    RowApplied,
    RowReceived,
)
from sequencer.journal import decode_event
from sequencer.machine import Machine, build_settings
from sequencer.snapshot import dump_machine, load_machine
from tests.sequencer.world import (
    CALL,
    PLAIN,
    START,
    USD,
    World,
    build_cancel_event,
    build_deposits,
    build_mark_event,
    build_market,
    build_order_event,
    build_withdraw_event,
)

MARK = compute_mark(CALL, build_market(START)) // 100  # type: ignore[operator]


def replay_on_l1(world: World) -> State:
    """What everybody computes from what landed."""
    leap = Leap(State(world.rules.params), world.rules)
    for batch in world.landed:
        leap.apply_batch(batch)
    return leap.state


def finish(world: World, now: int) -> None:
    """Closes the open batch and lands everything; then L1 has exactly the machine's state."""
    world.apply(ClockElapsed(now))
    world.land_all(now)
    assert world.machine.engine.batch is None
    assert all(entry.status == Status.LANDED for entry in world.machine.chain)
    assert replay_on_l1(world).get_root() == world.machine.state.get_root()


def list_news(effects: Sequence[Effect], kind: type) -> list[Any]:
    return [effect.news for effect in effects if isinstance(effect, Publish) and isinstance(effect.news, kind)]


def test_two_orders_trade_and_l1_agrees() -> None:
    world = World()
    world.open()
    placed = world.ask(build_order_event(START + 1, 0, 0, MARK, 100, 1))
    assert isinstance(placed, OrderPlaced)
    assert (placed.left, placed.fills, placed.code) == (100, (), 0)
    assert world.machine.book.get_depth(PLAIN, 0, 5) == [(MARK, 100)]
    taken = world.ask(build_order_event(START + 2, 1, 1, MARK + 50, 60, 1))
    assert isinstance(taken, OrderPlaced)
    (fill,) = taken.fills
    assert (fill.price, fill.lots, fill.maker, fill.taker, taken.left) == (MARK, 60, 0, 1, 0)
    assert world.machine.book.get_depth(PLAIN, 0, 5) == [(MARK, 40)]
    assert world.machine.state.get_account(1).positions == ((CALL, 60),)
    world.ask(build_order_event(START + 3, 2, 1, MARK, 70, 1))  # the maker's order is registered already
    assert world.machine.book.get_depth(PLAIN, 1, 5) == [(MARK, 30)]
    finish(world, START + 20)
    state = replay_on_l1(world)
    assert state.get_account(0).positions == ((CALL, -100),)
    assert len(world.landed) == 1
    tracer = Tracer(State(world.rules.params), world.landed, world.rules)
    tracer.run()
    assert tracer.state.get_root() == state.get_root()


def test_price_then_time_and_limits_of_the_taker() -> None:
    world = World()
    world.open(6)
    for account, price in ((0, MARK + 30), (1, MARK + 10), (2, MARK + 10), (3, MARK + 90)):
        world.ask(build_order_event(START + 1, account, 0, price, 10, 1))
    taken = world.ask(build_order_event(START + 1, 4, 1, MARK + 30, 35, 1))
    assert isinstance(taken, OrderPlaced)
    assert [(fill.maker, fill.price, fill.lots) for fill in taken.fills] == [(1, MARK + 10, 10), (2, MARK + 10, 10), (0, MARK + 30, 10)]
    assert taken.left == 5
    assert world.machine.book.get_depth(PLAIN, 1, 5) == [(MARK + 30, 5)]
    rest = world.ask(build_order_event(START + 1, 5, 0, MARK + 30, 9, 1, options=IMMEDIATE))
    assert isinstance(rest, OrderPlaced)
    assert (len(rest.fills), rest.left, rest.reason) == (1, 0, "immediate or cancel")
    assert world.machine.book.get_depth(PLAIN, 1, 5) == []
    finish(world, START + 20)


def test_refusals_have_the_rules_codes_and_change_nothing() -> None:
    world = World()
    world.open(3)
    world.ask(build_order_event(START + 1, 0, 0, MARK, 10, 1))
    cases = [
        (build_order_event(START + 1, 7, 1, MARK, 1, 1), Code.ACCOUNT),
        (build_order_event(START + 1, 1, 1, MARK, 1, 1, generation=1), Code.GENERATION),
        (build_order_event(START + 1, 1, 1, MARK, 1, 1, key=2), Code.SIGNATURE),
        (build_order_event(START + 1, 1, 1, MARK, 1, 0), Code.NONCE),
        (build_order_event(START + 1, 1, 1, MARK, 0, 1), Code.LOTS),
        (build_order_event(START + 1, 1, 1, 1 << 37, 1, 1), Code.PRICE),
        (build_order_event(START + 1, 1, 1, MARK, 1, 1, valid_s=-1), Code.EXPIRED),
        (build_order_event(START + 1, 1, 1, MARK, 1, 1, series=CALL + (1 << 49)), Code.SERIES),
        (build_order_event(START + 1, 1, 1, MARK, 1, 1, flags=POST_ONLY), Code.POST_ONLY),
        (build_order_event(START + 1, 0, 0, MARK, 1, 257), Refusal.SLOT_BUSY),
    ]
    before = world.machine.state.get_root()
    for event, code in cases:
        effects = world.apply(event)
        (reply,) = effects
        assert isinstance(reply, Reply), code.name
        assert isinstance(reply.result, Refused), code.name
        assert reply.result.code == code
        assert reply.result.reason
    assert world.machine.state.get_root() == before
    finish(world, START + 20)


def test_a_maker_without_margin_leaves_and_the_matching_goes_on() -> None:
    world = World()
    world.queue(START, build_deposits(1, 20 * USD, START))
    world.machine.engine.close_batch()
    rich = tuple(message._replace(time=START + 1) for message in build_deposits(3, 10**12, START)[1:])
    world.queue(START + 1, rich)
    world.apply(build_mark_event(START + 1, START + 1, 0))
    world.ask(build_order_event(START + 1, 0, 0, MARK - 10, 50, 1))
    world.ask(build_order_event(START + 1, 1, 0, MARK, 50, 1))
    effects = world.apply(build_order_event(START + 2, 2, 1, MARK, 30, 1))
    (removed,) = list_news(effects, OrderRemoved)
    assert (removed.account, removed.code) == (0, Code.MARGIN)
    (reply,) = [effect for effect in effects if isinstance(effect, Reply)]
    assert isinstance(reply.result, OrderPlaced)
    assert [fill.maker for fill in reply.result.fills] == [1]
    refused = world.ask(build_order_event(START + 3, 0, 1, MARK, 30, 2))  # neither can it pay as a taker
    assert isinstance(refused, Refused)
    assert refused.code == Code.CASH
    assert world.machine.book.get_depth(PLAIN, 0, 5) == [(MARK, 20)]
    finish(world, START + 20)


def test_own_orders_do_not_meet_and_a_far_price_leaves() -> None:
    world = World()
    world.open(2)
    world.ask(build_order_event(START + 1, 0, 0, MARK, 10, 1))
    effects = world.apply(build_order_event(START + 1, 0, 1, MARK, 10, 2))
    (removed,) = list_news(effects, OrderRemoved)
    assert removed.code == Code.SELF_TRADE
    assert world.machine.book.get_depth(PLAIN, 1, 5) == [(MARK, 10)]
    world.ask(build_order_event(START + 1, 1, 1, 2 * MARK, 10, 1))
    effects = world.apply(build_order_event(START + 1, 0, 0, MARK, 5, 3))
    assert [(gone.account, gone.code) for gone in list_news(effects, OrderRemoved)] == [(1, Code.BAND), (0, Code.SELF_TRADE)]
    finish(world, START + 20)


def test_cancelling_by_wish_and_by_generation() -> None:
    world = World()
    world.open(2)
    for nonce in (1, 2, 3):
        world.ask(build_order_event(START + 1, 0, 0, MARK, 10, nonce))
    assert world.ask(CancelReceived(START + 1, 1, 0, (2, 9))) == Cancelled((2,))
    assert isinstance(world.ask(CancelReceived(START + 1, 1, 0, (2,))), Refused)
    refused = world.ask(build_order_event(START + 1, 0, 0, MARK, 10, 2))
    assert isinstance(refused, Refused)  # whoever kept the signed order cannot bring it back
    assert refused.code == Code.NONCE
    effects = world.apply(build_cancel_event(START + 2, 0, 1))
    assert [news.nonce for news in list_news(effects, OrderRemoved)] == [1, 3]
    assert not world.machine.book.orders
    placed = world.ask(build_order_event(START + 3, 0, 0, MARK, 10, 4, generation=1))
    assert isinstance(placed, OrderPlaced)
    assert world.ask(CancelReceived(START + 4, 1, 0, ())) == Cancelled((4,))
    finish(world, START + 20)


def test_orders_expire() -> None:
    world = World()
    world.open(2)
    world.ask(build_order_event(START + 1, 0, 0, MARK, 10, 1, valid_s=10))
    assert not list_news(world.apply(ClockElapsed(START + 11)), OrderRemoved)
    (removed,) = list_news(world.apply(ClockElapsed(START + 12)), OrderRemoved)
    assert removed.code == Code.EXPIRED
    finish(world, START + 30)


def test_an_operation_that_must_not_apply_is_posted_all_the_same() -> None:
    world = World()
    world.open(2)
    rows = [
        RowReceived(START + 1, 1, build_withdraw(0, 5, 1), b"\x01" * 65, False),
        RowReceived(START + 1, 1, build_trade(0, 1, 1, 1, 5), b"", False),
        RowReceived(START + 1, 1, (99,), b"surplus", False),
        RowReceived(START + 1, 1, build_withdraw(0, 5, 1), b"", False),
    ]
    assert [world.ask(row).code for row in rows] == [Code.SIGNATURE, Code.ORDER, Code.MALFORMED, Code.SIGNATURE]  # type: ignore[union-attr]
    applied = world.ask(build_withdraw_event(START + 1, 0, 7 * USD, 1))  # its signature is still in its place
    assert isinstance(applied, RowApplied)
    assert applied.code == Code.OK
    refused = world.ask(RowReceived(START + 1, 1, build_withdraw(0, 5, 2), b"", True))
    assert isinstance(refused, Refused)
    finish(world, START + 20)
    (batch,) = world.landed
    assert sum(len(frame.signatures) for frame in batch.frames) == 65 * (2 + 3)
    assert replay_on_l1(world).outbox == [(replay_on_l1(world).get_account(0).owner, 7 * USD)]


def test_rejections_leave_no_trace_in_what_is_posted() -> None:
    world = World()
    world.open(2)
    finish(world, START + 20)
    for second in range(21, 60):
        refused = world.ask(build_withdraw_event(START + second, 0, 0, 1))
        assert isinstance(refused, Refused)
    finish(world, START + 90)
    assert len(world.landed) == 1


def test_batches_split_by_size_and_each_is_within_limits() -> None:
    world = World(limits=Limits(interval_s=3_600, frame_s=3_600, calldata_bytes=9_000))
    world.open(4)
    for nonce in range(1, 121):
        maker, taker = (0, 1) if nonce % 2 else (2, 3)
        world.ask(build_order_event(START + 1, maker, 0, MARK, 1, nonce))
        world.ask(build_order_event(START + 1, taker, 1, MARK, 1, nonce))
    closed = len(world.machine.chain)
    assert closed >= 2
    world.machine.engine.close_batch()
    finish(world, START + 300)
    for batch in world.landed:
        assert sum(12 + len(frame.data) + len(frame.signatures) for frame in batch.frames) < 9_000


def test_frames_are_recent_and_batches_close_in_time() -> None:
    world = World()
    world.open(2)
    for second in range(1, 5):
        world.ask(build_order_event(START + second, 0, 0, MARK, 1, second))
        world.ask(build_order_event(START + second, 1, 1, MARK, 1, second))
    (closed,) = list_news(world.apply(ClockElapsed(START + 5)), BatchClosed)
    assert (closed.first, closed.last, closed.messages, closed.frames) == (START, START + 4, 2, 5)
    assert not world.posts  # L1's clock has not been there yet
    world.see(START + 3)
    assert not world.posts
    world.see(START + 4)
    assert len(world.posts) == 1
    finish(world, START + 20)


def test_messages_go_first_and_wait_while_rows_are_open() -> None:
    world = World()
    world.open(2)
    extra = tuple(message._replace(time=START + 2) for message in build_deposits(4, 50 * USD, START)[2:])
    world.queue(START + 2, extra)
    assert world.machine.state.globals.accounts == 2
    world.apply(ClockElapsed(START + 5))
    world.apply(ClockElapsed(START + 6))
    assert world.machine.state.globals.accounts == 4
    finish(world, START + 30)
    assert [batch.record.message_count for batch in world.landed] == [2, 2]


def test_a_lost_batch_is_posted_again_or_headed_anew() -> None:
    world = World()
    world.open(4)
    world.ask(build_order_event(START + 1, 0, 0, MARK, 10, 1))
    world.ask(build_order_event(START + 1, 1, 1, MARK, 10, 1, valid_s=100))
    world.apply(ClockElapsed(START + 6))
    world.see(START + 6)
    (post,) = world.posts
    world.apply(BatchLost(START + 8, post.entry, False))
    again = world.posts[-1]
    assert (again.attempt, again.frames, again.first) == (2, post.frames, post.first)
    world.posts = [again]
    world.ask(build_order_event(START + 9, 2, 1, MARK, 5, 1))
    effects = world.apply(BatchLost(START + 10, post.entry, True))  # reverted: headed anew
    assert not list_news(effects, Lapsed)
    world.posts.clear()
    assert world.machine.state.get_account(1).positions == ((CALL, 10),)
    finish(world, START + 40)
    assert world.landed[0].record.first >= START + 9
    assert replay_on_l1(world).get_account(1).positions == ((CALL, 10),)


def test_what_a_rule_forbids_by_then_lapses_and_is_told() -> None:
    world = World()
    world.open(4)
    world.ask(build_order_event(START + 1, 0, 0, MARK, 10, 1))
    world.ask(build_order_event(START + 1, 1, 1, MARK, 10, 1, valid_s=30))
    world.apply(ClockElapsed(START + 6))
    late = START + 1_000  # L1 was gone for a while
    world.apply(ClockElapsed(late))
    effects = world.apply(BlockSeen(late, 1, late))
    assert [news.code for news in list_news(effects, Lapsed)] == [Code.EXPIRED, Code.ORDER]
    assert world.machine.state.get_account(1).positions == ()
    assert world.machine.state.get_account(1).cash == 10**12
    finish(world, late + 30)


def test_a_batch_of_the_queue_alone_by_somebody_else() -> None:
    world = World()
    world.open(2)
    world.ask(build_order_event(START + 1, 0, 0, MARK, 10, 1))
    world.ask(build_order_event(START + 1, 1, 1, MARK, 10, 1))
    world.apply(ClockElapsed(START + 6))
    world.see(START + 6)
    (post,) = world.posts
    world.apply(world.build_landing(START + 7, START, START, 2, ()))  # it took our messages
    was_dirty = world.machine.is_dirty
    assert was_dirty
    world.apply(BatchLost(START + 8, post.entry, True))
    world.posts.clear()
    finish(world, START + 40)
    assert not world.machine.is_dirty
    assert [batch.record.message_count for batch in world.landed] == [2, 0]
    assert replay_on_l1(world).get_account(1).positions == ((CALL, 10),)


def test_our_batch_landing_behind_a_foreign_one_is_not_applied_twice() -> None:
    world = World()
    world.open(2)
    finish(world, START + 10)
    world.ask(build_order_event(START + 11, 0, 0, MARK, 10, 1))
    world.ask(build_order_event(START + 11, 1, 1, MARK, 10, 1))
    world.apply(ClockElapsed(START + 20))
    world.see(START + 20)
    (post,) = world.posts
    extra = (build_deposits(3, 50 * USD, START + 20)[2]._replace(time=START + 20),)
    world.queue(START + 20, extra)
    world.apply(world.build_landing(START + 21, START + 10, START + 10, 1, ()))
    world.land(START + 22, post)
    assert not world.machine.is_dirty
    finish(world, START + 60)
    assert world.machine.state.get_account(1).positions == ((CALL, 10),)
    assert world.machine.state.globals.accounts == 3


def test_a_deep_reorganisation_posts_again() -> None:
    world = World()
    world.open(2)
    finish(world, START + 10)
    world.ask(build_order_event(START + 11, 0, 0, MARK, 10, 1))
    world.ask(build_order_event(START + 11, 1, 1, MARK, 10, 1))
    finish(world, START + 20)
    del world.landed[1:]
    world.apply(L1Undone(START + 21, 1, 2))
    (post,) = world.posts
    assert post.attempt == 2
    finish(world, START + 40)
    assert len(world.landed) == 2


def test_lies_about_l1_stop_the_machine() -> None:
    world = World()
    world.open(2)
    finish(world, START + 10)
    record = world.landed[0].record
    with pytest.raises(Fault):
        world.machine.apply(BatchLanded(START, record, None))
    with pytest.raises(Fault):
        world.machine.apply(MessagesQueued(START, 9, ()))


def test_snapshot_and_journal_give_the_same_machine() -> None:
    world = World(limits=Limits(checkpoint=1, interval_s=3))
    world.open(4)
    finish(world, START + 5)
    for nonce in range(1, 9):
        now = START + 5 + nonce
        world.ask(build_order_event(now, 0, 0, MARK + 10 * nonce, 10, nonce))
        world.ask(build_order_event(now, 1 + nonce % 3, 1, MARK + 10 * nonce, 7, nonce))
        world.see(now)
        if world.posts:
            world.land(now, world.posts[0])
    assert world.machine.engine.frame is not None
    twin = load_machine(dump_machine(world.machine), world.rules, build_settings(world.rules, world.limits))
    fresh = Machine(world.rules, build_settings(world.rules, world.limits))
    for event in world.events:
        for effect in fresh.apply(event):
            if isinstance(effect, Persist):
                assert decode_event(effect.record) == event
    for other in (twin, fresh):
        assert other.state.get_root() == world.machine.state.get_root()
        assert dump_machine(other) == dump_machine(world.machine)
    event = build_order_event(START + 20, 0, 0, MARK, 10, 77)
    expected = world.apply(event)
    assert twin.apply(event) == expected == fresh.apply(event)
