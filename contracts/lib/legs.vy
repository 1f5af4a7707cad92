# pragma version ~=0.4.3
"""
@title Legs: the series of a combo or a bid, with so many lots of each in one unit
@dev Twin of protocol/legs.py. In a row a leg is four items: underlying, expiry, strike in cents with the call bit below, ratio (zig-zag). In
     the state it is packed as a position is: series << 32 | ratio + 2**31; a leg that is not there is zero.
"""

from . import codes

MAX_LEGS: constant(uint256) = 4
MAX_RATIO: constant(int256) = 100
LEG_ITEMS: constant(uint256) = 4
BIAS: constant(int256) = 2**31
MASK: constant(uint256) = 2**32 - 1
UNDERLYINGS: constant(uint256) = 2
EXPIRY_BITS: constant(uint256) = 40
MAX_STRIKE: constant(uint256) = 2**43 - 1
STRIKE_UNIT: constant(uint256) = 10_000
LEG_TYPE: constant(bytes32) = keccak256("Leg(uint256 underlying,uint256 expiry,uint256 strike,bool isCall,int256 ratio)")

@internal
@pure
def _pack(series: uint256, ratio: int256) -> uint256:
    return (series << 32) | convert(ratio + BIAS, uint256)

@internal
@pure
def _series(leg: uint256) -> uint256:
    return leg >> 32

@internal
@pure
def _ratio(leg: uint256) -> int256:
    return convert(leg & MASK, int256) - BIAS

@internal
@pure
def _decode_zigzag(n: uint256) -> int256:
    half: int256 = convert(n >> 1, int256)
    return half if n & 1 == 0 else -half - 1

@internal
@pure
def _check_series(underlying: uint256, expiry: uint256, cents: uint256) -> uint256:
    """
    @notice Whether there can be such a series.
    """
    if underlying >= UNDERLYINGS or expiry == 0 or expiry >> EXPIRY_BITS != 0 or cents == 0 or cents > MAX_STRIKE // STRIKE_UNIT:
        return codes.SERIES
    return codes.OK

@internal
@pure
def _decode(items: DynArray[uint256, 128], start: uint256) -> (uint256[4], uint256):
    """
    @notice Of the items of a row from its first leg on. Ascending by series and distinct, each ratio from 1 to 100 lots either way.
    """
    legs: uint256[4] = empty(uint256[4])
    count: uint256 = (len(items) - start) // LEG_ITEMS
    last: uint256 = 0
    for i: uint256 in range(count, bound=4):
        at: uint256 = start + LEG_ITEMS * i
        cents: uint256 = items[at + 2] >> 1
        if self._check_series(items[at], items[at + 1], cents) != codes.OK:
            return empty(uint256[4]), codes.SERIES
        series: uint256 = (items[at] << 89) | (items[at + 1] << 49) | ((cents * STRIKE_UNIT) << 1) | (items[at + 2] & 1)
        ratio: int256 = self._decode_zigzag(items[at + 3])
        if ratio == 0 or ratio > MAX_RATIO or ratio < -MAX_RATIO or (i > 0 and series <= last):
            return empty(uint256[4]), codes.LEGS
        legs[i] = self._pack(series, ratio)
        last = series
    return legs, codes.OK

@internal
@pure
def _hash(legs: uint256[4]) -> bytes32:
    """
    @notice What is signed of them: the hash of an array of `Leg` structs.
    """
    hashes: bytes32[4] = empty(bytes32[4])
    count: uint256 = 0
    for leg: uint256 in legs:
        if leg == 0:
            break
        series: uint256 = self._series(leg)
        hashes[count] = keccak256(
            abi_encode(
                LEG_TYPE,
                series >> 89,
                (series >> 49) & (2**40 - 1),
                (series >> 1) & (2**48 - 1),
                series & 1,
                self._ratio(leg),
            )
        )
        count += 1
    return keccak256(slice(abi_encode(hashes), 0, 32 * count))
