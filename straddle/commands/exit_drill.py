"""`straddle exit-drill`."""

from pathlib import Path

import click


@click.command("exit-drill", short_help="The sequencer is killed for good, and everybody gets out.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Of the synthetic market.")
@click.option("--rate", default=10.0, show_default=True, type=click.FloatRange(0.1, 500), help="Synthetic takers' orders a second.")
@click.option("--trades", default=50, show_default=True, type=click.IntRange(1), help="So many, and the sequencer is killed.")
@click.option("--out", default=".out", show_default=True, type=click.Path(path_type=Path), help="Folder of exit.json and of the logs.")
def command(seed: int, rate: float, trades: int, out: Path) -> int:
    """The sequencer of a whole exchange on this machine is killed for good. A trader forces a withdrawal in by L1, two force a trade in, a
    stranger posts the queue, a challenger claims it, the vault pays. Then the exchange is shut down for silence, every position becomes
    cash, and everybody takes all of it out.

    Exit code 0 only if all of that happened, by L1's own word. The summary is in OUT/exit.json, the processes' logs in OUT/logs. It takes
    about three minutes.
    """
    import trio

    from sim.exit import ExitDrill, run_exit_drill

    return trio.run(run_exit_drill, ExitDrill(seed, rate, trades, out))
