"""Lies about where rows come from: what a batch holds, and who sent it."""

from protocol.codes import Code
from protocol.machine import Preimages, next_source
from protocol.operations import build_deposit
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import message, open  # noqa: A004 - the step's name
from protocol.types import VAULT_AUTHORITY, Header, Phase
from sim.baits import USD
from sim.scribe import get_address
from sim.villains.exchange.making import make_lie
from sim.villains.exchange.scene import STRANGER, Scene

OWNER = 0

# -- what happens


def _withdraw(scene: Scene) -> None:
    """Somebody takes home what it deposited in the same batch."""
    scene.scribe.withdraw(OWNER, 5_000 * USD)


def _counterfeit(scene: Scene) -> None:
    """A stranger forces a deposit in that the vault knows nothing of."""
    row = build_deposit(OWNER, get_address(scene.get_key(OWNER)), 77_000 * USD)
    scene.scribe.send(STRANGER, [row])


# -- what is said of it


def _skip(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A batch has none of the messages that L1 has queued for it."""
    h, code = open.step(h, view, pre, rules)
    return next_source(h._replace(messages=0)), code


def _promote(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Every message is the vault's."""
    h, code = message.step(h, view, pre, rules)
    return h._replace(authority=VAULT_AUTHORITY), code


_LIES = (
    make_lie("skipped-queue", _skip.__doc__ or "", Phase.OPEN, _skip, _withdraw),
    make_lie("counterfeit-deposit", _promote.__doc__ or "", Phase.MESSAGE, _promote, _counterfeit),
)
SOURCE_LIES = {lie.name: lie for lie in _LIES}
