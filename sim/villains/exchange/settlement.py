"""Lies about how positions become cash: settlement at expiry, and the end of everything."""

from typing import Any

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.operations import build_settle, build_shutdown
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import fetch, scan, settle, shutdown
from protocol.types import INBOX_AUTHORITY, Header, Mode, Phase, Sweep
from sim.baits import USD
from sim.scribe import make_key
from sim.villains.disguise import believe, mistake_sweep, see, trust
from sim.villains.exchange.making import make_lie
from sim.villains.exchange.scene import Scene

SELLER, BUYER = 0, 1
STRIKE = 85_000
LIFE_S = 60
PRICE = 91_000 * USD
RICH, POOR = 1_000_000 * USD, 30_000 * USD


# -- what happens


def _expire(scene: Scene) -> None:
    """A call is sold and bought, and expires."""
    scene.trade(SELLER, BUYER, scene.call(STRIKE), 100)
    scene.tick(LIFE_S)


def _settled(scene: Scene) -> None:
    """The oracles settle it."""
    _expire(scene)
    scene.scribe.settle(0, scene.expiry, PRICE)


def _forged(scene: Scene) -> None:
    """Strangers settle it."""
    _expire(scene)
    honest = scene.scribe.oracles
    scene.scribe.oracles = [make_key(7), make_key(8), make_key(9)]
    scene.scribe.settle(0, scene.expiry, 2 * PRICE)
    scene.scribe.oracles = honest


def _fallback(scene: Scene) -> None:
    """A mark after expiry, and at once a settlement that nobody has signed."""
    _expire(scene)
    scene.expiry += 10**6
    scene.mark()
    scene.scribe.add(build_settle(0, scene.expiry - 10**6, 0, True))


def _bankrupt(scene: Scene) -> None:
    """The seller cannot pay what it owes at settlement, and nobody else can for it."""
    _expire(scene)
    scene.scribe.settle(0, scene.expiry, 2 * PRICE)


def _shut(scene: Scene) -> None:
    """Somebody trades; then L1 finds the sequencer silent."""
    scene.trade(SELLER, BUYER, scene.call(STRIKE), 100)
    scene.tick(scene.scribe.rules.params.silence_s + 5)
    scene.scribe.send(INBOX_AUTHORITY, [build_shutdown()])
    scene.tick(10)


def _hasty(scene: Scene) -> None:
    """The end is asked for ten seconds after the freeze."""
    _shut(scene)
    scene.scribe.shutdown()


def _frozen(scene: Scene) -> None:
    """A trade after the freeze."""
    _shut(scene)
    scene.trade(SELLER, BUYER, scene.call(STRIKE), 100)


def _usurped(scene: Scene) -> None:
    """A trader shuts the exchange down."""
    scene.scribe.shutdown()


# -- what is said of it


def _sign_by_oracles(pre: Preimages, view: View, rules: Rules) -> tuple[int, ...]:
    return rules.oracles


def _command(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Anybody may shut the exchange down."""
    after, code = shutdown.step(h._replace(authority=INBOX_AUTHORITY), view, pre, rules)
    return after._replace(authority=h.authority), code


def _cheaper(sweep: Sweep) -> dict[str, Any]:
    return {"price": sweep.price - 1_000 * USD} if sweep.mode in (Mode.SETTLE_TALLY, Mode.SETTLE_PAY) else {}


def _lossless(sweep: Sweep) -> dict[str, Any]:
    return {"loss": 0} if sweep.mode == Mode.SETTLE_PAY else {}


_LIES = (
    make_lie(
        "forged-settlement",
        "Any settlement price is signed by the oracles.",
        Phase.SETTLE,
        trust(settle.step, _sign_by_oracles),
        _forged,
        life_s=LIFE_S,
    ),
    make_lie(
        "premature-fallback",
        "A settlement without signatures does not wait.",
        Phase.SETTLE,
        believe(settle.step, settle_first_s=0),
        _fallback,
        life_s=LIFE_S,
    ),
    make_lie(
        "underpaid-settlement",
        "Positions settle a thousand dollars lower than the oracles said.",
        Phase.SCAN,
        mistake_sweep(scan.step, _cheaper),
        _settled,
        life_s=LIFE_S,
    ),
    make_lie(
        "unshared-loss",
        "Winners are paid what nobody can pay.",
        Phase.SCAN,
        mistake_sweep(scan.step, _lossless),
        _bankrupt,
        money=(POOR, RICH),
        life_s=LIFE_S,
    ),
    make_lie("usurped-shutdown", _command.__doc__ or "", Phase.SHUTDOWN, _command, _usurped),
    make_lie(
        "hasty-closing", "The end does not wait for a day.", Phase.SHUTDOWN, believe(shutdown.step, shutdown_s=0), _hasty, is_forced=True
    ),
    make_lie(
        "unfrozen-exchange",
        "Orders go on after the freeze.",
        Phase.FETCH,
        see(fetch.step, globals=lambda _: {"shutdown": 0}),
        _frozen,
        is_forced=True,
    ),
)
SETTLEMENT_LIES = {lie.name: lie for lie in _LIES}
