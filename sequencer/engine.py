"""Operations on the sequencer's state, gathered into frames and batches. Pure.

What is applied here and what L1 will be given must be the same, so nothing may touch the state that is not in a frame: an operation that
the rules reject is rolled back to the last word (rejected rows cost step allowance, a frame that is opened moves the clock), and it is not
posted. The leap sees rejected signatures too; frames hold only those of the rows that are kept. Both lists are consistent with their rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from protocol.codec.frames import HEAD_BYTES, MAX_FRAMES, MAX_MESSAGES, MAX_SIGNATURES, SIGNATURE_BYTES, Batch, Frame, Message
from protocol.codec.inflate import MAX_ROWS_BYTES, decode_frame, encode_frame
from protocol.codec.rows import decode_row, encode_row
from protocol.codes import Code
from protocol.leap import Leap
from protocol.operations import Kind, Layout, count_signatures, get_layout
from protocol.quotes import get_quote_order
from protocol.rules import Rules
from protocol.signing import get_signer
from protocol.state import EMPTY_ORDER, State
from protocol.types import Account, Globals, Order, Page, Phase

STORED_BYTES = 5  # a frame that does not compress grows by a block header
POST_BYTES = 132  # selector and arguments of the call
BLANK = b"\x00" * SIGNATURE_BYTES
SLOT_ITEMS = {Phase.ORDER: 7, Phase.COMBO: 4, Phase.SHEET: 2}  # where the nonce stands that names an order slot
GetSigner = Callable[[bytes, bytes | None], int]


@dataclass(frozen=True)
class Limits:
    """Of batches. Times in chain seconds."""

    interval_s: int = 5  # from a batch's first operation to its close
    frame_s: int = 1  # a frame's rows share one time; a later operation opens another
    calldata_bytes: int = 120_000
    in_flight: int = 4  # batches posted and not yet landed
    checkpoint: int = 16  # batches between copies of the state to rebuild from
    frames: int = MAX_FRAMES


class Undo(NamedTuple):
    """What an operation that registers something in an order slot found there. Only a SHEET changes the account itself."""

    account: int
    slot: int
    entry: Order | Page
    before: Account | None


class Applied(NamedTuple):
    """A row that is not the matcher's. Of a TRADE with the maker's order after it, the taker's nonce, the clock and the fee."""

    items: tuple[int, ...]
    made: Order = EMPTY_ORDER
    taker_nonce: int = 0
    time: int = 0
    fee: int = 0


class Row(NamedTuple):
    """An operation with the signatures that it requires."""

    items: tuple[int, ...]
    signatures: bytes = b""


@dataclass
class OpenFrame:
    """`before` are the globals before its opening moved the clock."""

    time: int
    before: Globals
    rows: bytearray = field(default_factory=bytearray)
    signatures: bytearray = field(default_factory=bytearray)
    kept: list[Row] = field(default_factory=list)

    @property
    def bound(self) -> int:
        """At most so many bytes of calldata."""
        return HEAD_BYTES + STORED_BYTES + len(self.rows) + len(self.signatures)


@dataclass
class OpenBatch:
    """Messages first, then frames. `messages` starts at `message_start` of the queue."""

    opened: int
    message_start: int
    messages: list[Message] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)  # of the closed frames
    size: int = POST_BYTES


class Closed(NamedTuple):
    """A batch whose content is fixed."""

    first: int
    last: int
    message_start: int
    messages: tuple[Message, ...]
    frames: tuple[Frame, ...]
    rows: tuple[Row, ...]
    size: int


def fit_signatures(row: Row, layout: Layout | None, rules: Rules) -> Row:
    """Cut or filled up with blanks, so that the next row's signatures stay in place."""
    wanted = 0 if layout is None else count_signatures(layout, row.items[0], rules.params.quorum) * SIGNATURE_BYTES
    return row if len(row.signatures) == wanted else Row(row.items, (row.signatures + BLANK * (wanted // SIGNATURE_BYTES))[:wanted])


class Engine:
    """Owns the state."""

    def __init__(self, state: State, rules: Rules, limits: Limits, get_signer: GetSigner = get_signer) -> None:
        self.rules = rules
        self.limits = limits
        self._get_signer = get_signer
        self.leap = Leap(state, rules, get_signer)
        self.state = state  # as of the last operation
        self.queue: dict[int, Message] = {}  # confirmed messages by number
        self.consumed = 0  # messages that batches have taken, landed or not
        self.last_time = 0  # where the newest batch or frame begins
        self.batch: OpenBatch | None = None
        self.frame: OpenFrame | None = None
        self.closed: list[tuple[Closed, State | None]] = []  # to be taken by the machine; now and then with a copy of the state after it
        self.forced: list[Applied] = []  # rows of messages that applied, to be taken by the machine
        self.fee = 0  # what the last group paid
        self.changes = 0  # grows with everything that is not rolled back
        self.unmarked = 0  # batches since the last copy

    # -- batches

    def consume(self, now: int) -> None:
        """Confirmed messages go first: into the open batch while it has no rows, else they wait for the next one."""
        if self.consumed not in self.queue or (self.batch is not None and (self.batch.frames or self.frame is not None)):
            return
        batch = self._ensure_batch(now)
        while self.consumed in self.queue and len(batch.messages) < MAX_MESSAGES:
            message = self.queue[self.consumed]
            self.leap.open_message(message.time, batch.opened, message.authority, message.signatures)
            self._apply_message(message.rows)
            batch.messages.append(message)
            self.consumed += 1
            self.changes += 1

    def _apply_message(self, rows: bytes) -> None:
        """Row by row, as `Leap.apply_rows` does: what each has paid is told."""
        place = 0
        while place < len(rows):
            start, fees = place, self.state.globals.fees
            _, place = decode_row(rows, start)
            for items, code in self.leap.apply_rows(rows[start:place]):
                if code == Code.OK:
                    self.forced.append(self.describe(items, self.state.globals.fees - fees))

    def describe(self, items: tuple[int, ...], fee: int) -> "Applied":
        """Right after it was applied: its order's slot may soon be another's."""
        if items[0] & 15 != Kind.TRADE:
            return Applied(items)
        _, maker, ref, taker, taker_slot, _ = items
        slot, place = ref % self.rules.params.order_slots, ref // self.rules.params.order_slots
        made = get_quote_order(self.state.get_page(maker, slot), place) if place else self.state.get_order(maker, slot)
        return Applied(items, made, self.state.get_slot_nonce(taker, taker_slot), self.state.globals.clock, fee)

    def _ensure_batch(self, now: int) -> OpenBatch:
        if self.batch is None:
            self.last_time = max(now, self.last_time)  # no frame of it may lie before it, should the clock go back
            self.batch = OpenBatch(self.last_time, self.consumed)
        return self.batch

    def close_batch(self) -> None:
        """Whatever the open batch holds becomes fixed; an empty one leaves no trace."""
        self._close_frame()
        batch, self.batch = self.batch, None
        self.changes += batch is not None
        if batch is None or not (batch.messages or batch.frames):
            return
        last = batch.frames[-1].time if batch.frames else batch.opened
        messages, frames = tuple(batch.messages), tuple(batch.frames)
        self.unmarked += 1
        is_marked = self.unmarked >= self.limits.checkpoint
        self.unmarked = 0 if is_marked else self.unmarked
        content = Closed(batch.opened, last, batch.message_start, messages, frames, tuple(batch.rows), batch.size)
        self.closed.append((content, self.state.copy() if is_marked else None))

    def _close_frame(self) -> None:
        frame, self.frame = self.frame, None
        if frame is None:
            return
        if not frame.rows:
            self.state.put_globals(frame.before)  # nothing was kept, so the clock was never moved
            return
        assert self.batch is not None
        data = encode_frame(bytes(frame.rows))
        self.batch.frames.append(Frame(frame.time, data, bytes(frame.signatures)))
        self.batch.rows += frame.kept
        self.batch.size += HEAD_BYTES + len(data) + len(frame.signatures)
        self.last_time = frame.time

    def _ensure_frame(self, now: int, size: int, signatures: int, not_before: int = 0) -> OpenFrame:
        """One that has room, at a time that is recent enough; this may close a frame, or a batch."""
        frame = self.frame
        if frame is not None and (
            now - frame.time >= self.limits.frame_s
            or frame.time < min(not_before, now)
            or len(frame.rows) + size > MAX_ROWS_BYTES
            or len(frame.signatures) + signatures > MAX_SIGNATURES * SIGNATURE_BYTES
        ):
            self._close_frame()
        bound = (0 if self.batch is None else self.batch.size) + (0 if self.frame is None else self.frame.bound) + size + signatures
        full = self.batch is not None and self.frame is None and len(self.batch.frames) >= self.limits.frames
        if full or bound + HEAD_BYTES + STORED_BYTES > self.limits.calldata_bytes:
            self.close_batch()
        if self.frame is None:
            self.consume(now)
            batch = self._ensure_batch(now)
            before = self.state.globals
            time = max(now, self.last_time)
            self.leap.open_frame(time, batch.opened)
            self.frame = OpenFrame(time, before)
            self.changes += 1
        return self.frame

    def list_open(self) -> list[Row]:
        """Of the open batch, its open frame's too."""
        return [*(self.batch.rows if self.batch else ()), *(self.frame.kept if self.frame else ())]

    # -- operations

    def apply_group(self, now: int, rows: Sequence[Row], must_apply: bool = True, not_before: int = 0) -> tuple[Code, int]:
        """All of the rows or none: the code, and which row gave it. Without `must_apply` every row is kept, whatever its code.
        `not_before` is the least time at which they may run, so far as it has come."""
        layouts = [get_layout(row.items) for row in rows]
        rows = [fit_signatures(row, layout, self.rules) for row, layout in zip(rows, layouts, strict=True)]
        data = b"".join([encode_row(row.items) for row in rows])
        signatures = b"".join([row.signatures for row in rows])
        frame = self._ensure_frame(now, len(data), len(signatures), not_before)
        before = self.state.globals
        spent = sum([layout.steps if layout else 1 for layout in layouts[:-1]])
        if before.allowance <= spent:
            return Code.ALLOWANCE, 0
        undo: list[Undo] = []
        code, at = Code.OK, 0
        for at, (row, layout) in enumerate(zip(rows, layouts, strict=True)):
            found = self._find_slot(row.items, layout.phase) if layout is not None and layout.phase in SLOT_ITEMS else None
            self.leap.bring_signatures(row.signatures)
            code = self.leap.apply_row(row.items)
            if code == Code.OK and found is not None:
                undo.append(found)
            if code != Code.OK and must_apply:
                self._undo(undo)
                self.state.put_globals(before)
                return code, at
        self.fee = self.state.globals.fees - before.fees
        frame.rows += data
        frame.signatures += signatures
        frame.kept += rows
        self.changes += 1
        return code, at

    def try_row(self, now: int, row: Row) -> Code:
        """What the rules say at `now` of a row that registers something in a slot. Nothing is kept."""
        layout, before = get_layout(row.items), self.state.globals
        if layout is None:
            return Code.MALFORMED
        found = self._find_slot(row.items, layout.phase)
        self.state.put_globals(before._replace(clock=max(now, before.clock)))
        self.leap.bring_signatures(row.signatures)
        code = self.leap.apply_row(row.items)
        if code == Code.OK:
            self._undo([found])
        self.state.put_globals(before)
        return code

    def _find_slot(self, items: tuple[int, ...], phase: Phase) -> Undo:
        nonce = items[SLOT_ITEMS[phase]] + (items[5] if phase == Phase.SHEET else 0)
        slot = self.rules.params.get_slot(nonce)
        entry = self.state.orders.get(items[1], {}).get(slot, EMPTY_ORDER)
        return Undo(items[1], slot, entry, self.state.get_account(items[1]) if phase == Phase.SHEET else None)

    def _undo(self, undo: list[Undo]) -> None:
        for account, slot, entry, before in reversed(undo):
            if isinstance(entry, Page):
                self.state.put_page(account, slot, entry)
            else:
                self.state.put_order(account, slot, entry)
            if before is not None:
                self.state.put_account(account, before)

    # -- L1 has the last word

    def apply_batch(self, batch: Batch) -> None:
        """What L1 recorded, on top of a state that has nothing open."""
        assert self.batch is None
        assert self.frame is None
        self.leap.apply_batch(batch)
        self.consumed = batch.record.message_start + batch.record.message_count
        self.last_time = max(self.last_time, batch.record.last)

    def restore(self, batch: OpenBatch, frame: tuple[int, list[Row]] | None) -> None:
        """From a snapshot: what was open is applied again."""
        for message in batch.messages:
            self.leap.open_message(message.time, batch.opened, message.authority, message.signatures)
            self.leap.apply_rows(message.rows)
        for posted in batch.frames:
            self.leap.open_frame(posted.time, batch.opened, posted.signatures)
            self.leap.apply_rows(decode_frame(posted.data) or b"")
        self.batch = batch
        self.consumed = batch.message_start + len(batch.messages)
        if frame is None:
            return
        time, rows = frame
        self.frame = OpenFrame(time, self.state.globals)
        self.leap.open_frame(time, batch.opened)
        for row in rows:
            self.leap.bring_signatures(row.signatures)
            self.leap.apply_row(row.items)
            self.frame.rows += encode_row(row.items)
            self.frame.signatures += row.signatures
            self.frame.kept.append(row)

    def fork(self, state: State, consumed: int, last_time: int) -> "Engine":
        """An engine on another state, with the same queue."""
        twin = Engine(state, self.rules, self.limits, self._get_signer)
        twin.queue = self.queue
        twin.consumed = consumed
        twin.last_time = last_time
        return twin
