"""The demo, as `make demo` runs it; and that nothing of it is left, however it ends."""

import json
import signal
from pathlib import Path

import pytest

from tests.sim_world.runs import find_processes, run, spawn, wait_until_gone

LIMIT_S = 220.0
FIELDS = {
    "trades",
    "batches",
    "pages",
    "trades_per_page",
    "bytes_per_trade",
    "l1_gas_per_trade",
    "fraud_batch",
    "proven_by",
    "operation",
    "reason",
    "dispute_txs",
    "dispute_gas",
    "step_gas",
    "withdrawal_paid",
    "seconds",
}


def test_demo__all_of_it_happens(tmp_path: Path) -> None:
    code, output = run("demo", "--out", str(tmp_path), limit_s=LIMIT_S)
    assert code == 0, output
    report = json.loads((tmp_path / "demo.json").read_text())
    assert FIELDS <= set(report)
    assert report["missing"] == []
    assert report["trades"] >= 1_000
    assert report["batches"] >= 10
    assert report["trades_per_page"] > 2  # one signature of a maker's serves many trades
    assert sorted(text.partition("-")[0] for text in report["settled"]) == ["BTC", "ETH"]
    assert report["operation"] == "WITHDRAW"
    assert report["amount"] == 900_000
    assert report["proven_by"].startswith("challenger-")
    assert report["caught_by"] == ["challenger-1", "challenger-2"]
    assert report["dispute_txs"] >= 8
    assert 0 < report["step_gas"] < report["dispute_gas"]
    assert report["withdrawal_paid"] == 1_000
    assert f"of account {report['account']} over 900,000.00 USD" in output
    assert "900,000.00 USD" in output
    assert find_processes(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=lambda n: n.name)
def test_demo__killed_while_it_runs__no_process_is_left(number: signal.Signals, tmp_path: Path) -> None:
    process = spawn("demo", "--out", str(tmp_path))
    assert process.stdout is not None
    try:
        assert any("the sequencer listens" in line for line in process.stdout)
        assert find_processes(tmp_path)
        process.send_signal(number)
        assert process.wait(30) == (1 if number == signal.SIGTERM else -number)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert wait_until_gone(tmp_path) == []
