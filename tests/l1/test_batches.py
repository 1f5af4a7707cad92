"""Reading batches back: what the inbox emits is indexed forwards and backwards, and whatever it cannot have emitted is refused."""

from dataclasses import astuple, replace
from typing import Any

import pytest
from eth_abi import abi as eth_abi

from l1.abi import get_events, to_abi
from l1.batches import BatchIndex, decode_frames
from l1.contracts import BatchPosted, MessageQueued, encode_post
from l1.follower import BlockSeen, BlockUndone
from l1.shapes import Header, Log, Malformed
from protocol.codec.frames import Frame, Message, compute_inbox_root, compute_message_hash, compute_record
from protocol.keccak import keccak
from protocol.types import compute_record_hash

INBOX = b"\x11" * 20
OTHER = b"\x22" * 20
EPOCH_S = 10
DEPTH = 4
FRAMES = (Frame(100, b"\x03\x00", b""), Frame(101, b"\x03\x00", b"\x07" * 130))


def encode_log(event: Any, header: Header, place: int, address: bytes = INBOX) -> Log:
    """As a node would tell of it."""
    topic, inputs = next((topic, inputs) for topic, (name, inputs) in get_events("Inbox").items() if name == type(event).__name__)
    values = dict(zip(type(event).__dataclass_fields__, astuple(event), strict=True))
    topics = [topic, *(eth_abi.encode([kind], [to_abi(values[name], kind)]) for name, kind, indexed in inputs if indexed)]
    plain = [(kind, to_abi(values[name], kind)) for name, kind, indexed in inputs if not indexed]
    data = eth_abi.encode([kind for kind, _ in plain], [value for _, value in plain])
    return Log(address, tuple(topics), data, header.number, header.hash, keccak(b"tx%d" % header.number), 0, place)


class Chain:
    """Blocks with events, and the index that follows them."""

    def __init__(self) -> None:
        self.index = BatchIndex(INBOX, EPOCH_S)
        self.blocks: list[Header] = []
        self.messages: list[Message] = []

    def mine(self, time: int, *events: Any, address: bytes = INBOX) -> Header:
        number = len(self.blocks) + 1
        header = Header(number, keccak(b"%d/%d" % (number, time)), self.blocks[-1].hash if self.blocks else bytes(32), time, 1)
        logs = tuple(encode_log(event, header, place, address) for place, event in enumerate(events))
        self.index.apply(BlockSeen(header, logs))
        self.blocks.append(header)
        return header

    def undo(self) -> None:
        self.index.apply(BlockUndone(self.blocks.pop()))


def queue(index: int, time: int) -> MessageQueued:
    return MessageQueued(index, 1, time, b"rows%d" % index, b"")


def post(number: int, epoch: int, index: int, start: int, count: int, time: int, frames: tuple[Frame, ...] = FRAMES) -> BatchPosted:
    """Consumes messages that `queue` made; message i came in at time 100 + i."""
    messages = [Message(100 + i, 1, b"rows%d" % i, b"") for i in range(start, start + count)]
    r = compute_record(number, time, time, start, messages, frames)
    return BatchPosted(number, epoch, index, r.first, r.last, start, count, r.messages, r.frame_count, r.frames)


def build_chain() -> Chain:
    chain = Chain()
    chain.mine(100, queue(0, 100))
    chain.mine(101, queue(1, 101), post(0, 10, 0, 0, 1, 101))
    chain.mine(105, post(1, 10, 1, 1, 1, 105), post(2, 10, 2, 2, 0, 105))
    chain.mine(125, post(3, 12, 0, 2, 0, 125))
    return chain


def test_epochs_batches_and_messages() -> None:
    chain = build_chain()
    index = chain.index
    assert [posted.record.number for posted in index.get_batches(10)] == [0, 1, 2]
    assert index.get_epochs() == [10]
    assert (index.consumed, index.last_time) == (2, 125)
    chain.mine(130)
    assert index.get_epochs() == [10, 12]
    assert index.get_epochs(10) == [12]
    records = [posted.record for posted in index.get_batches(10)]
    assert index.compute_root(10, DEPTH) == compute_inbox_root([compute_record_hash(record) for record in records], DEPTH)
    assert [compute_message_hash(message) for message in index.get_messages(records[1])] == [
        compute_message_hash(Message(101, 1, b"rows1", b""))
    ]


def test_a_reorganisation_takes_back_exactly_its_blocks() -> None:
    chain = build_chain()
    chain.mine(126)
    chain.undo()
    chain.undo()
    chain.undo()
    assert len(chain.index.batches) == 1
    assert len(chain.index.messages) == 2
    chain.mine(106, post(1, 10, 1, 1, 0, 106))
    assert [posted.record.message_count for posted in chain.index.batches] == [1, 0]
    chain.index.clear()
    assert (chain.index.batches, chain.index.messages, chain.index.get_epochs()) == ([], [], [])


def test_logs_of_others_are_passed_over() -> None:
    chain = build_chain()
    chain.mine(126, queue(9, 126), address=OTHER)
    assert len(chain.index.messages) == 2


@pytest.mark.parametrize(
    ("time", "event"),
    [
        (126, queue(3, 126)),  # not the next
        (126, queue(2, 125)),  # of another time than its block's
        (126, post(5, 12, 1, 2, 0, 126)),  # a number left out
        (126, post(4, 12, 2, 2, 0, 126)),  # a place left out
        (126, post(4, 13, 0, 2, 0, 126)),  # of another epoch than its block's
        (126, post(4, 12, 1, 1, 1, 126)),  # a message twice
        (126, post(4, 12, 1, 2, 1, 126)),  # a message that was never queued
    ],
)
def test_what_the_inbox_cannot_emit_is_refused_and_leaves_nothing(time: int, event: Any) -> None:
    chain = build_chain()
    with pytest.raises(Malformed):
        chain.mine(time, event)
    assert (len(chain.index.batches), len(chain.index.messages)) == (4, 2)


def test_messages_must_be_those_of_the_queue() -> None:
    chain = Chain()
    chain.mine(100, queue(0, 100))
    with pytest.raises(Malformed, match="not the queue's"):
        chain.mine(101, replace(post(0, 10, 0, 0, 1, 101), messages=keccak(b"others")))


def test_frames_are_those_of_the_record_or_refused() -> None:
    record = compute_record(0, 100, 101, 0, [], FRAMES)
    data = encode_post(0, 100, 101, 0, FRAMES)
    assert decode_frames(data, record) == FRAMES
    lies = [
        encode_post(1, 100, 101, 0, FRAMES),
        encode_post(0, 100, 101, 0, FRAMES[:1]),
        encode_post(0, 99, 101, 0, FRAMES),
        encode_post(0, 100, 101, 1, FRAMES),
        encode_post(0, 100, 101, 0, (FRAMES[0], FRAMES[1]._replace(time=102))),
        data + b"\x00",
        data[:-1],
        b"\x00" * 4 + data[4:],
        b"",
    ]
    for lie in lies:
        with pytest.raises(Malformed):
            decode_frames(lie, record)
