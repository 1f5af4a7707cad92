"""`straddle sim`: a world on one machine, and who lives in it."""

from pathlib import Path

import click

from straddle.commands.daemon import add_daemon_options, run_actor


@click.group("sim", short_help="A whole world on one machine: replays, villains, and who lives there.")
def command() -> None:
    """A whole world on one machine: a recorded market through real processes, villains, and the actors one by one."""


@command.command("replay", short_help="Trade a recorded day, faster than it was.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "start", default="00:00", show_default=True, metavar="HH:MM", help="Start in the file's day, UTC.")
@click.option("--to", "end", default="24:00", show_default=True, metavar="HH:MM", help="End; at or before the start: on the next day.")
@click.option("--speed", default=60, show_default=True, type=click.IntRange(1, 120), help="Market seconds a second. Durations follow it.")
@click.option("--lie", metavar="NAME", help="Let the sequencer tell this lie; `straddle sim lies` lists them.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Of the takers.")
@click.option("--rate", default=20.0, show_default=True, type=click.FloatRange(0.1, 500), help="Synthetic takers' orders a wall second.")
@click.option("--trades", default=2_000, show_default=True, type=click.IntRange(0), help="Fewer than these are a failure.")
@click.option("--out", default=".out", show_default=True, type=click.Path(path_type=Path), help="Folder of replay.json and of the logs.")
def replay(file: Path, start: str, end: str, speed: int, lie: str | None, seed: int, rate: float, trades: int, out: Path) -> int:
    """Trade a recorded day, faster than it was: FILE is in Tardis.dev's options_chain format, plain or gzip, inverse and linear options
    side by side.

    Its quotes become makers' sheets, and the marks follow them. Takers are synthetic and seeded: no such file says who traded. Everything
    runs as processes of its own, and what is reported was read from L1.
    """
    import trio

    from sim.replay import Replay, check_lie, run_replay

    if lie is not None:
        try:
            check_lie(lie)
        except KeyError:
            raise click.BadParameter(f"no lie {lie!r}: `straddle sim lies` lists them", param_hint="--lie") from None
    return trio.run(run_replay, Replay(file, start, end, speed, lie, seed, rate, trades, out))


@command.command("lies", short_help="List the villains.")
def lies() -> None:
    """List the villains: name, what it is about, what it says or does, and what beats it."""
    from rich.console import Console
    from rich.table import Table

    from sim.villains.catalogue import CATALOGUE, get_answer

    table = Table("villain", "of", "what it says or does", "beaten by", box=None, header_style="bold")
    for group, villains_of in CATALOGUE.items():
        for villain in villains_of.values():
            table.add_row(villain.name, group, villain.story, get_answer(villain))
    Console().print(table)


@command.command("villains", short_help="Try every villain against an honest challenger.")
@click.option(
    "--only",
    type=click.Choice(["path", "exchange", "dispute"]),
    help="Lies about the whole path or the exchange, or ways to play a dispute.",
)
@click.option("--name", metavar="NAME", help="One of them; `straddle sim lies` lists them.")
@click.option("--out", default=".out", show_default=True, type=click.Path(path_type=Path), help="Folder of villains.json.")
def villains(only: str | None, name: str | None, out: Path) -> int:
    """Try every villain against an honest challenger.

    Liars post an epoch, claim their lie about it first, and defend it as well as a liar can; those of the dispute play it in every other
    way. The challenger's own machine plays against the real contracts on an EVM in this process. A villain is caught if the truth becomes
    final, it ends as it must, no honest stake is lost and nobody but the honest gains; one that is not makes the exit code 1.
    """
    from sim.villains.catalogue import run_villains

    try:
        return run_villains(only, name, out)
    except KeyError:
        raise click.BadParameter(f"no villain {name!r}: `straddle sim lies` lists them", param_hint="--name") from None


@command.command("crash", short_help="Run the rules through a recorded crash.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--accounts", default=500, show_default=True, type=click.IntRange(50, 5_000), help="How many people are in it.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Of what they hold.")
@click.option("--out", default=".out", show_default=True, type=click.Path(path_type=Path), help="Folder of crash.json.")
def crash(folder: Path, accounts: int, seed: int, out: Path) -> int:
    """Run the rules through the recorded crashes in FOLDER: option quotes of 2020-12-01, minutes of 2019-06, ETH on 2020-03-12.

    Hundreds of accounts have sold options. After every mark an independent pass says who must have been flagged, in index order; cash and
    positions must add up to the unit. `crash.json` says who was flagged, who took what over, and what nobody could pay. The exit code is 1
    if a rule did not hold.
    """
    from sim.crash.run import run_crashes

    return run_crashes(folder, accounts, seed, out)


@command.command("oracle", short_help="Sign marks and settlements of a market.")
@add_daemon_options
def oracle(config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool) -> int:
    """Sign marks of a market and settlements of what expires, each key its own signature, and hand them to the sequencer."""
    from sim.actors.config import OracleConfig
    from sim.actors.roles import run_oracle

    return run_actor("oracle", OracleConfig, run_oracle, config, overrides, with_parent, print_default)


@command.command("makers", short_help="Quote a market.")
@add_daemon_options
def makers(config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool) -> int:
    """Quote a market from several accounts, opened by deposits on L1."""
    from sim.actors.config import MakersConfig
    from sim.actors.roles import run_makers

    return run_actor("makers", MakersConfig, run_makers, config, overrides, with_parent, print_default)


@command.command("takers", short_help="Cross the quotes of a market. Synthetic.")
@add_daemon_options
def takers(config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool) -> int:
    """Cross the quotes of a market at random, seeded: synthetic flow."""
    from sim.actors.config import TakersConfig
    from sim.actors.roles import run_takers

    return run_actor("takers", TakersConfig, run_takers, config, overrides, with_parent, print_default)


@command.command("liquidator", short_help="Bid for what is up for auction.")
@add_daemon_options
def liquidator(config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool) -> int:
    """Bid for the positions of accounts below their maintenance margin, from one account, opened by a deposit on L1."""
    from sim.actors.config import LiquidatorConfig
    from sim.actors.roles import run_liquidator

    return run_actor("liquidator", LiquidatorConfig, run_liquidator, config, overrides, with_parent, print_default)


@command.command("accomplice", short_help="Throw the bait of a lie.")
@add_daemon_options
def accomplice(config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool) -> int:
    """Throw the bait of a lie: the rows without which a lying sequencer's claim would be true."""
    from sim.villains.accomplice import AccompliceConfig, run_accomplice

    return run_actor("accomplice", AccompliceConfig, run_accomplice, config, overrides, with_parent, print_default)
