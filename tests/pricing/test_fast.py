"""The numpy paths equal the reference bit for bit."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import doubles, pricing, pricing_fast
from protocol.doubles import Ints
from protocol.fixed_point import ONE
from protocol.margin import compute_margin, get_risk
from protocol.margin_fast import MINIMUM, RiskTable, ScanBook
from protocol.pricing import MAX_PRICE, MAX_V
from protocol.svi import Surface, compute_surface, compute_surface_v
from protocol.svi_fast import MAX_FAST, compute_surfaces_v
from protocol.types import MAX_FORWARD, MAX_LOTS, Market, Position, Slice
from tests.pricing.markets import make_hostile_markets, make_hostile_series, make_markets, make_positions

prices = st.one_of(st.integers(1, MAX_PRICE), st.integers(10**9, 10**12), st.sampled_from([1, 2, 1 << 42, MAX_PRICE]))
volatilities = st.one_of(st.integers(0, MAX_V), st.integers(0, 2 * ONE), st.sampled_from([0, 1, 2, MAX_V]))
parameters = st.one_of(st.integers(-64 * ONE, 64 * ONE), st.integers(-MAX_FAST, MAX_FAST), st.sampled_from([0, 1, -1, MAX_FAST, -MAX_FAST]))


def to_array(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def draw_inputs(rng: random.Random, count: int) -> list[tuple[int, int, int, int]]:
    """Near and far from the money, at every scale."""
    rows = []
    for _ in range(count):
        strike = rng.choice([rng.randrange(1, MAX_PRICE + 1), MAX_PRICE, 1 << rng.randrange(43), 10**11])
        spread = math.exp(rng.choice([0, 1e-9, 0.01, 0.5, 3, 8]) * rng.gauss(0, 1))
        forward = min(MAX_PRICE, max(1, int(strike * min(spread, 1e12))))
        v = rng.choice([rng.randrange(MAX_V + 1), MAX_V, int(2 ** rng.uniform(0, 41)), 0, int(2 ** rng.uniform(34, 39))])
        rows.append((forward, strike, min(v, MAX_V), rng.choice([0, 1, 3600, 86_400, 10**7, 10**10])))
    return rows


def test_prices_and_greeks_in_bulk(seed: int) -> None:
    rows = draw_inputs(random.Random(seed), 6_000)
    forward, strike, v, seconds = np.array(rows, dtype=np.int64).T
    points = pricing_fast.compute_points(forward, strike, v)
    call, put = pricing_fast.compute_prices(points)
    greeks = np.stack(pricing_fast.compute_greeks(points, seconds, np.arange(len(rows)))).T.tolist()
    for row, one_call, one_put, one_greeks in zip(rows, call.tolist(), put.tolist(), greeks, strict=True):
        assert (one_call, one_put) == pricing.compute_price(*row[:3]), row
        assert tuple(one_greeks) == pricing.compute_greeks(*row), row


@given(prices, prices, volatilities, st.integers(0, 1 << 40))
def test_prices_and_greeks_one_by_one(forward: int, strike: int, v: int, seconds: int) -> None:
    points = pricing_fast.compute_points(to_array(forward), to_array(strike), to_array(v))
    assert tuple(int(item[0]) for item in pricing_fast.compute_prices(points)) == pricing.compute_price(forward, strike, v)
    greeks = pricing_fast.compute_greeks(points, to_array(seconds), np.zeros(1, dtype=np.intp))
    assert tuple(int(item[0]) for item in greeks) == pricing.compute_greeks(forward, strike, v, seconds)


@given(st.integers(0, (1 << 43) - 1), st.integers(1, (1 << 44) - 1))
def test_division(a: int, b: int) -> None:
    b = max(b, (a >> 24) + 1)  # the quotient is below 2**62
    assert int(pricing_fast.div_wide(to_array(a), to_array(b))[0]) == (a << 38) // b


@given(st.integers(0, (1 << 53) - 1), st.integers(1, (1 << 53) - 1))
def test_quotients(a: int, b: int) -> None:
    b = max(b, (a >> 15) + 1)  # the quotient is below 2**53
    assert int(doubles.compute_quotients(to_array(a), to_array(b))[0]) == (a << 38) // b


@given(st.integers(1, (1 << 53) - 1), st.integers(1, (1 << 53) - 1), st.integers(-1, 1))
def test_quotients_beside_integers(quotient: int, b: int, off: int) -> None:
    """Where an estimate is most easily on the wrong side."""
    a = (quotient * b >> 38) + off
    if 0 <= a < 1 << 53 and a << 38 < b << 53:
        assert int(doubles.compute_quotients(to_array(a), to_array(b))[0]) == (a << 38) // b


@given(st.integers(-(1 << 42) + 1, (1 << 42) - 1), st.integers(-(1 << 42) + 1, (1 << 42) - 1))
def test_hypotenuses(a: int, b: int) -> None:
    assert int(doubles.compute_hypotenuses(to_array(a), to_array(b))[0]) == math.isqrt(a * a + b * b)


@given(st.integers(0, 64 * ONE - 1))
def test_roots(w: int) -> None:
    assert int(doubles.compute_roots(to_array(w))[0]) == math.isqrt(w << 38)


@given(st.integers(1, 1 << 41))
def test_roots_beside_perfect_squares(root: int) -> None:
    """Where an estimate is most easily on the wrong side."""
    for square in (root * root >> 38, (root * root >> 38) + 1):
        if square < 64 * ONE:
            assert int(doubles.compute_roots(to_array(square))[0]) == math.isqrt(square << 38)
    a = root - 1
    assert int(doubles.compute_hypotenuses(to_array(a), to_array(0))[0]) == a
    assert int(doubles.compute_hypotenuses(to_array(a), to_array(1))[0]) == math.isqrt(a * a + 1)


@given(st.integers(1, MAX_FORWARD), parameters, parameters, st.integers(-ONE, ONE), parameters, parameters, prices)
def test_surfaces(forward: int, a: int, b: int, rho: int, m: int, sigma: int, strike: int) -> None:
    surface = Surface(forward, a, abs(b), rho, m, abs(sigma))
    x = pricing_fast.compute_ln_ratios(to_array(max(forward, strike)), to_array(min(forward, strike)))
    assert int(compute_surfaces_v([surface], np.zeros(1, dtype=np.intp), to_array(strike), x)[0]) == compute_surface_v(surface, strike)


@pytest.mark.parametrize("bits", [1, 8, 10, 11, 12, 14, 16, 20])
def test_sums_on_both_sides_of_exact_doubles(bits: int, seed: int) -> None:
    """37-bit values: with 16 positions of 12 bits and more a double could not hold the sums."""
    rng = random.Random(seed)
    values = np.array([[rng.randrange(-(1 << 37), 1 << 37) | 1 for _ in range(5)] for _ in range(30)], dtype=np.int64)
    index = np.array([[rng.randrange(30) for _ in range(16)] for _ in range(1_000)], dtype=np.intp)
    lots = np.array([[rng.randrange(1 << bits) | 1 for _ in range(16)] for _ in range(1_000)], dtype=np.int64)
    sums = doubles.compute_sums(index, lots, values, doubles.to_doubles(values), int(np.abs(values).max()))
    rows, counts = values.tolist(), lots.tolist()
    for got, places, held in zip(sums.tolist(), index.tolist(), counts, strict=True):
        assert got == [sum(count * rows[place][k] for count, place in zip(held, places, strict=True)) for k in range(5)]


def check_table(series: list[int], markets: tuple[Market, ...]) -> None:
    table = RiskTable(series, markets)
    down, up = table.marks
    for row, item in enumerate(series):
        risk = get_risk(item, markets)
        assert table.rows[item] == row
        assert tuple(table.changes[row].tolist()) == risk.changes
        assert (int(down[row]), int(up[row]), -int(table.values[2 * row + 1, MINIMUM])) == risk[:3]


def test_tables_of_ordinary_and_hostile_markets(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(5):
        markets = make_markets(rng)
        check_table([item[0] for item in make_positions(rng, markets, 40)], markets)
        check_table(sorted({make_hostile_series(rng) for _ in range(60)}), make_hostile_markets(rng))
    check_table([], ())


def test_a_single_account_by_the_table(seed: int) -> None:
    rng = random.Random(seed)
    markets = make_markets(rng)
    for count in (0, 1, 2, 17, 128):
        positions = make_positions(rng, markets, count, MAX_LOTS >> 1)
        table = RiskTable([item[0] for item in positions], markets)
        assert table.compute_margin(-7, positions) == compute_margin(-7, positions, markets)


def test_a_table_adds_series_that_it_meets(seed: int) -> None:
    """An account that traded a new series since the mark; a book's rows stay where they are."""
    rng = random.Random(seed)
    markets = make_markets(rng)
    first, second = make_positions(rng, markets, 9), make_positions(rng, markets, 30)
    book = ScanBook()
    book.set_account(4, 11, first)
    table = RiskTable(book.series, markets)
    assert table.compute_margin(0, second) == compute_margin(0, second, markets)
    assert len(table.series) == len({item[0] for item in first + second})
    margins = book.compute_margins(table)
    assert (int(margins.equity[0]), int(margins.maintenance[0])) == compute_margin(11, first, markets)[:2]


def check_book(book: ScanBook, accounts: dict[int, tuple[int, tuple[Position, ...]]], markets: tuple[Market, ...]) -> None:
    table = RiskTable(book.series, markets)
    margins = book.compute_margins(table)
    assert margins.accounts.tolist() == sorted(accounts)
    for account, equity, maintenance, has_short in zip(*(item.tolist() for item in margins), strict=True):
        expected = compute_margin(*accounts[account], markets)
        assert (equity, maintenance, has_short) == (expected.equity, expected.maintenance, expected.has_short)
        assert book.compute_margin(account, table) == expected


@pytest.mark.parametrize("most", [1_000, MAX_LOTS >> 1])
def test_a_book_follows_every_change(most: int, seed: int) -> None:
    """Accounts appear, change, lose an underlying and go; the second size passes the bound of exact doubles."""
    rng = random.Random(seed)
    markets = make_markets(rng, slices=2)
    book = ScanBook()
    accounts: dict[int, tuple[int, tuple[Position, ...]]] = {}
    for turn in range(160):
        account = rng.randrange(40)
        if account in accounts and rng.random() < 0.3:
            book.remove_account(account)
            del accounts[account]
        else:
            traded = markets[: rng.choice((1, 2, 2))]
            accounts[account] = rng.randrange(-(10**9), 10**12), make_positions(rng, traded, rng.choice((0, 1, 3, 9, 40)), most)
            book.set_account(account, *accounts[account])
        if turn % 40 == 39:
            check_book(book, accounts, markets)
            book.compact()
            assert set(book.series) == {item[0] for _, positions in accounts.values() for item in positions}
            check_book(book, accounts, markets)
    assert len(book) == len(accounts)
    for account in list(accounts):
        book.remove_account(account)
    check_book(book, {}, markets)


def test_a_book_at_the_largest_forward_sums_in_integers() -> None:
    """Products of 2**57: not exact in doubles."""
    item = Slice(1, MAX_FORWARD, 10**9, 0, 0, 0, 0)
    markets = (Market(MAX_FORWARD, 1, (item,)),)
    positions = tuple((1 << 49 | (MAX_FORWARD + strike * 10_001) << 1, (-1) ** strike * (MAX_LOTS - strike)) for strike in range(64))
    book = ScanBook()
    book.set_account(3, 5, positions)
    table = RiskTable(book.series, markets)
    assert table.largest * sum(abs(lots) for _, lots in positions) > 1 << 53
    assert compute_surface(item).forward == MAX_FORWARD
    check_book(book, {3: (5, positions)}, markets)


def test_what_no_state_has_is_refused() -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        RiskTable([], ()).compute_margin(0, tuple((series, MAX_LOTS) for series in range(65)))
    book = ScanBook()
    with pytest.raises(ValueError, match="out of bounds"):
        book.set_account(1, 0, ((1, MAX_LOTS + 1),))
    with pytest.raises(ValueError, match="out of bounds"):
        book.set_account(1, 0, tuple((series, 1) for series in range(129)))
    book.set_account(1, 0, ((1, 1),))
    with pytest.raises(ValueError, match="not of this book"):
        book.compute_margins(RiskTable([], ()))
