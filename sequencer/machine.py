"""The sequencer as a pure machine: `apply(event) -> effects`. Deterministic: the journal's events give the same state, batches and answers.

Three things are kept apart. The *engine* has the state with every operation that was taken. The *chain* is the batches since a copy of the
state to rebuild from: landed ones, then those on their way. L1 has the last word: when a batch is lost, or one lands that is not ours, the
state is rebuilt from what landed, and the other operations are applied anew in new batches; what a rule now forbids lapses, and is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.codec.frames import Batch, compute_record
from protocol.codec.rows import MAX_ITEM_BYTES, MAX_ITEMS
from protocol.codes import Code
from protocol.margin import get_slice
from protocol.operations import Kind, build_settle, get_layout
from protocol.rules import Rules
from protocol.signing import get_signer
from protocol.state import State
from protocol.steps.settle import round_price
from protocol.types import INBOX_AUTHORITY, Market, Phase, Record
from sequencer.book import Book
from sequencer.chain import Base, Entry, Fault, Status, extend_chain, hash_frames, is_same_call
from sequencer.engine import Applied, Closed, Engine, Limits, Row
from sequencer.events import (
    AuctionTaken,
    BatchClosed,
    BatchLanded,
    BatchLost,
    BlockSeen,
    Cancelled,
    CancelReceived,
    ClockElapsed,
    Effect,
    Event,
    L1Undone,
    Lapsed,
    ListingSettled,
    MarkApplied,
    MessagesQueued,
    OrderReceived,
    Persist,
    PostBatch,
    Publish,
    Refusal,
    Refused,
    Reply,
    RfqReceived,
    RowApplied,
    RowReceived,
    SheetReceived,
)
from sequencer.journal import encode_event
from sequencer.matching import Matcher
from sequencer.reasons import refuse

# Events that are not kept if they changed nothing: a stranger must not fill the disk with refused orders.
PASSING = (OrderReceived, SheetReceived, RfqReceived, RowReceived, CancelReceived, ClockElapsed)
FREE = (Kind.CANCEL, Kind.WITHDRAW, Kind.AUTHORIZE, Kind.POOL)  # they cost their signer nothing, and the sequencer calldata
MAX_FREE = 16  # of one account in a batch
QUOTING = (OrderReceived, SheetReceived, RfqReceived)  # one of these that closes no batch changes nothing of what is on its way


@dataclass
class Settings:
    """`window_s` is the inbox's: how old a header may be. A batch is given up `margin_s` before."""

    limits: Limits = field(default_factory=Limits)
    window_s: int = 600
    margin_s: int = 60


class Machine:
    """`apply` is the only door for what changes; everything else reads."""

    def __init__(self, rules: Rules, settings: Settings, state: State | None = None) -> None:
        self.rules = rules
        self.settings = settings
        self._signers: dict[tuple[bytes, bytes], int] = {}
        state = State(rules.params) if state is None else state
        self.base = Base(state.copy())
        self.engine = Engine(state, rules, settings.limits, self._get_signer)
        self.book = Book()
        self.matcher = Matcher(self.engine, self.book, rules, self._signers)
        self.chain: list[Entry] = []
        self.next_entry = 1
        self.head_time = 0
        self.head_number = 0
        self.is_dirty = False  # the state is built on a batch that will not be on L1
        self.is_shut = False  # by L1, which takes no batch of ours any more
        self._effects: list[Effect] = []

    def _get_signer(self, digest: bytes, signature: bytes | None) -> int:
        """A pair that a worker has verified, or by our own recovery."""
        found = None if signature is None else self._signers.get((digest, signature))
        return get_signer(digest, signature) if found is None else found

    # -- reads

    @property
    def state(self) -> State:
        """With every operation taken so far, landed or not."""
        return self.engine.state

    @property
    def landed(self) -> int:
        """Batches that are on L1 as far as we were told: the number of the next one."""
        return self.base.batches + sum(entry.status == Status.LANDED for entry in self.chain)

    @property
    def queued(self) -> int:
        """Forced messages that we know: the number of the next one."""
        return max(self.engine.queue, default=self.base.consumed - 1) + 1

    def is_own(self, record: Record) -> bool:
        """Whether the record is the next batch of ours."""
        entry = self._get_next()
        return entry is not None and self._compute_record(entry) == record

    def get_record(self, number: int) -> Record | None:
        """Of a landed batch that is kept, by its number on L1."""
        return next((entry.record for entry in self.chain if entry.record is not None and entry.record.number == number), None)

    def get_posts(self) -> list[PostBatch]:
        """Batches on their way: after a restart they are given to the sender again, which knows them by name."""
        return [self._build_post(entry) for entry in self.chain if entry.status == Status.POSTED]

    def _get_next(self) -> Entry | None:
        return next((entry for entry in self.chain if entry.status != Status.LANDED), None)

    @property
    def pending(self) -> int:
        """Batches that are closed, and not on L1."""
        return sum(entry.record is None for entry in self.chain)

    def _compute_record(self, entry: Entry) -> Record:
        c = entry.content
        return compute_record(self.landed, c.first, c.last, c.message_start, c.messages, c.frames)

    # -- events

    def apply(self, event: Event) -> list[Effect]:
        """Effects in order; `Persist` first, where there is something to keep."""
        self._effects = []
        changes, markets = self.engine.changes, self.state.markets
        match event:
            case OrderReceived() | SheetReceived() | RfqReceived() | RowReceived() if self.is_shut:
                self._effects.append(Reply(event.request, refuse(Code.FROZEN)))
            case OrderReceived():
                self._effects += self.matcher.place(event)
            case SheetReceived():
                self._effects += self.matcher.quote(event)
            case RfqReceived():
                self._effects += self.matcher.ask(event)
            case RowReceived():
                self._apply_row(event)
            case CancelReceived():
                self._apply_cancel(event)
            case MessagesQueued():
                self._apply_messages(event)
            case ClockElapsed(now):
                self._apply_clock(now)
            case BlockSeen():
                self.head_time, self.head_number = event.time, event.number
                self._check_window()
            case BatchLanded():
                self._apply_landed(event)
            case BatchLost():
                self._apply_lost(event)
            case L1Undone():
                self._apply_undone(event)
        if self.engine.forced:
            self._take_forced(markets)
        self._advance(event)
        effects, self._effects = self._effects, []
        is_idle = self.engine.changes == changes and self._is_refusal(effects)
        return effects if is_idle and isinstance(event, PASSING) else [Persist(encode_event(event)), *effects]

    @staticmethod
    def _is_refusal(effects: Sequence[Effect]) -> bool:
        """Nothing, or nothing but one refusal."""
        return not effects or (len(effects) == 1 and isinstance(effects[0], Reply) and isinstance(effects[0].result, Refused))

    def _apply_row(self, event: RowReceived) -> None:
        items = event.items
        if len(items) > MAX_ITEMS or any(not 0 <= item < 1 << 8 * MAX_ITEM_BYTES for item in items):
            self._effects.append(Reply(event.request, refuse(Code.MALFORMED)))
            return
        if event.must_apply and self._is_flood(items):
            self._effects.append(Reply(event.request, Refused(Refusal.TOO_MANY, "too many operations of this account in one batch: later")))
            return
        markets = self.state.markets
        code, _ = self.engine.apply_group(event.now, [Row(items, event.signatures)], event.must_apply, _get_mark_time(items))
        if code != Code.OK and event.must_apply:
            self._effects.append(Reply(event.request, refuse(code)))
            return
        self._effects.append(Reply(event.request, RowApplied(code, self.next_entry)))
        if code == Code.OK:
            self._effects += self.matcher.remove_dead()
            self._tell(self.engine.describe(items, self.engine.fee), markets)

    def _is_flood(self, items: tuple[int, ...]) -> bool:
        """Of what is posted free of charge, an account has its share of the open batch already."""
        if len(items) < 2 or items[0] & 15 not in FREE:
            return False
        own = [row for row in self.engine.list_open() if row.items[1:2] == items[1:2] and row.items[0] & 15 in FREE]
        return len(own) >= MAX_FREE

    def _tell(self, applied: Applied, markets: Sequence[Market]) -> None:
        """What others want to know of a row. `markets` are from before: what was settled is not in them any more."""
        items = applied.items
        match items[0] & 15:
            case Kind.MARK:
                self._effects.append(Publish(MarkApplied(items[1], items[3])))
            case Kind.SETTLE:
                item = get_slice(markets[items[1]], items[2])
                price = items[3] or (round_price(item.close or item.forward) if item else 0)
                self._effects.append(Publish(ListingSettled(items[1], items[2], price)))
            case Kind.BID:
                self._effects.append(Publish(AuctionTaken(items[1], items[2], items[3])))
            case Kind.TRADE:
                self._effects.append(Publish(self.matcher.build_fill(applied)))
                self.matcher.follow_trades()

    def _apply_cancel(self, event: CancelReceived) -> None:
        own = self.book.by_account.get(event.account, {})
        nonces = [nonce for nonce in (event.nonces or tuple(own)) if nonce in own]
        if event.nonces and not nonces:
            self._effects.append(Reply(event.request, Refused(Refusal.NOT_FOUND, "no such order rests")))
            return
        quotes = [] if event.nonces else self.matcher.remove_sheet(event.account, 0, "cancelled")
        self._effects.append(Reply(event.request, Cancelled(tuple(nonces), bool(quotes))))
        self._effects += [self.matcher.remove((event.account, nonce, 0), 0, "cancelled") for nonce in nonces]
        self._effects += quotes

    def _apply_messages(self, event: MessagesQueued) -> None:
        known = self.queued
        if event.start > known:
            raise Fault(f"messages {known} to {event.start} were never told")
        for at, message in enumerate(event.messages, start=event.start):
            if self.engine.queue.setdefault(at, message) != message and at >= self.base.consumed:
                raise Fault(f"message {at} has changed without being undone")
        self.check_shut()
        self.engine.consume(event.now)

    def check_shut(self) -> None:
        """Once L1's own message says so, nothing of ours lands: what is not on L1 lapses, and what comes is the queue that others post."""
        was, queue = self.is_shut, self.engine.queue.values()
        self.is_shut = bool(self.base.state.globals.shutdown) or any(message.authority == INBOX_AUTHORITY for message in queue)
        self.is_dirty |= self.is_shut and not was

    def _take_forced(self, markets: Sequence[Market]) -> None:
        """What L1 forced in may have cancelled orders, and others want to know of it."""
        forced, self.engine.forced = self.engine.forced, []
        self._effects += self.matcher.remove_dead()
        for applied in forced:
            self._tell(applied, markets)

    def _apply_clock(self, now: int) -> None:
        self._effects += self.matcher.remove_expired(now)
        self.engine.consume(now)
        for due, items in self._list_due():
            markets = self.state.markets
            if now >= due and self.engine.apply_group(now, [Row(items)], not_before=due)[0] == Code.OK:
                self._effects += self.matcher.remove_dead()
                self._tell(Applied(items), markets)

    def _list_due(self) -> list[tuple[int, tuple[int, ...]]]:
        """What anyone may post from a time on, and we do while L1 takes it: the settlement that the oracles never signed."""
        params = self.rules.params
        return (
            []
            if self.is_shut
            else [
                (item.expiry + (params.settle_first_s if item.close else params.settle_last_s), build_settle(of, item.expiry, 0, True))
                for of, market in enumerate(self.state.markets)
                for item in market.slices
            ]
        )

    # -- batches

    def _advance(self, event: Event) -> None:
        """Closes what is due, rebuilds what must be, posts what may go."""
        batch, now = self.engine.batch, event.now
        if batch is not None and now - batch.opened >= self.settings.limits.interval_s:
            self.engine.close_batch()
        if isinstance(event, QUOTING) and not self.engine.closed and not self.is_dirty:
            return
        self._take_closed()
        if self.is_dirty and not any(entry.status == Status.POSTED for entry in self.chain):
            self._rebuild(now)
            self._take_closed()
        self._post()

    def _take_closed(self) -> None:
        closed, self.engine.closed = self.engine.closed, []
        for content, checkpoint in closed:
            entry = Entry(self.next_entry, content, checkpoint=checkpoint)
            self.next_entry += 1
            self.chain.append(entry)
            self._publish_closed(entry)

    def _publish_closed(self, entry: Entry) -> None:
        c = entry.content
        self._effects.append(Publish(BatchClosed(entry.number, c.first, c.last, len(c.messages), len(c.frames), c.size)))

    def _post(self) -> None:
        """In order, a few at a time, and only when L1's clock has reached the header's last time."""
        if self.is_dirty or self.is_shut:
            return
        flying = sum(entry.status == Status.POSTED for entry in self.chain)
        for place, entry in enumerate(self.chain, start=self.base.batches):
            if entry.status == Status.WAITING:
                if flying >= self.settings.limits.in_flight or entry.content.last > self.head_time:
                    return
                entry.status = Status.POSTED
                entry.attempt += 1
                entry.place = place
                flying += 1
                self._effects.append(self._build_post(entry))

    @staticmethod
    def _build_post(entry: Entry) -> PostBatch:
        c = entry.content
        return PostBatch(entry.number, entry.attempt, entry.place, c.first, c.last, len(c.messages), c.frames)

    def _check_window(self) -> None:
        """A batch that L1 would refuse as too old by the time it lands is not posted any more."""
        oldest = self.head_time - self.settings.window_s + self.settings.margin_s
        waiting = [entry.content.first for entry in self.chain if entry.status == Status.WAITING]
        if self.engine.batch is not None:
            waiting.append(self.engine.batch.opened)
        if not self.is_shut and min(waiting, default=oldest) < oldest:
            self.is_dirty = True

    def _apply_landed(self, event: BatchLanded) -> None:
        if event.record.number != self.landed:
            raise Fault(f"batch {event.record.number} landed, {self.landed} was next")
        entry = self._get_next()
        if entry is not None and self._compute_record(entry) == event.record:
            entry.status, entry.record = Status.LANDED, event.record
        elif event.batch is None:
            raise Fault("a batch that is not ours came without its content")
        else:
            self._apply_foreign(event.batch)
        self._effects.append(Publish(event))
        self._move_base()

    def _apply_foreign(self, batch: Batch) -> None:
        """Straight onto the state if nothing of ours is pending; else the state is rebuilt once nothing is in flight. A batch of ours that
        landed elsewhere than foreseen is recognized by its frames, and not applied again."""
        frames = hash_frames(batch.frames)
        at = sum(entry.status == Status.LANDED for entry in self.chain)
        r = batch.record
        content = Closed(r.first, r.last, r.message_start, batch.messages, batch.frames, (), 0)
        entry = Entry(0, content, Status.LANDED, record=r)
        if len(self.chain) == at and self.engine.batch is None:
            self.engine.apply_batch(batch)
            self._effects += self.matcher.remove_dead()
            self.matcher.follow_trades()
            if r.number % self.settings.limits.checkpoint == 0:
                entry.checkpoint = self.state.copy()
        else:
            self.is_dirty = True
            same = [own for own in self.chain[at:] if hash_frames(own.content.frames) == frames and (batch.frames or is_same_call(own, r))]
            if same:
                self.chain.remove(same[0])
        self.chain.insert(at, entry)

    def _move_base(self) -> None:
        """To the newest landed checkpoint but one: an ordinary reorganisation stays above it."""
        marks = [at for at, entry in enumerate(self.chain) if entry.status == Status.LANDED and entry.checkpoint is not None]
        if len(marks) < 2:
            return
        place = marks[-2]
        gone, self.chain = self.chain[: place + 1], self.chain[place + 1 :]
        chain = self.base.chain
        for entry in gone:
            assert entry.record is not None
            chain = extend_chain(chain, entry.record)
        last = gone[-1]
        assert last.checkpoint is not None
        assert last.record is not None
        consumed = last.record.message_start + last.record.message_count
        self.base = Base(last.checkpoint, self.base.batches + len(gone), consumed, last.record.last, chain)
        for number in [number for number in self.engine.queue if number < consumed]:
            del self.engine.queue[number]

    def _apply_lost(self, event: BatchLost) -> None:
        entry = next((entry for entry in self.chain if entry.number == event.entry and entry.status == Status.POSTED), None)
        if entry is None:
            return
        if event.is_reverted or entry.content.first + self.settings.window_s - self.settings.margin_s < self.head_time:
            entry.status = Status.LOST
            self.is_dirty = True
        else:
            entry.status = Status.WAITING  # the same bytes again

    def _apply_undone(self, event: L1Undone) -> None:
        """Batches of ours go on their way again; a foreign one that is gone, or a message, makes everything behind it be rebuilt."""
        if event.batches < self.base.batches or event.messages < self.base.consumed:
            raise Fault("a reorganisation below what is kept to rebuild from")
        for entry in [entry for entry in self.chain if entry.record is not None and entry.record.number >= event.batches]:
            if entry.number == 0:
                self.chain.remove(entry)
                self.is_dirty = True
            else:
                entry.status, entry.record = Status.WAITING, None
        for number in [number for number in self.engine.queue if number >= event.messages]:
            del self.engine.queue[number]
        self.check_shut()
        if self.engine.consumed > event.messages:
            self.is_dirty = True

    def _rebuild(self, now: int) -> None:
        """The state from what landed, then every other operation again in the order in which it was taken."""
        self.engine.close_batch()
        self._take_closed()
        landed = [entry for entry in self.chain if entry.status == Status.LANDED]
        rows = [row for entry in self.chain if entry.status != Status.LANDED for row in entry.content.rows]
        engine = self.engine.fork(self.base.state.copy(), self.base.consumed, self.base.last_time)
        for entry in landed:
            assert entry.record is not None
            engine.apply_batch(Batch(entry.record, entry.content.messages, entry.content.frames))
            entry.checkpoint = None
        self.chain = landed
        engine.changes = self.engine.changes + 1
        self.engine = self.matcher.engine = engine
        self.is_dirty = False
        engine.consume(now)
        engine.forced.clear()  # most of it was told before
        for row in rows:
            code = Code.FROZEN if self.is_shut else engine.apply_group(now, [row], True, _get_mark_time(row.items))[0]
            if code != Code.OK:
                self._effects.append(Publish(Lapsed(row.items, code)))
        self._effects += self.matcher.remove_dead()
        self.matcher.follow_trades()


def _get_mark_time(items: tuple[int, ...]) -> int:
    """A MARK may not be ahead of its frame's time."""
    layout = get_layout(items)
    return items[3] if layout is not None and layout.phase == Phase.MARK else 0


def build_settings(rules: Rules, limits: Limits | None = None) -> Settings:
    """What the deployment's parameters imply."""
    window = rules.params.header_window_s
    return Settings(limits or Limits(), window, min(60, window // 4))
