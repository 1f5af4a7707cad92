"""`straddle devnet`."""

import sys

import click


@click.command("devnet", short_help="Run an Ethereum chain for development, in memory.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8545, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free one.")
@click.option("--chain-id", default=31_337, show_default=True, type=click.IntRange(1))
@click.option("--block-time", default=1.0, show_default=True, type=click.FloatRange(0, 3_600), help="Wall seconds; 0: whenever one waits.")
@click.option("--manual", is_flag=True, help="Mine only on evm_mine.")
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.001, 1e6), help="Chain seconds a wall second.")
@click.option("--genesis-time", type=click.IntRange(0), help="Chain time at the start, UNIX seconds; now by default.")
@click.option("--accounts", default=20, show_default=True, type=click.IntRange(1, 1_000), help="Funded accounts of the test mnemonic.")
@click.option("--with-parent", is_flag=True, help="Stop when stdin closes.")
def command(
    host: str,
    port: int,
    chain_id: int,
    block_time: float,
    manual: bool,
    speed: float,
    genesis_time: int | None,
    accounts: int,
    with_parent: bool,
) -> None:
    """Run an Ethereum chain for development, in memory, with anvil's accounts (everybody knows their keys).

    The first line on stdout is JSON: port, url, chain_id, genesis_time.
    """
    from l1 import devnet

    arguments = ["--host", host, "--port", str(port), "--chain-id", str(chain_id), "--speed", str(speed), "--accounts", str(accounts)]
    arguments += ["--manual"] if manual else ["--block-time", str(block_time)]
    arguments += [] if genesis_time is None else ["--genesis-time", str(genesis_time)]
    arguments += ["--with-parent"] if with_parent else []
    sys.argv = ["straddle devnet", *arguments]
    try:
        devnet.main()
    except* OSError as errors:
        raise click.ClickException(f"cannot listen on {host}:{port}: {errors.exceptions[0]} [listen]") from None
