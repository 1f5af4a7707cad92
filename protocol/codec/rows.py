"""Rows: operations as canonical RLP lists of unsigned integers, one after the other, with nothing between them.

A decoder of its own, because every operation passes here on every node; the tests hold it against the `rlp` package. The Vyper twin is
`contracts/lib/rows.vy`.
"""

from collections.abc import Sequence

MAX_ITEMS = 128
MAX_ITEM_BYTES = 32

# RLP's first bytes (Yellow Paper, appendix B)
STRING = 0x80  # + length of a string of 0 to 55 bytes
LIST = 0xC0  # + length of a list of 0 to 55 bytes
LIST_8 = 0xF8  # one byte of length follows, above 55
LIST_16 = 0xF9  # two bytes of length follow, above 255; more cannot fit a frame
SHORT = 55
BYTES = [bytes((value,)) for value in range(256)]


def encode_row(items: Sequence[int]) -> bytes:
    """Raises ValueError where `decode_row` would not read it back."""
    if len(items) > MAX_ITEMS:
        raise ValueError(f"a row holds at most {MAX_ITEMS} items, not {len(items)}")
    parts = []
    for item in items:
        if 0 < item < STRING:
            parts.append(BYTES[item])
            continue
        length = (item.bit_length() + 7) >> 3
        if item < 0 or length > MAX_ITEM_BYTES:
            raise ValueError(f"an item is unsigned and has at most {MAX_ITEM_BYTES} bytes: {item}")
        parts.append(BYTES[STRING + length])
        parts.append(item.to_bytes(length, "big"))
    payload = b"".join(parts)
    size = len(payload)
    if size <= SHORT:
        return bytes((LIST + size,)) + payload
    return (bytes((LIST_8, size)) if size < 256 else bytes((LIST_16, size >> 8, size & 255))) + payload


def _decode_head(rows: bytes, offset: int) -> tuple[int, int]:
    """Where the row at `offset` has its items: (start, end); (0, 0) without a minimal list header, or if the list runs over the end."""
    size = len(rows)
    if offset >= size:
        return 0, 0
    first = rows[offset]
    if LIST <= first < LIST_8:
        start = offset + 1
        end = start + first - LIST
    elif first == LIST_8 and offset + 2 <= size and rows[offset + 1] > SHORT:
        start = offset + 2
        end = start + rows[offset + 1]
    elif first == LIST_16 and offset + 3 <= size and rows[offset + 1] > 0:
        start = offset + 3
        end = start + (rows[offset + 1] << 8 | rows[offset + 2])
    else:
        return 0, 0
    return (start, end) if end <= size else (0, 0)


def decode_row(rows: bytes, offset: int) -> tuple[tuple[int, ...] | None, int]:
    """The items of the row at `offset` and where the next row starts.

    (None, the end of the rows) for anything that `encode_row` would not have written: with one broken row the rest is lost, as nothing says
    where a next row would start.
    """
    position, end = _decode_head(rows, offset)
    broken = None, len(rows)
    if end == 0:
        return broken
    items: list[int] = []
    while position < end:
        value = rows[position]
        position += 1
        if value >= STRING:
            start = position
            position += value - STRING
            if value > STRING + MAX_ITEM_BYTES or position > end:
                return broken
            value = int.from_bytes(rows[start:position], "big")
            if position > start and (rows[start] == 0 or value < STRING):
                return broken
        elif value == 0:
            return broken
        items.append(value)
    return (tuple(items), end) if len(items) <= MAX_ITEMS else broken


def encode_zigzag(value: int) -> int:
    """Signed to unsigned: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def decode_zigzag(code: int) -> int:
    """Inverse of `encode_zigzag`, for every unsigned integer."""
    return -((code + 1) >> 1) if code & 1 else code >> 1
