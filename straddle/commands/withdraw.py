"""`straddle withdraw`."""

from pathlib import Path

import click

USD = 1_000_000


@click.command("withdraw", short_help="Take an account's money out by L1 alone.")
@click.option("--url", default="http://127.0.0.1:8545", show_default=True, help="The L1 endpoint.")
@click.option("--deployment", default="deployment.json", show_default=True, type=click.Path(path_type=Path), help="The deployment file.")
@click.option("--key", required=True, type=click.Path(path_type=Path), help="Keystore of the account's owner, or a devnet key file.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Of the keystore.")
@click.option("--amount", type=click.IntRange(1), metavar="USD", help="At most so much; without it, all that is free.")
@click.option("--with-parent", is_flag=True, help="Stop when stdin closes.")
def command(url: str, deployment: Path, key: Path, password_file: Path | None, amount: int | None, with_parent: bool) -> int:
    """Take an account's money out by L1 alone: no sequencer is asked.

    It forces a withdrawal in, posts the queue if nobody takes it in, waits until a claim that says so is final, and has the vault pay. All
    batches are read from L1 and executed here, so that nobody's word is needed. Stopped in between, it goes on where it was when it is
    started again. Somebody has to claim: a challenger with `dispute.claim_if_missing`, yours or anybody's.

    Exit codes: 0 the vault has paid, 1 nothing was free.
    """
    import trio

    from sim.leave import leave_from_file

    most = None if amount is None else amount * USD
    return trio.run(leave_from_file, url, deployment, key, password_file, most, click.echo, with_parent)
