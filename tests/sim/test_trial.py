"""A trial says who was caught, by which step; and it is not fooled."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.params import DEVNET
from protocol.types import Phase
from sim.villains.catalogue import CATALOGUE, run_villains
from sim.villains.exchange import EXCHANGE_LIES
from sim.villains.lies import LIES
from sim.villains.trial import run_trial


def test_run_villains__all__each_caught(tmp_path: Path) -> None:
    """Lies by the step that they are about."""
    assert run_villains(None, None, tmp_path) == 0
    verdicts = {item["name"]: item for item in json.loads((tmp_path / "villains.json").read_text())}
    assert verdicts.keys() == {name for group in CATALOGUE.values() for name in group}
    assert all(verdict["caught"] for verdict in verdicts.values())
    lies = [verdicts[name] for name in LIES.keys() | EXCHANGE_LIES.keys()]
    assert all(lie["txs"] >= 7 and lie["gas"] > 500_000 for lie in lies)
    assert (verdicts["overfill"]["by"], verdicts["overfill"]["operation"]) == ("TERMS", "TRADE")
    assert (verdicts["minted-root"]["by"], verdicts["minted-root"]["operation"]) == ("FETCH", "FETCH")


def test_run_villains__unknown_name__is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        run_villains(None, "no-such-lie", tmp_path)


def test_run_trial__full_height__few_transactions_and_little_gas() -> None:
    """The exchange's own machine at height 28: claims, moves, the proof with its step, finality and payouts."""
    verdict = run_trial(LIES["overpaid-withdrawal"], DEVNET)
    assert verdict.caught, verdict.faults
    assert verdict.txs <= 13
    assert verdict.gas <= 1_800_000


def test_run_trial__refuted_by_another_step__is_not_called_caught() -> None:
    verdict = run_trial(replace(LIES["overfill"], phase=Phase.WITHDRAW))
    assert not verdict.caught
    assert verdict.by == "TERMS"
