"""`straddle challenger`."""

from pathlib import Path

import click

from straddle.commands.daemon import add_daemon_options


@click.command("challenger", short_help="Run a challenger, or a watchtower without a key.")
@add_daemon_options
@click.option("--once", is_flag=True, help="Judge what is there and stop: 0 all claims are right, 3 one is wrong, 4 one cannot be judged.")
def command(config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool, once: bool) -> int:
    """Run a challenger: executes every batch again, and refutes every claim that says something else.

    When it watches, one line of JSON on stdout says so. Logs go to stderr. Stops cleanly on SIGTERM and SIGINT.
    """
    from challenger.config import ChallengerConfig
    from challenger.runtime import main
    from node.config import encode_config

    if print_default:
        click.echo(encode_config(ChallengerConfig()), nl=False)
        return 0
    return main(config, overrides, with_parent=with_parent, once=once)
