"""`straddle sequencer`."""

from pathlib import Path

import click

from straddle.commands.daemon import add_daemon_options


@click.command("sequencer", short_help="Run the sequencer.")
@add_daemon_options
def command(config: Path | None, overrides: dict[str, str], with_parent: bool, print_default: bool) -> int:
    """Run the sequencer: takes orders over a WebSocket, matches them, posts batches to L1 and claims what they lead to.

    When it serves, one line of JSON on stdout says where. Logs go to stderr. Stops cleanly on SIGTERM and SIGINT.
    """
    from node.config import encode_config
    from sequencer.config import SequencerConfig
    from sequencer.runtime import main

    if print_default:
        click.echo(encode_config(SequencerConfig()), nl=False)
        return 0
    return main(config, overrides, with_parent=with_parent)
