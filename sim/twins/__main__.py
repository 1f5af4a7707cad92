"""Runs every kind of step on random and hostile inputs, and on the worst ones we know.

    python -m sim.twins                          2,000 of each kind, results in .out/twins.json
    python -m sim.twins --n 200 --step margin    one kind
    python -m sim.twins --replay FILE            a difference that was found before

Exit code 1 if Python and L1 differed once. A run is its seed's: the same seed and commit do the same.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from protocol.codes import Code
from protocol.rules import Rules
from protocol.types import Mode, Phase
from sim.twins import account_cases, auction_cases, cases, market_cases, order_cases, scan_cases, trade_cases
from sim.twins.cases import MakeStart
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.replay import Start, decode_case
from sim.twins.runner import OUT, Outcome, Twins, TwinsDiffer, get_step_name
from sim.twins.worst import make_all_worst

KINDS: dict[str, MakeStart] = {
    "open": cases.make_open,
    "message": cases.make_message,
    "inflate": cases.make_inflate,
    "fetch": cases.make_fetch,
    "deposit": account_cases.make_deposit,
    "order": order_cases.make_order_start,
    "combo": order_cases.make_combo,
    "sheet": order_cases.make_sheet,
    "terms": trade_cases.make_terms,
    "margin": trade_cases.make_margin,
    "commit": trade_cases.make_commit,
    "cancel": account_cases.make_cancel,
    "withdraw": account_cases.make_withdraw,
    "authorize": account_cases.make_authorize,
    "pool": account_cases.make_pool,
    "mark": market_cases.make_mark,
    "settle": market_cases.make_settle,
    "shutdown": market_cases.make_shutdown,
    "scan": scan_cases.make_scan,
    "takeover": scan_cases.make_takeover,
    "deleverage": scan_cases.make_deleverage,
    "bid": auction_cases.make_bid,
    "target": auction_cases.make_target,
    "award": auction_cases.make_award,
}
# What each step can answer. A random run that does not come to all of them is too short, or has a hole.
REACHABLE: dict[str, tuple[Code, ...]] = {
    "open": (Code.OK,),
    "message": (Code.OK,),
    "inflate": (Code.OK, Code.MALFORMED),
    "fetch": (Code.OK, Code.MALFORMED, Code.ALLOWANCE, Code.FROZEN),
    "deposit": (Code.OK, Code.AUTHORITY, Code.ACCOUNT, Code.CASH),
    "order": (Code.OK, Code.ACCOUNT, Code.SERIES, Code.LOTS, Code.PRICE, Code.EXPIRED, Code.NONCE, Code.SIGNATURE),
    "combo": (Code.OK, Code.ACCOUNT, Code.SERIES, Code.LEGS, Code.LOTS, Code.PRICE, Code.EXPIRED, Code.NONCE, Code.SIGNATURE),
    "sheet": (Code.OK, Code.ACCOUNT, Code.SERIES, Code.SHEET, Code.LOTS, Code.PRICE, Code.EXPIRED, Code.NONCE, Code.SIGNATURE),
    "terms": (
        *(Code.OK, Code.ACCOUNT, Code.SELF_TRADE, Code.ORDER, Code.GENERATION, Code.EXPIRED, Code.SERIES, Code.SIDE),
        *(Code.LIMIT, Code.LOTS, Code.OVERFILL, Code.BAND, Code.POST_ONLY, Code.FILL_OR_KILL, Code.FEE, Code.SHEET),
    ),
    "margin": (*(Code.OK, Code.STRIKE, Code.POSITIONS, Code.REDUCE_ONLY, Code.HALTED, Code.CASH, Code.FLAGGED, Code.STALE, Code.MARGIN),),
    "commit": (Code.OK,),
    "cancel": (Code.OK, Code.ACCOUNT, Code.NONCE, Code.AUTHORITY, Code.SIGNATURE),
    "withdraw": (
        *(Code.OK, Code.ACCOUNT, Code.NONCE, Code.AUTHORITY, Code.SIGNATURE, Code.FLAGGED, Code.FROZEN, Code.UNSETTLED, Code.STALE),
        Code.NOTHING_FREE,
    ),
    "authorize": (Code.OK, Code.ACCOUNT, Code.SCOPE, Code.NONCE, Code.AUTHORITY, Code.SIGNATURE),
    "pool": (
        *(Code.OK, Code.ACCOUNT, Code.NONCE, Code.AUTHORITY, Code.SIGNATURE, Code.POOL, Code.FLAGGED, Code.FROZEN, Code.UNSETTLED),
        *(Code.STALE, Code.NOTHING_FREE),
    ),
    "mark": (Code.OK, Code.SERIES, Code.QUORUM, Code.MARK_TIME, Code.MARK_SHAPE),
    "settle": (Code.OK, Code.SERIES, Code.QUORUM, Code.SETTLE_TIME, Code.PRICE),
    "shutdown": (Code.OK, Code.AUTHORITY, Code.SHUTDOWN_TIME),
    "scan": (Code.OK,),
    "takeover": (Code.OK,),
    "deleverage": (Code.OK,),
    "bid": (
        *(Code.OK, Code.ACCOUNT, Code.SELF_TRADE, Code.NONCE, Code.EXPIRED, Code.SERIES, Code.LEGS, Code.LOTS),
        *(Code.SIGNATURE, Code.NOT_FLAGGED, Code.BID_SIZE, Code.STALE, Code.LIMIT),
    ),
    "target": (Code.OK, Code.CASH, Code.MARGIN, Code.BID_SIZE),
    "award": (Code.OK,),
}
# Steps that share a contract, and what a scan does: a random run comes to each.
PLACES: dict[str, tuple[str, ...]] = {
    "margin": (Phase.MAKER.name, Phase.TAKER.name, Phase.BIDDER.name),
    "scan": tuple(f"SCAN {mode.name}" for mode in Mode),
}
FORGED = 0.25  # of the runs, each with its witness changed
MAX_SHOWN = 3  # differences of one kind


@dataclass
class Tally:
    """Of one kind of step."""

    runs: int = 0
    mismatches: int = 0
    forged: int = 0
    forged_reverts: int = 0
    gas: list[int] = field(default_factory=list)
    max_argument_bytes: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome, place: str) -> None:
        """One run that both agree on."""
        self.places[place] = self.places.get(place, 0) + 1
        self.gas.append(outcome.gas)
        self.max_argument_bytes = max(self.max_argument_bytes, len(outcome.arguments))
        self.codes[outcome.code.name] = self.codes.get(outcome.code.name, 0) + 1

    def get_unreached(self, name: str) -> list[str]:
        """Codes, phases and modes that no run came to."""
        codes = [code.name for code in REACHABLE[name] if code.name not in self.codes]
        return codes + [place for place in PLACES.get(name, ()) if place not in self.places]

    def describe(self) -> dict[str, object]:
        """For the JSON; gas is a whole transaction's."""
        return {
            "runs": self.runs,
            "mismatches": self.mismatches,
            "typical_gas": int(statistics.median(self.gas)) if self.gas else 0,
            "worst_gas": max(self.gas, default=0),
            "max_argument_bytes": self.max_argument_bytes,
            "forged_witnesses": self.forged,
            "forged_reverts": self.forged_reverts,
            "codes": dict(sorted(self.codes.items())),
            "places": dict(sorted(self.places.items())),
        }


def get_place(start: Start) -> str:
    """The step's phase; of a scan also the mode."""
    phase = Phase(start.header.phase)
    return f"{phase.name} {Mode(start.pre.sweep.mode).name}" if phase == Phase.SCAN else phase.name


def run_start(twins: Twins, tally: Tally, start: Start, dice: Dice | None, context: str) -> None:
    """One comparison, and with dice sometimes a forged witness on top."""
    tally.runs += 1
    place = get_place(start)
    forge = dice is not None and dice.chance(FORGED)
    before = Start(start.header, start.state.copy(), start.pre.copy(), start.rules) if forge else start
    try:
        outcome = twins.assert_twins(start.header, start.state, start.pre, start.rules, context)
        tally.count(outcome, place)
        if dice is not None and forge:
            tally.forged += 1
            tally.forged_reverts += twins.assert_robust(before, outcome, dice, context)
    except TwinsDiffer as error:
        tally.mismatches += 1
        if len(tally.shown) < MAX_SHOWN:
            tally.shown.append(str(error))


def run_kind(twins: Twins, tally: Tally, name: str, n: int, seed: int, all_rules: tuple[Rules, ...] = ALL_RULES) -> None:
    """`n` random runs, by turns in each rule set. Every run has dice of its own, so that one can be repeated alone."""
    for at in range(n):
        dice = Dice(f"{seed} {name} {at}")
        start = KINDS[name](dice, all_rules[at % len(all_rules)])
        run_start(twins, tally, start, dice, f"seed {seed} {name} {at}")


def run_all(names: list[str], n: int, seed: int) -> dict[str, Tally]:
    """The worst ones first."""
    twins = Twins()
    tallies = {name: Tally() for name in names}
    for rules in ALL_RULES:
        for start in make_all_worst(rules):
            name = get_step_name(Phase(start.header.phase))
            if name in tallies:
                run_start(twins, tallies[name], start, None, f"worst {name}")
    for name in names:
        run_kind(twins, tallies[name], name, n, seed)
    return tallies


def replay(path: Path) -> int:
    """Runs what the file holds again; the forged witness too, if it has one."""
    case = json.loads(path.read_text())
    start = decode_case(case)
    twins = Twins()
    console = Console()
    try:
        outcome = twins.assert_twins(start.header, start.state, start.pre, start.rules, case["context"])
    except TwinsDiffer as error:
        console.print(str(error), markup=False)
        return 1
    console.print(f"equal: {outcome.code.name}, {outcome.gas} gas")
    if "arguments" in case and bytes.fromhex(case["arguments"]) != outcome.arguments:
        answer, _, reason = twins.call(Phase(start.header.phase), bytes.fromhex(case["arguments"]), start.rules)
        is_same = answer is None or answer.hex() == case["python"]
        console.print(f"the forged witness: {reason or 'answers'}, {'harmless' if is_same else 'DECIDES'}")
        return 0 if is_same else 1
    return 0


def print_table(tallies: dict[str, Tally], seconds: float, seed: int) -> None:
    """What a person wants to know."""
    console = Console()
    table = Table(title=f"twins, seed {seed}, {seconds:.0f} s")
    for column in ("step", "runs", "mismatches", "typical gas", "worst gas", "forged", "reverted", "codes"):
        table.add_column(column, justify="left" if column in ("step", "codes") else "right")
    for name, tally in tallies.items():
        d = tally.describe()
        codes = " ".join([*tally.codes, *(f"[red]not {code}[/red]" for code in tally.get_unreached(name))])
        numbers = [f"{d[key]:,}" for key in ("runs", "mismatches", "typical_gas", "worst_gas", "forged_witnesses", "forged_reverts")]
        table.add_row(name, *numbers, codes, style="red" if tally.mismatches else None)
    console.print(table)
    for tally in tallies.values():
        for text in tally.shown:
            console.print(text, style="red", markup=False)


def main() -> int:
    """Exit code: 0 if all were equal."""
    parser = argparse.ArgumentParser(prog="python -m sim.twins", description="Every step in Python and on L1, compared exactly.")
    parser.add_argument("--n", type=int, default=2_000, help="runs of each kind (2,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", choices=sorted(KINDS), action="append", help="only this kind; may be repeated")
    parser.add_argument("--replay", type=Path, help="a file that an earlier run wrote")
    arguments = parser.parse_args()
    if arguments.replay is not None:
        return replay(arguments.replay)
    started = time.monotonic()
    tallies = run_all(arguments.step or list(KINDS), arguments.n, arguments.seed)
    OUT.mkdir(exist_ok=True)
    steps = {name: {**tally.describe(), "unreached": tally.get_unreached(name)} for name, tally in tallies.items()}
    results = {"seed": arguments.seed, "n": arguments.n, "steps": steps}
    (OUT / "twins.json").write_text(json.dumps(results, indent=1) + "\n")
    print_table(tallies, time.monotonic() - started, arguments.seed)
    return 1 if any(tally.mismatches for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
