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
        "07",  # the reserved kind
        "",  # nothing
        "0dc101010000008090adfd3f1162",  # dynamic, a match
        "0dc081000000008020d6fd25ae18",  # dynamic, one distance code of one bit
        "0dc081000000008020d6fd25ae1c",  # dynamic, that code's other half is met
        "0dc081000000008020d6fd25ee06",  # dynamic, one distance code of two bits
        "0de1010e00000000a1bcf5feff896b1a",  # dynamic, one distance code of 15 bits
        "0dc0810c000000c020d6fb4bbcd5",  # dynamic, no distance code
        "0dc0010900000080a0adfd3f91e4",  # dynamic, no distance code, and a match
        "0dc101010000008090adfd3f1135",  # dynamic, incomplete distance code
        "0dc2830100000080b05bfbff898606",  # dynamic, over-subscribed distance code
        "05c0810800000000207feb03",  # dynamic, end of block as the only code
        "0580010500000080febf0e",  # dynamic, end of block as the only code, of two bits
        "05c08105000000c0a05bfbff8911",  # dynamic, incomplete literal code
        "05c001090000000090adfc1f2100",  # dynamic, over-subscribed literal code
        "05c08100000000009056fe2b00",  # dynamic, no end of block
        "f5c181000000008020d6fd258ea41a",  # dynamic, 287 literal codes
        "0dde81000000008020d6fd25ae481a",  # dynamic, 31 distance codes
        "05c001040000000020000000000000000000000000010000000000000000000000000000000000000011",  # dynamic, incomplete code of the lengths
        "0300",  # fixed, empty
        "4b4c4a3e0100",  # fixed, literals
        "4b040100",  # fixed, a match over its own output
        "4b04",  # fixed, no end of block
        "4b044100",  # fixed, a distance before the start
        "4b1c0300",  # fixed, literal code 286
        "4b4c4c043e00",  # fixed, distance code 30
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
