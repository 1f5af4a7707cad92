"""`python -m sequencer --config FILE [--set server.port=0] [--with-parent] [--print-default]`."""

import argparse
import sys
from pathlib import Path

from node.config import encode_config
from sequencer.config import SequencerConfig
from sequencer.runtime import main


def run() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m sequencer", description="The Straddle sequencer.")
    parser.add_argument("--config", type=Path, help="TOML file; the defaults without it")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="override a field, such as server.port=0")
    parser.add_argument("--with-parent", action="store_true", help="stop when stdin closes")
    parser.add_argument("--print-default", action="store_true", help="print the default configuration and exit")
    arguments = parser.parse_args()
    if arguments.print_default:
        sys.stdout.write(encode_config(SequencerConfig()))
        return 0
    pairs = [text.partition("=") for text in arguments.set]
    if any(not separator for _, separator, _ in pairs):
        parser.error("--set takes FIELD=VALUE")
    return main(arguments.config, {name: value for name, _, value in pairs}, with_parent=arguments.with_parent)


if __name__ == "__main__":
    sys.exit(run())
