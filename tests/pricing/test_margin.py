"""The small rules of margin one by one, and the decision on a trade; `test_float_model` holds it against an independent model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codes import Code
from protocol.margin import MIN_INITIAL, Margin, check_trade, compute_margin, compute_mark, compute_risk, is_reducing, is_stale
from protocol.pricing import compute_price
from protocol.series import encode_series
from protocol.svi import compute_v
from protocol.types import MAX_CASH, Market, Slice
from tests.pricing.markets import DAY_S, NOW

FLAT = Slice(NOW + 30 * DAY_S, 100_000_000_000, 30_000_000, 0, 0, 0, 0)
MARKETS = (Market(100_000_000_000, NOW, (FLAT,)), Market(4_000_000_000, NOW - 100, (FLAT._replace(forward=4_000_000_000),)))
CALL = encode_series(0, FLAT.expiry, 110_000_000_000, 1)
PUT = encode_series(0, FLAT.expiry, 90_000_000_000, 0)
FAR_CALL = encode_series(0, FLAT.expiry, 900_000_000_000, 1)
OTHER = encode_series(1, FLAT.expiry, 4_000_000_000, 1)


def test_marks_round_against_the_holder() -> None:
    unit = compute_mark(CALL, MARKETS[0])
    assert unit == compute_price(FLAT.forward, 110_000_000_000, compute_v(FLAT, 110_000_000_000))[0]
    assert unit is not None
    assert unit % 100 != 0
    assert compute_margin(0, ((CALL, 7),), MARKETS).equity == 7 * (unit // 100)
    assert compute_margin(0, ((CALL, -7),), MARKETS).equity == -7 * (unit // 100 + 1)


def test_a_bought_option_cannot_lose_more_than_its_mark() -> None:
    margin = compute_margin(0, ((CALL, 10),), MARKETS)
    assert 0 < margin.maintenance <= margin.equity
    assert not margin.has_short


def test_a_far_short_costs_two_percent_of_the_forward() -> None:
    margin = compute_margin(0, ((FAR_CALL, -10),), MARKETS)
    assert margin.maintenance == 10 * 20_000_000
    assert margin.initial == 260_000_000


def test_the_short_minimum_rounds_up_per_lot() -> None:
    item = FLAT._replace(forward=100_000_000_001)
    assert compute_risk(900_000_000_000, 1, item).minimum == 20_000_001


def test_initial_margin_is_at_least_100_usd_with_a_short_only() -> None:
    assert compute_margin(0, ((FAR_CALL, -1),), MARKETS).initial == MIN_INITIAL
    assert compute_margin(0, ((FAR_CALL, 1),), MARKETS).initial < MIN_INITIAL


def test_underlyings_do_not_offset_but_series_of_one_do() -> None:
    short, other = compute_margin(0, ((CALL, -10),), MARKETS), compute_margin(0, ((OTHER, 100),), MARKETS)
    both = compute_margin(0, ((CALL, -10), (OTHER, 100)), MARKETS)
    assert both.maintenance == short.maintenance + other.maintenance
    strangle = compute_margin(0, ((PUT, -10), (CALL, -10)) if PUT < CALL else ((CALL, -10), (PUT, -10)), MARKETS)
    assert strangle.maintenance < short.maintenance + compute_margin(0, ((PUT, -10),), MARKETS).maintenance


def test_a_series_that_its_market_does_not_carry_counts_nothing() -> None:
    for series in (encode_series(0, 5, 10**11, 1), encode_series(2, FLAT.expiry, 10**11, 1), encode_series(255, 0, 0, 0)):
        assert compute_margin(5, ((series, -3),), MARKETS) == Margin(5, 0, MIN_INITIAL, True, 5)
    assert compute_mark(encode_series(0, 5, 10**11, 1), MARKETS[0]) is None


def test_a_market_is_stale_only_where_it_is_held() -> None:
    assert not is_stale((), MARKETS, NOW + 10**6, 60)
    assert not is_stale(((CALL, 1),), MARKETS, NOW + 60, 60)
    assert is_stale(((CALL, 1),), MARKETS, NOW + 61, 60)
    assert is_stale(((CALL, 1), (OTHER, 1)), MARKETS, NOW, 60)
    assert is_stale(((encode_series(2, 1, 1, 1), 1),), MARKETS, NOW, 60)


GOOD = Margin(1000, 100, 130, True, 500)
BAD = Margin(90, 100, 130, True, 500)

TRADES = [
    # the first failing check gives the code: each row passes all checks before its own
    ("cash out of range", GOOD, GOOD._replace(cash=MAX_CASH), False, False, Code.CASH),
    ("cash out of range below", GOOD, GOOD._replace(cash=-MAX_CASH), True, True, Code.CASH),
    ("negative cash", GOOD, GOOD._replace(cash=-1), False, False, Code.CASH),
    ("negative cash that falls", GOOD._replace(cash=-5), GOOD._replace(cash=-6, maintenance=50), False, False, Code.CASH),
    ("negative cash that rises, reducing", GOOD._replace(cash=-5), GOOD._replace(cash=-4, maintenance=50), False, False, Code.OK),
    ("paid in full", BAD, Margin(-1, 100, 130, False, 0), False, True, Code.OK),
    ("paid in full but flagged", GOOD, Margin(1000, 200, 260, False, 0), True, False, Code.FLAGGED),
    ("no short, negative cash that rises", GOOD._replace(cash=-5), Margin(1000, 200, 260, False, -4), False, True, Code.STALE),
    ("reducing", BAD, Margin(81, 90, 117, True, 500), False, True, Code.OK),
    ("reducing while flagged", BAD, Margin(81, 90, 117, True, 500), True, True, Code.OK),
    ("less risk, less equity per risk", BAD, Margin(80, 90, 117, True, 500), False, False, Code.MARGIN),
    ("less risk, less equity per risk, flagged", BAD, Margin(80, 90, 117, True, 500), True, False, Code.FLAGGED),
    ("less risk, negative equity", BAD._replace(equity=-90), Margin(-1, 10, 13, True, 500), False, False, Code.MARGIN),
    ("same risk", BAD, BAD, False, False, Code.MARGIN),
    ("flagged and covered", GOOD, Margin(1000, 100, 130, True, 500), True, False, Code.FLAGGED),
    ("stale and covered", GOOD, GOOD, False, True, Code.STALE),
    ("stale and not covered", GOOD, BAD, False, True, Code.STALE),
    ("just covered", GOOD, Margin(130, 100, 130, True, 500), False, False, Code.OK),
    ("just not covered", GOOD, Margin(129, 100, 130, True, 500), False, False, Code.MARGIN),
]


@pytest.mark.parametrize(("before", "after", "flagged", "stale", "code"), [row[1:] for row in TRADES], ids=[row[0] for row in TRADES])
def test_check_trade(before: Margin, after: Margin, flagged: bool, stale: bool, code: Code) -> None:
    assert check_trade(before, after, flagged, stale) == code


@given(st.integers(1, 10**12), st.integers(2, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_reducing_never_gives_equity_away(equity: int, maintenance: int, after_equity: int, after_maintenance: int) -> None:
    """Who is above maintenance stays above it: equity per unit of risk does not fall."""
    before = Margin(equity, maintenance, 0, True, 0)
    after = Margin(after_equity, after_maintenance, 0, True, 0)
    if is_reducing(before, after) and equity >= maintenance:
        assert after_equity >= after_maintenance
