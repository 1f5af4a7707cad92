"""What L1 sees of a batch: frames as posted, forced messages, records, and the tree of an epoch's records.

L1 hashes each frame's data and each chunk of signatures by itself, so that a step's proof brings one frame or one chunk, never a batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

from protocol.codec.inflate import MAX_FRAME_BYTES
from protocol.keccak import compute_list_hash, encode_word, encode_words, keccak
from protocol.merkle import Tree
from protocol.types import Record

SIGNATURE_BYTES = 65  # r, s, v
CHUNK_SIGNATURES = 32
CHUNK_BYTES = SIGNATURE_BYTES * CHUNK_SIGNATURES
MAX_FRAMES = 16  # of a batch
MAX_SIGNATURES = 1_024  # of a frame: 32 chunks
MAX_MESSAGES = 256  # of a batch
MAX_MESSAGE_BYTES = 1_024  # of a message's rows
TIME_BYTES = 8
LENGTH_BYTES = 2  # of the data
COUNT_BYTES = 2  # of the signatures
HEAD_BYTES = TIME_BYTES + LENGTH_BYTES + COUNT_BYTES


class Frame(NamedTuple):
    """Operations that the sequencer posts. `time` is its wish; the batch's bounds clamp it."""

    time: int
    data: bytes  # one DEFLATE stream
    signatures: bytes  # 65 bytes each


class Message(NamedTuple):
    """Operations that L1 forces. `time` is L1's when it came in."""

    time: int
    authority: int  # `VAULT_AUTHORITY`, or the address that called
    rows: bytes  # not compressed
    signatures: bytes


class Batch(NamedTuple):
    """A record with what its hashes stand for."""

    record: Record
    messages: tuple[Message, ...]
    frames: tuple[Frame, ...]


def compute_signature_chunks(signatures: bytes) -> list[bytes]:
    """32 signatures each, the last one with what is left; none without signatures."""
    return [signatures[start : start + CHUNK_BYTES] for start in range(0, len(signatures), CHUNK_BYTES)]


def compute_chunk_hashes(signatures: bytes) -> list[bytes]:
    """A step that checks a signature brings these and one chunk."""
    return [keccak(chunk) for chunk in compute_signature_chunks(signatures)]


def compute_signatures_hash(signatures: bytes) -> bytes:
    """Hash of the list of chunk hashes."""
    return compute_list_hash(compute_chunk_hashes(signatures))


def compute_frame_digest(frame: Frame) -> bytes:
    """Three words."""
    return keccak(encode_word(frame.time) + keccak(frame.data) + compute_signatures_hash(frame.signatures))


def compute_message_hash(message: Message) -> bytes:
    """Four words."""
    head = encode_words((message.time, message.authority))
    return keccak(head + keccak(message.rows) + compute_signatures_hash(message.signatures))


def compute_record(number: int, first: int, last: int, message_start: int, messages: Sequence[Message], frames: Sequence[Frame]) -> Record:
    """The record that the inbox writes for these contents."""
    return Record(
        number=number,
        first=first,
        last=last,
        message_start=message_start,
        message_count=len(messages),
        messages=compute_list_hash([compute_message_hash(message) for message in messages]),
        frame_count=len(frames),
        frames=compute_list_hash([compute_frame_digest(frame) for frame in frames]),
    )


def _compute_inbox(record_hashes: Sequence[bytes], depth: int) -> Tree:
    if len(record_hashes) > 1 << depth:
        raise ValueError(f"{len(record_hashes)} batches do not fit a tree of depth {depth}")
    tree = Tree(depth)
    for index, record_hash in enumerate(record_hashes):
        tree.set_leaf(index, record_hash)
    return tree


def compute_inbox_root(record_hashes: Sequence[bytes], depth: int) -> bytes:
    """Merkle root of an epoch's record hashes in order; empty leaves are zero."""
    return _compute_inbox(record_hashes, depth).get_root()


def prove_record(record_hashes: Sequence[bytes], index: int, depth: int) -> list[bytes]:
    """Siblings of leaf `index`, bottom first. The leaf may be an empty one."""
    if not 0 <= index < 1 << depth:
        raise ValueError(f"no leaf {index} in a tree of depth {depth}")
    return _compute_inbox(record_hashes, depth).prove(index)


def is_postable(frame: Frame) -> bool:
    """Whether L1 takes the frame. Says nothing about what is in it."""
    return (
        0 <= frame.time < 1 << (TIME_BYTES << 3)
        and 0 < len(frame.data) <= MAX_FRAME_BYTES
        and len(frame.signatures) == compute_signature_count(frame.signatures) * SIGNATURE_BYTES
        and compute_signature_count(frame.signatures) <= MAX_SIGNATURES
    )


def compute_signature_count(signatures: bytes) -> int:
    """Rounded up."""
    return len(range(0, len(signatures), SIGNATURE_BYTES))


def encode_payload(frames: Sequence[Frame]) -> bytes:
    """What a batch's transaction carries behind its ABI arguments. Raises ValueError where L1 would revert."""
    if len(frames) > MAX_FRAMES or not all(is_postable(frame) for frame in frames):
        raise ValueError("frames that L1 refuses: too many, too long, or signatures that are not 65 bytes each")
    parts = []
    for frame in frames:
        parts.append(frame.time.to_bytes(TIME_BYTES, "big"))
        parts.append(len(frame.data).to_bytes(LENGTH_BYTES, "big"))
        parts.append(compute_signature_count(frame.signatures).to_bytes(COUNT_BYTES, "big"))
        parts.append(frame.data)
        parts.append(frame.signatures)
    return b"".join(parts)


def decode_payload(payload: bytes, frame_count: int) -> tuple[Frame, ...] | None:
    """The frames, or None where L1 reverts: a count out of range, data empty or too long, or anything but an exact end."""
    if not 0 <= frame_count <= MAX_FRAMES:
        return None
    frames = []
    position = 0
    for _ in range(frame_count):
        start = position + HEAD_BYTES
        if start > len(payload):
            return None
        time = int.from_bytes(payload[position : position + TIME_BYTES], "big")
        length = int.from_bytes(payload[position + TIME_BYTES : start - COUNT_BYTES], "big")
        count = int.from_bytes(payload[start - COUNT_BYTES : start], "big")
        split = start + length
        position = split + count * SIGNATURE_BYTES
        if not 0 < length <= MAX_FRAME_BYTES or count > MAX_SIGNATURES or position > len(payload):
            return None
        frames.append(Frame(time, payload[start:split], payload[split:position]))
    return tuple(frames) if position == len(payload) else None
