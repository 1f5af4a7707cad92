"""The demo: a synthetic market, one lie, two challengers, and one withdrawal. Done only when L1 says that all of it happened."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from rich.console import Console
from rich.table import Table

from protocol.types import UNDERLYINGS
from sim.actors.config import MarketSection
from sim.cast import CHALLENGERS
from sim.finding import format_usd
from sim.play import EXIT_DONE, EXIT_FAILED, Play, run_play
from sim.world import Setting

LIMIT_S = 170.0  # the whole run; half of it is what a quiet machine needs
MIN_BATCHES = 10
EXPIRY_S = 50  # chain seconds from the market's start: one listing expires while everybody watches
BAIT_S = 26.0  # so that the trader who withdraws does it in an epoch before the lie's


@dataclass(frozen=True)
class Demo:
    """What the command line says."""

    seed: int = 1
    lie: str = "overpaid-withdrawal"
    rate: float = 28.0
    trades: int = 1_000
    out: Path = Path(".out")


def list_missing(play: Play, demo: Demo) -> list[str]:
    """What has not happened, by L1's word."""
    outcome, ledger = play.outcome, play.ledger
    checks = {
        f"{demo.trades:,} trades": ledger.trades >= demo.trades,
        f"{MIN_BATCHES} batches": len(ledger.batches) >= MIN_BATCHES,
        "a lie in a claim of the sequencer": outcome.liar is not None and play.world.cast.find_role(outcome.liar.claimer) == "sequencer",
        "a step proven on L1 by a challenger": outcome.dispute is not None
        and play.world.cast.find_role(outcome.dispute.prover) in CHALLENGERS,
        "two challengers against it": len(play.get_catchers()) == len(CHALLENGERS),
        "the liar's stake gone": outcome.is_stake_gone,
        "the step that gave it away": outcome.finding is not None,
        "the right claim final": outcome.is_right_final,
        "a withdrawal paid on L1": outcome.paid > 0,
        "an expiry settled in both markets": len(ledger.settled) == len(UNDERLYINGS),
    }
    return [what for what, is_there in checks.items() if not is_there]


def summarize(console: Console, numbers: dict[str, Any], play: Play, missing: list[str]) -> None:
    """The end of the story, in a table."""
    finding, dispute = play.outcome.finding, play.outcome.dispute
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("trades", f"{numbers['trades']:,} in {numbers['batches']} batches on L1")
    table.add_row("quotes", f"{numbers['pages']:,} pages of makers' sheets on L1, each for {numbers['trades_per_page']} trades")
    table.add_row("settled", "\n".join(numbers["settled"]))
    table.add_row("L1 cost", f"{numbers['bytes_per_trade']} bytes and {numbers['l1_gas_per_trade']:,} gas a trade")
    if finding is not None and dispute is not None:
        table.add_row("the lie", f"[bold red]{finding.reason}[/]")
        table.add_row("caught by", " and ".join(numbers["caught_by"]))
        table.add_row("operation", finding.operation)
        table.add_row("account", str(finding.account) if finding.account >= 0 else "none")
        table.add_row("amount", format_usd(finding.amount) if finding.amount >= 0 else "none")
        table.add_row("the proof", f"by {numbers['proven_by']}: batch {finding.batch}, step {dispute.index}, {numbers['step_gas']:,} gas")
        table.add_row("the dispute", f"{numbers['dispute_txs']} transactions, {numbers['dispute_gas']:,} gas")
        table.add_row("the liar's stake", "gone" if play.outcome.is_stake_gone else "[red]still there[/]")
        table.add_row("the right claim", "final" if play.outcome.is_right_final else "[red]not final[/]")
    table.add_row("withdrawal", f"{numbers['withdrawal_paid']:,.2f} USD paid by the vault")
    table.add_row("time", f"{numbers['seconds']} s")
    console.print()
    console.print(table)
    for what in missing:
        console.print(f"[bold red]missing: {what}[/]")
    if not missing:
        console.print("[bold green]all of it happened, by L1's own word[/]")


async def run_demo(demo: Demo) -> int:
    """The exit code."""
    console = Console()
    market = MarketSection(kind="walk", seed=demo.seed, first_expiry_s=EXPIRY_S)
    setting = Setting(demo.out, market, lie=demo.lie, rate=demo.rate, seed=demo.seed, bait_s=BAIT_S)

    async def script(play: Play) -> int:
        with trio.move_on_after(LIMIT_S - play.story.seconds):
            await play.watch(lambda now: not list_missing(now, demo))
        missing = list_missing(play, demo)
        numbers = await play.measure() | {"seconds": round(play.story.seconds, 1)}
        demo.out.mkdir(parents=True, exist_ok=True)
        (demo.out / "demo.json").write_text(json.dumps(numbers | {"seed": demo.seed, "lie": demo.lie, "missing": missing}, indent=1) + "\n")
        summarize(console, numbers, play, missing)
        return EXIT_FAILED if missing else EXIT_DONE

    return await run_play(
        setting, console, "Straddle: options off-chain, the last word on Ethereum. Prices and traders are synthetic.", script
    )
