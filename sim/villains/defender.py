"""Stands up for a lying claim on L1: a challenger whose truth is the lie. `python -m sim.villains.defender --config FILE`.

It answers every move of a duel as well as a liar can. At the end it stays silent: the one step's proof would speak against it.
"""

import argparse
import sys
from pathlib import Path

from challenger import runtime
from challenger.events import Effect, Prove, Send
from challenger.session import Session


class SilentSession(Session):
    """Proves nothing."""

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Send) and isinstance(effect.action, Prove):
            return
        super()._perform(effect)


def run() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m sim.villains.defender", description="A challenger that defends a lie.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--with-parent", action="store_true")
    arguments = parser.parse_args()
    setattr(runtime, "Session", SilentSession)  # noqa: B010 - the daemon has no door for villains, and needs none
    return runtime.main(arguments.config, with_parent=arguments.with_parent)


if __name__ == "__main__":
    sys.exit(run())
