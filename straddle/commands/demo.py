"""`straddle demo`."""

from pathlib import Path

import click


@click.command("demo", short_help="A whole exchange, a lie, and its end, in two minutes.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Of the synthetic market.")
@click.option("--lie", default="overpaid-withdrawal", show_default=True, metavar="NAME", help="`straddle sim lies` lists them.")
@click.option("--rate", default=28.0, show_default=True, type=click.FloatRange(0.1, 500), help="Synthetic takers' orders a second.")
@click.option("--trades", default=1_000, show_default=True, type=click.IntRange(0), help="Fewer than these are a failure.")
@click.option("--out", default=".out", show_default=True, type=click.Path(path_type=Path), help="Folder of demo.json and of the logs.")
def command(seed: int, lie: str, rate: float, trades: int, out: Path) -> int:
    """A whole exchange on this machine: a synthetic market trades, the sequencer lies in one claim, two challengers refute it on L1, the
    right claim wins, and a trader's withdrawal is paid.

    Exit code 0 only if all of that happened, by L1's own word. The summary is in OUT/demo.json, the processes' logs in OUT/logs.
    """
    import trio

    from sim.demo import Demo, run_demo
    from sim.replay import check_lie

    try:
        check_lie(lie)
    except KeyError:
        raise click.BadParameter(f"no lie {lie!r}: `straddle sim lies` lists them", param_hint="--lie") from None
    return trio.run(run_demo, Demo(seed, lie, rate, trades, out))
