"""Rows: canonical RLP, by the `rlp` package, by our decoder and by the EVM."""

import random

import pytest
import rlp
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.codec.rows import MAX_ITEMS, decode_row, decode_zigzag, encode_row, encode_zigzag
from tests.codec import evm

items = st.one_of(
    st.integers(0, 300),
    st.integers(0, 2**64),
    st.integers(0, 2**256 - 1),
    st.sampled_from([127, 128, 255, 256, 2**248 - 1, 2**248, 2**256 - 1]),
)
rows = st.lists(items, max_size=MAX_ITEMS)

BROKEN = {
    "nothing": "",
    "a string": "83616263",
    "a leading zero in one byte": "c100",
    "a leading zero in two bytes": "c3820001",
    "a leading zero in 32 bytes": "e1a0" + "00" + "11" * 31,
    "a small number encoded long": "c28101",
    "127 encoded long": "c2817f",
    "33 bytes": "e2a1" + "11" * 33,
    "a long string": "f83ab838" + "11" * 56,
    "a list in a list": "c1c0",
    "an item over the list's end": "c28201ff",
    "a list over the end": "c401020304"[:8],
    "a long header for a short list": "f80101",
    "a long header for 55 bytes": "f837" + "01" * 55,
    "two bytes of length for 255": "f900ff" + "01" * 255,
    "three bytes of length": "fa000100" + "01" * 256,
    "a header cut off": "f8",
    "a long header cut off": "f901",
    "129 items": "f881" + "01" * 129,
}


def is_canonical(data: bytes) -> bool:
    """Whether the `rlp` package reads a list of integers of at most 32 bytes and writes it the same way."""
    sedes = rlp.sedes.CountableList(rlp.sedes.big_endian_int)
    try:
        decoded = rlp.decode(data, sedes, strict=True)
    except rlp.exceptions.RLPException:
        return False
    return len(decoded) <= MAX_ITEMS and all(item < 2**256 for item in decoded) and rlp.encode(decoded, sedes) == data


@given(rows, st.binary(max_size=40), st.binary(max_size=40))
def test_reads_back_what_was_written_wherever_it_stands(row: list[int], before: bytes, behind: bytes) -> None:
    data = encode_row(row)
    assert data == rlp.encode(row)
    assert decode_row(before + data + behind, len(before)) == (tuple(row), len(before) + len(data))


@given(rows, st.data())
@example([127] * 57, None)
def test_accepts_exactly_the_canonical_encodings(row: list[int], draw: st.DataObject | None) -> None:
    data = bytearray(encode_row(row))
    if draw is not None:
        data[draw.draw(st.integers(0, min(4, len(data) - 1)))] = draw.draw(st.integers(0, 255))
    got, end = decode_row(bytes(data), 0)
    if got is None:
        assert end == len(data)
        assert not is_canonical(bytes(data))
    else:
        assert encode_row(got) == data[:end]
        assert is_canonical(bytes(data[:end]))


@given(st.binary(max_size=80), st.integers(0, 90))
def test_any_bytes_are_a_row_or_end_the_rows(data: bytes, offset: int) -> None:
    got, end = decode_row(data, offset)
    if got is None:
        assert end == len(data)
    else:
        assert offset < end <= len(data)
        assert encode_row(got) == data[offset:end]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rows_by_name(name: str) -> None:
    data = bytes.fromhex(BROKEN[name])
    assert decode_row(data, 0) == (None, len(data))
    assert evm.decode_row(data, 0) == (None, len(data))


@pytest.mark.parametrize(
    ("data", "row"),
    [
        ("c0", ()),
        ("c180", (0,)),
        ("c17f", (127,)),
        ("c28180", (128,)),
        ("e1a0" + "ff" * 32, (2**256 - 1,)),
        ("f838" + "01" * 56, (1,) * 56),
        ("f880" + "01" * 128, (1,) * 128),
        ("f90108" + "a0" + "11" * 32 + ("a0" + "11" * 32) * 7, (int("11" * 32, 16),) * 8),
    ],
)
def test_rows_at_the_limits(data: str, row: tuple[int, ...]) -> None:
    raw = bytes.fromhex(data)
    assert decode_row(raw, 0) == (row, len(raw))
    assert evm.decode_row(raw, 0) == (row, len(raw))


def test_the_twins_agree_on_mutated_rows(seed: int) -> None:
    rng = random.Random(seed)
    accepted = 0
    for _ in range(1_200):
        row = [rng.getrandbits(rng.choice([1, 7, 8, 40, 255, 256])) for _ in range(rng.choice([0, 3, 9, 60, 128]))]
        data = bytearray(encode_row([5, 6]) + encode_row(row))
        for _ in range(rng.choice([0, 0, 1, 2])):
            data[rng.randrange(min(len(data), 20))] = rng.choice([rng.randrange(256), 0, 0x81, 0xC0, 0xF8, 0xF9])
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        offset = rng.choice([0, 3, 3, 3, rng.randrange(len(data) + 2), 2**255])
        expected = decode_row(bytes(data), offset)
        assert evm.decode_row(bytes(data), offset) == expected, (data.hex(), offset)
        accepted += expected[0] is not None
    assert 300 < accepted < 1_100  # both outcomes are exercised


@pytest.mark.parametrize("row", [[-1], [2**256], [1] * 129])
def test_does_not_write_what_it_would_not_read(row: list[int]) -> None:
    with pytest.raises(ValueError, match="at most"):
        encode_row(row)


@given(st.integers())
def test_zigzag_is_a_bijection(value: int) -> None:
    code = encode_zigzag(value)
    assert code >= 0
    assert decode_zigzag(code) == value
    assert encode_zigzag(decode_zigzag(abs(value))) == abs(value)


def test_zigzag_as_documented() -> None:
    assert [encode_zigzag(value) for value in (0, -1, 1, -2, 2)] == [0, 1, 2, 3, 4]
