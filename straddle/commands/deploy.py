"""`straddle deploy`."""

from pathlib import Path

import click

EXIT_DIFFERS = 1


def parse_address(_context: click.Context, _parameter: click.Parameter, value: object) -> object:
    """20 bytes in hex become an integer; tuples element by element."""
    if isinstance(value, tuple):
        return tuple(parse_address(_context, _parameter, one) for one in value)
    if value is None:
        return None
    try:
        raw = bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise click.BadParameter(f"not an address: {value}")
    return int.from_bytes(raw, "big")


@click.command("deploy", short_help="Deploy the contracts, or verify a deployment.")
@click.option("--url", default="http://127.0.0.1:8545", show_default=True, help="The L1 endpoint.")
@click.option("--out", default="deployment.json", show_default=True, type=click.Path(path_type=Path), help="The deployment file.")
@click.option("--verify", is_flag=True, help="Deploy nothing: compare what stands on chain with the file and with the built contracts.")
@click.option(
    "--preset",
    default="devnet",
    show_default=True,
    type=click.Choice(["devnet", "mainnet", "minimal"]),
    help="Which of the parameters in protocol/params.py.",
)
@click.option("--speed", default=1, show_default=True, type=click.IntRange(1, 1_000_000), help="Of the chain's clock; durations follow it.")
@click.option("--key", type=click.Path(path_type=Path), help="Keystore of the deployer, or a devnet key file.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Of the keystore.")
@click.option("--sequencer", callback=parse_address, help="Address that may post batches.")
@click.option(
    "--oracle",
    "oracles",
    multiple=True,
    callback=parse_address,
    help="Address of an oracle; once for each, in order: 3, or 5 with --preset mainnet.",
)
@click.option("--token", callback=parse_address, help="An ERC-20 with 6 decimals; without it a token with an open mint is deployed.")
def command(
    url: str,
    out: Path,
    verify: bool,
    preset: str,
    speed: int,
    key: Path | None,
    password_file: Path | None,
    sequencer: int | None,
    oracles: tuple[int, ...],
    token: int | None,
) -> int:
    """Deploy the contracts and write the deployment file, or verify one.

    Nothing that is deployed has an owner: whatever is given here is fixed for ever. Example, on a devnet whose keys are in files:

    \b
    straddle deploy --key deployer.json --sequencer 0x7099... \\
        --oracle 0x3C44... --oracle 0x90F7... --oracle 0x15d3...

    With --verify: one line for each contract, and the exit code 1 if one is not what was built with the file's parameters. What is wrong
    has one of these codes: code-missing, code-other, arguments-other, creation-other, wiring-other.
    """
    import trio

    from sim.deployer import deploy_from_file

    if verify:
        return print_verification(url, out)
    if key is None or sequencer is None or not oracles:
        raise click.UsageError("deploying needs --key, --sequencer and --oracle")
    if out.exists():
        raise click.UsageError(f"{out} exists: name another file, or remove it")
    from l1.deploy import Plan

    trio.run(deploy_from_file, url, key, password_file, Plan(preset, speed, sequencer, oracles, token), out)
    click.echo(f"deployed; {out} says where")
    return 0


def print_verification(url: str, path: Path) -> int:
    """The exit code."""
    import trio

    from sim.deployer import inspect_file

    findings = trio.run(inspect_file, url, path)
    for finding in findings:
        word = "WRONG" if finding.faults else "ok"
        click.echo(f"{finding.name:<10} 0x{finding.address.hex()}  {word}{finding.note and ': ' + finding.note}")
        for fault in finding.faults:
            click.echo(f"{'':10} {fault.text} [{fault.code}]")
    wrong = [finding.name for finding in findings if finding.faults]
    if wrong:
        click.echo(f"{path}: {len(wrong)} of {len(findings)} contracts are not what was built: {', '.join(wrong)}")
        return EXIT_DIFFERS
    click.echo(f"{path}: what stands on chain is what was built")
    return 0
