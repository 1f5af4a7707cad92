"""Lies about liquidation: when the pool takes over, who pays, who loses."""

from typing import Any

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import award, bid, deleverage, margin, scan, takeover, target
from protocol.types import Header, Mode, Phase, Sweep
from sim.baits import USD
from sim.villains.disguise import believe, mistake_sweep, mistake_trade, see, waive
from sim.villains.exchange.making import make_lie
from sim.villains.exchange.scene import Scene

SELLER, BUYER, PROVIDER, BIDDER = 0, 1, 2, 3
STRIKE = 100_000
LOTS = 100
MONEY = (21_000 * USD, 1_000_000 * USD, 1_000_000 * USD, 500_000 * USD)
WELL, WEAK, BROKEN = 96_000 * USD, 100_000 * USD, 130_000 * USD  # forwards: the seller above its margin, below it, and below nothing
NO_LIMIT = (1 << 60) - 1
MARK_GAP_S = 5
AUCTION_MARKS = 20


# -- what happens


def _provide(scene: Scene) -> None:
    """The pool has money."""
    scene.scribe.pool(PROVIDER, 500_000 * USD)
    scene.tick(scene.scribe.rules.params.pool_delay_s)
    scene.mark()


def _move(scene: Scene, forward: int, marks: int) -> None:
    """A small account sells calls; the index jumps, which halts the market for a while; then so many marks that count."""
    scene.trade(SELLER, BUYER, scene.call(STRIKE), LOTS)
    scene.tick(MARK_GAP_S)
    scene.mark(forward)
    scene.tick(scene.scribe.rules.params.halt_s)
    for _ in range(marks):
        scene.tick(MARK_GAP_S)
        scene.mark()


def _weak(scene: Scene) -> None:
    """The seller is below its maintenance margin, for a few marks."""
    _provide(scene)
    _move(scene, WEAK, 4)


def _ripe(scene: Scene) -> None:
    """Nobody bids, and the pool takes over."""
    _provide(scene)
    _move(scene, WEAK, AUCTION_MARKS + 2)


def _bankrupt(scene: Scene) -> None:
    """The seller is worth less than nothing, and neither pool nor fund has money."""
    _move(scene, BROKEN, 5)


def _bid(units: int) -> Any:
    def act(scene: Scene) -> None:
        """Somebody bids on the seller's calls."""
        _move(scene, WEAK, 6)
        scene.scribe.bid(BIDDER, SELLER, [(scene.call(STRIKE), -1)], units, NO_LIMIT)

    return act


def _bid_late(scene: Scene) -> None:
    """Whoever bought the calls takes some over, without a short of its own, more than a minute after the last mark."""
    _move(scene, WEAK, 6)
    scene.tick(scene.scribe.rules.params.mark_max_age_s + 1)
    scene.scribe.bid(BUYER, SELLER, [(scene.call(STRIKE), -1)], 5, NO_LIMIT)


def _plunder(scene: Scene) -> None:
    """Somebody bids on an account that is worth less than nothing."""
    _move(scene, BROKEN, 1)
    scene.scribe.bid(BIDDER, SELLER, [(scene.call(STRIKE), -1)], 5, NO_LIMIT)


def _raid(scene: Scene) -> None:
    """Somebody bids on an account that is well, though without the buffer that an auction restores."""
    scene.trade(SELLER, BUYER, scene.call(STRIKE), LOTS)
    scene.tick(MARK_GAP_S)
    scene.mark(WELL)
    scene.scribe.bid(BIDDER, SELLER, [(scene.call(STRIKE), -1)], 1, NO_LIMIT)


# -- what is said of it


def _older(shown: tuple[Any, ...]) -> dict[str, Any]:
    return {"marks": shown[0].marks + AUCTION_MARKS}


def _flagged(shown: tuple[Any, int]) -> dict[str, Any]:
    return {"flag": 1} if shown[1] == SELLER else {}


def _penniless(sweep: Sweep) -> dict[str, Any]:
    return {"maintenance": 0}


def _favour(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """One holder's longs are not cut when the others' are."""
    is_cut = pre.sweep.mode == Mode.ADL_CUT
    lying = see(scan.step, account=lambda shown: {"positions": ()} if is_cut and shown[1] == BUYER else {})
    return lying(h, view, pre, rules)


def _start_anew(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Whoever is deleveraged has ten thousand dollars to start anew."""
    index = pre.sweep.bankrupt - 1
    after, code = deleverage.step(h, view, pre, rules)
    a = view.get_account(index)
    view.put_account(index, a._replace(cash=a.cash + 10_000 * USD))
    return after, code


_LIES = (
    make_lie(
        "hasty-takeover", "The pool takes an account over at its first weak mark.", Phase.SCAN, see(scan.step, globals=_older), _weak, MONEY
    ),
    make_lie(
        "waived-penalty", "Whoever is liquidated pays no penalty.", Phase.TAKEOVER, mistake_sweep(takeover.step, _penniless), _ripe, MONEY
    ),
    make_lie("favoured-holder", _favour.__doc__ or "", Phase.SCAN, _favour, _bankrupt, MONEY),
    make_lie("golden-handshake", _start_anew.__doc__ or "", Phase.DELEVERAGE, _start_anew, _bankrupt, MONEY),
    make_lie(
        "generous-auction", "A bidder gets the last mark's discount at the first.", Phase.BID, see(bid.step, globals=_older), _bid(5), MONEY
    ),
    make_lie(
        "greedy-bid",
        "A bid takes more than restores the account.",
        Phase.TARGET,
        waive(target.step, Code.BID_SIZE, Phase.AWARD),
        _bid(LOTS),
        MONEY,
    ),
    make_lie("raid", "An account that is well is auctioned.", Phase.BID, see(bid.step, account=_flagged), _raid, MONEY),
)
_BID_LIES = (
    make_lie("stale-auction", "A mark's price is good for ever.", Phase.BID, believe(bid.step, mark_max_age_s=3_600), _bid_late, MONEY),
    make_lie(
        "poor-bidder",
        "A bidder needs no margin.",
        Phase.BIDDER,
        waive(margin.step, Code.MARGIN, Phase.TARGET),
        _bid(5),
        (*MONEY[:-1], 100 * USD),
    ),
    make_lie("plunder", "A bid leaves less than nothing.", Phase.TARGET, waive(target.step, Code.MARGIN, Phase.AWARD), _plunder, MONEY),
    make_lie(
        "rebate",
        "The bidder pays a dollar less for each unit than the auction says.",
        Phase.AWARD,
        mistake_trade(award.step, lambda trade: {"price": trade.price - USD}),
        _bid(5),
        MONEY,
    ),
)
WATERFALL_LIES = {lie.name: lie for lie in _LIES + _BID_LIES}
