"""The frame decoder bit by bit: the specification of `inflate.decode_frame` and of `contracts/lib/inflate.vy`.

Raw DEFLATE (RFC 1951), narrowed to one block that is final, uses every byte and inflates to at most `MAX_OUT` bytes. Which sets of code
lengths are legal is not in the RFC; this follows zlib: a code is complete, except that a distance code may be empty, and that a distance or
literal code may consist of a single code of one bit (its other half is an error once it is met).
"""

MAX_IN = 8_256
MAX_OUT = 8_192
CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
MAX_LITERAL_CODES = 286  # zlib rejects 287 and 288, which the RFC leaves open
MAX_DISTANCE_CODES = 30
END_OF_BLOCK = 256
FIXED_LITERALS = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8
FIXED_DISTANCES = [5] * 32

Code = dict[tuple[int, int], int]  # (length, code) -> symbol


class _Malformed(Exception):
    """Never leaves this module: the decoder is total."""


class _Reader:
    """Bits of a byte string, lowest first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data) << 3
        self.value = int.from_bytes(data, "little")
        self.position = 0

    def decode_bits(self, count: int) -> int:
        if self.position + count > self.size:
            raise _Malformed
        bits = self.value >> self.position & (1 << count) - 1
        self.position += count
        return bits

    def decode_symbol(self, code: Code) -> int:
        """Huffman codes come highest bit first."""
        word = 0
        for length in range(1, 16):
            word = word << 1 | self.decode_bits(1)
            if (length, word) in code:
                return code[length, word]
        raise _Malformed


def _compute_code(lengths: list[int], may_be_incomplete: bool, may_be_empty: bool) -> Code:
    """The canonical code of these lengths, RFC 1951 section 3.2.2."""
    used = [length for length in lengths if length]
    free = 1 << 15
    for length in used:
        free -= 1 << 15 - length
    is_excused = used == [1] if used else may_be_empty
    if free < 0 or (free > 0 and not (may_be_incomplete and is_excused)):
        raise _Malformed
    code: Code = {}
    word = 0
    for length in range(1, 16):
        for symbol, symbol_length in enumerate(lengths):
            if symbol_length == length:
                code[length, word] = symbol
                word += 1
        word <<= 1
    return code


def _decode_lengths(reader: _Reader) -> tuple[list[int], list[int]]:
    """The code lengths of a dynamic block: literals and lengths, then distances, run-length coded as one list."""
    literals = reader.decode_bits(5) + 257
    distances = reader.decode_bits(5) + 1
    count = reader.decode_bits(4) + 4
    if literals > MAX_LITERAL_CODES or distances > MAX_DISTANCE_CODES:
        raise _Malformed
    meta = [0] * 19
    for place in CODE_LENGTH_ORDER[:count]:
        meta[place] = reader.decode_bits(3)
    code = _compute_code(meta, may_be_incomplete=False, may_be_empty=False)
    lengths: list[int] = []
    while len(lengths) < literals + distances:
        symbol = reader.decode_symbol(code)
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            if not lengths:
                raise _Malformed
            lengths += [lengths[-1]] * (3 + reader.decode_bits(2))
        elif symbol == 17:
            lengths += [0] * (3 + reader.decode_bits(3))
        else:
            lengths += [0] * (11 + reader.decode_bits(7))
    if len(lengths) > literals + distances or lengths[END_OF_BLOCK] == 0:
        raise _Malformed
    return lengths[:literals], lengths[literals:]


def _decode_match_length(reader: _Reader, symbol: int) -> int:
    """RFC 1951 section 3.2.5: symbols 257..285, the last of which is 258 with no extra bits."""
    index = symbol - 257
    if index > 28:
        raise _Malformed
    if index < 8:
        return 3 + index
    if index == 28:
        return 258
    extra = (index >> 2) - 1
    return ((4 + (index & 3)) << extra) + 3 + reader.decode_bits(extra)


def _decode_distance(reader: _Reader, symbol: int) -> int:
    if symbol > 29:
        raise _Malformed
    if symbol < 2:
        return 1 + symbol
    extra = (symbol >> 1) - 1
    return ((2 + (symbol & 1)) << extra) + 1 + reader.decode_bits(extra)


def _decode_symbols(reader: _Reader, literals: Code, distances: Code) -> bytes:
    out = bytearray()
    while len(out) <= MAX_OUT:
        symbol = reader.decode_symbol(literals)
        if symbol == END_OF_BLOCK:
            return bytes(out)
        if symbol < END_OF_BLOCK:
            out.append(symbol)
            continue
        length = _decode_match_length(reader, symbol)
        distance = _decode_distance(reader, reader.decode_symbol(distances))
        if distance > len(out):
            raise _Malformed
        for _ in range(length):
            out.append(out[-distance])
    raise _Malformed


def _decode_stored(reader: _Reader) -> bytes:
    reader.position = (reader.position + 7) & ~7
    length = reader.decode_bits(16)
    if reader.decode_bits(16) != length ^ 0xFFFF:
        raise _Malformed
    start = reader.position >> 3
    reader.position += length << 3
    if reader.position > reader.size or length > MAX_OUT:
        raise _Malformed
    return reader.data[start : start + length]


def _decode_block(reader: _Reader) -> bytes:
    if reader.decode_bits(1) != 1:
        raise _Malformed
    kind = reader.decode_bits(2)
    if kind == 3:
        raise _Malformed
    if kind == 0:
        return _decode_stored(reader)
    literals, distances = (FIXED_LITERALS, FIXED_DISTANCES) if kind == 1 else _decode_lengths(reader)
    literal_code = _compute_code(literals, may_be_incomplete=True, may_be_empty=False)
    distance_code = _compute_code(distances, may_be_incomplete=True, may_be_empty=True)
    return _decode_symbols(reader, literal_code, distance_code)


def compute_inflate_reference(data: bytes) -> bytes | None:
    """Slow; for tests and for the check of the installed zlib. What is left of the last byte may hold any bits."""
    if len(data) > MAX_IN:
        return None
    reader = _Reader(data)
    try:
        out = _decode_block(reader)
    except _Malformed:
        return None
    return out if (reader.position + 7) >> 3 == len(data) else None
