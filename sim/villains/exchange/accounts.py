"""Lies about who may do what with an account: session keys, withdrawals, the backstop pool's shares."""

from typing import Any

from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.sessions import encode_session
from protocol.state import View
from protocol.steps import authorize, order, pool, scan, withdraw
from protocol.types import SCOPE_TRADE, SCOPE_WITHDRAW, Phase
from sim.baits import USD
from sim.scribe import get_address, make_key
from sim.villains.disguise import believe, see, trust
from sim.villains.exchange.making import make_lie
from sim.villains.exchange.scene import Scene

OWNER, OTHER = 0, 1
SESSION = make_key(77)
FOREVER = (1 << 40) - 1
HOUR_S = 3_600


# -- what happens


def _expired_key(scene: Scene) -> None:
    """A session key signs after its time."""
    scene.scribe.authorize(OWNER, get_address(SESSION), SCOPE_TRADE, scene.clock + 10)
    scene.tick(20)
    call = scene.call(95_000)
    scene.scribe.order(OWNER, call, 0, scene.price(call), 50, generation=1, signer=SESSION)


def _revoked_key(scene: Scene) -> None:
    """A session key signs after it was revoked."""
    scene.scribe.authorize(OWNER, get_address(SESSION), SCOPE_TRADE, scene.clock + HOUR_S)
    scene.scribe.authorize(OWNER, 0, 0, 0)
    call = scene.call(95_000)
    scene.scribe.order(OWNER, call, 0, scene.price(call), 50, generation=2, signer=SESSION)


def _self_appointed(scene: Scene) -> None:
    """Somebody appoints itself the session key of another's account."""
    key, scene.scribe.keys[OWNER] = scene.scribe.keys[OWNER], SESSION
    scene.scribe.authorize(OWNER, get_address(SESSION), SCOPE_TRADE | SCOPE_WITHDRAW, scene.clock + HOUR_S)
    scene.scribe.keys[OWNER] = key


def _overreach(scene: Scene) -> None:
    """A key that may only trade withdraws."""
    scene.scribe.authorize(OWNER, get_address(SESSION), SCOPE_TRADE, scene.clock + HOUR_S)
    key, scene.scribe.keys[OWNER] = scene.scribe.keys[OWNER], SESSION
    scene.scribe.withdraw(OWNER, 5_000 * USD)
    scene.scribe.keys[OWNER] = key


def _unsettled(scene: Scene) -> None:
    """A withdrawal while an expired position waits for its settlement."""
    scene.trade(OTHER, OWNER, scene.call(95_000), 50)
    scene.tick(50)
    scene.scribe.withdraw(OWNER, 5_000 * USD)


def _enter(scene: Scene) -> None:
    """Two enter the pool, one a minute after the other; it is marked when the first is due, and when both are."""
    scene.scribe.pool(OWNER, 100_000 * USD)
    scene.tick(scene.scribe.rules.params.pool_delay_s)
    scene.mark()
    scene.scribe.pool(OTHER, 50_000 * USD)
    scene.tick(scene.scribe.rules.params.pool_delay_s)
    scene.mark()


def _hurry(scene: Scene) -> None:
    """A request to enter, and a mark before it is due."""
    scene.scribe.pool(OWNER, 100_000 * USD)
    scene.tick(10)
    scene.mark()


def _overask(scene: Scene) -> None:
    """A request to enter with more than there is."""
    scene.scribe.pool(OWNER, 9_000_000 * USD)


# -- what is said of it


def _with_key(scope: int) -> Any:
    def change(shown: tuple[Any, int]) -> dict[str, Any]:
        return {"session": encode_session(get_address(SESSION), scope, FOREVER)}

    return change


def _sign_by_owner(pre: Preimages, view: View, rules: Rules) -> list[int]:
    return [view.get_account(pre.items[1]).owner]


def _richer(shown: tuple[Any, int]) -> dict[str, Any]:
    return {"cash": shown[0].cash + 10_000_000 * USD}


_LIES = (
    make_lie(
        "undying-session", "A session key signs after its time.", Phase.ORDER, see(order.step, account=_with_key(SCOPE_TRADE)), _expired_key
    ),
    make_lie(
        "revenant-session",
        "A session key signs after it was revoked.",
        Phase.ORDER,
        see(order.step, account=_with_key(SCOPE_TRADE)),
        _revoked_key,
    ),
    make_lie(
        "self-appointed-key",
        "Anybody appoints the session key of any account.",
        Phase.AUTHORIZE,
        trust(authorize.step, _sign_by_owner),
        _self_appointed,
    ),
    make_lie(
        "overreaching-key",
        "A key that may only trade withdraws.",
        Phase.WITHDRAW,
        see(withdraw.step, account=_with_key(SCOPE_TRADE | SCOPE_WITHDRAW)),
        _overreach,
    ),
    make_lie(
        "unsettled-withdrawal",
        "Cash leaves before an expired position has settled.",
        Phase.WITHDRAW,
        see(withdraw.step, globals=lambda _: {"clock": 0}),
        _unsettled,
        life_s=45,
    ),
    make_lie(
        "diluted-pool",
        "Whoever enters the pool gets ten times the shares.",
        Phase.SCAN,
        see(scan.step, globals=lambda shown: {"pool": shown[0].pool // 10} if shown[0].shares else {}),
        _enter,
    ),
    make_lie("impatient-provider", "A request to enter the pool does not wait.", Phase.SCAN, believe(scan.step, pool_delay_s=0), _hurry),
    make_lie("phantom-provider", "Cash that is not there enters the pool.", Phase.POOL, see(pool.step, account=_richer), _overask),
)
ACCOUNT_LIES = {lie.name: lie for lie in _LIES}
