"""All villains by what they are about, and a trial of each of them."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.table import Table

from sim.villains.dispute import DISPUTE_VILLAINS
from sim.villains.dispute.making import Villain
from sim.villains.exchange import EXCHANGE_LIES
from sim.villains.lies import LIES, Lie
from sim.villains.trial import Verdict, run_trial

CATALOGUE: Mapping[str, Mapping[str, Lie | Villain]] = MappingProxyType(
    {"path": LIES, "exchange": EXCHANGE_LIES, "dispute": DISPUTE_VILLAINS}
)
WIDTH = 130  # columns, where the output is not a terminal


def select_villains(only: str | None, name: str | None = None) -> list[Lie | Villain]:
    """Of one group or of all; one by name. KeyError for an unknown name or group."""
    groups = CATALOGUE if only is None else {only: CATALOGUE[only]}
    found = {villain.name: villain for villains in groups.values() for villain in villains.values()}
    return list(found.values()) if name is None else [found[name]]


def get_answer(villain: Lie | Villain) -> str:
    """What beats it."""
    return villain.answer if isinstance(villain, Villain) else f"the one-step proof of {villain.phase.name}"


def get_source(villain: Lie | Villain) -> str:
    """Where it comes from."""
    if isinstance(villain, Villain):
        return villain.source
    bait = villain.bait.value if villain.epoch is None else "an epoch of its own"
    return f"machine.md, {villain.phase.name.lower()}; {bait}"


def run_villains(only: str | None, name: str | None, out: Path) -> int:
    """The exit code: 1 if one was not caught. Writes `villains.json`, and prints a table and all that is not as it must be."""
    console = Console() if Console().is_terminal else Console(width=WIDTH)
    table = Table("villain", "", "by", "operation", "txs", "gas", "s", box=None, header_style="bold")
    verdicts: list[Verdict] = []
    selected = select_villains(only, name)
    with console.status("trials") as status:
        for villain in selected:
            status.update(f"{len(verdicts) + 1} of {len(selected)}: {villain.name}")
            start = time.perf_counter()
            verdict = run_trial(villain)
            verdicts.append(verdict)
            mark = "[green]caught[/]" if verdict.caught else "[red]NOT CAUGHT[/]"
            took = f"{time.perf_counter() - start:.1f}"
            table.add_row(verdict.name, mark, verdict.by, verdict.operation, str(verdict.txs), f"{verdict.gas:,}", took)
    out.mkdir(parents=True, exist_ok=True)
    (out / "villains.json").write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")
    console.print(table)
    for verdict in verdicts:
        for fault in verdict.faults:
            console.print(f"[red]{verdict.name}[/]: {fault}", highlight=False, soft_wrap=True)
    caught = sum(verdict.caught for verdict in verdicts)
    console.print(f"{caught} of {len(verdicts)} caught")
    return 0 if caught == len(verdicts) else 1
