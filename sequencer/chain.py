"""The batches since a copy of the state to rebuild from: landed ones, then those on their way."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from protocol.codec.frames import Frame, compute_frame_digest
from protocol.keccak import ZERO, compute_list_hash, keccak
from protocol.state import State
from protocol.types import Record, compute_record_hash
from sequencer.engine import Closed


class Fault(Exception):
    """The machine was told something that cannot be. A bug of ours, or a store that belongs to another chain: stop."""


class Status(IntEnum):
    """Of a batch that is not known to be on L1, or is."""

    WAITING = 0
    POSTED = 1
    LOST = 2
    LANDED = 3


@dataclass
class Entry:
    """A batch of the chain. A foreign one, which somebody posted of the queue alone, has no rows of ours."""

    number: int  # ours: counts up for ever, and never comes twice
    content: Closed
    status: Status = Status.WAITING
    attempt: int = 0
    place: int = 0  # its number on L1 as foreseen when it was posted: it lands there or not at all
    checkpoint: State | None = None  # the state after it
    record: Record | None = None  # once landed


@dataclass
class Base:
    """Where a rebuild starts: the state after `batches` batches of L1, whose records hash to `chain`."""

    state: State
    batches: int = 0
    consumed: int = 0
    last_time: int = 0
    chain: bytes = ZERO


def extend_chain(chain: bytes, record: Record) -> bytes:
    """A hash over all records so far."""
    return keccak(chain + compute_record_hash(record))


def hash_frames(frames: Sequence[Frame]) -> bytes:
    """By which a batch of ours is known wherever it lands."""
    return compute_list_hash([compute_frame_digest(frame) for frame in frames])


def is_same_call(entry: Entry, record: Record) -> bool:
    """Of batches without frames: the transaction that made the record could be ours. If it is not, nothing of ours is lost."""
    c = entry.content
    return (c.first, c.last, len(c.messages)) == (record.first, record.last, record.message_count)
