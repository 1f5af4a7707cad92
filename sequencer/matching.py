"""Price-time matching against the rules: each fill is applied as ORDER or COMBO or SHEET where it is not yet on the chain, then TRADE, at
once; and what the rules reject is nobody's fill.

A maker whose order cannot fill any more (expired, cancelled, out of margin, too far from the mark) leaves the book and the matching goes
on; a taker whose order cannot fill keeps what it has got and is told why the rest is refused. Two orders of one owner never meet: the
resting one leaves.
"""

from itertools import islice
from typing import Any, NamedTuple

from protocol.codes import Code
from protocol.margin import get_slice
from protocol.operations import build_trade
from protocol.orders import check_nonce
from protocol.quotes import get_quote_order
from protocol.rules import Rules
from protocol.sessions import cap_validity, may_register
from protocol.steps.order import check_terms
from protocol.types import FILL_OR_KILL, POST_ONLY
from sequencer.book import Book, OrderKey, Resting
from sequencer.crossing import compute_lots, is_crossing, is_makers_fault
from sequencer.engine import Applied, Engine, Row
from sequencer.events import (
    IMMEDIATE,
    Effect,
    Fill,
    Legs,
    OrderPlaced,
    OrderReceived,
    OrderRemoved,
    Publish,
    Refusal,
    Refused,
    Reply,
    RfqAnswered,
    RfqOpened,
    RfqReceived,
    SheetPlaced,
    SheetReceived,
    SheetRemoved,
)
from sequencer.orders import build_resting, check_form, decode_series, digest_order, is_plain
from sequencer.reasons import REASONS, refuse
from sequencer.rfqs import MAX_LIFE_S, Rfq, Rfqs
from sequencer.sheets import Sheet, Sheets, build_sheet_of
from sequencer.sheets import check_form as check_sheet_form

LOOK = 256  # resting orders that a fill-or-kill is held against
MAX_CROSSINGS = 256  # of one order with others, fills or not: who rests orders without margin pays nothing for the time that they take


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
        self.sheets = Sheets(book)
        self.rfqs = Rfqs()
        self.fills = 0
        self._signers = signers
        self._get_slot = rules.params.get_slot
        self._digests: dict[OrderKey, tuple[bytes, bytes]] = {}
        self._floors: dict[tuple[int, int], int] = {}  # (account, slot) -> highest nonce that was ever taken
        self._sheet_floors: dict[int, int] = {}  # account -> highest nonce of a sheet that was ever taken
        self._listed: set[tuple[int, int]] = set()  # (underlying, expiry)

    # -- the book

    def remove(self, key: OrderKey, code: int, reason: str) -> Publish:
        """Out of the book."""
        order = self.book.remove(key)
        self._forget(key)
        return Publish(OrderRemoved(order.account, order.nonce, order.place, order.legs, order.left, code, reason))

    def remove_sheet(self, account: int, code: int, reason: str) -> list[Effect]:
        """Nothing where there is none."""
        gone = self.sheets.remove(account)
        if gone is None:
            return []
        self._signers.pop((gone.digest, gone.signature), None)
        return [Publish(SheetRemoved(account, gone.nonce, code, reason))]

    def remove_expired(self, now: int) -> list[Effect]:
        """Orders, sheets and requests whose time is over."""
        self.rfqs.remove_expired(now)
        effects: list[Effect] = []
        for order in self.book.pop_expired(now):
            self._forget(order.key)
            gone = (order.account, order.nonce, order.place, order.legs, order.left)
            effects.append(Publish(OrderRemoved(*gone, Code.EXPIRED, REASONS[Code.EXPIRED])))
        late = [account for account, found in self.sheets.by_account.items() if found.valid_until < now]
        for account in late:
            effects += self.remove_sheet(account, Code.EXPIRED, REASONS[Code.EXPIRED])
        return effects

    def remove_dead(self) -> list[Effect]:
        """Orders and quotes whose account has cancelled, or was flagged, or whose series has been settled; all of a frozen exchange."""
        state, is_frozen = self.engine.state, bool(self.engine.state.globals.shutdown)
        dead = [
            order.key
            for account, orders in self.book.by_account.items()
            for order in orders.values()
            if is_frozen or order.generation != state.get_account(account).generation
        ]
        code = Code.FROZEN if is_frozen else Code.GENERATION
        reason = REASONS[code]
        effects: list[Effect] = [self.remove(key, code, reason) for key in dead]
        late = [
            account
            for account, found in self.sheets.by_account.items()
            if is_frozen or found.generation != state.get_account(account).generation
        ]
        for account in late:
            effects += self.remove_sheet(account, code, reason)
        return [*effects, *self._remove_unlisted()]

    def _remove_unlisted(self) -> list[Effect]:
        listed = {(of, item.expiry) for of, market in enumerate(self.engine.state.markets) for item in market.slices}
        has_lost, self._listed = not self._listed <= listed, listed
        if not has_lost:
            return []
        gone = [order.key for order in self.book.orders.values() if not self._is_listed(order.legs)]
        return [self.remove(key, Code.SERIES, REASONS[Code.SERIES]) for key in gone]

    def follow_trades(self) -> None:
        """Trades that are not ours were forced in, or posted by somebody else: no order or quote has more left here than on the chain."""
        for order in list(self.book.orders.values()):
            surplus = order.left - self._count_left(order) if order.key in self.book.orders else 0
            if surplus > 0:
                self._fill_maker(order, surplus)

    def _count_left(self, order: Resting) -> int:
        """By the state; all that it has here while it is not registered."""
        slot = self._get_slot(order.nonce)
        if not self._is_registered(order):
            return order.left
        page = self.engine.state.get_page(order.account, slot)
        on_chain = get_quote_order(page, order.place) if order.place else self.engine.state.get_order(order.account, slot)
        return on_chain.lots - on_chain.filled

    def build_fill(self, applied: Applied) -> Fill:
        """Of a TRADE that is not ours."""
        self.fills += 1
        _, maker, _, taker, _, lots = applied.items
        made = applied.made
        parties = (maker, made.nonce, taker, applied.taker_nonce)
        return Fill(self.fills, applied.time, made.legs, made.price, lots, 1 - made.is_buy, *parties, applied.fee)

    def _forget(self, key: OrderKey) -> None:
        pair = self._digests.pop(key, None)
        if pair is not None:
            self._signers.pop(pair, None)

    def _is_listed(self, legs: Legs, now: int = 0) -> bool:
        """Every leg's slice is there, and at `now` not expired."""
        for leg in legs:
            underlying, expiry, _, _ = decode_series(leg >> 32)
            if now >= expiry or get_slice(self.engine.state.markets[underlying], expiry) is None:
                return False
        return True

    # -- memory

    def get_floor(self, account: int, slot: int) -> int:
        """A new nonce of the slot must be above it."""
        return max(self._floors.get((account, slot), 0), self.engine.state.get_slot_nonce(account, slot))

    def dump_memory(self) -> tuple[Any, ...]:
        """For a snapshot, beside the orders: they come before."""
        sheets = [tuple(getattr(found, name) for name in Sheet.__dataclass_fields__) for found in self.sheets.by_account.values()]
        rfqs = [tuple(getattr(rfq, name) for name in Rfq.__dataclass_fields__) for rfq in self.rfqs.open.values()]
        floors = [(account, slot, nonce) for (account, slot), nonce in self._floors.items()]
        return floors, list(self._sheet_floors.items()), sheets, self.rfqs.last, rfqs

    def load_memory(self, memory: tuple[Any, ...]) -> None:
        """From a snapshot."""
        floors, sheet_floors, sheets, self.rfqs.last, rfqs = memory
        self._floors.update({(account, slot): nonce for account, slot, nonce in floors})
        self._sheet_floors.update(sheet_floors)
        self._listed = {(of, item.expiry) for of, market in enumerate(self.engine.state.markets) for item in market.slices}
        for fields in sheets:
            found = Sheet(*fields)
            found.left = list(found.left)
            self.sheets.by_account[found.account] = found
        self.rfqs.open.update({fields[0]: Rfq(*fields) for fields in rfqs})

    # -- orders

    def place(self, event: OrderReceived) -> list[Effect]:
        """Checks, matches, rests; the reply comes first."""
        refused = self._check(event)
        if refused is not None:
            return [Reply(event.request, refused)]
        account = self.engine.state.get_account(event.account)
        rfq = self.rfqs.open.get(event.rfq)
        valid_until = cap_validity(account, event.signer, event.valid_until)
        taker = build_resting(event, account.owner, valid_until if rfq is None else min(valid_until, rfq.valid_until))
        pair = self._digests[taker.key] = digest_order(self.rules.domain, event), event.signature
        self._signers[pair] = event.signer  # so that the rules need not recover it again
        code: int = self._check_terms(event, taker)
        if code != Code.OK:
            self._forget(taker.key)
            return [Reply(event.request, refuse(code))]
        place = event.account, self._get_slot(event.nonce)
        floor, self._floors[place] = self._floors.get(place), event.nonce
        if rfq is not None and rfq.account != event.account:
            return self._answer(event, taker, rfq)
        effects: list[Effect] = []
        fills, code = self._match(event.now, taker, effects)
        if taker.left and code == Code.OK and not self._is_immediate(event):
            self.book.add(taker)
        else:
            self._forget(taker.key)
            if taker.left and code == Code.OK and taker.flags & FILL_OR_KILL:
                code = Code.FILL_OR_KILL
        if code != Code.OK and not fills and not effects:
            if floor is None:
                del self._floors[place]
            else:
                self._floors[place] = floor
            return [Reply(event.request, refuse(code))]
        return [_build_reply(event, taker, fills, code, taker.key in self.book.orders), *(Publish(fill) for fill in fills), *effects]

    @staticmethod
    def _is_immediate(event: OrderReceived) -> bool:
        return bool(event.options & IMMEDIATE or event.flags & FILL_OR_KILL or event.rfq)

    def _answer(self, event: OrderReceived, order: Resting, rfq: Rfq) -> list[Effect]:
        """Waits for the one who asked."""
        self.book.add(order)
        answered = RfqAnswered(rfq.number, rfq.account, order.account, order.nonce, order.is_buy, order.price, order.lots)
        return [_build_reply(event, order, [], Code.OK, True), Publish(answered)]

    def _check(self, event: OrderReceived) -> Refused | None:
        """Who and what, before there is a row."""
        code = check_form(event) or self._check_signer(event)
        if code != Code.OK:
            return refuse(code)
        if event.rfq:
            rfq = self.rfqs.open.get(event.rfq)
            if rfq is None or rfq.valid_until < event.now:
                return Refused(Refusal.NOT_FOUND, "no such request for quotes is open")
            if rfq.legs != event.legs:
                return refuse(Code.SERIES)
        return self._check_slot(event.account, event.nonce)

    def _check_signer(self, event: OrderReceived | SheetReceived) -> Code:
        state = self.engine.state
        if event.account >= state.globals.accounts:
            return Code.ACCOUNT
        if state.globals.shutdown:
            return Code.FROZEN
        account = state.get_account(event.account)
        if event.generation != account.generation:
            return Code.GENERATION
        last = state.get_slot_nonce(event.account, self._get_slot(event.nonce))
        is_signed = may_register(account, event.signer, event.nonce, last, self._get_time(event.now))
        return Code.OK if is_signed else Code.SIGNATURE

    def _check_slot(self, account: int, nonce: int) -> Refused | None:
        """Nonces of a slot only ascend, so whatever rests in it is the highest."""
        if (account, self._floors.get((account, self._get_slot(nonce)), -1), 0) in self.book.orders:
            slots = self.rules.params.order_slots
            return Refused(Refusal.SLOT_BUSY, f"an order with the same nonce modulo {slots} rests: cancel it first, or use another nonce")
        return None

    def _get_time(self, now: int) -> int:
        """What the clock will be at least, when the rules apply what came at `now`."""
        return max(now, self.engine.last_time, self.engine.state.globals.clock)

    def _check_terms(self, event: OrderReceived, order: Resting) -> Code:
        """All that can be known before it fills. Margin is checked by the rules, at each fill."""
        now = self._get_time(event.now)
        last = self.get_floor(event.account, self._get_slot(event.nonce))
        if is_plain(event.legs):
            code = check_terms(order.row, now, last)
        else:
            code = check_nonce(event.nonce, last) or self.engine.try_row(now, Row(order.row, order.signature))
        if code != Code.OK:
            return code
        if not self._is_listed(event.legs, now):
            return Code.SERIES
        return self._check_post_only(order) if event.flags & POST_ONLY and not event.rfq else Code.OK

    def _check_post_only(self, order: Resting) -> Code:
        best = self.book.get_best(order.legs, 1 - order.is_buy)
        return Code.POST_ONLY if best is not None and is_crossing(order.is_buy, order.price, best.price) else Code.OK

    # -- sheets of quotes, and requests for quotes

    def quote(self, event: SheetReceived) -> list[Effect]:
        """In the place of the account's older sheet; the reply comes first."""
        refused = self._check_sheet(event)
        if refused is not None:
            return [Reply(event.request, refused)]
        account = self.engine.state.get_account(event.account)
        found = build_sheet_of(event, self.rules.domain, cap_validity(account, event.signer, event.valid_until))
        now, old = self._get_time(event.now), self.sheets.by_account.get(event.account)
        self._signers[found.digest, found.signature] = event.signer
        code = self._check_pages(found, now)
        if code != Code.OK:
            if old is None or old.digest != found.digest:
                del self._signers[found.digest, found.signature]
            return [Reply(event.request, refuse(code))]
        self.remove_sheet(event.account, Code.SHEET, "")
        self._sheet_floors[event.account] = event.nonce + len(found.pages) - 1
        for page in range(len(found.pages)):
            self._floors[event.account, self._get_slot(event.nonce + page)] = event.nonce + page

        def check(side: Resting) -> Code:
            return self._check_post_only(side) if self._is_listed(side.legs, now) else Code.SERIES

        count, dropped = self.sheets.place(found, account.owner, event.now, check)
        return [Reply(event.request, SheetPlaced(event.account, event.nonce, count, dropped))]

    def _check_pages(self, found: Sheet, now: int) -> Code:
        for page in range(len(found.pages)):
            nonce = found.nonce + page
            code = check_nonce(nonce, self.get_floor(found.account, self._get_slot(nonce)))
            code = code or self.engine.try_row(now, Row(found.build_row(page), found.signature))
            if code != Code.OK:
                return code
        return Code.OK

    def _check_sheet(self, event: SheetReceived) -> Refused | None:
        code = check_sheet_form(event) or self._check_signer(event)
        if code == Code.OK and len(event.pages) > self.rules.params.order_slots:
            code = Code.NONCE  # two pages would be in one slot
        code = code or check_nonce(event.nonce, self._sheet_floors.get(event.account, 0))
        if code != Code.OK:
            return refuse(code)
        busy = [self._check_slot(event.account, event.nonce + page) for page in range(len(event.pages))]
        return next((refused for refused in busy if refused is not None), None)

    def ask(self, event: RfqReceived) -> list[Effect]:
        """Tells the makers."""
        if event.account >= self.engine.state.globals.accounts:
            return [Reply(event.request, refuse(Code.ACCOUNT))]
        if self.engine.state.globals.shutdown:
            return [Reply(event.request, refuse(Code.FROZEN))]
        if not self._is_listed(event.legs, self._get_time(event.now)):
            return [Reply(event.request, refuse(Code.SERIES))]
        if not event.now <= event.valid_until <= event.now + MAX_LIFE_S:
            return [Reply(event.request, Refused(Code.EXPIRED, f"a request for quotes is open for at most {MAX_LIFE_S} s"))]
        if not event.lots:
            return [Reply(event.request, refuse(Code.LOTS))]
        rfq = self.rfqs.add(event.account, event.legs, event.lots, event.valid_until)
        if rfq is None:
            return [Reply(event.request, Refused(Refusal.TOO_MANY, "too many requests for quotes are open"))]
        opened = RfqOpened(rfq.number, rfq.account, rfq.legs, rfq.lots, rfq.valid_until)
        return [Reply(event.request, opened), Publish(opened)]

    # -- matching

    def _match(self, now: int, taker: Resting, effects: list[Effect]) -> tuple[list[Fill], Code | Refusal]:
        """Fills, and the code for which the rest of the taker's order is refused."""
        fills: list[Fill] = []
        while taker.left:
            if len(fills) + len(effects) >= MAX_CROSSINGS:
                return fills, Refusal.TOO_MANY
            maker = self._find_maker(taker)
            if maker is None:
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

    def _find_maker(self, taker: Resting) -> Resting | None:
        """The best order that the taker's reaches; where one of the two fills whole or not at all, the best with which that can be."""
        side = 1 - taker.is_buy
        best = self.book.get_best(taker.legs, side, taker.rfq)
        if best is None or not is_crossing(taker.is_buy, taker.price, best.price):
            return None
        if not (taker.flags & FILL_OR_KILL or taker.rfq):
            return best
        for maker in islice(self.book.list_side(taker.legs, side, taker.rfq), LOOK):
            if not is_crossing(taker.is_buy, taker.price, maker.price):
                return None
            is_whole = not taker.flags & FILL_OR_KILL or maker.left >= taker.left
            if is_whole and (not maker.flags & FILL_OR_KILL or maker.left <= taker.left):
                return maker
        return None

    def _cross(self, now: int, maker: Resting, taker: Resting) -> Match:
        lots, code, is_makers = compute_lots(self.engine.state, maker, taker)
        if lots == 0:
            return Match(None, code, is_makers)
        orders = [order for order in (maker, taker) if not self._is_registered(order)]
        maker_slot = self._get_slot(maker.nonce) | maker.place << self.rules.params.slot_depth
        trade = build_trade(maker.account, maker_slot, taker.account, self._get_slot(taker.nonce), lots)
        code, at = self.engine.apply_group(now, [*map(self._get_row, orders), Row(trade)])
        if code == Code.OK:
            fill = self._record(maker, taker, lots)
            self._fill_maker(maker, lots)
            taker.left -= lots
            return Match(fill, code, False)
        if at < len(orders):
            return Match(None, code, code not in (Code.ALLOWANCE, Code.FROZEN) and orders[at] is maker)
        clock = max(self.engine.last_time, self.engine.state.globals.clock)
        return Match(None, code, is_makers_fault(self.engine.state, clock, self.rules, maker, taker, lots, code))

    def _get_row(self, order: Resting) -> Row:
        """By which the order comes onto the chain."""
        if not order.place:
            return Row(order.row, order.signature)
        found, page = self.sheets.get(order)
        return Row(found.build_row(page), found.signature)

    def _fill_maker(self, maker: Resting, lots: int) -> None:
        if maker.place:
            self.sheets.fill(maker, lots)
            return
        self.book.fill(maker, lots)
        if maker.left == 0:
            self._forget(maker.key)

    def _is_registered(self, order: Resting) -> bool:
        return self.engine.state.get_slot_nonce(order.account, self._get_slot(order.nonce)) == order.nonce

    def _record(self, maker: Resting, taker: Resting, lots: int) -> Fill:
        self.fills += 1
        g = self.engine.state.globals
        parties = (maker.account, maker.nonce, taker.account, taker.nonce)
        return Fill(self.fills, g.clock, maker.legs, maker.price, lots, taker.is_buy, *parties, self.engine.fee)


def _build_reply(event: OrderReceived, order: Resting, fills: list[Fill], code: int, is_resting: bool) -> Reply:
    reason = REASONS[code] if code else "" if is_resting or not order.left else "immediate or cancel"
    left = order.left if is_resting else 0
    key = (event.account, event.nonce, event.legs, event.is_buy, event.price, event.lots)
    return Reply(event.request, OrderPlaced(*key, left, tuple(fills), code, reason))
