"""Recorded markets through real processes: a part of a real day, and a made file with all that the format may hold."""

import csv
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sim.market.source import ReplaySource
from tests.sim_world.runs import find_processes, run

LIMIT_S = 200.0
DAY = int(datetime(2025, 7, 1, tzinfo=UTC).timestamp())
COLUMNS = [
    "exchange",
    "symbol",
    "timestamp",
    "local_timestamp",
    "type",
    "strike_price",
    "expiration",
    "open_interest",
    "last_price",
    "bid_price",
    "bid_amount",
    "bid_iv",
    "ask_price",
    "ask_amount",
    "ask_iv",
    "mark_price",
    "mark_iv",
    "underlying_index",
    "underlying_price",
    "delta",
    "gamma",
    "vega",
    "theta",
    "rho",
]


def check_report(path: Path, trades: int) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    assert report["missing"] == []
    assert report["trades"] >= trades
    assert report["batches"] >= 3
    assert 0 < report["bytes_per_trade"] < 2_000
    assert report["l1_gas_per_trade"] > 0
    assert report["takers"] == "synthetic"
    return report


def test_replay__part_of_a_recorded_day__trades_and_right_claims(shared: Path, tmp_path: Path) -> None:
    file = shared / "deribit_btc_atm_quotes_20201201.csv.gz"
    words = ("--from", "10:00", "--to", "10:30", "--speed", "60", "--trades", "60", "--out", str(tmp_path))
    code, output = run("sim", "replay", str(file), *words, limit_s=LIMIT_S)
    assert code == 0, output
    check_report(tmp_path / "replay.json", 60)
    assert "takers are synthetic" in output
    assert "LIE" not in output
    assert find_processes(tmp_path) == []


# -- a file of our own


def compute_price(forward: float, strike: float, vol: float, years: float, is_call: bool) -> float:
    """Black-76, in dollars."""
    spread = vol * math.sqrt(years)
    d = math.log(forward / strike) / spread + spread / 2
    call = forward * _cdf(d) - strike * _cdf(d - spread)
    return call if is_call else call - forward + strike


def _cdf(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def write_chain(path: Path) -> None:
    """Inverse BTC and ETH options and linear ones, two expiries, a quote of each a minute for two hours."""
    kinds = (("BTC", "BTC", 107_000.0, 1_000, 0.45), ("ETH", "ETH", 2_450.0, 50, 0.65), ("BTC", "BTC_USDC", 107_000.0, 1_000, 0.45))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for minute in range(120):
            for _, prefix, spot, grid, vol in kinds:
                forward = spot * (1 + 0.0005 * math.sin(minute / 9))
                for days, name in ((3, "4JUL25"), (24, "25JUL25")):
                    expiry = DAY + days * 86_400 + 8 * 3_600
                    years = (expiry - DAY - 60 * minute) / 31_536_000
                    for step in (-4, -2, 0, 2, 4):
                        strike = round(spot / grid) * grid + step * grid
                        for letter in "CP":
                            price = compute_price(forward, strike, vol, years, letter == "C")
                            scale = 1.0 if "_" in prefix else forward
                            row = {
                                "exchange": "deribit",
                                "symbol": f"{prefix}-{name}-{strike}-{letter}",
                                "timestamp": (DAY + 60 * minute) * 1_000_000,
                                "type": "call" if letter == "C" else "put",
                                "strike_price": strike,
                                "expiration": expiry * 1_000_000,
                                "bid_price": price * 0.98 / scale,
                                "bid_amount": 3,
                                "bid_iv": 100 * vol - 1,
                                "ask_price": price * 1.02 / scale,
                                "ask_amount": 2,
                                "ask_iv": 100 * vol + 1,
                                "mark_iv": 100 * vol,
                                "underlying_price": forward,
                            }
                            writer.writerow(row)


def test_source__inverse_beside_linear__one_market_in_dollars(tmp_path: Path) -> None:
    write_chain(tmp_path / "chain.csv")
    source = ReplaySource(tmp_path / "chain.csv", "00:10", "01:50")
    source.advance(source.start + 600)
    markets, books = source.get_markets(), source.get_books()
    assert set(markets) == {0, 1}
    assert [len(market.slices) for market in markets.values()] == [2, 2]
    assert len(books) == 40
    assert all(0 < book.bid < book.ask for book in books)


@pytest.mark.slow
def test_replay__inverse_linear_and_two_coins__trades_and_right_claims(tmp_path: Path) -> None:
    write_chain(tmp_path / "chain.csv")
    words = ("--from", "00:10", "--to", "00:45", "--speed", "60", "--trades", "60", "--out", str(tmp_path / "out"))
    code, output = run("sim", "replay", str(tmp_path / "chain.csv"), *words, limit_s=LIMIT_S)
    assert code == 0, output
    check_report(tmp_path / "out" / "replay.json", 60)


@pytest.mark.slow
@pytest.mark.parametrize("lie", ["overpaid-withdrawal", "forged-mark", "spared-account"])
def test_replay__with_a_lie__is_refuted(lie: str, shared: Path, tmp_path: Path) -> None:
    file = shared / "deribit_btc_atm_quotes_20201201.csv.gz"
    words = ("--from", "10:00", "--to", "11:00", "--speed", "60", "--trades", "100", "--lie", lie, "--out", str(tmp_path))
    code, output = run("sim", "replay", str(file), *words, limit_s=300)
    assert code == 0, output
    report = check_report(tmp_path / "replay.json", 100)
    assert report["proven_by"].startswith("challenger-")
