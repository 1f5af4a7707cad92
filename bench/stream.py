"""A stream of trades like a busy venue's, for benchmarks: two underlyings, hundreds of series, makers that rest, takers that sweep.

About 1.24 orders a trade, as in recorded flow; a mark every so often. Signed for real.
"""

import random
from typing import NamedTuple

from protocol.codec.frames import Batch
from protocol.margin import compute_mark
from protocol.params import MAINNET
from protocol.series import encode_series
from protocol.types import Market, Slice
from sim.scribe import Scribe

START = 1_790_000_000
USD = 1_000_000
DAYS = (1, 2, 7, 14, 28, 60, 91, 182)
TRADERS = 200
FRAME_ROWS_BYTES = 7_900
FRAME_SIGNATURES = 900 * 65


class Stream(NamedTuple):
    """`setup` opens accounts and marks; `batches` hold `trades` trades and nothing else."""

    scribe: Scribe
    setup: Batch
    batches: list[Batch]
    trades: int


class _Quote(NamedTuple):
    trader: int
    slot: int
    lots: int


def make_market(underlying: int, time: int) -> Market:
    """Eight expiries with a smile."""
    forward = (90_000, 3_000)[underlying] * USD
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


def make_stream(trades: int, seed: int = 1) -> Stream:
    """Deterministic in its arguments."""
    rng = random.Random(seed)
    scribe = Scribe(MAINNET, START, traders=TRADERS)
    markets = (make_market(0, START), make_market(1, START))
    for trader in range(TRADERS):
        scribe.deposit(trader, 50_000_000 * USD)
    for underlying, market in enumerate(markets):
        scribe.mark(underlying, market)
    setup = scribe.close_batch()
    series = list_series()
    weights = [1 / (1 + rank) for rank in range(len(series))]
    rng.shuffle(series)
    prices = {item: max((compute_mark(item, markets[item >> 89]) or 0) // 100, 1) for item in series}
    resting: dict[tuple[int, int], _Quote] = {}
    batches, done, frames = [], 0, 0
    while done < trades:
        item = rng.choices(series, weights)[0]
        is_buy = rng.randint(0, 1)
        taker = rng.randrange(TRADERS)
        lots = rng.choice((1, 1, 2, 5, 10))
        slot = scribe.order(taker, item, is_buy, prices[item], lots)
        while lots and done < trades:
            quote = resting.get((item, is_buy))
            if quote is None or quote.trader == taker:
                maker = rng.choice([i for i in range(TRADERS) if i != taker])
                rest = rng.choice((20, 60, 200))
                quote = _Quote(maker, scribe.order(maker, item, 1 - is_buy, prices[item], rest), rest)
            filled = min(lots, quote.lots)
            scribe.trade(quote.trader, quote.slot, taker, slot, filled)
            done += 1
            lots -= filled
            resting[item, is_buy] = quote._replace(lots=quote.lots - filled)
            if quote.lots == filled:
                del resting[item, is_buy]
        if scribe.rows_size > FRAME_ROWS_BYTES - 300 or scribe.signatures_size > FRAME_SIGNATURES:
            scribe.close_frame()
            frames += 1
            if frames % 4 == 0:
                scribe.clock += 1
                batches.append(scribe.close_batch())
    batches.append(scribe.close_batch())
    return Stream(scribe, setup, batches, done)
