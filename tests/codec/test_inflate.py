"""Inflation: zlib, the bit-by-bit reference and the EVM give the same answer for every byte string."""

import random
import zlib

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import inflate as module
from protocol.codec.inflate import MAX_FRAME_BYTES, MAX_ROWS_BYTES, SELF_TEST, decode_frame, encode_frame, is_zlib_sound
from protocol.codec.inflate_reference import FIXED_DISTANCES, FIXED_LITERALS, compute_inflate_reference
from sim.twins.deflate import Block, make_frame
from tests.codec import evm


def assert_same(data: bytes) -> bytes | None:
    """All three, and what they agreed on."""
    expected = compute_inflate_reference(data)
    assert decode_frame(data) == expected, data.hex()
    assert evm.inflate(data) == expected, data.hex()
    return expected


@given(st.one_of(st.binary(max_size=300), st.binary(min_size=1, max_size=40).map(lambda part: (part * 8192)[:MAX_ROWS_BYTES])))
def test_reads_back_what_was_written(rows: bytes) -> None:
    data = encode_frame(rows)
    assert data[0] & 1
    assert len(data) <= min(MAX_FRAME_BYTES, len(rows) + 5)
    assert assert_same(data) == rows


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 8_191, 8_192])
def test_rows_that_do_not_compress_are_stored(size: int) -> None:
    rows = random.Random(size).randbytes(size)
    data = encode_frame(rows)
    assert len(data) <= MAX_FRAME_BYTES
    assert assert_same(data) == rows


def test_refuses_rows_that_no_frame_holds() -> None:
    with pytest.raises(ValueError, match="at most 8192"):
        encode_frame(bytes(MAX_ROWS_BYTES + 1))


@given(st.binary(max_size=120))
def test_total_on_any_bytes(data: bytes) -> None:
    for first in (3, 5):
        frame = bytes([first]) + data
        assert_same(frame)
    assert_same(data)


def check_frames(seed: int, count: int) -> None:
    rng = random.Random(seed)
    outcomes = {(kind, ok): 0 for kind in (0, 1, 2) for ok in (False, True)}
    for _ in range(count):
        data = make_frame(rng)
        if 0 < len(data) <= MAX_FRAME_BYTES:
            ok = assert_same(data) is not None
            outcomes[data[0] >> 1 & 3, ok] = outcomes.get((data[0] >> 1 & 3, ok), 0) + 1
    assert min(outcomes[key] for key in outcomes if key[0] < 3) > count // 60, outcomes


def test_fuzz_of_legal_and_faulty_streams(seed: int) -> None:
    check_frames(seed, 1_500)


@pytest.mark.slow
def test_long_fuzz(seed: int) -> None:
    check_frames(seed + 1, 30_000)


@pytest.mark.parametrize("excess", [-1, 0, 1, 2, 257])
@pytest.mark.parametrize("by_match", [False, True])
def test_the_limit_is_exact(excess: int, by_match: bool) -> None:
    block = Block(list(FIXED_LITERALS), list(FIXED_DISTANCES), kind=1)
    target = MAX_ROWS_BYTES + excess
    tail = 258 if by_match else 0
    block.put_literal(97)
    while block.size + 258 <= target - tail:
        block.put_match(285, 0, 0, 0)
    while block.size < target - tail:
        block.put_literal(98)
    if by_match:
        block.put_match(285, 0, 0, 0)
    rows = assert_same(block.encode(random.Random(0)))
    assert (rows is not None and len(rows) == target) if excess <= 0 else rows is None


@pytest.mark.parametrize("size", [8_191, 8_192, 8_193])
def test_the_limit_of_a_stored_block_is_exact(size: int) -> None:
    data = b"\1" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + bytes(size)
    assert (assert_same(data) is not None) == (size <= MAX_ROWS_BYTES)


def test_data_above_the_limit_is_no_frame() -> None:
    # Legal DEFLATE of a few bytes, if one lets it be followed by more.
    data = b"\3\0" + bytes(MAX_FRAME_BYTES)
    assert decode_frame(data) is None
    assert compute_inflate_reference(data) is None
    with pytest.raises(RuntimeError):
        evm.get_harness("inflate").call("run", encode(["bytes"], [data]))


@pytest.mark.parametrize("data", SELF_TEST, ids=lambda data: data.hex()[:20])
def test_the_self_test_holds_on_the_evm_too(data: bytes) -> None:
    assert_same(data)


def test_the_self_test_has_both_outcomes() -> None:
    accepted = [compute_inflate_reference(data) is not None for data in SELF_TEST]
    assert is_zlib_sound()
    assert 5 < sum(accepted) < len(accepted) - 5


def test_the_self_test_finds_a_lax_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inflater that takes several blocks, or ignores what is behind them, must not pass."""

    def decode_lax(data: bytes) -> bytes | None:
        try:
            return zlib.decompressobj(-15).decompress(data, MAX_ROWS_BYTES + 1)
        except zlib.error:
            return None

    monkeypatch.setattr(module, "decode_frame", decode_lax)
    assert not is_zlib_sound()
