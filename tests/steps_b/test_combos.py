"""Several legs trade together or not at all, at one price, with one margin: every step by both twins."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.codes import Code
from protocol.fixed_point import div_up
from protocol.kernel import get_quote
from protocol.legs import Leg, pack_leg
from protocol.positions import get_lots
from protocol.types import LOTS_PER_UNIT, REDUCE_ONLY, Phase, Trade
from tests.steps_b.exchange import CALL, EXPIRY, MAKER, RICH, TAKER, Exchange, get_mark, get_series, make_market
from tests.steps_b.worlds import DAY_S, World

FEW = settings(max_examples=12, deadline=None)
LISTED = sorted(get_series(percent, kind, of) for of in (0, 1) for percent in (80, 100, 120) for kind in (0, 1))
SPREAD = ((CALL, 1), (get_series(120, 1), -1))


@st.composite
def draw_legs(draw: st.DrawFn) -> tuple[Leg, ...]:
    """Of both markets, the first ratio positive."""
    chosen = sorted(draw(st.sets(st.sampled_from(LISTED), min_size=2, max_size=4)))
    ratios = [draw(st.sampled_from((1, 2, 5)))] + [draw(st.sampled_from((1, -1, 3, -2))) for _ in chosen[1:]]
    return tuple(zip(chosen, ratios, strict=True))


def get_net(x: Exchange, legs: tuple[Leg, ...]) -> int:
    """Of one unit, near its marks."""
    return sum(ratio * get_mark(series, x.state.markets) for series, ratio in legs)


@FEW
@given(legs=draw_legs(), units=st.integers(1, 5), is_buy=st.integers(0, 1))
def test_combo__all_legs_move_at_one_net_price(legs: tuple[Leg, ...], units: int, is_buy: int) -> None:
    x = Exchange()
    price = get_net(x, legs)
    assert x.place_combo(MAKER, 1 - is_buy, price, units, 1, legs) == Code.OK
    assert x.place_combo(TAKER, is_buy, price, units, 2, legs) == Code.OK
    assert x.trade(units) == Code.OK
    bought = units if is_buy else -units
    for series, ratio in legs:
        assert get_lots(x.get(TAKER).positions, series) == ratio * bought == -get_lots(x.get(MAKER).positions, series)
    fee = x.get_fee(legs, price, units)
    assert (x.get(MAKER).cash, x.get(TAKER).cash) == (RICH + bought * price, RICH - bought * price - fee)
    assert x.state.globals.fees == 13 + fee


@pytest.mark.parametrize("units", [1, 37])
def test_fee_of_a_combo__sums_over_its_legs__whatever_their_net(units: int) -> None:
    x = Exchange()
    legs = ((CALL, 3), (get_series(120, 1), -2), (get_series(100, 1, 1), 5))
    share = premium = 0
    for (series, ratio), rate in zip(legs, (x.rules.params.fees[0], x.rules.params.fees[0], x.rules.params.fees[1]), strict=True):
        quote = get_quote(series, x.state.markets)
        assert quote is not None
        size = abs(ratio) * units
        share += div_up(quote.slice.forward * size * rate.forward_ppm, 10**6 * LOTS_PER_UNIT)
        premium += div_up(quote.mark * size * rate.premium_ppm, 10**6 * LOTS_PER_UNIT)
    least = max(rate.minimum for rate in x.rules.params.fees)
    assert x.get_fee(legs, -(10**9), units) == max(least, min(share, premium))


def test_margin__once_on_the_whole__a_spread_needs_less_than_its_short_leg() -> None:
    x = Exchange()
    price = get_net(x, SPREAD)
    poor = 5 * price + 2 * 10**6
    x.put_account(MAKER, x.get(MAKER)._replace(cash=poor))
    wing = get_series(120, 1)
    mark = get_mark(wing, x.state.markets)
    assert x.place(MAKER, 0, mark, 5, 5, series=wing) == x.place(TAKER, 1, mark, 5, 6, series=wing) == Code.OK
    assert x.trade(5) == Code.MARGIN
    x.put_account(MAKER, x.get(MAKER)._replace(cash=poor + 10**8))
    assert x.place_combo(MAKER, 1, price, 5, 9, SPREAD) == x.place_combo(TAKER, 0, price, 5, 10, SPREAD) == Code.OK
    assert x.trade(5) == Code.OK
    assert x.get(MAKER).positions == tuple((series, 5 * ratio) for series, ratio in SPREAD)


def test_one_leg_that_may_not__stops_all() -> None:
    x = Exchange()
    market = make_market(0)
    low = get_series(5, 0)  # below a tenth of the forward
    legs = tuple(sorted(((low, 1), (CALL, 1))))
    price = sum(get_mark(series, x.state.markets) for series, _ in legs)
    assert x.place_combo(MAKER, 0, price, 5, 1, legs) == x.place_combo(TAKER, 1, price, 5, 2, legs) == Code.OK
    assert x.trade(1) == Code.STRIKE
    far = tuple(sorted(((CALL, 1), (get_series(100, 1, 0, EXPIRY + DAY_S), -1))))
    assert x.place_combo(MAKER, 0, 1, 5, 5, far) == x.place_combo(TAKER, 1, 1, 5, 6, far) == Code.OK
    x.state.put_markets((market._replace(slices=market.slices[:1]), x.state.markets[1]))
    assert x.trade(1) == Code.SERIES
    x.state.put_markets((make_market(0), make_market(1, halted_until=2**39)))
    both = ((CALL, 1), (get_series(100, 1, 1), 1))
    net = get_net(x, both)
    assert x.place_combo(MAKER, 0, net, 5, 9, both) == x.place_combo(TAKER, 1, net, 5, 10, both) == Code.OK
    assert x.trade(1) == Code.HALTED
    assert not x.get(MAKER).positions
    assert not x.get(TAKER).positions


@FEW
@given(held=st.tuples(st.integers(-6, 6), st.integers(-6, 6)), units=st.integers(1, 3), is_buy=st.integers(0, 1))
def test_reduce_only_combo__every_leg_shrinks(held: tuple[int, int], units: int, is_buy: int) -> None:
    x = Exchange()
    price = get_net(x, SPREAD)
    positions = tuple((series, lots) for (series, _), lots in zip(SPREAD, held, strict=True) if lots)
    x.put_account(TAKER, x.get(TAKER)._replace(positions=positions))
    assert x.place_combo(MAKER, 1 - is_buy, price, 9, 1, SPREAD) == Code.OK
    assert x.place_combo(TAKER, is_buy, price, 9, 2, SPREAD, flags=REDUCE_ONLY) == Code.OK
    changes = [ratio * units * (1 if is_buy else -1) for _, ratio in SPREAD]
    shrinks = all(lots * change < 0 and abs(change) <= abs(lots) for lots, change in zip(held, changes, strict=True))
    assert x.trade(units) == (Code.OK if shrinks else Code.REDUCE_ONLY)


def test_band_of_a_combo__is_of_its_gross_mark() -> None:
    x = Exchange()
    legs = ((CALL, 2), (get_series(120, 1), -3))
    quotes = [get_quote(series, x.state.markets) for series, _ in legs]
    net = sum(ratio * quote.mark for (_, ratio), quote in zip(legs, quotes, strict=True) if quote)
    gross = sum(abs(ratio) * quote.mark for (_, ratio), quote in zip(legs, quotes, strict=True) if quote)
    forward = sum(abs(ratio) * quote.slice.forward for (_, ratio), quote in zip(legs, quotes, strict=True) if quote)
    width = (50 * gross + 5 * forward) // 1_000
    for nonce, sign in ((1, 1), (17, -1)):  # the second above the first in every slot
        edge = (net + width) // 100 if sign > 0 else -((width - net) // 100)
        assert x.place_combo(MAKER, 1, edge, 5, nonce, legs) == x.place_combo(TAKER, 0, edge, 5, nonce + 1, legs) == Code.OK
        assert x.trade(1) == Code.OK
        beyond = edge + sign
        assert x.place_combo(MAKER, 1, beyond, 5, nonce + 8, legs) == x.place_combo(TAKER, 0, beyond, 5, nonce + 9, legs) == Code.OK
        assert x.trade(1) == Code.BAND


@pytest.mark.parametrize(
    ("legs", "expected"),
    [
        (((CALL, -1), (get_series(120, 1), 1)), Code.LEGS),
        (((CALL, 1), (CALL, 1)), Code.LEGS),
        (((get_series(120, 1), 1), (CALL, 1)), Code.LEGS),
        (((CALL, 0), (get_series(120, 1), 1)), Code.LEGS),
        (((CALL, 1), (get_series(120, 1), 101)), Code.LEGS),
        (((CALL, 100), (get_series(120, 1), -100)), Code.OK),
        (((CALL, 1), (get_series(120, 1, 0, 1 << 40), 1)), Code.SERIES),
        (((CALL, 1), (get_series(120, 1) + (2 << 89), 1)), Code.SERIES),
    ],
)
def test_legs_of_a_combo__have_one_form(legs: tuple[Leg, ...], expected: Code) -> None:
    assert Exchange().place_combo(MAKER, 1, 5, 5, 1, legs) == expected


@FEW
@given(legs=draw_legs(), other=draw_legs())
def test_combos__meet_only_those_of_the_same_legs(legs: tuple[Leg, ...], other: tuple[Leg, ...]) -> None:
    x = Exchange()
    price = get_net(x, legs)
    assert x.place_combo(MAKER, 0, price, 5, 1, legs) == x.place_combo(TAKER, 1, price, 5, 2, other) == Code.OK
    assert x.trade(1) == (Code.OK if legs == other else Code.SERIES)
    assert x.place(TAKER, 1, max(price, 1), 5, 6, series=legs[0][0]) == Code.OK
    assert x.trade(1) == Code.SERIES


def test_bidder__has_a_margin_step_as_a_taker_has() -> None:
    x = Exchange()
    x.put_account(MAKER, x.get(MAKER)._replace(flag=3, positions=((CALL, -5),)))
    world = World(x.rules, x.state)
    world.pre.trade = Trade(MAKER, 0, TAKER, 0, (pack_leg(CALL, 1),), -3, 10**6, 0, nonce=7)
    outcome, _ = world.run(Phase.BIDDER)
    assert (outcome.code, outcome.after.phase) == (Code.OK, Phase.TARGET)
    x.put_account(TAKER, x.get(TAKER)._replace(cash=0))
    outcome, _ = world.run(Phase.BIDDER)
    assert (outcome.code, outcome.after.phase) == (Code.CASH, Phase.FETCH)
