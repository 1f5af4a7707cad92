"""The marks of a recorded crash: from option quotes, or from an index alone.

Where only an index was recorded the surface is made up, and the report says so: two expiries, a level of volatility that rises with the
fall from the highest price so far.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from protocol.params import YEAR_S
from protocol.types import UNDERLYINGS, Market, Slice
from sim.market.source import ReplaySource

USD = 1_000_000
DAY_S = 86_400
LIVES = (7 * DAY_S, 28 * DAY_S)
CALM_VOL = 0.8
FEAR = 2.5  # volatility added by a fall to nothing
STEP_S = 60  # between marks of recorded quotes


@dataclass(frozen=True)
class Instant:
    """All underlyings that are marked at one time."""

    time: int
    markets: dict[int, Market]


def read_quotes_path(path: Path) -> Iterator[Instant]:
    """A day of option quotes in Tardis.dev's format: a mark a minute, surfaces fitted to what was quoted."""
    source = ReplaySource(path)
    now = source.start
    while source.advance(now):
        markets = source.get_markets()
        if markets:
            yield Instant(now, markets)
        now += STEP_S


def read_minutes_path(path: Path) -> Iterator[Instant]:
    """Minute bars `ts_ms,symbol,open,high,low,close,volume` of BTCUSD and ETHUSD: a mark at each close."""
    highs = [0.0, 0.0]
    start = 0
    with _open(path) as file:
        for row in csv.DictReader(file):
            time = int(row["ts_ms"]) // 1_000 + 60
            start = start or time
            of = UNDERLYINGS.index(row["symbol"].removesuffix("USD"))
            price = float(row["close"])
            highs[of] = max(highs[of], price)
            yield Instant(time, {of: make_market(time, start, price, highs[of])})


def read_bars_path(path: Path, day: str) -> Iterator[Instant]:
    """Ten-minute bars of ETH `ts_start,open,high,low,close,volume`, those of one `day` (YYYY-MM-DD): four marks a bar, the extreme towards
    which it closes last."""
    high = 0.0
    start = 0
    with _open(path) as file:
        for row in csv.DictReader(file):
            if not row["ts_start"].startswith(day):
                continue
            time = int(datetime.fromisoformat(row["ts_start"][:19]).replace(tzinfo=UTC).timestamp())
            start = start or time
            first, top, bottom, last = (float(row[name]) for name in ("open", "high", "low", "close"))
            for step, price in enumerate((first, top, bottom, last) if last < first else (first, bottom, top, last)):
                high = max(high, price)
                at = time + 150 * step + 60
                yield Instant(at, {1: make_market(at, start, price, high)})


def make_market(time: int, start: int, price: float, high: float) -> Market:
    """Two expiries counted from `start`, at a made-up volatility."""
    vol = CALM_VOL + FEAR * (1 - price / high)
    slices = []
    for life in LIVES:
        w = vol**2 * (start + life - time) / YEAR_S
        slices.append(Slice(start + life, round(price * USD), round(0.6 * w * 1e9), round(1.6 * w * 1e9), -200_000_000, 0, 250_000_000))
    return Market(round(price * USD), time, tuple(slices))


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")
