"""A stream of trades like a busy venue's, for benchmarks: two underlyings, hundreds of series, makers that rest, takers that sweep.

About 1.24 orders a trade, as in recorded flow; a mark every so often. Signed for real.
"""

import random
from typing import NamedTuple

from protocol.codec.frames import Batch
from protocol.margin import compute_mark
from protocol.params import MAINNET
from protocol.series import UNDERLYING_SHIFT, encode_series
from protocol.types import Market, Slice
from sim.scribe import Scribe

START = 1_790_000_000
USD = 1_000_000
DAYS = (1, 2, 7, 14, 28, 60, 91, 182)
TRADERS = 200
BATCH_TRADES = 1_500  # a mark every 5 seconds at 300 trades a second: ten times a busy venue's flow
MARK_GAP_S = 5
FRAME_ROWS_BYTES = 7_500
FRAME_SIGNATURES = 900 * 65


class Stream(NamedTuple):
    """`setup` opens accounts and trades for a while. Each of `batches` begins with a mark; together they hold `trades`."""

    scribe: Scribe
    setup: list[Batch]
    batches: list[Batch]
    trades: int


class _Quote(NamedTuple):
    trader: int
    slot: int
    lots: int


def make_market(underlying: int, time: int) -> Market:
    """Eight expiries with a smile."""
    forward = (90_000, 3_000)[underlying] * (USD + time - START)  # moves with every mark, and stays in every trade's band
    slices = tuple(Slice(START + days * 86_400, forward, 800_000 * days, 900_000 * days, -200_000_000, 0, 200_000_000) for days in DAYS)
    return Market(forward, time, slices)


def list_series() -> list[int]:
    """Strikes around the money in every expiry: 2 x 8 x 11 x 2."""
    return [
        encode_series(underlying, START + days * 86_400, step * forward // 20 * USD, kind)
        for underlying, forward in ((0, 90_000), (1, 3_000))
        for days in DAYS
        for step in range(15, 26)
        for kind in (0, 1)
    ]


class _Flow:
    """Takers that sweep resting quotes, series by popularity."""

    def __init__(self, scribe: Scribe, seed: int) -> None:
        self._scribe = scribe
        self._rng = random.Random(seed)
        self._series = list_series()
        self._weights = [1 / (1 + rank) for rank in range(len(self._series))]
        self._rng.shuffle(self._series)
        markets = (make_market(0, START), make_market(1, START))
        self._prices = {item: max((compute_mark(item, markets[item >> UNDERLYING_SHIFT]) or 0) // 100, 1) for item in self._series}
        self._resting: dict[tuple[int, int], _Quote] = {}

    def sweep(self) -> int:
        """One taker's order against as many quotes as it takes; the number of trades."""
        rng, scribe = self._rng, self._scribe
        item = rng.choices(self._series, self._weights)[0]
        is_buy, taker, lots = rng.randint(0, 1), rng.randrange(TRADERS), rng.choice((1, 1, 2, 5, 10))
        slot = scribe.order(taker, item, is_buy, self._prices[item], lots)
        trades = 0
        while lots:
            quote = self._resting.pop((item, is_buy), None)
            if quote is None or quote.trader == taker:
                maker, rest = rng.choice([i for i in range(TRADERS) if i != taker]), rng.choice((20, 60, 200))
                quote = _Quote(maker, scribe.order(maker, item, 1 - is_buy, self._prices[item], rest), rest)
            filled = min(lots, quote.lots)
            scribe.trade(quote.trader, quote.slot, taker, slot, filled)
            trades += 1
            lots -= filled
            if quote.lots > filled:
                self._resting[item, is_buy] = quote._replace(lots=quote.lots - filled)
        return trades


def make_batch(scribe: Scribe, flow: _Flow, trades: int) -> tuple[Batch, int]:
    """A mark of one underlying, then frames of at least `trades` trades."""
    scribe.clock += MARK_GAP_S
    underlying = scribe.clock // MARK_GAP_S & 1
    scribe.mark(underlying, make_market(underlying, scribe.clock))
    done = 0
    while done < trades:
        done += flow.sweep()
        if scribe.rows_size > FRAME_ROWS_BYTES or scribe.signatures_size > FRAME_SIGNATURES:
            scribe.close_frame()
    return scribe.close_batch(), done


def make_stream(trades: int, seed: int = 1) -> Stream:
    """Deterministic in its arguments. As many trades again warm up."""
    scribe = Scribe(MAINNET, START, traders=TRADERS)
    flow = _Flow(scribe, seed)
    for trader in range(TRADERS):
        scribe.deposit(trader, 50_000_000 * USD)
    for underlying in (0, 1):
        scribe.mark(underlying, make_market(underlying, scribe.clock))
    count = max(trades // BATCH_TRADES, 1)
    setup = [make_batch(scribe, flow, BATCH_TRADES)[0] for _ in range(count)]
    timed = [make_batch(scribe, flow, BATCH_TRADES) for _ in range(count)]
    return Stream(scribe, setup, [batch for batch, _ in timed], sum(done for _, done in timed))
