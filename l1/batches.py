"""Reading batches back from L1: records and forced messages from the inbox's events, frames from the transactions' input.

`BatchIndex` takes what a `Follower` says, forwards and backwards. `EpochReader` fetches the frames of what the index lists. Every hash is
checked: against the event's record, and, for a whole epoch, against the inbox root that the claims contract will use. Whatever does not
fit is `Malformed`, a kind of `Unavailable`: it is a verdict on the endpoint, never on a batch.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from l1.client import Client
from l1.contracts import BatchPosted, MessageQueued, decode_logs, decode_post, get_epoch
from l1.follower import BlockSeen, BlockUndone, FollowerEvent
from l1.shapes import Header, Malformed
from protocol.codec.frames import Batch, Frame, Message, compute_frame_digest, compute_inbox_root, compute_message_hash
from protocol.keccak import compute_list_hash
from protocol.types import Record, compute_record_hash

KEPT_BATCHES = 64  # with their frames, in memory


@dataclass(frozen=True, slots=True)
class Posted:
    """A batch as its event tells of it."""

    record: Record
    epoch: int
    index: int  # in the epoch
    tx_hash: bytes
    block_number: int


class BatchIndex:
    """Records and messages of the followed chain, by number. `epoch_s` is the inbox's.

    Feed it all events of a follower that watches the inbox from the block of its deployment. Raises `Malformed` for events that the
    contract cannot have emitted: a number that does not follow, a batch in another epoch than its block's time gives.
    """

    def __init__(self, inbox: bytes, epoch_s: int) -> None:
        self.inbox = inbox
        self.epoch_s = epoch_s
        self.head: Header | None = None
        self.batches: list[Posted] = []
        self.messages: list[Message] = []
        self._blocks: list[tuple[Header, int, int]] = []  # header, and how many batches and messages there were before it

    def clear(self) -> None:
        """To be fed from the first block again."""
        self.head = None
        self.batches.clear()
        self.messages.clear()
        self._blocks.clear()

    def apply(self, event: FollowerEvent) -> None:
        """Logs of other contracts are passed over."""
        match event:
            case BlockSeen():
                self._see(event)
            case BlockUndone(header):
                self._undo(header)

    def _see(self, event: BlockSeen) -> None:
        batches, messages = len(self.batches), len(self.messages)
        logs = [log for log in event.logs if log.address == self.inbox]
        try:
            for log, found in decode_logs({self.inbox: "Inbox"}, logs):
                if isinstance(found, MessageQueued):
                    self._add_message(found, event.header)
                elif isinstance(found, BatchPosted):
                    self._add_batch(found, event.header, log.tx_hash)
        except Malformed:
            del self.batches[batches:], self.messages[messages:]
            raise
        if logs:
            self._blocks.append((event.header, batches, messages))
        self.head = event.header

    def _undo(self, header: Header) -> None:
        if self._blocks and self._blocks[-1][0].hash == header.hash:
            _, batches, messages = self._blocks.pop()
            del self.batches[batches:], self.messages[messages:]
        self.head = None  # until a block is seen again, which follows at once

    def _add_message(self, event: MessageQueued, header: Header) -> None:
        if event.index != len(self.messages) or event.time != header.time:
            raise Malformed("a forced message out of order or of another time than its block's")
        self.messages.append(Message(event.time, event.authority, event.rows, event.signatures))

    def _add_batch(self, event: BatchPosted, header: Header, tx_hash: bytes) -> None:
        before = self.batches[-1] if self.batches else None
        start = before.record.message_start + before.record.message_count if before else 0
        index = before.index + 1 if before and before.epoch == event.epoch else 0
        if (event.number, event.message_start, event.index) != (len(self.batches), start, index):
            raise Malformed(f"batch {event.number} does not follow the one before it")
        if event.epoch != header.time // self.epoch_s or start + event.message_count > len(self.messages):
            raise Malformed(f"batch {event.number}: wrong epoch, or messages that were never queued")
        record = Record(
            number=event.number,
            first=event.first,
            last=event.last,
            message_start=event.message_start,
            message_count=event.message_count,
            messages=event.messages,
            frame_count=event.frame_count,
            frames=event.frames,
        )
        hashes = [compute_message_hash(message) for message in self.get_messages(record)]
        if compute_list_hash(hashes) != record.messages:
            raise Malformed(f"batch {event.number}: its messages are not the queue's")
        self.batches.append(Posted(record, event.epoch, event.index, tx_hash, header.number))

    # -- what it knows

    def get_messages(self, record: Record) -> tuple[Message, ...]:
        """Those that a batch consumed."""
        return tuple(self.messages[record.message_start : record.message_start + record.message_count])

    @property
    def consumed(self) -> int:
        """Messages that batches have consumed."""
        return self.batches[-1].record.message_start + self.batches[-1].record.message_count if self.batches else 0

    @property
    def last_time(self) -> int:
        """The last L2 time of the newest batch: the next one may not begin before it."""
        return self.batches[-1].record.last if self.batches else 0

    def get_epochs(self, after: int = 0) -> list[int]:
        """Non-empty epochs after `after` that are over by the newest block seen, ascending."""
        if self.head is None:
            return []
        now = self.head.time // self.epoch_s
        epochs: list[int] = []
        place = self._find(after + 1)
        while place < len(self.batches) and self.batches[place].epoch < now:
            epochs.append(self.batches[place].epoch)
            place = self._find(epochs[-1] + 1)
        return epochs

    def _find(self, epoch: int) -> int:
        """Where its batches begin, or would: a year has millions, and their epochs ascend."""
        return bisect_left(self.batches, epoch, key=lambda posted: posted.epoch)

    def get_batches(self, epoch: int) -> tuple[Posted, ...]:
        """Of one epoch, in order."""
        return tuple(self.batches[self._find(epoch) : self._find(epoch + 1)])

    def compute_root(self, epoch: int, depth: int) -> bytes:
        """The epoch's inbox root, by what was read."""
        return compute_inbox_root([compute_record_hash(posted.record) for posted in self.get_batches(epoch)], depth)


class EpochReader:
    """Fetches the frames of the index's batches. `depth` is the inbox's `BATCH_DEPTH`.

    Error handling: `Unavailable` and `RpcError` of the endpoint pass through; try again later, or elsewhere.
    """

    def __init__(self, client: Client, index: BatchIndex, depth: int) -> None:
        self.index = index
        self._client = client
        self._depth = depth
        self._frames: dict[tuple[bytes, bytes], tuple[Frame, ...]] = {}  # (transaction, hash of the frames)

    async def read_batch(self, posted: Posted) -> Batch:
        """With messages and frames, both checked against the record."""
        return Batch(posted.record, self.index.get_messages(posted.record), await self._read_frames(posted))

    async def _read_frames(self, posted: Posted) -> tuple[Frame, ...]:
        record = posted.record
        if record.frame_count == 0:
            if record.frames != compute_list_hash([]):
                raise Malformed(f"batch {record.number}: frames without a count")
            return ()  # also what anyone may post of the queue alone, from any transaction
        place = (posted.tx_hash, record.frames)
        if place not in self._frames:
            frames = decode_frames(await self._client.get_input(posted.tx_hash), record)
            while len(self._frames) >= KEPT_BATCHES:
                del self._frames[next(iter(self._frames))]
            self._frames[place] = frames
        return self._frames[place]

    async def read_epoch(self, epoch: int) -> tuple[Batch, ...]:
        """All batches of an epoch that is over; their root is what L1 has for it at the newest block that the index knows."""
        listed = self.index.get_batches(epoch)
        head = self.index.head
        if head is None or head.time // self.index.epoch_s <= epoch:
            raise Malformed(f"epoch {epoch} is not over by the newest block seen")
        batches = [await self.read_batch(posted) for posted in listed]
        root, count = await get_epoch(self._client, self.index.inbox, epoch, head.hash)
        if count != len(listed) or (count and root != compute_inbox_root(_hash_records(batches), self._depth)):
            raise Malformed(f"epoch {epoch}: {len(listed)} batches by the events, {count} by the inbox, or another root")
        return tuple(batches)


def decode_frames(data: bytes, record: Record) -> tuple[Frame, ...]:
    """From a transaction's input, if they are the record's."""
    call = decode_post(data)
    if call[:-1] != (record.number, record.first, record.last, record.message_count):
        raise Malformed(f"batch {record.number}: the transaction says otherwise than the event")
    if len(call.frames) != record.frame_count or compute_list_hash([compute_frame_digest(frame) for frame in call.frames]) != record.frames:
        raise Malformed(f"batch {record.number}: the transaction's frames are not the record's")
    return call.frames


def _hash_records(batches: Sequence[Batch]) -> list[bytes]:
    return [compute_record_hash(batch.record) for batch in batches]
