"""keccak-256 and the fixed-width words that L1 hashes."""

from collections.abc import Iterable
from struct import Struct, error

from sha3 import keccak_256

WORD = 32
MASK = (1 << 256) - 1
ZERO = bytes(WORD)
_PACK = [Struct(">" + "24xQ" * count).pack for count in range(160)]  # so many words whose values fit 64 bits


def keccak(data: bytes) -> bytes:
    """keccak-256 as in Ethereum (not NIST SHA3)."""
    digest: bytes = keccak_256(data).digest()
    return digest


def encode_word(value: int) -> bytes:
    """One ABI word, two's complement for negatives."""
    return (value & MASK).to_bytes(WORD, "big")


def encode_words(values: Iterable[int]) -> bytes:
    """ABI encoding of a static struct of integers."""
    words = tuple(values)
    try:
        return _PACK[len(words)](*words)
    except (IndexError, error):  # too many of them, or one that is negative or large
        return b"".join([(value & MASK).to_bytes(WORD, "big") for value in words])


def encode_array(words: list[bytes] | tuple[bytes, ...]) -> bytes:
    """What Vyper's ``abi_encode`` gives for one dynamic array of words: offset, length, elements."""
    return encode_word(WORD) + encode_word(len(words)) + b"".join(words)


def compute_array_hash(values: Iterable[int]) -> bytes:
    """Hash of a dynamic array of integers as L1 computes it."""
    words = tuple(values)
    return keccak(encode_words((WORD, len(words), *words)))


def compute_list_hash(words: list[bytes] | tuple[bytes, ...]) -> bytes:
    """Hash of a dynamic array of 32-byte hashes as L1 computes it."""
    return keccak(encode_array(words))
