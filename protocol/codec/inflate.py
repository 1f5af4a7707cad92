"""Frames: DEFLATE as a total function of the posted bytes, by zlib.

Many byte strings inflate to the same rows, so what is committed to is always the posted bytes; nobody compresses anew to check.
zlib is trusted only as far as it agrees with `inflate_reference`, which `is_zlib_sound` samples where implementations are known to differ.
"""

import zlib

from protocol.codec.inflate_reference import MAX_IN, MAX_OUT, compute_inflate_reference

MAX_FRAME_BYTES = MAX_IN  # of the compressed data
MAX_ROWS_BYTES = MAX_OUT  # what a frame may inflate to
RAW = -15  # no header, no checksum, a window above MAX_OUT
FINAL = 1

# Stored, fixed and dynamic blocks, and one stream of each kind that some inflater in use judges differently from zlib.
SELF_TEST = tuple(
    bytes.fromhex(text)
    for text in (
        "010300fcff616263",  # stored
        "010300fcfe616263",  # stored, length and complement disagree
        "010300fcff6162",  # stored, cut off
        "010300fcff61626300",  # a byte too many
        "000300fcff616263010000ffff",  # two blocks
        "0300",  # fixed, empty
        "4b4c4a0600",  # fixed, literals
        "4b4c04020000",  # fixed, a match over its own output
        "4b040200",  # fixed, no end of block
        "030200",  # fixed, distance before the start
        "fbff03",  # fixed, literal code 286 or 287
        "07",  # reserved kind of block
        "",
    )
)


def decode_frame(data: bytes) -> bytes | None:
    """The rows, or None for whatever is not one final block of at most `MAX_ROWS_BYTES` that ends with the data."""
    if not data or len(data) > MAX_FRAME_BYTES or not data[0] & FINAL:
        return None
    inflater = zlib.decompressobj(RAW)
    try:
        # One byte above the limit: at the limit itself zlib could stop before it has read the end of the block.
        rows = inflater.decompress(data, MAX_ROWS_BYTES + 1)
    except zlib.error:
        return None
    return rows if inflater.eof and not inflater.unused_data and len(rows) <= MAX_ROWS_BYTES else None


def encode_frame(rows: bytes) -> bytes:
    """One final block. zlib makes one as long as its symbols fit its buffer, hence memory level 9; else the rows are stored as they are."""
    if len(rows) > MAX_ROWS_BYTES:
        raise ValueError(f"a frame holds at most {MAX_ROWS_BYTES} bytes of rows, not {len(rows)}")
    length = len(rows)
    stored = bytes((FINAL,)) + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + rows
    deflater = zlib.compressobj(9, zlib.DEFLATED, RAW, 9)
    packed = deflater.compress(rows) + deflater.flush()
    data = packed if packed[0] & FINAL and len(packed) < len(stored) else stored
    assert decode_frame(data) == rows, "the installed zlib does not read what it wrote"
    return data


def is_zlib_sound() -> bool:
    """Whether the installed zlib agrees with the reference. A daemon must not start on one that does not."""
    return all(decode_frame(data) == compute_inflate_reference(data) for data in SELF_TEST)
