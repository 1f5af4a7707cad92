"""A series of options: one underlying, expiry, strike and kind, packed into an integer that sorts in that order."""

from typing import NamedTuple

EXPIRY_BITS = 40
STRIKE_BITS = 48
UNDERLYING_SHIFT = 1 + STRIKE_BITS + EXPIRY_BITS
STRIKE_UNIT = 10_000  # strikes are multiples of 0.01 USD; prices and strikes are in 1e-6 USD
MAX_STRIKE = (1 << 43) - 1  # the bound of the pricing kernel


class Series(NamedTuple):
    """`strike` in 1e-6 USD, `expiry` in seconds since 1970."""

    underlying: int
    expiry: int
    strike: int
    is_call: int


def encode_series(underlying: int, expiry: int, strike: int, is_call: int) -> int:
    """underlying 8 bits | expiry 40 | strike 48 | call 1."""
    return underlying << UNDERLYING_SHIFT | expiry << 49 | strike << 1 | is_call


def decode_series(series: int) -> Series:
    """The inverse of `encode_series`; total for any non-negative integer."""
    return Series(series >> UNDERLYING_SHIFT, series >> 49 & ((1 << EXPIRY_BITS) - 1), series >> 1 & ((1 << STRIKE_BITS) - 1), series & 1)
