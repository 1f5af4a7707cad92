"""Writes DEFLATE streams symbol by symbol, legal ones and ones with a fault of every kind: what a compressor would never write."""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.codec.inflate_reference import CODE_LENGTH_ORDER, FIXED_DISTANCES, FIXED_LITERALS, MAX_IN

END = 256


def _compute_length_bases() -> list[tuple[int, int]]:
    bases = [(3 + i, 0) if i < 8 else (((4 + (i & 3)) << (i >> 2) - 1) + 3, (i >> 2) - 1) for i in range(28)]
    return [*bases, (258, 0)]


LENGTHS = _compute_length_bases()
DISTANCES = [(1 + i, 0) if i < 2 else (((2 + (i & 1)) << (i >> 1) - 1) + 1, (i >> 1) - 1) for i in range(30)]


class Writer:
    """Bits, lowest first."""

    def __init__(self) -> None:
        self.value = 0
        self.size = 0

    def put(self, value: int, count: int) -> None:
        self.value |= (value & (1 << count) - 1) << self.size
        self.size += count

    def put_code(self, code: tuple[int, int]) -> None:
        """Huffman codes go highest bit first."""
        length, word = code
        for shift in reversed(range(length)):
            self.put(word >> shift, 1)

    def get_bytes(self) -> bytes:
        return self.value.to_bytes((self.size + 7) // 8, "little")


def get_codes(lengths: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Symbol to (length, code); of an illegal set too, cut to its length."""
    codes, word = {}, 0
    for length in range(1, 16):
        for symbol, its in enumerate(lengths):
            if its == length:
                codes[symbol] = (length, word & (1 << length) - 1)
                word += 1
        word <<= 1
    return codes


def make_complete(rng: random.Random, count: int, longest: int = 15, deep: bool = False) -> list[int]:
    """Code lengths of a complete code of `count` symbols, by splitting leaves at random."""
    lengths = [1, 1]
    while len(lengths) < count:
        open_leaves = [i for i, length in enumerate(lengths) if length < longest]
        leaf = max(open_leaves, key=lengths.__getitem__) if deep and rng.random() < 0.7 else rng.choice(open_leaves)
        lengths[leaf] += 1
        lengths.append(lengths[leaf])
    rng.shuffle(lengths)
    return lengths


def put_lengths(w: Writer, rng: random.Random, literals: int, lengths: Sequence[int], repeats: bool, meta: list[int] | None = None) -> None:
    """The head of a dynamic block. `meta` replaces the lengths of the code-length code, legal or not."""
    plan: list[tuple[int, int, int]] = []  # symbol, extra, extra bits
    i = 0
    while i < len(lengths):
        run = 1
        while i + run < len(lengths) and lengths[i + run] == lengths[i]:
            run += 1
        if repeats and lengths[i] == 0 and run >= 3:
            run = min(run, 138)
            plan.append((17, run - 3, 3) if run <= 10 else (18, run - 11, 7))
        elif repeats and i and lengths[i] == lengths[i - 1] and run >= 3:
            run = min(run, 6)
            plan.append((16, run - 3, 2))
        else:
            run = 1
            plan.append((lengths[i], 0, 0))
        i += run
    if meta is None:
        used = sorted({symbol for symbol, _, _ in plan})
        if len(used) == 1:
            used.append(next(symbol for symbol in range(19) if symbol not in used))
        meta = [0] * 19
        for symbol, length in zip(used, make_complete(rng, len(used), 7), strict=True):
            meta[symbol] = length
    count = max([4] + [i + 1 for i, symbol in enumerate(CODE_LENGTH_ORDER) if meta[symbol]])
    w.put(literals - 257, 5)
    w.put(len(lengths) - literals - 1, 5)
    w.put(count - 4, 4)
    for symbol in CODE_LENGTH_ORDER[:count]:
        w.put(meta[symbol], 3)
    codes = get_codes(meta)
    for symbol, extra, bits in plan:
        w.put_code(codes.get(symbol, (1, rng.getrandbits(1))))
        w.put(extra, bits)


@dataclass
class Block:
    """One block: code lengths, then tokens (a literal, or (length symbol, extra, distance symbol, extra))."""

    literals: list[int]
    distances: list[int]
    kind: int = 2
    tokens: list[int | tuple[int, int, int, int]] = field(default_factory=list)
    size: int = 0
    repeats: bool = True
    final: int = 1
    meta: list[int] | None = None
    ends: bool = True

    def put_literal(self, symbol: int) -> None:
        self.tokens.append(symbol)
        self.size += 1

    def put_match(self, length_symbol: int, extra: int, distance_symbol: int, distance_extra: int) -> None:
        self.tokens.append((length_symbol, extra, distance_symbol, distance_extra))
        self.size += LENGTHS[length_symbol - 257][0] + extra

    def encode(self, rng: random.Random) -> bytes:
        w = Writer()
        w.put(self.final, 1)
        w.put(self.kind, 2)
        if self.kind == 2:
            put_lengths(w, rng, len(self.literals), self.literals + self.distances, self.repeats, self.meta)
        literals, distances = get_codes(self.literals), get_codes(self.distances)
        for token in self.tokens:
            if isinstance(token, int):
                w.put_code(literals[token])
                continue
            length_symbol, extra, distance_symbol, distance_extra = token
            w.put_code(literals[length_symbol])
            w.put(extra, LENGTHS[length_symbol - 257][1] if length_symbol < 286 else 0)
            w.put_code(distances.get(distance_symbol, (1, 1)))
            w.put(distance_extra, DISTANCES[distance_symbol][1] if distance_symbol < 30 else 0)
        if self.ends and END in literals:
            w.put_code(literals[END])
        return w.get_bytes()


def make_lengths(rng: random.Random, size: int, count: int, must: Sequence[int] = ()) -> list[int]:
    """Lengths of a complete code over `count` random symbols of `size`, those of `must` among them."""
    symbols = [*must, *rng.sample([i for i in range(size) if i not in must], count - len(must))]
    lengths = [0] * size
    for symbol, length in zip(symbols, make_complete(rng, count, deep=rng.random() < 0.3), strict=True):
        lengths[symbol] = length
    return lengths


def fill(rng: random.Random, block: Block, count: int) -> None:
    """Random legal tokens that the codes of the block have."""
    literals = [i for i in range(256) if block.literals[i]]
    lengths = [i for i in range(257, min(286, len(block.literals))) if block.literals[i]]
    distances = [i for i in range(min(30, len(block.distances))) if block.distances[i]]
    for _ in range(count):
        near = [i for i in distances if DISTANCES[i][0] <= block.size]
        if literals and (not (lengths and near) or rng.random() < 0.6):
            block.put_literal(rng.choice(literals))
        elif lengths and near:
            length, distance = rng.choice(lengths), rng.choice(near)
            base, bits = DISTANCES[distance]
            extra = min(rng.getrandbits(bits), block.size - base)
            block.put_match(length, rng.getrandbits(LENGTHS[length - 257][1]), distance, extra)


def _inject_fault(rng: random.Random, block: Block) -> None:
    """One of the ways in which a stream can be wrong; now and then the result is legal after all."""
    fault = rng.randrange(12)
    lengths = block.literals if fault < 3 else block.distances
    used = [i for i, length in enumerate(lengths) if length]
    if fault in {0, 3} and used:
        lengths[rng.choice(used)] -= 1
    elif fault in {1, 4} and used:
        place = rng.choice(used)
        lengths[place] = min(15, lengths[place] + 1)
    elif fault == 2:
        block.literals[END] = 0
    elif fault == 5:
        lengths[:] = [0] * len(lengths)
        lengths[rng.randrange(len(lengths))] = rng.choice([0, 1, 2, 15])
    elif fault == 6:
        block.meta = [rng.randrange(8) for _ in range(19)]
    elif fault == 7:
        block.literals += [0] * (rng.choice([287, 288]) - len(block.literals))
    elif fault == 8:
        block.distances += [0] * (rng.choice([31, 32]) - len(block.distances))
    elif fault == 9:
        block.ends = False
    elif fault == 10:
        block.final = 0
    elif block.kind == 1:
        block.tokens.insert(rng.randrange(len(block.tokens) + 1), (rng.choice([257, 286, 287]), 0, rng.choice([0, 29, 30, 31]), 0))


def make_stream(rng: random.Random, is_faulty: bool) -> bytes:
    """One stored, fixed or dynamic block."""
    kind = rng.choice([0, 1, 2, 2, 2, 2])
    if kind == 0:
        body = rng.randbytes(rng.choice([0, 1, 31, 32, 33, rng.randrange(300), 8191, 8192, 8193]))
        complement = len(body) ^ 0xFFFF ^ (1 << rng.randrange(16) if is_faulty and rng.random() < 0.5 else 0)
        body = body[: len(body) - (is_faulty and rng.random() < 0.5)]
        return bytes([rng.randrange(32) << 3 | 1]) + len(body).to_bytes(2, "little") + complement.to_bytes(2, "little") + body
    if kind == 1:
        block = Block(list(FIXED_LITERALS), list(FIXED_DISTANCES), kind)
    else:
        literal_count = rng.randrange(257, 287)
        literals = make_lengths(rng, literal_count, rng.randrange(2, rng.choice([3, 8, 40, 257])), [END])
        distance_count = rng.randrange(1, 31)
        used = rng.randrange(distance_count + 1)
        distances = make_lengths(rng, distance_count, used) if used > 1 else [0] * distance_count
        if used == 1:
            distances[rng.randrange(distance_count)] = 1
        block = Block(literals, distances, kind, repeats=rng.random() < 0.8)
    fill(rng, block, rng.choice([0, 1, 3, 20, 100, rng.randrange(400)]))
    if is_faulty:
        _inject_fault(rng, block)
    tokens = [t for t in block.tokens if (block.literals[t] if isinstance(t, int) else t[0] < len(block.literals) and block.literals[t[0]])]
    block.tokens = tokens
    return block.encode(rng)


def make_body(rng: random.Random) -> bytes:
    """Something to compress."""
    size = rng.choice([rng.randrange(40), rng.randrange(600), rng.randrange(9000), 8191, 8192, 8193, 8224])
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:
        return bytes(rng.choice(b"abcd") for _ in range(size))
    if kind == 2:
        return (rng.randbytes(rng.randrange(1, 40)) * (size + 1))[:size]
    if kind == 3:
        return bytes(int(rng.expovariate(0.05)) % 256 for _ in range(size))
    return bytes(size)


def compress(rng: random.Random, body: bytes) -> bytes:
    """By zlib, with any of its settings; often several blocks."""
    deflater = zlib.compressobj(
        rng.choice([0, 1, 6, 9]), zlib.DEFLATED, -rng.randrange(9, 16), rng.randrange(1, 10), rng.choice([0, 0, 1, 2, 3, 4])
    )
    return deflater.compress(body) + deflater.flush()


def mutate(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        kind = rng.randrange(5)
        place = rng.randrange(min(len(out), rng.choice([4, 60, 10**6]))) if out else 0
        if kind <= 1 and out:
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 2 and out:
            out[place] = rng.randrange(256)
        elif kind == 3:
            del out[place:]
        else:
            out += rng.randbytes(rng.randrange(1, 4))
    return bytes(out)


def make_frame(rng: random.Random) -> bytes:
    """Any of the above, and plain noise behind a plausible first byte."""
    kind = rng.randrange(7)
    if kind == 0:
        return compress(rng, make_body(rng))
    if kind == 1:
        return make_stream(rng, is_faulty=False)
    if kind in {2, 3}:
        return make_stream(rng, is_faulty=True)
    if kind == 4:
        return mutate(rng, compress(rng, make_body(rng)))
    if kind == 5:
        return mutate(rng, make_stream(rng, is_faulty=False))
    return bytes([rng.choice([3, 5, 5, 7, 1]) | rng.randrange(32) << 3]) + rng.randbytes(rng.randrange(200))


def _move(lengths: list[int], symbol: int, rank: int) -> None:
    """Gives the symbol the code length of that rank among all; another symbol gets its own."""
    place = lengths.index(sorted(lengths)[rank])
    lengths[symbol], lengths[place] = lengths[place], lengths[symbol]


def make_dear_frame(rng: random.Random, distance: int, length_rank: int = 0, distance_rank: int = 0) -> bytes:
    """Full tables without repeats, then the shortest matches, 8 KB in all; by the ranks of their codes in few bytes or in many."""
    literals, distances = make_complete(rng, 286), make_complete(rng, 30)
    _move(literals, 257, length_rank)
    _move(distances, distance, distance_rank)
    block = Block(literals, distances, repeats=False)
    for _ in range(33):
        block.put_literal(97)
    while block.size <= 8_189:
        block.put_match(257, 0, distance, 0)
    while block.size < 8_192:
        block.put_literal(97)
    return block.encode(rng)


def make_dear_frames() -> list[bytes]:
    """At the distances that cost most: across words, and overlapping by one byte; the last with codes so long that they just fit."""
    rng = random.Random(3)
    frames = [make_dear_frame(rng, distance) for distance in (9, 1, 0)]
    while len(frames) < 4:
        longest = make_dear_frame(rng, 0, 285, 20)
        if MAX_IN - 256 < len(longest) <= MAX_IN:
            frames.append(longest)
    return frames
