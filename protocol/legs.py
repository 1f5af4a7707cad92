"""Legs: the series of a combo or a bid, with so many lots of each in one unit. Twin: contracts/lib/legs.vy.

In a row a leg is four items: underlying, expiry, strike in cents with the call bit below, ratio (zig-zag). In the state it is packed as a
position is: series << 32 | ratio + 2**31.
"""

from protocol.codec.rows import decode_zigzag
from protocol.codes import Code
from protocol.operations import LEG_ITEMS
from protocol.series import EXPIRY_BITS, MAX_STRIKE, STRIKE_UNIT, decode_series, encode_series
from protocol.signing import compute_legs_hash
from protocol.types import LOTS_BIAS, MAX_RATIO, UNDERLYINGS

Leg = tuple[int, int]  # (series, ratio)


def pack_leg(series: int, ratio: int) -> int:
    """As it stands in an order."""
    return series << 32 | ratio + LOTS_BIAS


def unpack_leg(leg: int) -> Leg:
    """The inverse of `pack_leg`."""
    return leg >> 32, (leg & (1 << 32) - 1) - LOTS_BIAS


def pack_plain(series: int) -> tuple[int, ...]:
    """The only leg of a plain order: one lot a unit."""
    return (pack_leg(series, 1),)


def check_series(underlying: int, expiry: int, strike: int) -> Code:
    """Whether there can be such a series; `strike` in 1e-6 USD."""
    if underlying >= len(UNDERLYINGS) or expiry == 0 or expiry >> EXPIRY_BITS or strike == 0 or strike > MAX_STRIKE:
        return Code.SERIES
    return Code.OK


def decode_legs(items: tuple[int, ...]) -> tuple[tuple[Leg, ...], Code]:
    """Of the items of a row from its first leg on. Ascending by series and distinct, each ratio from 1 to 100 lots either way."""
    legs: list[Leg] = []
    for at in range(0, len(items), LEG_ITEMS):
        underlying, expiry, terms, zigzag = items[at : at + LEG_ITEMS]
        strike = (terms >> 1) * STRIKE_UNIT
        if check_series(underlying, expiry, strike) != Code.OK:
            return (), Code.SERIES
        series, ratio = encode_series(underlying, expiry, strike, terms & 1), decode_zigzag(zigzag)
        if not 0 < abs(ratio) <= MAX_RATIO or (legs and series <= legs[-1][0]):
            return (), Code.LEGS
        legs.append((series, ratio))
    return tuple(legs), Code.OK


def compute_signed_legs(legs: tuple[Leg, ...]) -> bytes:
    """What is signed of them: the hash of an array of `Leg` structs."""
    return compute_legs_hash((*decode_series(series), ratio) for series, ratio in legs)
