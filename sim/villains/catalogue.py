"""All lies by what they are about, and a trial of each of them."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from sim.villains.exchange import EXCHANGE_LIES
from sim.villains.lies import LIES, Lie
from sim.villains.trial import Verdict, run_trial

CATALOGUE: Mapping[str, Mapping[str, Lie]] = MappingProxyType({"path": LIES, "exchange": EXCHANGE_LIES})


def select_lies(only: str | None, name: str | None) -> list[Lie]:
    """Of one group or of all; one by name. KeyError for an unknown name."""
    found = {lie.name: lie for group, lies in CATALOGUE.items() if only in (None, group) for lie in lies.values()}
    return list(found.values()) if name is None else [found[name]]


def run_villains(only: str | None, name: str | None, out: Path) -> int:
    """The exit code: 1 if one was not caught. Writes `villains.json`, and tells each as it is decided."""
    console = Console()
    verdicts: list[Verdict] = []
    lies = select_lies(only, name)
    for lie in lies:
        start = time.perf_counter()
        verdict = run_trial(lie)
        verdicts.append(verdict)
        mark = "[green]caught[/]" if verdict.caught else "[red]NOT CAUGHT[/]"
        took = f"{verdict.txs} txs, {verdict.gas:,} gas, {time.perf_counter() - start:.1f} s"
        console.print(f"{mark}  {verdict.name}: by {verdict.by} of {verdict.operation} ({took})", highlight=False, soft_wrap=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "villains.json").write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")
    caught = sum(verdict.caught for verdict in verdicts)
    console.print(f"{caught} of {len(verdicts)} caught")
    return 0 if caught == len(verdicts) else 1
