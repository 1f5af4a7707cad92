"""How long the pricing kernels take. Each function returns milliseconds of processor time (neighbours do not count), the median of
several runs on a made-up market."""

import random
from collections.abc import Callable
from functools import cache
from statistics import median
from time import process_time

from protocol.margin_fast import RiskTable, ScanBook
from protocol.series import encode_series
from protocol.types import Market, Position, Slice

DAY_S = 86_400
NANO = 1_000_000_000


def measure_ms(work: Callable[[], object], runs: int = 15) -> float:
    """Median of `runs` after one to warm up."""
    work()
    times = []
    for _ in range(runs):
        start = process_time()
        work()
        times.append(process_time() - start)
    return median(times) * 1e3


@cache
def make_markets() -> tuple[Market, ...]:
    """Two underlyings with 8 expiries each, at about 60 % volatility with a skew."""
    return tuple(
        Market(index, DAY_S, tuple(make_slice(index, days) for days in (1, 2, 7, 14, 30, 60, 90, 180)))
        for index in (100_000_000_000, 4_000_000_000)
    )


def make_slice(index: int, days: int) -> Slice:
    """Total variance grows with time; parameters in 1e-9."""
    w = 36 * NANO * days // 36_500
    return Slice(DAY_S + days * DAY_S, index * (10_000 + days) // 10_000, w // 2, w, -NANO * 3 // 10, 0, NANO // 2)


@cache
def make_series(count: int) -> list[int]:
    """Half of them on each underlying, strikes between 0.6 and 1.4 of the forward."""
    rng = random.Random(1)
    found: set[int] = set()
    while len(found) < count:
        underlying = len(found) & 1
        item = rng.choice(make_markets()[underlying].slices)
        strike = item.forward * rng.randrange(60, 141) // 1_000_000 * 10_000
        found.add(encode_series(underlying, item.expiry, strike, rng.randrange(2)))
    return sorted(found)


@cache
def make_listing(count: int) -> list[int]:
    """As a venue lists them: a call and a put of each strike, the strikes of a slice evenly between 0.6 and 1.4 of the forward."""
    items = [(underlying, item) for underlying, market in enumerate(make_markets()) for item in market.slices]
    places = [(*items[at % len(items)], at // len(items)) for at in range(count >> 1)]
    steps = places[-1][2] + 1
    strikes = [(of, item.expiry, item.forward * (60 * steps + 80 * at) // (100 * steps) // 10_000 * 10_000) for of, item, at in places]
    return sorted(encode_series(*strike, is_call) for strike in strikes for is_call in (0, 1))


def make_positions(rng: random.Random, count: int) -> tuple[Position, ...]:
    """Long and short, up to 1,000 lots each."""
    return tuple((series, rng.choice((-1, 1)) * rng.randrange(1, 1001)) for series in sorted(rng.sample(make_series(500), count)))


@cache
def make_book(accounts: int, positions: int) -> ScanBook:
    """Of accounts with that many random positions each."""
    rng = random.Random(2)
    book = ScanBook()
    for account in range(accounts):
        book.set_account(account, rng.randrange(1 << 40), make_positions(rng, positions))
    return book


def reprice_500() -> float:
    """A mark of both underlyings: 17 prices of each of 500 series, from the SVI parameters on."""
    series, markets = make_series(500), make_markets()
    return measure_ms(lambda: RiskTable(series, markets))


def greeks_500(make: Callable[[int], list[int]] = make_series) -> float:
    """The same mark, and the Greeks of the 500 series."""
    series, markets = make(500), make_markets()
    return measure_ms(lambda: RiskTable(series, markets).compute_greeks(DAY_S))


def scan_10000x20() -> float:
    """Equity and maintenance of 10,000 accounts of 20 positions, the table given."""
    book = make_book(10_000, 20)
    table = RiskTable(book.series, make_markets())
    return measure_ms(lambda: book.compute_margins(table))


def margin_64() -> float:
    """One account of 64 positions, the table given."""
    table = RiskTable(make_series(500), make_markets())
    positions = make_positions(random.Random(3), 64)
    return measure_ms(lambda: table.compute_margin(0, positions), 101)


def margin_64_of_book() -> float:
    """The same account in a book that follows it."""
    book = ScanBook()
    book.set_account(0, 0, make_positions(random.Random(3), 64))
    table = RiskTable(book.series, make_markets())
    return measure_ms(lambda: book.compute_margin(0, table), 101)


def follow_account() -> float:
    """A book takes in an account of 20 positions that traded."""
    book = make_book(1_000, 20)
    positions = [make_positions(random.Random(seed), 20) for seed in range(100)]

    def work() -> None:
        for account, held in enumerate(positions):
            book.set_account(account, 0, held)

    return measure_ms(work) / len(positions)
