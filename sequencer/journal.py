"""Events and the machine's memory as bytes: what the store keeps. MessagePack; integers above 64 bits as an extension of their own.

Every record was written by this program and passed a checksum, so a record that does not decode means another version: `STORE_VERSION`.
"""

from functools import lru_cache
from typing import Any

import msgpack
from msgspec.structs import astuple

from node.errors import NodeCode, NodeError
from protocol.codec.frames import Batch, Frame, Message
from protocol.params import Params
from protocol.state import State
from protocol.types import Account, Globals, Market, Order, Page, Record, Slice, TwoWay
from sequencer import events
from sequencer.events import BatchLanded, Event, MessagesQueued

BIG = 1  # extension: an integer above 64 bits, signed: shares on their way out of the pool are a negative request
VERSION = 3
KINDS: tuple[Any, ...] = (
    events.OrderReceived,
    events.RowReceived,
    events.CancelReceived,
    events.MessagesQueued,
    events.ClockElapsed,
    events.BlockSeen,
    events.BatchLanded,
    events.BatchLost,
    events.L1Undone,
    events.SheetReceived,
    events.RfqReceived,
)  # append only: the place is the record's tag
TAGS = {kind: tag for tag, kind in enumerate(KINDS)}


@lru_cache(maxsize=1 << 12)  # the same series and owners come again and again
def _encode_big(value: object) -> msgpack.ExtType:
    if isinstance(value, int):
        return msgpack.ExtType(BIG, value.to_bytes((value.bit_length() >> 3) + 1, "big", signed=True))
    raise TypeError(f"cannot encode {type(value).__name__}")


def _decode_big(code: int, data: bytes) -> int:
    if code != BIG:
        raise ValueError(f"unknown extension {code}")
    return int.from_bytes(data, "big", signed=True)


_packer = msgpack.Packer(default=_encode_big, use_bin_type=True)  # one for all: it empties itself after each value, and on errors


def encode(value: Any) -> bytes:
    """Tuples, integers, bytes, booleans, texts, None."""
    packed: bytes = _packer.pack(value)
    return packed


def decode(data: bytes) -> Any:
    """Arrays become tuples."""
    try:
        return msgpack.unpackb(data, ext_hook=_decode_big, use_list=False, raw=False, strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise NodeError(NodeCode.STORE_CORRUPT, f"a record does not decode: {error}") from error


def encode_event(event: Event) -> bytes:
    """A tag and the fields in order."""
    return encode((TAGS[type(event)], *astuple(event)))


def decode_event(record: bytes) -> Event:
    """The inverse; `NodeError` for a record of another version."""
    tag, *fields = decode(record)
    if not 0 <= tag < len(KINDS) or len(fields) != len(KINDS[tag].__struct_fields__):
        raise NodeError(NodeCode.STORE_VERSION, f"an event of unknown kind {tag}")
    event: Event = KINDS[tag](*fields)
    if isinstance(event, MessagesQueued):
        return MessagesQueued(event.now, event.start, tuple(Message(*message) for message in event.messages))
    if isinstance(event, BatchLanded):
        return BatchLanded(event.now, Record(*event.record), None if event.batch is None else decode_batch(event.batch))
    return event


def decode_batch(fields: Any) -> Batch:
    """From its tuple."""
    record, messages, frames = fields
    return Batch(Record(*record), tuple(Message(*message) for message in messages), tuple(Frame(*frame) for frame in frames))


def dump_state(state: State) -> tuple[Any, ...]:
    """All that the rules see. Its root stands beside it, so that a rebuilt state is checked."""
    return (
        tuple(state.globals),
        tuple(map(tuple, state.markets)),
        tuple((index, *account) for index, account in state.accounts.items()),
        tuple((index, slot, isinstance(entry, Page), *entry) for index, slots in state.orders.items() for slot, entry in slots.items()),
        tuple(state.words.items()),
        tuple(state.outbox),
        state.get_root(),
    )


def load_state(fields: Any, params: Params) -> State:
    """Raises `NodeError` unless the state has the root that was written down."""
    head, markets, accounts, slots, words, outbox, root = fields
    state = State(params)
    state.put_globals(Globals(*head))
    first, second = (_load_market(market) for market in markets)
    state.put_markets((first, second))
    for index, *account in accounts:
        state.put_account(index, Account(*account))
    for index, slot, is_page, *entry in slots:
        if is_page:
            state.put_page(index, slot, _load_page(entry))
        else:
            state.put_order(index, slot, Order(*entry))
    for index, word in words:
        state.put_word(index, word)
    for at, (owner, amount) in enumerate(outbox):
        state.append_outbox(at, owner, amount)
    if state.get_root() != root:
        raise NodeError(NodeCode.STORE_CORRUPT, "the snapshot's state has another root than was written down")
    return state


def _load_market(fields: Any) -> Market:
    index_price, mark_time, slices, *breaker = fields
    return Market(index_price, mark_time, tuple(Slice(*item) for item in slices), *breaker)


def _load_page(fields: Any) -> Page:
    *head, quotes = fields
    return Page(*head)._replace(quotes=tuple(TwoWay(*quote) for quote in quotes))
