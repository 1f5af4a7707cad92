"""The challenger's configuration. Without a key file (`key.file = ""`) it watches and reports."""

from typing import Annotated

import msgspec

from node.config import Config, Section
from node.steps import HONEST_STEPS

ChainSeconds = Annotated[int, msgspec.Meta(ge=0, le=30 * 86_400)]


class Disputes(Section, frozen=True):
    """Times in chain seconds. `steps` is where the table of steps is: `module:attribute`."""

    claim_if_missing: bool = False  # claim epochs that nobody has claimed
    claim_delay_s: ChainSeconds = 0  # before claiming, so that several honest parties need not all pay
    urgent_s: ChainSeconds = 0  # before a deadline, from when on the newest block is answered; 0 for half of the grace
    takes_turns: bool = True  # leave a move to other honest parties first, for up to half of the grace, which is free
    max_lag_s: ChainSeconds = 120  # an older head is an alert, on a chain with the wall's clock
    verify_deployment: bool = True  # compare the code on chain with the artifacts before anything else
    steps: str = HONEST_STEPS


class ChallengerConfig(Config, frozen=True):
    """All of the file."""

    dispute: Disputes = Disputes()
