"""Orders with flags, of session keys, and of several legs: what the rules say of them is what the book does, and L1 agrees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import NodeError
from node.instruments import decode_legs, encode_instrument, encode_legs
from protocol.codes import Code
from protocol.legs import pack_leg, pack_plain
from protocol.margin import compute_mark
from protocol.operations import FEE_UNIT, MAX_FEE_CAP
from protocol.series import MAX_STRIKE, STRIKE_UNIT, encode_series
from protocol.types import FILL_OR_KILL, MAX_LEGS, MAX_RATIO, POST_ONLY, REDUCE_ONLY, SCOPE_TRADE, SCOPE_WITHDRAW
from sequencer.events import (
    ClockElapsed,
    OrderPlaced,
    OrderRemoved,
    Refusal,
    Refused,
    RfqAnswered,
    RfqOpened,
    RfqReceived,
    RowApplied,
)
from sequencer.rfqs import MAX_OWN
from tests.sequencer.test_machine import MARK, finish, list_news, replay_on_l1
from tests.sequencer.world import (
    CALL,
    EXPIRY,
    PLAIN,
    START,
    USD,
    World,
    build_authorize_event,
    build_cancel_event,
    build_mark_event,
    build_order_event,
)

HIGHER = encode_series(0, EXPIRY, 55_000 * USD, 1)
SPREAD = (pack_leg(CALL, 1), pack_leg(HIGHER, -1))


def expect_refusal(world: World, event: object, code: int) -> None:
    before = world.machine.state.get_rest()
    refused = world.ask(event)  # type: ignore[arg-type]
    assert isinstance(refused, Refused), refused
    assert refused.code == code
    assert refused.reason
    assert world.machine.state.get_rest() == before  # a frame that was opened may have moved the clock, no more


def expect_placed(world: World, event: object) -> OrderPlaced:
    placed = world.ask(event)  # type: ignore[arg-type]
    assert isinstance(placed, OrderPlaced), placed
    return placed


# -- flags


def test_post_only__that_would_cross__is_refused_with_its_code_and_else_rests() -> None:
    world = World()
    world.open()
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK, 10, 1))
    expect_refusal(world, build_order_event(START + 1, 1, 1, MARK, 10, 1, flags=POST_ONLY), Code.POST_ONLY)
    assert expect_placed(world, build_order_event(START + 1, 1, 1, MARK - 1, 10, 1, flags=POST_ONLY)).left == 10
    taken = expect_placed(world, build_order_event(START + 1, 2, 0, MARK - 1, 4, 1))  # as a maker it trades like any other
    assert [fill.maker for fill in taken.fills] == [1]
    finish(world, START + 20)


def test_fill_or_kill__fills_in_one_trade_or_not_at_all() -> None:
    world = World()
    world.open(6)
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK, 5, 1))
    expect_placed(world, build_order_event(START + 1, 1, 0, MARK + 10, 20, 1))
    expect_refusal(world, build_order_event(START + 2, 2, 1, MARK, 10, 1, flags=FILL_OR_KILL), Code.FILL_OR_KILL)
    expect_refusal(world, build_order_event(START + 2, 2, 1, MARK + 10, 21, 1, flags=FILL_OR_KILL), Code.FILL_OR_KILL)
    placed = expect_placed(world, build_order_event(START + 2, 2, 1, MARK + 10, 10, 1, flags=FILL_OR_KILL))
    assert [(fill.maker, fill.price, fill.lots) for fill in placed.fills] == [(1, MARK + 10, 10)]  # past the one that is too small
    assert world.machine.book.get_depth(PLAIN, 0, 5) == [(MARK, 5), (MARK + 10, 10)]
    finish(world, START + 20)


def test_reduce_only__as_a_taker__never_opens_or_turns() -> None:
    world = World()
    world.open()
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK, 50, 1))
    expect_refusal(world, build_order_event(START + 1, 1, 1, MARK, 5, 1, flags=REDUCE_ONLY), Code.REDUCE_ONLY)
    expect_placed(world, build_order_event(START + 1, 1, 1, MARK, 8, 1))
    expect_placed(world, build_order_event(START + 1, 2, 1, MARK - 10, 50, 1))
    closed = expect_placed(world, build_order_event(START + 2, 1, 0, MARK - 10, 20, 2, flags=REDUCE_ONLY))
    assert [fill.lots for fill in closed.fills] == [8]  # no more than what it held
    assert (closed.left, closed.code) == (0, Code.REDUCE_ONLY)
    assert world.machine.state.get_account(1).positions == ()
    finish(world, START + 20)


def test_reduce_only__resting_without_a_position__leaves_and_the_matching_goes_on() -> None:
    world = World()
    world.open()
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK, 10, 1, flags=REDUCE_ONLY))
    expect_placed(world, build_order_event(START + 1, 1, 0, MARK + 10, 10, 1))
    effects = world.apply(build_order_event(START + 2, 2, 1, MARK + 10, 10, 1))
    assert [(gone.account, gone.code) for gone in list_news(effects, OrderRemoved)] == [(0, Code.REDUCE_ONLY)]
    assert world.machine.state.get_account(2).positions == ((CALL, 10),)
    finish(world, START + 20)


def test_fee_cap__below_the_fee__is_the_takers_doing() -> None:
    world = World()
    world.open()
    expect_placed(world, build_order_event(START + 1, 0, 0, MARK, 10, 1, fee_cap=0))  # a maker pays none
    expect_refusal(world, build_order_event(START + 1, 1, 1, MARK, 10, 1, fee_cap=FEE_UNIT), Code.FEE)
    expect_refusal(world, build_order_event(START + 1, 1, 1, MARK, 10, 1, fee_cap=FEE_UNIT + 1), Code.PRICE)
    expect_refusal(world, build_order_event(START + 1, 1, 1, MARK, 10, 1, fee_cap=FEE_UNIT << 32), Code.PRICE)
    placed = expect_placed(world, build_order_event(START + 1, 1, 1, MARK, 10, 1, fee_cap=MAX_FEE_CAP))
    assert placed.fills[0].fee == world.machine.state.globals.fees > 0
    finish(world, START + 20)


def test_halted_market__takers_wait_and_makers_stay() -> None:
    world = World()
    world.open()
    forward = 50_000 * USD * 112 // 100
    world.ask(build_mark_event(START + 10, START + 10, START, forward, request=1))
    market = world.machine.state.markets[0]
    assert market.halted_until > START + 10
    mark = (compute_mark(CALL, market) or 0) // 100
    expect_placed(world, build_order_event(START + 11, 0, 0, mark, 10, 1))
    expect_refusal(world, build_order_event(START + 11, 1, 1, mark, 10, 1), Code.HALTED)
    assert world.machine.book.get_depth(PLAIN, 0, 5) == [(mark, 10)]
    finish(world, START + 30)


# -- session keys


def test_session_key__signs_orders_until_it_expires_or_is_revoked() -> None:
    world = World()
    world.open()
    expect_refusal(world, build_order_event(START + 1, 0, 0, MARK, 10, 1, key=7), Code.SIGNATURE)
    assert isinstance(world.ask(build_authorize_event(START + 1, 0, 7, SCOPE_TRADE, START + 100, 1)), RowApplied)
    expect_refusal(world, build_order_event(START + 2, 0, 0, MARK, 10, 1, key=7), Code.GENERATION)
    placed = expect_placed(world, build_order_event(START + 2, 0, 0, MARK, 10, 1, key=7, generation=1, valid_s=3_600))
    assert placed.left == 10
    taken = expect_placed(world, build_order_event(START + 3, 1, 1, MARK, 4, 1))
    assert taken.fills[0].maker == 0
    (removed,) = list_news(world.apply(ClockElapsed(START + 101)), OrderRemoved)
    assert removed.code == Code.EXPIRED  # with its key, long before its own time
    expect_refusal(world, build_order_event(START + 101, 0, 0, MARK, 10, 2, key=7, generation=1), Code.SIGNATURE)
    finish(world, START + 120)
    assert replay_on_l1(world).get_account(0).positions == ((CALL, -4),)


@pytest.mark.parametrize("scope", [SCOPE_WITHDRAW, 0])
def test_session_key__without_the_scope__signs_no_order(scope: int) -> None:
    world = World()
    world.open()
    world.ask(build_authorize_event(START + 1, 0, 7, scope, START + 100, 1))
    expect_refusal(world, build_order_event(START + 2, 0, 0, MARK, 10, 1, key=7, generation=1), Code.SIGNATURE)


def test_revoked__its_orders_leave_the_book_at_once() -> None:
    world = World()
    world.open()
    world.ask(build_authorize_event(START + 1, 0, 7, SCOPE_TRADE, START + 100, 1))
    expect_placed(world, build_order_event(START + 2, 0, 0, MARK, 10, 1, key=7, generation=1))
    effects = world.apply(build_authorize_event(START + 3, 0, -1, 0, 0, 2))
    assert [gone.code for gone in list_news(effects, OrderRemoved)] == [Code.GENERATION]
    expect_refusal(world, build_order_event(START + 3, 0, 0, MARK, 10, 2, key=7, generation=2), Code.SIGNATURE)
    finish(world, START + 20)


def test_session_keys_order_and_the_owners_own__do_not_meet() -> None:
    world = World()
    world.open()
    world.ask(build_authorize_event(START + 1, 0, 7, SCOPE_TRADE, START + 100, 1))
    expect_placed(world, build_order_event(START + 2, 0, 0, MARK, 10, 1, key=7, generation=1))
    effects = world.apply(build_order_event(START + 2, 0, 1, MARK, 10, 2, generation=1))
    assert [gone.code for gone in list_news(effects, OrderRemoved)] == [Code.SELF_TRADE]
    finish(world, START + 20)


# -- combos


def get_spread_mark(world: World) -> int:
    quotes = [world.machine.engine.leap.rules.kernel.get_quote(leg >> 32, world.machine.state.markets) for leg in SPREAD]
    assert quotes[0] is not None
    assert quotes[1] is not None
    return (quotes[0].mark - quotes[1].mark) // 100


def test_combo__trades_all_legs_at_one_net_price() -> None:
    world = World()
    world.open()
    price = get_spread_mark(world)
    assert expect_placed(world, build_order_event(START + 1, 0, 0, price, 10, 1, legs=SPREAD)).left == 10
    before = world.machine.state.get_account(1).cash
    taken = expect_placed(world, build_order_event(START + 2, 1, 1, price, 6, 1, legs=SPREAD))
    (fill,) = taken.fills
    assert (fill.legs, fill.lots, fill.price) == (SPREAD, 6, price)
    state = world.machine.state
    assert state.get_account(1).positions == ((CALL, 6), (HIGHER, -6))
    assert state.get_account(0).positions == ((CALL, -6), (HIGHER, 6))
    assert state.get_account(1).cash == before - 6 * price - fill.fee
    assert world.machine.book.get_depth(SPREAD, 0, 5) == [(price, 4)]
    assert world.machine.book.get_depth(PLAIN, 0, 5) == []
    finish(world, START + 20)


def test_combo__may_cost_less_than_nothing() -> None:
    """Selling the dear leg against the cheap one: the buyer is paid."""
    world = World()
    world.open()
    cheap_first = (pack_leg(encode_series(0, EXPIRY, 45_000 * USD, 0), 1), pack_leg(CALL, -1))
    quotes = [world.machine.engine.leap.rules.kernel.get_quote(leg >> 32, world.machine.state.markets) for leg in cheap_first]
    assert quotes[0] is not None
    assert quotes[1] is not None
    price = (quotes[0].mark - quotes[1].mark) // 100
    assert price < 0
    for account, bid in ((0, price - 20), (1, price - 10)):
        expect_placed(world, build_order_event(START + 1, account, 1, bid, 3, 1, legs=cheap_first))
    assert world.machine.book.get_depth(cheap_first, 1, 5) == [(price - 10, 3), (price - 20, 3)]
    taken = expect_placed(world, build_order_event(START + 1, 2, 0, price - 20, 5, 1, legs=cheap_first))
    assert [(fill.maker, fill.price, fill.lots) for fill in taken.fills] == [(1, price - 10, 3), (0, price - 20, 2)]
    finish(world, START + 20)


def test_combos__of_a_bad_form__are_refused_by_the_rules() -> None:
    world = World()
    world.open()
    put = encode_series(0, EXPIRY, 45_000 * USD, 0)
    cases = [
        ((pack_leg(HIGHER, 1), pack_leg(CALL, -1)), Code.LEGS),  # not ascending
        ((pack_leg(CALL, 1), pack_leg(CALL, -1)), Code.LEGS),
        ((pack_leg(CALL, -1), pack_leg(HIGHER, 1)), Code.LEGS),  # the first one is sold
        ((pack_leg(CALL, 101), pack_leg(HIGHER, -1)), Code.LEGS),
        ((pack_leg(CALL, 1), pack_leg(HIGHER, 0)), Code.LEGS),
        ((pack_leg(put, 1), pack_leg(CALL + (1 << 49), 1)), Code.SERIES),  # an expiry that is not listed
    ]
    for legs, code in cases:
        expect_refusal(world, build_order_event(START + 1, 0, 1, USD, 1, 1, legs=legs), code)
    tampered = build_order_event(START + 1, 0, 1, USD, 1, 1, legs=SPREAD, key=2)
    expect_refusal(world, tampered, Code.SIGNATURE)
    expect_refusal(world, build_order_event(START + 1, 0, 1, 1 << 37, 1, 1, legs=SPREAD), Code.PRICE)
    expect_refusal(world, build_order_event(START + 1, 0, 1, -5, 1, 1), Code.PRICE)  # plain
    finish(world, START + 20)


def test_combo__a_maker_who_cannot_carry_it__leaves() -> None:
    world = World()
    world.open(3, 1_000 * USD)
    price = get_spread_mark(world)
    expect_placed(world, build_order_event(START + 1, 0, 0, price, 5_000, 1, legs=SPREAD))
    effects = world.apply(build_order_event(START + 1, 1, 1, price, 5, 1, legs=SPREAD))
    assert not list_news(effects, OrderRemoved)  # five units it can
    effects = world.apply(build_order_event(START + 1, 2, 1, price + 10, 20, 1, legs=SPREAD))
    assert world.machine.state.get_account(1).positions[0] == (CALL, 5)
    finish(world, START + 20)


# -- requests for quotes


def ask_quotes(world: World, now: int, account: int = 0, legs: tuple[int, ...] = SPREAD, life: int = 60) -> RfqOpened:
    opened = world.ask(RfqReceived(now, 1, account, legs, 10, now + life))
    assert isinstance(opened, RfqOpened), opened
    return opened


def test_rfq__the_best_answer_fills_in_one_trade_and_no_stranger_takes_it() -> None:
    world = World()
    world.open()
    price = get_spread_mark(world)
    effects = world.apply(RfqReceived(START + 1, 1, 0, SPREAD, 10, START + 61))
    (opened,) = list_news(effects, RfqOpened)
    for account, ask in ((1, price + 40), (2, price + 20)):
        effects = world.apply(build_order_event(START + 1, account, 0, ask, 10, 1, legs=SPREAD, rfq=opened.number))
        (answered,) = list_news(effects, RfqAnswered)
        assert (answered.asker, answered.account, answered.price) == (0, account, ask)
    assert world.machine.book.get_depth(SPREAD, 0, 5) == []  # not in the public book
    stranger = expect_placed(world, build_order_event(START + 2, 3, 1, price + 50, 10, 1, legs=SPREAD))
    assert (stranger.fills, stranger.left) == ((), 10)
    taken = expect_placed(world, build_order_event(START + 2, 0, 1, price + 50, 10, 1, legs=SPREAD, rfq=opened.number, flags=FILL_OR_KILL))
    assert [(fill.maker, fill.price, fill.lots) for fill in taken.fills] == [(2, price + 20, 10)]
    assert world.machine.state.get_account(0).positions == ((CALL, 10), (HIGHER, -10))
    finish(world, START + 20)


def test_rfq__an_answer_that_is_all_or_nothing__is_taken_whole() -> None:
    world = World()
    world.open()
    price = get_spread_mark(world)
    opened = ask_quotes(world, START + 1)
    expect_placed(world, build_order_event(START + 1, 1, 0, price, 10, 1, legs=SPREAD, rfq=opened.number, flags=FILL_OR_KILL))
    expect_placed(world, build_order_event(START + 1, 2, 0, price + 10, 6, 1, legs=SPREAD, rfq=opened.number))
    taken = expect_placed(world, build_order_event(START + 2, 0, 1, price + 10, 4, 1, legs=SPREAD, rfq=opened.number))
    assert [(fill.maker, fill.lots) for fill in taken.fills] == [(2, 4)]
    taken = expect_placed(world, build_order_event(START + 2, 0, 1, price + 10, 10, 2, legs=SPREAD, rfq=opened.number))
    assert [(fill.maker, fill.lots) for fill in taken.fills] == [(1, 10)]
    finish(world, START + 20)


def test_rfq__over__its_answers_leave_and_it_takes_no_more() -> None:
    world = World()
    world.open()
    price = get_spread_mark(world)
    opened = ask_quotes(world, START + 1, life=10)
    expect_placed(world, build_order_event(START + 1, 1, 0, price, 10, 1, legs=SPREAD, rfq=opened.number))
    (removed,) = list_news(world.apply(ClockElapsed(START + 12)), OrderRemoved)
    assert (removed.account, removed.code) == (1, Code.EXPIRED)
    expect_refusal(world, build_order_event(START + 12, 1, 0, price, 10, 2, legs=SPREAD, rfq=opened.number), Refusal.NOT_FOUND)
    finish(world, START + 20)


def test_rfqs__that_cannot_be__are_refused() -> None:
    world = World()
    world.open()
    opened = ask_quotes(world, START + 1)
    expect_refusal(world, build_order_event(START + 1, 1, 0, MARK, 10, 1, rfq=opened.number), Code.SERIES)  # other legs
    expect_refusal(world, build_order_event(START + 1, 1, 0, MARK, 10, 1, rfq=99), Refusal.NOT_FOUND)
    expect_refusal(world, RfqReceived(START + 1, 1, 9, SPREAD, 10, START + 61), Code.ACCOUNT)
    expect_refusal(world, RfqReceived(START + 1, 1, 0, SPREAD, 0, START + 61), Code.LOTS)
    expect_refusal(world, RfqReceived(START + 1, 1, 0, SPREAD, 1, START + 10_000), Code.EXPIRED)
    expect_refusal(world, RfqReceived(START + 1, 1, 0, pack_plain(CALL + (1 << 49)), 1, START + 61), Code.SERIES)
    for _ in range(MAX_OWN - 1):
        ask_quotes(world, START + 1)
    expect_refusal(world, RfqReceived(START + 1, 1, 0, SPREAD, 1, START + 61), Refusal.TOO_MANY)
    ask_quotes(world, START + 1, account=1)


def test_rfq__answers_die_with_their_makers_generation() -> None:
    world = World()
    world.open()
    price = get_spread_mark(world)
    opened = ask_quotes(world, START + 1)
    expect_placed(world, build_order_event(START + 1, 1, 0, price, 10, 1, legs=SPREAD, rfq=opened.number))
    effects = world.apply(build_cancel_event(START + 2, 1, 1))
    assert [gone.code for gone in list_news(effects, OrderRemoved)] == [Code.GENERATION]
    finish(world, START + 20)


# -- names

expiries = st.sampled_from([EXPIRY, EXPIRY - EXPIRY % 86_400 + 8 * 3_600, EXPIRY + 1])
all_series = st.builds(
    encode_series,
    st.integers(0, 1),
    expiries,
    st.integers(1, MAX_STRIKE // STRIKE_UNIT).map(lambda cents: cents * STRIKE_UNIT),
    st.integers(0, 1),
)
ratios = st.integers(-MAX_RATIO, MAX_RATIO).filter(bool)


@given(st.lists(all_series, min_size=2, max_size=MAX_LEGS, unique=True).map(sorted), st.lists(ratios, min_size=MAX_LEGS, max_size=MAX_LEGS))
def test_names__of_combinations__are_one_to_one(series: list[int], lots: list[int]) -> None:
    legs = tuple(pack_leg(leg, ratio) for leg, ratio in zip(series, [abs(lots[0]), *lots[1:]], strict=False))
    name = encode_legs(legs)
    assert decode_legs(name) == legs
    assert len(name) <= 200
    parts = name.split(",")
    for other in (
        ",".join(reversed(parts)),
        "-" + name,
        name + ",",
        name.replace("x", "x0"),
        name.lower(),
        ",".join([name, parts[-1]]),
        parts[0],
    ):
        with pytest.raises(NodeError):
            decode_legs(other)


@given(all_series)
def test_names__of_a_plain_orders_leg__are_the_series(series: int) -> None:
    assert decode_legs(encode_legs(pack_plain(series))) == pack_plain(series)
    assert encode_legs(pack_plain(series)) == encode_instrument(series)
