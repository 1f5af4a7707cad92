"""Where reports go: the log, a file of lines for machines, and a status file that always says how things stand."""

import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from challenger.evidence import Alert, Death, Evidence, Judgement, Verdict
from challenger.money import compute_balance
from challenger.state import Challenger
from node.logs import LogFunction
from node.store import Items
from protocol.keccak import keccak

KIND = "report"
COST = "cost"
WEI_BYTES = 32


class Sink:
    """`reports.jsonl` and `status.json` in the data directory. A report that was told before a restart is not told again."""

    def __init__(self, folder: Path, items: Items, log: LogFunction) -> None:
        self._reports = folder / "reports.jsonl"
        self._status = folder / "status.json"
        self._items = items
        self._log = log
        self.counts: Counter[str] = Counter()
        self.alerts: list[str] = []
        self.unavailable: set[int] = set()  # epochs
        self.spent = sum(int.from_bytes(wei, "big") for _, wei in items.list_items(COST))  # wei, for transactions

    def tell(self, item: Verdict | Evidence | Alert) -> None:
        """Once. Alerts and unavailability concern the present and are told by every run."""
        text = item.to_json()
        is_lasting = _is_lasting(item)
        self._count(item)
        name = keccak(text.encode())
        if is_lasting and self._items.get(KIND, name) is not None:
            return
        with self._reports.open("a") as file:
            file.write(text + "\n")
        if is_lasting:
            self._items.put(KIND, name, b"")
        message = item.describe() if isinstance(item, Evidence) else item.reason if isinstance(item, Verdict) else item.message
        self._log(f"report.{type(item).__name__.lower()}", {"message": message} | _get_fields(item))

    def add_cost(self, name: str, wei: int) -> None:
        """Of a transaction that landed, whether it did what it should or not. Once: after a restart it is heard of again."""
        key = keccak(name.encode())
        if self._items.get(COST, key) is None:
            self.spent += wei
            self._items.put(COST, key, wei.to_bytes(WEI_BYTES, "big"))

    def _count(self, item: Verdict | Evidence | Alert) -> None:
        if isinstance(item, Verdict):
            self.counts[item.judgement] += 1
            if item.judgement == Judgement.UNAVAILABLE:
                self.unavailable.add(item.epoch)
        elif isinstance(item, Evidence):
            self.counts["left_behind" if item.death == Death.ROUND else "disproven"] += 1
        else:
            text = item.to_json()
            if text not in self.alerts:  # what comes and goes, such as an endpoint that lags, must not fill memory
                self.alerts.append(text)

    def write_status(self, state: Challenger) -> None:
        """Replaces the file at once or not at all."""
        header = state.board.header
        status: dict[str, Any] = {
            "block": header.number,
            "time": header.time,
            "live": state.is_live,
            "watch_only": state.settings.me is None,
            "epochs": len(state.truths),
            "claims": {kind: self.counts[kind] for kind in ("valid", "invalid", "disproven", "left_behind")},
            "unavailable": sorted(self.unavailable),
            "in_flight": sorted(state.in_flight),
            "alerts": [json.loads(alert) for alert in self.alerts],
        }
        if state.settings.me is not None:
            balance = asdict(compute_balance(state.board, state.settings.me)) | {"spent": self.spent}
            status["money"] = {name: str(wei) for name, wei in balance.items()}  # more than a float holds
        draft = self._status.with_suffix(".new")
        draft.write_text(json.dumps(status) + "\n")
        os.replace(draft, self._status)


def _is_lasting(item: Verdict | Evidence | Alert) -> bool:
    """Written down durably, since the machine would tell it again after a restart. Who was left behind is told at once when a position is
    final, thousands perhaps, and never after a restart.
    """
    match item:
        case Evidence():
            return item.death != Death.ROUND
        case Verdict():
            return item.judgement != Judgement.UNAVAILABLE
        case Alert():
            return False


def _get_fields(item: Verdict | Evidence | Alert) -> dict[str, Any]:
    match item:
        case Verdict(claim_id, epoch, judgement, _):
            return {"claim": claim_id, "epoch": epoch, "judgement": judgement}
        case Evidence():
            return {"claim": item.claim_id, "epoch": item.epoch, "death": item.death, "step": item.step}
        case Alert(code, _, claim_id):
            return {"code": code, "claim": claim_id}
