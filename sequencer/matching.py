"""Price-time matching against the rules: each fill is applied as ORDER, ORDER, TRADE at once, and what the rules reject is nobody's fill.

A maker whose order cannot fill any more (expired, cancelled, out of margin, too far from the mark) leaves the book and the matching goes
on; a taker whose order cannot fill keeps what it has got and is told why the rest is refused. Two orders of one owner never meet: the
resting one leaves.
"""

from functools import lru_cache
from typing import NamedTuple

from protocol.codes import Code
from protocol.margin import get_slice
from protocol.operations import build_order, build_trade
from protocol.rules import Rules
from protocol.series import STRIKE_UNIT
from protocol.series import decode_series as decode_series_anew
from protocol.signing import compute_order_digest
from protocol.steps import margin
from protocol.steps.order import check_terms
from protocol.steps.terms import compute_fee
from protocol.types import Order, Trade
from sequencer.book import Book, OrderKey, Resting
from sequencer.engine import Engine, Row
from sequencer.events import IMMEDIATE, POST_ONLY, Effect, Fill, OrderPlaced, OrderReceived, OrderRemoved, Publish, Refusal, Refused, Reply

REASONS: dict[int, str] = {
    Code.OK: "applied",
    Code.MALFORMED: "the operation's form is not one of the protocol's",
    Code.ALLOWANCE: "the exchange's step allowance is spent for the moment: try again",
    Code.AUTHORITY: "only an L1 message has this authority",
    Code.SIGNATURE: "not signed, over exactly these terms, by the account's owner",
    Code.ACCOUNT: "no such account",
    Code.NONCE: "the nonce is not above the last one used in its place",
    Code.GENERATION: "signed for another order generation than the account's present one",
    Code.EXPIRED: "valid_until has passed",
    Code.ORDER: "no registered order in that slot",
    Code.SERIES: "the instrument is not listed, or has expired",
    Code.SIDE: "the two orders are on one side",
    Code.LIMIT: "the price is worse than an order's limit",
    Code.OVERFILL: "more lots than the order has left",
    Code.SELF_TRADE: "both orders are one owner's",
    Code.LOTS: "lots are out of range",
    Code.PRICE: "the price is out of range",
    Code.STRIKE: "the strike is outside a tenth to ten times the forward",
    Code.BAND: "the price is too far from the mark",
    Code.STALE: "the last mark is too old",
    Code.MARGIN: "initial margin is not covered, and the trade does not reduce risk",
    Code.FLAGGED: "the account is below maintenance margin and may only reduce its risk",
    Code.POSITIONS: "too many positions, or one too large",
    Code.CASH: "cash would be negative, or out of range",
    Code.NOTHING_FREE: "nothing can be withdrawn",
    Code.MARK_TIME: "the mark names another predecessor, comes too early, or is ahead of the clock",
    Code.MARK_SHAPE: "the mark's expiries or parameters are out of shape",
    Code.QUORUM: "not signed by the oracles' quorum",
}
decode_series = lru_cache(maxsize=1 << 12)(decode_series_anew)  # an order's series is looked at four times, and a venue has some hundreds
MARGIN_CODES = frozenset({Code.STRIKE, Code.POSITIONS, Code.CASH, Code.FLAGGED, Code.STALE, Code.MARGIN})
MAKER_CODES = frozenset({Code.BAND, Code.OVERFILL, Code.SELF_TRADE})  # at the maker's price, and of the maker's order


class Match(NamedTuple):
    """What became of one crossing: a fill, or a code and whose it is."""

    fill: Fill | None
    code: Code
    is_makers: bool


class Matcher:
    """Works on the engine's state and the book. `signers` is the machine's memory of verified signatures."""

    def __init__(self, engine: Engine, book: Book, rules: Rules, signers: dict[tuple[bytes, bytes], int]) -> None:
        self.engine = engine
        self.book = book
        self.rules = rules
        self.fills = 0
        self._signers = signers
        self._get_slot = rules.params.get_slot
        self._digests: dict[OrderKey, tuple[bytes, bytes]] = {}
        self._floors: dict[tuple[int, int], int] = {}  # (account, slot) -> highest nonce that was ever taken

    # -- the book

    def rest(self, order: Resting) -> None:
        """Into the book; its nonce is used up."""
        self.book.add(order)

    def remove(self, key: OrderKey, code: int, reason: str) -> Publish:
        """Out of the book."""
        order = self.book.remove(key)
        self._forget(key)
        return Publish(OrderRemoved(order.account, order.nonce, order.series, order.left, code, reason))

    def pop_expired(self, now: int) -> list[Resting]:
        """Out of the book too."""
        gone = self.book.pop_expired(now)
        for order in gone:
            self._forget(order.key)
        return gone

    def remove_dead(self) -> list[Effect]:
        """Orders whose account has cancelled, or was flagged."""
        state = self.engine.state
        dead = [
            order.key
            for account, orders in self.book.by_account.items()
            for order in orders.values()
            if order.generation != state.get_account(account).generation
        ]
        return [self.remove(key, Code.GENERATION, REASONS[Code.GENERATION]) for key in dead]

    def _forget(self, key: OrderKey) -> None:
        pair = self._digests.pop(key, None)
        if pair is not None:
            self._signers.pop(pair, None)

    def get_floor(self, account: int, slot: int) -> int:
        """A new nonce of the slot must be above it."""
        return max(self._floors.get((account, slot), 0), self.engine.state.get_order(account, slot).nonce)

    def list_floors(self) -> list[tuple[int, int, int]]:
        """For a snapshot."""
        return [(account, slot, nonce) for (account, slot), nonce in self._floors.items()]

    def set_floor(self, account: int, slot: int, nonce: int) -> None:
        """From a snapshot."""
        self._floors[account, slot] = nonce

    # -- orders

    def place(self, event: OrderReceived) -> list[Effect]:
        """Checks, matches, rests; the reply comes first."""
        if decode_series(event.series).strike % STRIKE_UNIT or event.signer == 0:
            return [Reply(event.request, _refuse(Code.SIGNATURE if event.signer == 0 else Code.SERIES))]
        taker = _build(event)
        refused = self._check(event, taker.row)
        if refused is not None:
            return [Reply(event.request, refused)]
        place = event.account, self._get_slot(event.nonce)
        floor = self._floors.get(place)
        self._remember(event, taker)
        effects: list[Effect] = []
        fills, code = self._match(event.now, taker, effects)
        if taker.left and code == Code.OK and not event.options & IMMEDIATE:
            self.rest(taker)
        else:
            self._forget(taker.key)
        if code != Code.OK and not fills and not effects:
            if floor is None:
                del self._floors[place]
            else:
                self._floors[place] = floor
            return [Reply(event.request, Refused(code, REASONS[code]))]
        is_resting = taker.key in self.book.orders
        reason = REASONS[code] if code else "" if is_resting or not taker.left else "immediate or cancel"
        left = taker.left if is_resting else 0
        key = (event.account, event.nonce, event.series, event.is_buy, event.price, event.lots)
        reply = Reply(event.request, OrderPlaced(*key, left, tuple(fills), code, reason))
        return [reply, *(Publish(fill) for fill in fills), *effects]

    def _remember(self, event: OrderReceived, order: Resting) -> None:
        """So that the rules need not recover the signer again."""
        underlying, expiry, strike, is_call = decode_series(event.series)
        terms = (event.account, underlying, expiry, strike, is_call, event.is_buy, event.price, event.lots)
        digest = compute_order_digest(self.rules.domain, (*terms, event.nonce, event.generation, event.valid_until))
        self._digests[order.key] = digest, event.signature
        self._signers[digest, event.signature] = event.signer
        slot = self._get_slot(event.nonce)
        self._floors[event.account, slot] = event.nonce

    def _check(self, event: OrderReceived, row: tuple[int, ...]) -> Refused | None:
        """All that can be known before it fills. Margin is checked by the rules, at each fill."""
        state = self.engine.state
        if event.account >= state.globals.accounts:
            return _refuse(Code.ACCOUNT)
        account = state.get_account(event.account)
        if event.generation != account.generation:
            return _refuse(Code.GENERATION)
        if event.signer != account.owner:
            return _refuse(Code.SIGNATURE)
        slot = self._get_slot(event.nonce)
        floor = Order(self.get_floor(event.account, slot))
        now = max(event.now, self.engine.last_time)
        code = check_terms(row, state.globals if now <= state.globals.clock else state.globals._replace(clock=now), floor)
        if code != Code.OK:
            return _refuse(code)
        underlying, expiry, _, _ = decode_series(event.series)
        if get_slice(state.markets[underlying], expiry) is None or now >= expiry:
            return _refuse(Code.SERIES)
        # nonces of a slot only ascend, so whatever rests in it is the highest
        if (event.account, self._floors.get((event.account, slot), -1)) in self.book.orders:
            slots = self.rules.params.order_slots
            return Refused(Refusal.SLOT_BUSY, f"an order with the same nonce modulo {slots} rests: cancel it first, or use another nonce")
        best = self.book.get_best(event.series, 1 - event.is_buy)
        if event.options & POST_ONLY and best is not None and _is_crossing(event.is_buy, event.price, best.price):
            return Refused(Refusal.POST_ONLY, "post_only, and it would fill at once")
        return None

    # -- matching

    def _match(self, now: int, taker: Resting, effects: list[Effect]) -> tuple[list[Fill], Code]:
        """Fills, and the code for which the rest of the taker's order is refused."""
        fills: list[Fill] = []
        while taker.left:
            maker = self.book.get_best(taker.series, 1 - taker.is_buy)
            if maker is None or not _is_crossing(taker.is_buy, taker.price, maker.price):
                return fills, Code.OK
            if maker.owner == taker.owner:
                effects.append(self.remove(maker.key, Code.SELF_TRADE, REASONS[Code.SELF_TRADE]))
                continue
            match = self._cross(now, maker, taker)
            if match.fill is not None:
                fills.append(match.fill)
            elif match.is_makers:
                effects.append(self.remove(maker.key, match.code, REASONS[match.code]))
            else:
                return fills, match.code
        return fills, Code.OK

    def _cross(self, now: int, maker: Resting, taker: Resting) -> Match:
        lots = min(maker.left, taker.left)
        orders = [order for order in (maker, taker) if not self._is_registered(order)]
        trade = build_trade(maker.account, self._get_slot(maker.nonce), taker.account, self._get_slot(taker.nonce), lots)
        rows = [Row(order.row, order.signature) for order in orders]
        code, at = self.engine.apply_group(now, [*rows, Row(trade)])
        if code == Code.OK:
            fill = self._record(maker, taker, lots)
            self.book.fill(maker, lots)
            if maker.left == 0:
                self._forget(maker.key)
            taker.left -= lots
            return Match(fill, code, False)
        if at < len(orders):
            return Match(None, code, code != Code.ALLOWANCE and orders[at] is maker)
        return Match(None, code, self._is_makers(maker, taker, lots, code))

    def _is_registered(self, order: Resting) -> bool:
        slot = self._get_slot(order.nonce)
        return self.engine.state.get_order(order.account, slot).nonce == order.nonce

    def _is_makers(self, maker: Resting, taker: Resting, lots: int, code: Code) -> bool:
        """Whose fault a rejected TRADE is. A stale mark is nobody's: the taker waits, the makers stay."""
        state = self.engine.state
        if code in MAKER_CODES:
            return True
        if code == Code.EXPIRED:
            return maker.valid_until < self.engine.last_time or maker.valid_until < state.globals.clock
        if code == Code.GENERATION:
            return maker.generation != state.get_account(maker.account).generation
        if code not in MARGIN_CODES or code == Code.STALE:
            return False
        signed = lots if maker.is_buy else -lots
        trade = Trade(maker.account, 0, taker.account, 0, maker.series, signed, maker.price, 0)
        return margin.check(state, trade, True, self.rules)[1] != Code.OK

    def _record(self, maker: Resting, taker: Resting, lots: int) -> Fill:
        quote = self.engine.leap.rules.kernel.get_quote(maker.series, self.engine.state.markets)
        assert quote is not None, "the rules have just applied a trade in it"
        self.fills += 1
        fee = compute_fee(quote.slice.forward, maker.price, lots)
        parties = (maker.account, maker.nonce, taker.account, taker.nonce)
        return Fill(self.fills, self.engine.state.globals.clock, maker.series, maker.price, lots, taker.is_buy, *parties, fee)


def _refuse(code: Code) -> Refused:
    return Refused(code, REASONS[code])


def _build(event: OrderReceived) -> Resting:
    """With its row as it will be posted."""
    row = build_order(event.account, event.series, event.is_buy, event.price, event.lots, event.nonce, event.valid_until)
    return Resting(
        account=event.account,
        nonce=event.nonce,
        owner=event.signer,
        series=event.series,
        is_buy=event.is_buy,
        price=event.price,
        lots=event.lots,
        left=event.lots,
        generation=event.generation,
        valid_until=event.valid_until,
        row=row,
        signature=event.signature,
        created=event.now,
    )


def _is_crossing(is_buy: int, limit: int, price: int) -> bool:
    """Whether a taker with `limit` takes a maker at `price`."""
    return limit >= price if is_buy else limit <= price
