"""A recorded market through real processes: its quotes are the makers', forwards and volatilities the oracle's; takers are synthetic."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sim.actors.config import MarketSection
from sim.cast import CHALLENGERS
from sim.market.source import ReplaySource
from sim.play import EXIT_DONE, EXIT_FAILED, Play, describe_finding, run_play
from sim.villains.lies import LIES
from sim.world import Setting

LEAD_S = 14.0  # on the wall, from the chain's start to the window's: as long as it takes until the market is open
TAIL_S = 12.0  # on the wall, for the last batches to land
DISPUTE_S = 150.0  # on the wall, for a dispute that is still open when the window ends
MARK_AGE_S = 25  # of the market, between two marks: rules want them younger than 60 s
MAX_MARK_S = 5.5  # on the wall


@dataclass(frozen=True)
class Replay:
    """What the command line says."""

    file: Path
    start: str = "00:00"
    end: str = "24:00"
    speed: int = 60
    lie: str | None = None
    seed: int = 1
    rate: float = 20.0
    trades: int = 2_000
    out: Path = Path(".out")


def check_lie(name: str) -> None:
    """KeyError for an unknown one."""
    LIES[name]


def build_setting(replay: Replay, source: ReplaySource) -> Setting:
    """Paces of the market's seconds become the wall's."""
    market = MarketSection(kind="replay", file=str(replay.file.resolve()), start=replay.start, end=replay.end, origin=source.start)
    return Setting(
        replay.out,
        market,
        speed=replay.speed,
        lie=replay.lie,
        rate=replay.rate,
        seed=replay.seed,
        mark_s=min(MAX_MARK_S, MARK_AGE_S / replay.speed),
        quote_s=1.0,
        take_s=0.25,
        series=40,
        batch_s=3.0,
        genesis_time=source.start - round(LEAD_S * replay.speed),
    )


def list_missing(play: Play, replay: Replay) -> list[str]:
    """What should have happened, and has not, by L1's word."""
    outcome, ledger = play.outcome, play.ledger
    wrong = [entry for entry in ledger.claims.values() if not ledger.is_right(entry.event)]
    checks = {f"{replay.trades:,} trades": ledger.trades >= replay.trades}
    if replay.lie is None:
        checks["only right claims"] = not wrong
    else:
        checks |= {
            "a lie in a claim": outcome.liar is not None,
            "a step proven on L1 by a challenger": outcome.dispute is not None
            and play.world.cast.find_role(outcome.dispute.prover) in CHALLENGERS,
            "the step that gave it away": outcome.finding is not None,
            "the liar's stake gone": outcome.is_stake_gone,
            "the right claim final": outcome.is_right_final,
        }
    return [what for what, is_there in checks.items() if not is_there]


async def run_replay(replay: Replay) -> int:
    """The exit code."""
    console = Console()
    source = ReplaySource(replay.file, replay.start, replay.end)
    setting = build_setting(replay, source)

    def is_done(play: Play) -> bool:
        """The window is over, its last batches are on L1, and the dispute, if there is one, is decided."""
        head = play.ledger.head
        after = 0.0 if head is None else (head.time - source.end) / replay.speed
        missing = list_missing(play, replay)
        return after > TAIL_S and (replay.lie is None or not missing or after > DISPUTE_S)

    async def script(play: Play) -> int:
        await play.watch(is_done)
        missing = list_missing(play, replay)
        numbers = await play.measure() | {"seconds": round(play.story.seconds, 1)}
        settings = {"file": replay.file.name, "from": replay.start, "to": replay.end, "speed": replay.speed, "lie": replay.lie}
        report = numbers | settings | {"seed": replay.seed, "takers": "synthetic", "missing": missing}
        replay.out.mkdir(parents=True, exist_ok=True)
        (replay.out / "replay.json").write_text(json.dumps(report, indent=1) + "\n")
        summarize(console, numbers, play, missing)
        return EXIT_FAILED if missing else EXIT_DONE

    title = (
        f"{replay.file.name}, {replay.start} to {replay.end} at {replay.speed} times its speed. Quotes are recorded, takers are synthetic."
    )
    return await run_play(setting, console, title, script)


def summarize(console: Console, numbers: dict[str, Any], play: Play, missing: list[str]) -> None:
    """The end, in a few lines."""
    console.print(
        f"{numbers['trades']:,} trades in {numbers['batches']} batches, {numbers['bytes_per_trade']} bytes and "
        f"{numbers['l1_gas_per_trade']:,} gas of L1 a trade, {numbers['seconds']} s",
        soft_wrap=True,
    )
    if play.outcome.finding is not None:
        console.print(f"the lie: {describe_finding(play.outcome.finding)}; proven by {numbers['proven_by']}", soft_wrap=True)
    for what in missing:
        console.print(f"[bold red]missing: {what}[/]")
