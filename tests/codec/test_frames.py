"""Frames, records and the posted payload."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec.frames import (
    CHUNK_BYTES,
    MAX_FRAMES,
    MAX_SIGNATURES,
    SIGNATURE_BYTES,
    Frame,
    Message,
    compute_chunk_hashes,
    compute_frame_digest,
    compute_inbox_root,
    compute_message_hash,
    compute_record,
    compute_signature_chunks,
    compute_signatures_hash,
    decode_payload,
    encode_payload,
    is_postable,
    prove_record,
)
from protocol.codec.inflate import MAX_FRAME_BYTES
from protocol.keccak import ZERO, encode_word, keccak
from protocol.merkle import compute_root_from_path

times = st.integers(0, 2**64 - 1)
signatures = st.integers(0, 70).map(lambda count: bytes(i & 255 for i in range(count * SIGNATURE_BYTES)))
frames = st.lists(st.builds(Frame, times, st.binary(min_size=1, max_size=200), signatures), max_size=MAX_FRAMES).map(tuple)


@given(frames)
def test_a_payload_reads_back(batch: tuple[Frame, ...]) -> None:
    assert decode_payload(encode_payload(batch), len(batch)) == batch


@given(frames, st.integers(-1, 17), st.integers(0, 2**16), st.integers(0, 255))
def test_a_payload_is_read_one_way_or_not_at_all(batch: tuple[Frame, ...], count: int, place: int, value: int) -> None:
    data = bytearray(encode_payload(batch))
    if data:
        data[place % len(data)] = value
    got = decode_payload(bytes(data), count)
    assert got is None or (len(got) == count and encode_payload(got) == data)


@given(st.binary(max_size=100), st.integers(0, 16))
def test_any_bytes_are_a_payload_or_not(data: bytes, count: int) -> None:
    got = decode_payload(data, count)
    assert got is None or encode_payload(got) == data


@pytest.mark.parametrize("cut", [-1, 1])
def test_a_payload_ends_exactly(cut: int) -> None:
    batch = (Frame(7, b"abc", bytes(65)),)
    data = encode_payload(batch)
    assert decode_payload(data[:-1] if cut < 0 else data + b"\0", 1) is None
    assert decode_payload(data, 0) is None
    assert decode_payload(data, 2) is None


def test_the_head_of_a_frame_byte_by_byte() -> None:
    data = encode_payload([Frame(0x0102030405060708, b"\xaa" * 3, b"\xbb" * 130)])
    assert data == bytes.fromhex("010203040506070800030002aaaaaa") + b"\xbb" * 130


@pytest.mark.parametrize(
    ("frame", "fits"),
    [
        (Frame(0, b"x", b""), True),
        (Frame(2**64 - 1, bytes(MAX_FRAME_BYTES), bytes(65 * MAX_SIGNATURES)), True),
        (Frame(2**64, b"x", b""), False),
        (Frame(-1, b"x", b""), False),
        (Frame(0, b"", b""), False),
        (Frame(0, bytes(MAX_FRAME_BYTES + 1), b""), False),
        (Frame(0, b"x", bytes(64)), False),
        (Frame(0, b"x", bytes(66)), False),
        (Frame(0, b"x", bytes(65 * (MAX_SIGNATURES + 1))), False),
    ],
)
def test_the_limits_of_a_frame(frame: Frame, fits: bool) -> None:
    assert is_postable(frame) == fits
    if fits:
        assert decode_payload(encode_payload([frame]), 1) == (frame,)
    else:
        with pytest.raises(ValueError, match="refuses"):
            encode_payload([frame])


def test_a_reader_refuses_lengths_above_the_limits() -> None:
    for length, count in ((0, 0), (MAX_FRAME_BYTES + 1, 0), (1, MAX_SIGNATURES + 1)):
        data = bytes(8) + length.to_bytes(2, "big") + count.to_bytes(2, "big") + bytes(length + count * SIGNATURE_BYTES)
        assert decode_payload(data, 1) is None


def test_a_batch_has_sixteen_frames() -> None:
    batch = [Frame(0, b"x", b"")] * 17
    assert decode_payload(encode_payload(batch[:16]), 16) == tuple(batch[:16])
    with pytest.raises(ValueError, match="too many"):
        encode_payload(batch)
    assert decode_payload(encode_payload(batch[:16]) + encode_payload(batch[:1]), 17) is None


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 64, 65])
def test_signatures_are_cut_into_chunks_of_32(count: int) -> None:
    data = random.Random(count).randbytes(count * SIGNATURE_BYTES)
    chunks = compute_signature_chunks(data)
    assert b"".join(chunks) == data
    assert len(chunks) == -(-count // 32)
    assert all(len(chunk) == CHUNK_BYTES for chunk in chunks[:-1])
    # a dynamic array of words under ABI: offset, length, elements
    hashes = [keccak(chunk) for chunk in chunks]
    assert compute_chunk_hashes(data) == hashes
    assert compute_signatures_hash(data) == keccak(encode_word(32) + encode_word(len(hashes)) + b"".join(hashes))


def test_every_field_is_committed_to() -> None:
    frame, message = Frame(1, b"a", bytes(65)), Message(1, 2, b"a", bytes(65))
    others = [frame._replace(time=2), frame._replace(data=b"b"), frame._replace(signatures=bytes(130))]
    assert len({compute_frame_digest(each) for each in [frame, *others]}) == 4
    changed = [message._replace(time=2), message._replace(authority=3), message._replace(rows=b"b"), message._replace(signatures=b"")]
    assert len({compute_message_hash(each) for each in [message, *changed]}) == 5
    record = compute_record(3, 10, 20, 5, [message], [frame])
    assert (record.number, record.first, record.last, record.message_start, record.message_count, record.frame_count) == (
        3,
        10,
        20,
        5,
        1,
        1,
    )
    assert compute_record(3, 10, 20, 5, changed[:1], [frame]).messages != record.messages
    assert compute_record(3, 10, 20, 5, [message], others[:1]).frames != record.frames


@given(st.integers(0, 4).flatmap(lambda depth: st.tuples(st.just(depth), st.integers(0, 2**depth), st.integers(0, 2**depth - 1))))
def test_every_place_of_the_inbox_proves(shape: tuple[int, int, int]) -> None:
    depth, count, index = shape
    leaves = [keccak(bytes([i])) for i in range(count)]
    level = leaves + [ZERO] * (2**depth - count)
    while len(level) > 1:
        level = [keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    assert compute_inbox_root(leaves, depth) == level[0]
    path = prove_record(leaves, index, depth)
    assert len(path) == depth
    assert compute_root_from_path(leaves[index] if index < count else ZERO, index, path) == level[0]


def test_an_inbox_has_room_for_so_many() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        compute_inbox_root([ZERO] * 9, 3)
    for index in (-1, 8):
        with pytest.raises(ValueError, match="no leaf"):
            prove_record([ZERO], index, 3)
