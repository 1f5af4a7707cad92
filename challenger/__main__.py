"""`python -m challenger --config FILE [--set l1.url=...] [--once] [--with-parent] [--print-default]`."""

import argparse
import sys
from pathlib import Path

from challenger.config import ChallengerConfig
from challenger.runtime import main
from node.config import encode_config


def run() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m challenger", description="The Straddle challenger and watchtower.")
    parser.add_argument("--config", type=Path, help="TOML file; the defaults without it")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="override a field, such as l1.poll_s=2")
    parser.add_argument("--once", action="store_true", help="judge what is there and exit: 0 right, 3 a wrong claim, 4 cannot be judged")
    parser.add_argument("--with-parent", action="store_true", help="stop when stdin closes")
    parser.add_argument("--print-default", action="store_true", help="print the default configuration and exit")
    arguments = parser.parse_args()
    if arguments.print_default:
        sys.stdout.write(encode_config(ChallengerConfig()))
        return 0
    pairs = [text.partition("=") for text in arguments.set]
    if any(not separator for _, separator, _ in pairs):
        parser.error("--set takes FIELD=VALUE")
    return main(arguments.config, {name: value for name, _, value in pairs}, with_parent=arguments.with_parent, once=arguments.once)


if __name__ == "__main__":
    sys.exit(run())
