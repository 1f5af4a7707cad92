"""What is written down: lasting reports once for ever, costs once a transaction."""

import json
from pathlib import Path

from challenger.evidence import Alert, AlertCode, Death, Evidence, Judgement, Verdict
from challenger.sink import Sink
from challenger.state import Settings, create_challenger
from l1.sender import ignore_log
from node.store import Items
from protocol.params import MINIMAL

ID, OTHER = b"\1" * 32, b"\2" * 32


def make_evidence(death: Death) -> Evidence:
    return Evidence(7, ID, b"\3" * 32, OTHER, b"\4" * 32, death, None, None)


def run(folder: Path) -> Sink:
    """One life of the daemon."""
    items = Items(folder / "items.db")
    sink = Sink(folder, items, ignore_log)
    sink.tell(Verdict(ID, 7, Judgement.INVALID, "its state is wrong"))
    sink.tell(make_evidence(Death.RIVAL))
    sink.tell(Alert(AlertCode.UNPROMOTED, "now", ID))
    sink.add_cost("move:1#0", 5 * 10**18)
    sink.add_cost("move:1#1", 7)
    sink.write_status(create_challenger(Settings(MINIMAL, b"\5" * 32, 0xA11CE)))
    items.close()
    return sink


def test_sink__two_lives__reports_and_costs_are_counted_once(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    kinds = [json.loads(line)["type"] for line in (tmp_path / "reports.jsonl").read_text().splitlines()]
    assert kinds == ["verdict", "evidence", "alert", "alert"]
    assert first.spent == second.spent == 5 * 10**18 + 7
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["money"] == {"staked": "0", "owed": "0", "due": "0", "lost": "0", "spent": "5000000000000000007"}
    assert status["claims"] == {"valid": 0, "invalid": 1, "disproven": 1, "left_behind": 0}


def test_sink__thousands_left_behind__none_waits_for_the_disk(tmp_path: Path) -> None:
    items = Items(tmp_path / "items.db")
    sink = Sink(tmp_path, items, ignore_log)
    sink.tell(make_evidence(Death.ROUND))
    assert items.list_items("report") == []
    assert (sink.counts["left_behind"], sink.counts["disproven"]) == (1, 0)
    items.close()
