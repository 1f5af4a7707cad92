"""Crashes: whoever must be flagged is, in index order, and every unit of cash is somewhere."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.crash.paths import Instant, make_market, read_bars_path, read_minutes_path, read_quotes_path
from sim.crash.run import PATHS, Broken, Crash, run_crashes

START = 1_590_000_000


def make_path(marks: int, fall: float) -> Iterator[Instant]:
    """Both underlyings calm for a while, then so much of their price lost at once; then calm again."""
    rng = random.Random(4)
    prices = [30_000.0, 2_000.0]
    for i in range(marks):
        for of in (0, 1):
            prices[of] *= (1 - fall) if i == marks // 3 else 1 + rng.uniform(-0.002, 0.002)
        time = START + 30 * i
        yield Instant(time, {of: make_market(time, START, prices[of], prices[of] * 1.2) for of in (0, 1)})


def test_crash__falls_by_half_at_once__every_stage_of_the_waterfall_is_reached() -> None:
    report = Crash("made up", 120, 3).run(make_path(90, 0.6))
    assert report.halts
    assert report.flagged > 50
    assert report.taken_by_bidders
    assert report.taken_by_pool > 10
    assert report.fund > 0


def test_crash__pool_without_money__deleverages_and_still_adds_up() -> None:
    crash = Crash("made up", 120, 3, entry=100_000_000)
    report = crash.run(make_path(90, 0.6))
    assert report.deleveraged > 3
    assert "held" in report.invariants


def test_crash__money_that_comes_from_nowhere__is_noticed() -> None:
    crash = Crash("made up", 40, 3)
    path = list(make_path(6, 0.0))
    crash.run(path[:3])
    a = crash.state.accounts[20]
    crash.state.put_account(20, a._replace(cash=a.cash + 1))
    with pytest.raises(Broken, match="1 too much"):
        crash.run(path[3:])


def test_crash__recorded__holds(shared: Path) -> None:
    name, file, read = PATHS[2]
    report = Crash(name, 120, 1).run(read(shared / file))
    assert report.marks > 500
    assert report.flagged > 100
    assert report.taken_by_pool


def test_paths__recorded__are_marked_in_order(shared: Path) -> None:
    for read, file in ((read_quotes_path, PATHS[0][1]), (read_minutes_path, PATHS[1][1])):
        path = iter(read(shared / file))
        instants = [next(path) for _ in range(50)]
        assert [item.time for item in instants] == sorted(item.time for item in instants)
        assert all(market.index_price > 0 and market.slices for item in instants for market in item.markets.values())
    assert len(list(read_bars_path(shared / PATHS[2][1], "2020-03-12"))) == 576


def test_run_crashes__no_files__is_an_error(tmp_path: Path) -> None:
    assert run_crashes(tmp_path, 50, 1, tmp_path) == 1
    assert json.loads((tmp_path / "crash.json").read_text()) == []
