"""What an order promises its owner, whatever the sequencer does with it: every step by both twins."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.codes import Code
from protocol.legs import pack_plain
from protocol.operations import MAX_FEE_CAP, build_cancel
from protocol.positions import get_lots
from protocol.sessions import encode_session
from protocol.signing import compute_cancel_digest
from protocol.types import FILL_OR_KILL, POST_ONLY, REDUCE_ONLY, SCOPE_TRADE, SCOPE_WITHDRAW
from tests.steps_b.exchange import CALL, CLOCK, MAKER, RICH, TAKER, UNTIL, Exchange, get_mark, get_series, make_market
from tests.steps_b.worlds import ADDRESSES, sign

FEW = settings(max_examples=12, deadline=None)
SIDES = st.sampled_from((0, 1))
SESSION = 5  # the number of a key that owns nothing


def set_clock(x: Exchange, clock: int) -> None:
    x.state.put_globals(x.state.globals._replace(clock=clock))


def hold(x: Exchange, index: int, lots: int, series: int = CALL) -> None:
    """Gives an account a position out of nowhere."""
    x.put_account(index, x.get(index)._replace(positions=((series, lots),) if lots else ()))


@FEW
@given(is_buy=SIDES, maker=st.integers(-400, 400), taker=st.integers(-400, 400))
def test_limit__nobody_trades_beyond_it__and_the_maker_sets_the_price(is_buy: int, maker: int, taker: int) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    price, limit = mark + maker * 10_000, mark + taker * 10_000
    assert x.place(MAKER, 1 - is_buy, price, 5, 1) == Code.OK
    assert x.place(TAKER, is_buy, limit, 5, 2) == Code.OK
    reaches = limit >= price if is_buy else limit <= price
    assert x.trade(3) == (Code.OK if reaches else Code.LIMIT)
    if reaches:
        paid = 3 * price * (1 if is_buy else -1)
        fee = x.get_fee(((CALL, 1),), price, 3)
        assert (x.get(MAKER).cash, x.get(TAKER).cash) == (RICH + paid, RICH - paid - fee)
        assert x.state.globals.fees == 13 + fee


@FEW
@given(sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)), fills=st.lists(st.integers(0, 5), max_size=6))
def test_size__never_filled_beyond_it__by_any_order_of_trades(sizes: tuple[int, int], fills: list[int]) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 0, mark, sizes[0], 1) == Code.OK
    assert x.place(TAKER, 1, mark, sizes[1], 2) == Code.OK
    filled = 0
    for lots in fills:
        expected = Code.LOTS if lots == 0 else Code.OVERFILL if filled + lots > min(sizes) else Code.OK
        assert x.trade(lots) == expected
        filled += lots if expected == Code.OK else 0
        assert [x.get_order(*place).filled for place in ((MAKER, 1), (TAKER, 2))] == [filled, filled]
        assert get_lots(x.get(TAKER).positions, CALL) == filled == -get_lots(x.get(MAKER).positions, CALL)


@FEW
@given(maker=st.integers(0, 5), taker=st.integers(0, 5), later=st.integers(0, 6))
def test_expiry__nothing_fills_after_it(maker: int, taker: int, later: int) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 0, mark, 5, 1, until=CLOCK + maker) == Code.OK
    assert x.place(TAKER, 1, mark, 5, 2, until=CLOCK + taker) == Code.OK
    set_clock(x, CLOCK + later)
    assert x.trade(1) == (Code.OK if later <= min(maker, taker) else Code.EXPIRED)
    assert x.place(MAKER, 0, mark, 5, 9, until=CLOCK + later - 1) == Code.EXPIRED


@pytest.mark.parametrize("is_buy", [0, 1])
def test_post_only__makes_and_never_takes(is_buy: int) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 1 - is_buy, mark, 5, 1, flags=POST_ONLY) == Code.OK
    assert x.place(TAKER, is_buy, mark, 5, 2) == Code.OK
    assert x.trade(2, m_slot=2, t_slot=1, maker=TAKER, taker=MAKER) == Code.POST_ONLY
    assert x.trade(2) == Code.OK


@FEW
@given(held=st.integers(-4, 4), lots=st.integers(1, 6), is_buy=SIDES, is_maker=st.booleans())
def test_reduce_only__a_position_only_becomes_smaller_and_never_changes_side(held: int, lots: int, is_buy: int, is_maker: bool) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    index = MAKER if is_maker else TAKER
    hold(x, index, held)
    assert x.place(MAKER, is_buy if is_maker else 1 - is_buy, mark, 9, 1, flags=REDUCE_ONLY if is_maker else 0) == Code.OK
    assert x.place(TAKER, 1 - is_buy if is_maker else is_buy, mark, 9, 2, flags=0 if is_maker else REDUCE_ONLY) == Code.OK
    change = lots if is_buy else -lots
    shrinks = held * change < 0 and lots <= abs(held)
    assert x.trade(lots) == (Code.OK if shrinks else Code.REDUCE_ONLY)
    assert get_lots(x.get(index).positions, CALL) == (held + change if shrinks else held)


@FEW
@given(size=st.integers(1, 4), other=st.integers(1, 6), lots=st.integers(1, 6), is_maker=st.booleans())
def test_fill_or_kill__whole_or_not_at_all(size: int, other: int, lots: int, is_maker: bool) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 0, mark, size if is_maker else other, 1, flags=FILL_OR_KILL if is_maker else 0) == Code.OK
    assert x.place(TAKER, 1, mark, other if is_maker else size, 2, flags=0 if is_maker else FILL_OR_KILL) == Code.OK
    expected = Code.OVERFILL if lots > min(size, other) else Code.OK if lots == size else Code.FILL_OR_KILL
    assert x.trade(lots) == expected
    place = (MAKER, 1) if is_maker else (TAKER, 2)
    assert x.get_order(*place).filled == (size if expected == Code.OK else 0)


@FEW
@given(units=st.integers(0, 200), lots=st.integers(1, 9))
def test_fee_cap__the_taker_pays_no_more_a_lot__the_maker_nothing(units: int, lots: int) -> None:
    x = Exchange()
    cap = units * 10_000
    mark = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 0, mark, 9, 1, cap=0) == Code.OK
    assert x.place(TAKER, 1, mark, 9, 2, cap=cap) == Code.OK
    fee = x.get_fee(((CALL, 1),), mark, lots)
    assert x.trade(lots) == (Code.OK if fee <= cap * lots else Code.FEE)
    assert x.state.globals.fees - 13 <= cap * lots


def test_self_trade__neither_with_oneself_nor_with_an_account_of_the_same_owner() -> None:
    x = Exchange(owners=(0, 1, 0))
    mark = get_mark(CALL, x.state.markets)
    for index in range(3):
        assert x.place(index, 0, mark, 9, 1) == x.place(index, 1, mark, 9, 2) == Code.OK
    assert x.trade(1, maker=0, taker=0) == Code.SELF_TRADE
    assert x.trade(1, maker=0, taker=2) == Code.SELF_TRADE
    assert x.trade(1, maker=0, taker=1) == Code.OK


@FEW
@given(numbers=st.lists(st.integers(0, 12), min_size=2, max_size=6))
def test_nonces__an_order_registers_once__and_only_above_what_stands_in_its_slot(numbers: list[int]) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    slots: dict[int, int] = {}
    for nonce in numbers:
        slot = nonce % x.rules.params.order_slots
        is_fresh = nonce > slots.get(slot, 0)
        assert x.place(MAKER, 0, mark, 5, nonce) == (Code.OK if is_fresh else Code.NONCE)
        slots[slot] = nonce if is_fresh else slots.get(slot, 0)
        assert x.get_order(MAKER, slot).nonce == slots[slot]


def test_cancelled__a_signed_order_is_dead_for_ever() -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    assert x.place(MAKER, 0, mark, 5, 1) == x.place(TAKER, 1, mark, 5, 2) == Code.OK
    stale = x.get(MAKER)
    assert x.run(build_cancel(MAKER, 7), sign(0, compute_cancel_digest(x.rules.domain, MAKER, 7))) == Code.OK
    assert x.trade(1) == Code.GENERATION
    fresh = x.get(MAKER)
    x.put_account(MAKER, stale)  # what was signed before the cancellation
    assert x.place(MAKER, 0, mark, 5, 5) == Code.OK
    x.put_account(MAKER, fresh)
    assert x.trade(1) == Code.GENERATION


def authorize(x: Exchange, scope: int, expiry: int) -> None:
    session = encode_session(ADDRESSES[SESSION], scope, expiry)
    x.put_account(MAKER, x.get(MAKER)._replace(session=session))


@FEW
@given(scope=st.integers(0, 3), left=st.integers(-1, 40), until=st.integers(0, 60))
def test_session_key__signs_orders_in_scope_and_time__and_they_outlive_neither(scope: int, left: int, until: int) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    authorize(x, scope, CLOCK + left)
    is_allowed = scope & SCOPE_TRADE != 0 and left >= 0
    assert x.place(MAKER, 0, mark, 5, 1, until=CLOCK + until, key=SESSION) == (Code.OK if is_allowed else Code.SIGNATURE)
    if not is_allowed:
        return
    assert x.get_order(MAKER, 1).valid_until == CLOCK + min(left, until)
    assert x.place(TAKER, 1, mark, 5, 2) == Code.OK
    set_clock(x, CLOCK + min(left, until) + 1)
    assert x.trade(1) == Code.EXPIRED
    set_clock(x, CLOCK + min(left, until))
    assert x.trade(1) == Code.OK


def test_session_key__of_another_account_or_for_withdrawals_only__signs_nothing() -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    authorize(x, SCOPE_TRADE, UNTIL)
    assert x.place(TAKER, 0, mark, 5, 1, key=SESSION) == Code.SIGNATURE
    authorize(x, SCOPE_WITHDRAW, UNTIL)
    assert x.place(MAKER, 0, mark, 5, 1, key=SESSION) == Code.SIGNATURE
    assert x.place(MAKER, 0, mark, 5, 1) == Code.OK
    assert x.get_order(MAKER, 1).legs == pack_plain(CALL)


@FEW
@given(maker=st.integers(-3, 3), taker=st.integers(-3, 3), lots=st.integers(1, 4), is_buy=SIDES, late=st.booleans())
def test_halt__both_sides_may_only_make_positions_smaller(maker: int, taker: int, lots: int, is_buy: int, late: bool) -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    x.state.put_markets((make_market(0, halted_until=CLOCK + (0 if late else 1)), make_market(1)))
    hold(x, MAKER, maker)
    hold(x, TAKER, taker)
    assert x.place(MAKER, 1 - is_buy, mark, 9, 1) == x.place(TAKER, is_buy, mark, 9, 2) == Code.OK
    change = lots if is_buy else -lots
    shrinks = all(held * moved < 0 and lots <= abs(held) for held, moved in ((maker, -change), (taker, change)))
    assert x.trade(lots) == (Code.OK if late or shrinks else Code.HALTED)


def test_halt__of_the_other_market_does_not_matter() -> None:
    x = Exchange()
    mark = get_mark(CALL, x.state.markets)
    x.state.put_markets((make_market(0), make_market(1, halted_until=UNTIL)))
    assert x.place(MAKER, 0, mark, 9, 1) == x.place(TAKER, 1, mark, 9, 2) == Code.OK
    assert x.trade(1) == Code.OK
    other = get_series(100, 1, 1)
    mark = get_mark(other, x.state.markets)
    assert x.place(MAKER, 0, mark, 9, 5, series=other) == x.place(TAKER, 1, mark, 9, 6, series=other) == Code.OK
    assert x.trade(1) == Code.HALTED


@pytest.mark.parametrize("cap", [0, MAX_FEE_CAP])
def test_orders_that_break_a_bound__are_not_registered(cap: int) -> None:
    x = Exchange()
    for price, lots, until, expected in (
        (0, 1, UNTIL, Code.PRICE),
        (1 << 37, 1, UNTIL, Code.PRICE),
        (1, 0, UNTIL, Code.LOTS),
        (1, (1 << 20) + 1, UNTIL, Code.LOTS),
        (1, 1, 1 << 40, Code.EXPIRED),
        ((1 << 37) - 1, 1 << 20, (1 << 40) - 1, Code.OK),
    ):
        assert x.place(MAKER, 1, price, lots, 1, until=until, cap=cap) == expected
