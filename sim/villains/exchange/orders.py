"""Lies about what an order's signature says: limit, life, flags, fees, quotes; and about the prices at which a market trades at all."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from protocol.codes import Code
from protocol.kernel import Quote, ReferenceKernel, get_quote
from protocol.machine import Preimages
from protocol.params import Fees
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import cancel, combo, commit, margin, mark, sheet, terms
from protocol.types import (
    FILL_OR_KILL,
    LOTS_PER_UNIT,
    POST_ONLY,
    REDUCE_ONLY,
    Header,
    Market,
    Page,
    Phase,
    Trade,
    TwoWay,
    compute_trade_hash,
)
from sim.villains.disguise import believe, mistake_trade, see, trust
from sim.villains.exchange.making import make_lie
from sim.villains.exchange.scene import Scene

STRIKE = 95_000
MAKER, TAKER, THIRD = 0, 1, 2
HIGHEST, LOWEST = (1 << 37) - 1, 1


# -- what happens


def _low_limit(scene: Scene) -> None:
    """A buyer whose limit does not reach the offer."""
    call = scene.call(STRIKE)
    offer = scene.scribe.order(MAKER, call, 0, scene.price(call, 1_020_000), 50)
    bid = scene.scribe.order(TAKER, call, 1, scene.price(call), 50)
    scene.scribe.trade(MAKER, offer, TAKER, bid, 50)


def _cancelled(scene: Scene) -> None:
    """An order that its owner has cancelled."""
    call = scene.call(STRIKE)
    offer = scene.scribe.order(MAKER, call, 0, scene.price(call), 50)
    bid = scene.scribe.order(TAKER, call, 1, scene.price(call), 50)
    scene.scribe.cancel(MAKER)
    scene.scribe.trade(MAKER, offer, TAKER, bid, 50)


def _flagged(flags: int, lots: int = 50) -> Any:
    def act(scene: Scene) -> None:
        """A taker's order with a flag, and a trade that the flag forbids."""
        call = scene.call(STRIKE)
        offer = scene.scribe.order(MAKER, call, 0, scene.price(call), 50)
        bid = scene.scribe.order(TAKER, call, 1, scene.price(call), 50, flags=flags)
        scene.scribe.trade(MAKER, offer, TAKER, bid, lots)

    return act


def _stingy(scene: Scene) -> None:
    """A taker who pays a cent a lot in fees and no more."""
    call = scene.call(STRIKE)
    offer = scene.scribe.order(MAKER, call, 0, scene.price(call), 50)
    bid = scene.scribe.order(TAKER, call, 1, scene.price(call), 50, fee_cap=10_000)
    scene.scribe.trade(MAKER, offer, TAKER, bid, 50)


def _same_account(scene: Scene) -> None:
    """Two orders of one account."""
    call = scene.call(STRIKE)
    offer = scene.scribe.order(MAKER, call, 0, scene.price(call), 50)
    bid = scene.scribe.order(MAKER, call, 1, scene.price(call), 50)
    scene.scribe.trade(MAKER, offer, MAKER, bid, 50)


def _plain(scene: Scene) -> None:
    """An honest trade."""
    scene.trade(MAKER, TAKER, scene.call(STRIKE), 50)


def _far(scene: Scene) -> None:
    """A friend sells far below the mark."""
    call = scene.call(STRIKE)
    scene.trade(MAKER, TAKER, call, 50, scene.price(call, 100_000))


def _spread(scene: Scene) -> None:
    """A call spread, both legs in one trade."""
    near, far = scene.call(STRIKE), scene.call(STRIKE + 10_000)
    scene.trade_combo(MAKER, TAKER, [(near, 1), (far, -1)], scene.price(near) - scene.price(far), 20)


def _forged_combo(scene: Scene) -> None:
    """A combination that the maker never signed."""
    key, scene.scribe.keys[MAKER] = scene.scribe.keys[MAKER], scene.scribe.keys[THIRD]
    _spread(scene)
    scene.scribe.keys[MAKER] = key


def _make_page(scene: Scene, lots: int = 100) -> Page:
    quotes = []
    for strike in (STRIKE, STRIKE + 5_000):
        price = scene.price(scene.call(strike))
        quotes.append(TwoWay(strike * 1_000_000, 1, price - 1_000, lots, price + 1_000, lots))
    return Page(underlying=0, expiry=scene.expiry, max_lots=lots, quotes=tuple(quotes))


def _take_quote(scene: Scene, slot: int, lots: int) -> None:
    """Lifts the first offer of the page in the slot."""
    slots = scene.scribe.rules.params.order_slots
    call = scene.call(STRIKE)
    bid = scene.scribe.order(TAKER, call, 1, scene.price(call) + 2_000, lots)
    scene.scribe.trade(MAKER, slot + slots * (1 + 1), TAKER, bid, lots)


def _forged_sheet(scene: Scene) -> None:
    """A sheet that the maker never signed."""
    key, scene.scribe.keys[MAKER] = scene.scribe.keys[MAKER], scene.scribe.keys[THIRD]
    slot = scene.scribe.sheet(MAKER, [_make_page(scene)], 0, scene.scribe.take_nonce(MAKER))
    scene.scribe.keys[MAKER] = key
    _take_quote(scene, slot, 10)


def _old_sheet(scene: Scene) -> None:
    """A quote of a sheet that a newer one has replaced."""
    slot = scene.scribe.sheet(MAKER, [_make_page(scene)], 0, scene.scribe.take_nonce(MAKER))
    scene.scribe.sheet(MAKER, [_make_page(scene, 5)], 0, scene.scribe.take_nonce(MAKER))
    _take_quote(scene, slot, 10)


def _full_page(scene: Scene) -> None:
    """More than a page's most."""
    slot = scene.scribe.sheet(MAKER, [_make_page(scene)], 0, scene.scribe.take_nonce(MAKER))
    _take_quote(scene, slot, 90)
    _take_quote(scene, slot, 90)


def _halt(scene: Scene) -> None:
    """The index falls by an eighth within a minute; somebody opens a position all the same."""
    scene.tick(60)
    scene.mark(scene.forward * 7 // 8)
    scene.tick(5)
    scene.trade(MAKER, TAKER, scene.call(STRIKE - 10_000), 50)


def _stale(scene: Scene) -> None:
    """A risky trade against a mark of ten minutes ago."""
    scene.tick(500)
    scene.trade(MAKER, TAKER, scene.call(STRIKE), 50)


def _after_expiry(scene: Scene) -> None:
    """A trade in what has expired already."""
    scene.tick(50)
    scene.trade(MAKER, TAKER, scene.call(STRIKE), 50)


# -- what is said of it


def _of_taker(**fields: Any) -> Any:
    def change(shown: tuple[Any, int]) -> dict[str, Any]:
        return fields if shown[1] == TAKER else {}

    return change


def _wash(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """An account trades with itself."""
    _, maker, maker_slot, taker, taker_slot, lots = pre.items
    if maker != taker:
        return terms.step(h, view, pre, rules)
    order = view.get_order(maker, maker_slot)
    pre.trade = Trade(maker, maker_slot, taker, taker_slot, order.legs, -lots, order.price, 0)
    return h._replace(phase=Phase.MAKER, scratch=compute_trade_hash(pre.trade)), Code.OK


class _MarkedAt(ReferenceKernel):
    """Every series is marked at one price."""

    def __init__(self, mark: int) -> None:
        self._mark = mark

    def get_quote(self, series: int, markets: Sequence[Market]) -> Quote | None:
        quote = get_quote(series, markets)
        return None if quote is None else quote._replace(mark=self._mark)


def _ignore_band(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A trade far from the mark."""
    after, code = terms.step(h, view, pre, rules)
    if code != Code.BAND:
        return after, code
    price = view.get_order(pre.items[1], pre.items[2]).price
    return terms.step(h, view, pre, replace(rules, kernel=_MarkedAt(price * LOTS_PER_UNIT)))


def _empty(shown: tuple[Any, int]) -> dict[str, Any]:
    page = shown[0]
    return {"filled": 0, "quotes": tuple(quote._replace(ask_filled=0) for quote in page.quotes)}


def _forget(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A cancellation leaves the orders alive."""
    after, code = cancel.step(h, view, pre, rules)
    if code == Code.OK:
        a = view.get_account(pre.items[1])
        view.put_account(pre.items[1], a._replace(generation=a.generation - 1))
    return after, code


def _sign_by_owner(pre: Preimages, view: View, rules: Rules) -> list[int]:
    return [view.get_account(pre.items[1]).owner]


_LIES = (
    make_lie(
        "ignored-limit",
        "A buyer pays more than the limit it signed.",
        Phase.TERMS,
        see(terms.step, order=_of_taker(price=HIGHEST)),
        _low_limit,
    ),
    make_lie(
        "revived-order",
        "An order that was cancelled trades.",
        Phase.TERMS,
        see(terms.step, account=lambda shown: {"generation": 0}),
        _cancelled,
    ),
    make_lie("crossing-post-only", "A post-only order takes.", Phase.TERMS, see(terms.step, order=_of_taker(flags=0)), _flagged(POST_ONLY)),
    make_lie(
        "opening-reduce-only",
        "A reduce-only order opens a position.",
        Phase.TAKER,
        mistake_trade(margin.step, lambda _: {"flags": 0}),
        _flagged(REDUCE_ONLY),
        others=(Phase.MAKER,),
    ),
    make_lie(
        "partial-fill-or-kill",
        "A fill-or-kill order fills in part.",
        Phase.TERMS,
        see(terms.step, order=_of_taker(flags=0)),
        _flagged(FILL_OR_KILL, 20),
    ),
    make_lie(
        "exceeded-fee-cap",
        "A taker pays more fees than it signed.",
        Phase.TERMS,
        see(terms.step, order=_of_taker(fee_cap=HIGHEST)),
        _stingy,
    ),
    make_lie("wash-trade", (_wash.__doc__ or ""), Phase.TERMS, _wash, _same_account),
    make_lie("waived-fee", "Nobody pays fees.", Phase.TERMS, believe(terms.step, fees=(Fees(0, 0, 0), Fees(0, 0, 0))), _plain),
    make_lie(
        "lopsided-combo",
        "Only the first leg of a combination moves.",
        Phase.COMMIT,
        mistake_trade(commit.step, lambda t: {"legs": t.legs[:1]}),
        _spread,
    ),
    make_lie("forged-combo", "Any combination is signed by its account.", Phase.COMBO, trust(combo.step, _sign_by_owner), _forged_combo),
    make_lie("forgotten-cancel", _forget.__doc__ or "", Phase.CANCEL, _forget, _cancelled),
    make_lie(
        "forged-sheet", "Any sheet of quotes is signed by its account.", Phase.SHEET, trust(sheet.step, _sign_by_owner), _forged_sheet
    ),
    make_lie(
        "stale-sheet",
        "A quote trades that a newer sheet has replaced.",
        Phase.TERMS,
        see(terms.step, account=lambda shown: {"sheet": min(shown[0].sheet, 1)}),
        _old_sheet,
    ),
    make_lie("bottomless-page", "A page of quotes fills without end.", Phase.TERMS, see(terms.step, page=_empty), _full_page),
    make_lie("off-market-price", _ignore_band.__doc__ or "", Phase.TERMS, _ignore_band, _far),
    make_lie("deaf-breaker", "No move of the index halts a market.", Phase.MARK, believe(mark.step, halt_move_ppm=10**9), _halt),
    make_lie(
        "ignored-halt",
        "Positions are opened in a halted market.",
        Phase.MAKER,
        see(margin.step, market=lambda _: {"halted_until": 0}),
        _halt,
        others=(Phase.TAKER,),
    ),
    make_lie(
        "stale-mark",
        "A risky trade against an old mark.",
        Phase.MAKER,
        believe(margin.step, mark_max_age_s=10**6),
        _stale,
        others=(Phase.TAKER,),
    ),
    make_lie(
        "late-trade", "An expired series trades.", Phase.TERMS, see(terms.step, globals=lambda _: {"clock": 0}), _after_expiry, life_s=45
    ),
)
ORDER_LIES = {lie.name: lie for lie in _LIES}
