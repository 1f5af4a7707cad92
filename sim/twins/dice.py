"""Where the random inputs come from: numbers at the edges, keys, signatures good and bad."""

import random
from functools import cache
from typing import NamedTuple

from coincurve import PrivateKey

from protocol.codec.frames import SIGNATURE_BYTES
from protocol.keccak import keccak
from protocol.params import DEVNET, MINIMAL, Params
from protocol.rules import Rules
from protocol.signing import compute_domain

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CURVE_PRIME = 2**256 - 2**32 - 977
EDGES = (8, 20, 26, 31, 32, 37, 40, 42, 43, 48, 60, 63, 64, 128, 160, 255, 256)
HOSTILE = tuple(sorted({0, 1, 2, 3, 255, 256, 257, *(max(0, min((1 << bits) + d, (1 << 256) - 1)) for bits in EDGES for d in (-1, 0, 1))}))
KEYS = 12
FILLER = b"".join(keccak(i.to_bytes(4, "big")) for i in range(2_200))  # no signature of anybody
DOMAIN = compute_domain(1, 0x5AFE)


class Key(NamedTuple):
    """A signer."""

    secret: PrivateKey
    address: int


@cache
def get_keys() -> tuple[Key, ...]:
    """The first are owners', the last the oracles'."""
    keys = []
    for i in range(KEYS):
        secret = PrivateKey(keccak(f"twins {i}".encode()))
        keys.append(Key(secret, int.from_bytes(keccak(secret.public_key.format(compressed=False)[1:])[12:], "big")))
    return tuple(keys)


def make_rules(params: Params) -> Rules:
    """The last keys are the oracles'."""
    return Rules(params, DOMAIN, tuple(key.address for key in get_keys()[-params.oracle_count :]))


ALL_RULES = (make_rules(MINIMAL), make_rules(DEVNET))


def sign(key: Key, digest: bytes) -> bytes:
    """65 bytes, low s, v 27 or 28."""
    raw = key.secret.sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes([raw[64] + 27])


class Dice(random.Random):
    """A seeded source with the habits of an attacker."""

    def chance(self, probability: float) -> bool:
        """True that often."""
        return self.random() < probability

    def make_number(self) -> int:
        """An item of a row that nobody sane writes."""
        return self.choice(HOSTILE) if self.chance(0.8) else self.getrandbits(self.randrange(1, 257))

    def make_near(self, value: int) -> int:
        """At a bound or one off it."""
        return max(0, value + self.choice((-1, 0, 1)))

    def make_hash(self) -> bytes:
        """Of nothing in particular."""
        return self.randbytes(32)

    def make_signature(self, key: Key, digest: bytes, is_good: bool) -> bytes:
        """By `key` over `digest`, or one of the ways in which it is not."""
        good = sign(key, digest)
        if is_good:
            return good
        r, s, v = good[:32], int.from_bytes(good[32:64], "big"), good[64]
        wrong_key = self.choice([other for other in get_keys() if other is not key])
        numbers = (0, 1, CURVE_ORDER - 1, CURVE_ORDER, CURVE_ORDER + 1, CURVE_PRIME, 2**256 - 1, self.getrandbits(256))
        match self.randrange(8):
            case 0:
                return sign(wrong_key, digest)
            case 1:
                return sign(key, self.make_hash())
            case 2:
                return r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - v])
            case 3:
                return good[:64] + bytes([self.choice((0, 1, 2, 26, 29, 30, 55 - v, 255))])
            case 4:
                return self.choice(numbers).to_bytes(32, "big") + good[32:]
            case 5:
                return r + self.choice(numbers).to_bytes(32, "big") + bytes([v])
            case 6:
                return bytes(SIGNATURE_BYTES)
            case _:
                return self.randbytes(SIGNATURE_BYTES)

    def place_signatures(self, signatures: list[bytes], is_whole: bool) -> tuple[bytes, int]:
        """A source with these somewhere in it, and the number of the first. If not whole, some or all of them are cut off."""
        before = self.choice((0, 0, 0, 1, 2, 30, 31, 32, 33, 63, 64, self.randrange(200), 1_024 - len(signatures)))
        after = self.choice((0, 0, 0, 1, 31, 32)) if before < 512 else 0
        source = FILLER[: SIGNATURE_BYTES * before] + b"".join(signatures)
        if is_whole:
            return source + FILLER[: SIGNATURE_BYTES * after], before
        return source[: self.choice((0, len(source) - 1, len(source) - 64, SIGNATURE_BYTES * before, self.randrange(len(source))))], before
