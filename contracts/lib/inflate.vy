# pragma version ~=0.4.3
"""
@title Inflating a frame
@dev Twin of protocol/codec/inflate_reference.py: raw DEFLATE (RFC 1951), one block that is final, every byte used, at most MAX_OUT bytes out.
     Total: (False, b"") for everything malformed, never a revert, and the work is bounded whatever the bytes say.

     A window `w` holds the next unread bits in stream order, the first one highest, so that a Huffman code is the top of `w` and extra bits are
     behind it. `left` counts the bits of `w`; `end` is the stream's bit position behind them, so `end - left` is the next one to read.
     A window is filled from 32 bytes at once; one turn of a loop takes at most 48 bits, so it is filled when fewer are left.
"""

MAX_IN: constant(uint256) = 8256
MAX_OUT: constant(uint256) = 8192
MAX_BUFFER: constant(uint256) = 8544  # MAX_OUT and one match of 258 bytes, in whole words, and one word to read behind it
WORDS: constant(uint256) = 267  # of the buffer
ONE: constant(uint256) = 1

# Fifteen lanes of 17 bits compare the next 15 bits with the limits of all code lengths in one subtraction.
LANES: constant(uint256) = 441715136213640681094868372899756268943053706257068932256019958678552577  # sum of 2**(17 i) for i < 15
HIGH: constant(uint256) = LANES << 16  # the top bit of each lane

# x * SPREAD & PICK % FOLD reverses 13 bits: SPREAD copies x to the bits 12 + 15 i, PICK keeps bit i of copy i, which is bit 12 + 16 i, and
# 2**(12 + 16 i) is 2**(12 - i) modulo FOLD = 2**17 - 1.
SPREAD: constant(uint256) = 6277293303175473960672968163691177499400066628137988919296
PICK: constant(uint256) = 25711401032988708127972662591572852935108286051862146640252928
FOLD: constant(uint256) = 131071

EVEN_BITS: constant(uint256) = 38597363079105398474523661669562635951089994888546854679819194669304376546645  # 0x5555..
EVEN_PAIRS: constant(uint256) = 23158417847463239084714197001737581570653996933128112807891516801582625927987  # 0x3333..
EVEN_NIBBLES: constant(uint256) = 6811299366900952671974763824040465167839410862684739061144563765171360567055  # 0x0f0f..

CODE_LENGTH_ORDER: constant(uint256) = 334603056943045650456978536431448388231368976  # 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 15

# What a symbol stands for: below 256 a literal, END, BAD, else base << 16 | number of extra bits.
END: constant(uint256) = 256
BAD: constant(uint256) = 512

# Which set of lengths a code is made of.
META: constant(uint256) = 0
LITERALS: constant(uint256) = 1
DISTANCES: constant(uint256) = 2

struct Code:
    limits: uint256  # lane l - 1 of 17 bits: the end of the codes of length l, left-justified to 15 bits
    bases: uint256  # lane l of 16 bits: the place in `symbols` of the first code of length l, minus that code
    symbols: uint256[288]  # what each stands for, by length and then by symbol

@internal
@pure
def _reverse_bytes(chunk: bytes32) -> uint256:
    """
    @notice Reverses the bits inside each byte: DEFLATE packs from the lowest bit up.
    """
    v: uint256 = convert(chunk, uint256)
    v = ((v >> 1) & EVEN_BITS) | ((v & EVEN_BITS) << 1)
    v = ((v >> 2) & EVEN_PAIRS) | ((v & EVEN_PAIRS) << 2)
    return ((v >> 4) & EVEN_NIBBLES) | ((v & EVEN_NIBBLES) << 4)

@internal
@pure
def _extra(w: uint256, count: uint256) -> uint256:
    """
    @notice The next `count` bits, at most 13, as a number: these come lowest bit first.
    """
    return ((unsafe_mul(w >> 243, SPREAD) & PICK) % FOLD) & unsafe_sub(ONE << count, 1)

@internal
@pure
def _code_length(w: uint256, limits: uint256) -> uint256:
    """
    @notice One more than the number of limits that the next 15 bits have reached. A complete code has its last limit out of reach.
    """
    reached: uint256 = (unsafe_sub(unsafe_mul(w >> 241, LANES) | HIGH, limits) & HIGH) >> 16
    return unsafe_add((unsafe_mul(reached, LANES) >> 238) & 31, 1)

@internal
@pure
def _repeat(chunk: uint256, period: uint256, count: uint256) -> uint256:
    """
    @notice The first `period` bytes of `chunk` again and again, until there are `count`: a match over its own output.
    """
    s: uint256 = period << 3
    v: uint256 = (chunk >> unsafe_sub(256, s)) << unsafe_sub(256, s)
    for _i: uint256 in range(5):
        v |= v >> s
        s = s << 1
        if s >= count << 3:
            break
    return v

@internal
@pure
def _meaning(symbol: uint256, kind: uint256) -> uint256:
    """
    @notice RFC 1951 section 3.2.5.
    """
    extra: uint256 = 0
    if kind == DISTANCES:
        if symbol >= 30:
            return BAD
        extra = unsafe_sub(max(symbol >> 1, 1), 1)
        return (unsafe_add(((symbol & 1) | min(symbol & 30, 2)) << extra, 1) << 16) | extra
    if kind == META or symbol <= 256:
        return symbol
    index: uint256 = unsafe_sub(symbol, 257)
    if index >= 28:
        return 258 << 16 if index == 28 else BAD
    extra = unsafe_sub(max(index >> 2, 1), 1)
    return (unsafe_add(((index & 3) | min(index & 28, 4)) << extra, 3) << 16) | extra

@internal
@pure
def _build_code(lengths: uint256[320], start: uint256, count: uint256, kind: uint256) -> (bool, Code):
    """
    @notice The canonical code of `count` lengths from `start` on; False where zlib finds them over-subscribed or incomplete.
    """
    c: Code = empty(Code)
    counts: uint256 = 0  # lane l of 16 bits: codes of length l
    for i: uint256 in range(count, bound=288):
        counts = unsafe_add(counts, ONE << (lengths[unsafe_add(start, i)] << 4))
    counts = (counts >> 16) << 16
    if (kind == DISTANCES and counts <= 65536) or (kind == LITERALS and counts == 65536):
        # No distance code, or a single code of one bit: the missing codes of one bit are there and bad.
        c.symbols[0] = BAD
        c.symbols[1] = BAD
        counts = 131072
    code: uint256 = 0
    place: uint256 = 0
    places: uint256 = 0  # lane l of 16 bits: where in `symbols` the next code of length l goes
    for l: uint256 in range(1, 16):
        lane: uint256 = l << 4
        n: uint256 = (counts >> lane) & 65535
        code = code << 1
        c.bases |= (unsafe_sub(place, code) & 65535) << lane
        places |= place << lane
        place = unsafe_add(place, n)
        code = unsafe_add(code, n)
        if code > ONE << l:
            return False, c
        c.limits |= (code << unsafe_sub(15, l)) << unsafe_mul(17, unsafe_sub(l, 1))
    if code != 32768:
        return False, c
    for i: uint256 in range(count, bound=288):
        lane: uint256 = lengths[unsafe_add(start, i)] << 4
        if lane != 0:
            c.symbols[(places >> lane) & 65535] = self._meaning(i, kind)
            places = unsafe_add(places, ONE << lane)
    return True, c

@internal
@pure
def _fixed_lengths() -> uint256[320]:
    lengths: uint256[320] = empty(uint256[320])
    for i: uint256 in range(320):
        l: uint256 = 8
        if i >= 288:
            l = 5
        elif i >= 256 and i < 280:
            l = 7
        elif i >= 144 and i < 256:
            l = 9
        lengths[i] = l
    return lengths

@internal
@pure
def _decode_meta(head: uint256, count: uint256) -> (bool, Code):
    """
    @notice The code of the code lengths: `count` lengths of three bits from the top of `head`.
    """
    lengths: uint256[320] = empty(uint256[320])
    w: uint256 = head
    order: uint256 = CODE_LENGTH_ORDER
    for _i: uint256 in range(count, bound=19):
        lengths[order & 255] = self._extra(w, 3)
        order = order >> 8
        w = w << 3
    return self._build_code(lengths, 0, 19, META)

@internal
@pure
def _decode_lengths(data: Bytes[MAX_BUFFER], bits: uint256) -> (bool, uint256, uint256[320], uint256, uint256):
    """
    @notice The head of a dynamic block, from bit 3 on.
    @return Whether it is legal, the bit behind it, the lengths, how many are literals', how many are distances'.
    """
    lengths: uint256[320] = empty(uint256[320])
    w: uint256 = self._reverse_bytes(extract32(data, 0)) << 3
    literals: uint256 = unsafe_add(self._extra(w, 5), 257)
    distances: uint256 = unsafe_add(self._extra(w << 5, 5), 1)
    metas: uint256 = unsafe_add(self._extra(w << 10, 4), 4)
    if literals > 286 or distances > 30:
        return False, 0, lengths, 0, 0
    ok: bool = False
    meta: Code = empty(Code)
    ok, meta = self._decode_meta(w << 14, metas)
    if not ok:
        return False, 0, lengths, 0, 0
    end: uint256 = unsafe_add(17, unsafe_mul(3, metas))
    left: uint256 = 0
    total: uint256 = unsafe_add(literals, distances)
    at: uint256 = 0
    last: uint256 = 0
    for _i: uint256 in range(320):
        if at >= total:
            break
        if left < 48:
            p: uint256 = unsafe_sub(end, left)
            if p > bits:
                return False, 0, lengths, 0, 0
            w = self._reverse_bytes(extract32(data, p >> 3)) << (p & 7)
            left = unsafe_sub(256, p & 7)
            end = unsafe_add(p, left)
        l: uint256 = self._code_length(w, meta.limits)
        symbol: uint256 = meta.symbols[unsafe_add(meta.bases >> (l << 4), w >> unsafe_sub(256, l)) & 65535]
        w = w << l
        left = unsafe_sub(left, l)
        if symbol < 16:
            lengths[at] = symbol
            last = symbol
            at = unsafe_add(at, 1)
            continue
        if symbol == 16 and at == 0:
            return False, 0, lengths, 0, 0
        # 16 repeats the last length, 17 and 18 are zeros, which the array holds already
        last = last if symbol == 16 else 0
        extra: uint256 = 7 if symbol == 18 else unsafe_sub(symbol, 14)
        least: uint256 = 11 if symbol == 18 else 3
        stop: uint256 = unsafe_add(at, unsafe_add(least, self._extra(w, extra)))
        w = w << extra
        left = unsafe_sub(left, extra)
        if stop > total:
            return False, 0, lengths, 0, 0
        if last != 0:
            for i: uint256 in range(at, stop, bound=6):
                lengths[i] = last
        at = stop
    return lengths[256] != 0, unsafe_sub(end, left), lengths, literals, distances

@internal
@pure
def _decode_symbols(data: Bytes[MAX_BUFFER], bits: uint256, start: uint256, literals: Code, distances: Code) -> (uint256, Bytes[MAX_BUFFER]):
    """
    @notice The symbols of a block from bit `start` on.
    @dev One function on purpose: an internal call copies its arguments, here the buffer and both codes, once a symbol.
    @return The bit behind the end of the block, zero if there is none, and the bytes.
    """
    out: uint256[WORDS] = empty(uint256[WORDS])
    size: uint256 = 0
    acc: uint256 = 0  # the size % 32 bytes that are not in `out` yet, low in the word
    w: uint256 = 0
    left: uint256 = 0
    end: uint256 = start
    done: bool = False
    for _i: uint256 in range(MAX_OUT + 2):  # every turn writes a byte or leaves
        if left < 48:
            p: uint256 = unsafe_sub(end, left)
            if p > bits:
                return 0, b""
            w = self._reverse_bytes(extract32(data, p >> 3)) << (p & 7)
            left = unsafe_sub(256, p & 7)
            end = unsafe_add(p, left)
        l: uint256 = self._code_length(w, literals.limits)
        e: uint256 = literals.symbols[unsafe_add(literals.bases >> (l << 4), w >> unsafe_sub(256, l)) & 65535]
        w = w << l
        left = unsafe_sub(left, l)
        if e < 256:
            acc = (acc << 8) | e
            size = unsafe_add(size, 1)
            if size & 31 == 0:
                if size > MAX_OUT:
                    return 0, b""
                out[unsafe_sub(size >> 5, 1)] = acc
                acc = 0
            continue
        if e <= BAD:
            done = e == END
            break
        if size > MAX_OUT:
            return 0, b""
        length: uint256 = e >> 16
        l = e & 15
        if l != 0:
            length = unsafe_add(length, self._extra(w, l))
            w = w << l
            left = unsafe_sub(left, l)
        l = self._code_length(w, distances.limits)
        e = distances.symbols[unsafe_add(distances.bases >> (l << 4), w >> unsafe_sub(256, l)) & 65535]
        w = w << l
        left = unsafe_sub(left, l)
        l = e & 15
        distance: uint256 = e >> 16
        if l != 0:
            distance = unsafe_add(distance, self._extra(w, l))
            w = w << l
            left = unsafe_sub(left, l)
        if unsafe_sub(distance, 1) >= size:  # before the start, or BAD, whose distance is zero
            return 0, b""
        # Copy up to 32 bytes a turn, through `v`, which holds them left-justified. `q` is the number of bits that the open word has already.
        j: uint256 = size >> 5
        q: uint256 = (size & 31) << 3
        acc = acc << unsafe_sub(256, q)
        for _k: uint256 in range(9):
            out[j] = acc
            i: uint256 = unsafe_sub(size, distance)
            s: uint256 = (i & 31) << 3
            i = i >> 5
            v: uint256 = (out[i] << s) | (out[unsafe_add(i, 1)] >> unsafe_sub(256, s))
            n: uint256 = min(length, 32)
            if distance < n:
                v = self._repeat(v, distance, n)
            s = unsafe_sub(256, n << 3)
            v = (v >> s) << s
            acc |= v >> q
            size = unsafe_add(size, n)
            if (size >> 5) != j:
                out[j] = acc
                acc = v << unsafe_sub(256, q)
                j = unsafe_add(j, 1)
            q = (size & 31) << 3
            if length == n:
                break
            length = unsafe_sub(length, n)
        acc = acc >> unsafe_sub(256, q)
    if not done or size > MAX_OUT:
        return 0, b""
    out[size >> 5] = acc << unsafe_sub(256, (size & 31) << 3)
    return unsafe_sub(end, left), slice(abi_encode(out), 0, size)

@internal
@pure
def _inflate(data: Bytes[MAX_IN]) -> (bool, Bytes[MAX_BUFFER]):
    """
    @notice The rows of a frame; (False, b"") if the frame is invalid. At most MAX_OUT bytes, whatever the type says.
    """
    size: uint256 = len(data)
    bits: uint256 = size << 3
    padded: Bytes[MAX_BUFFER] = concat(data, empty(bytes32))
    head: uint256 = convert(extract32(padded, 0), uint256)
    kind: uint256 = (head >> 249) & 3
    if size == 0 or (head >> 248) & 1 == 0 or kind == 3:
        return False, b""
    if kind == 0:
        # lowest byte first, twice: length and its complement
        length: uint256 = ((head >> 240) & 255) | ((head >> 224) & 65280)
        check: uint256 = ((head >> 224) & 255) | ((head >> 208) & 65280)
        if size < 5 or check != length ^ 65535 or length > MAX_OUT or size != unsafe_add(5, length):
            return False, b""
        return True, slice(data, 5, length)
    ok: bool = False
    at: uint256 = 3
    lengths: uint256[320] = empty(uint256[320])
    literal_count: uint256 = 288
    distance_count: uint256 = 32
    if kind == 1:
        lengths = self._fixed_lengths()
    else:
        ok, at, lengths, literal_count, distance_count = self._decode_lengths(padded, bits)
        if not ok:
            return False, b""
    literals: Code = empty(Code)
    ok, literals = self._build_code(lengths, 0, literal_count, LITERALS)
    if not ok:
        return False, b""
    distances: Code = empty(Code)
    ok, distances = self._build_code(lengths, literal_count, distance_count, DISTANCES)
    if not ok:
        return False, b""
    out: Bytes[MAX_BUFFER] = b""
    at, out = self._decode_symbols(padded, bits, at, literals, distances)
    if at == 0 or unsafe_add(at, 7) >> 3 != size:
        return False, b""
    return True, out
