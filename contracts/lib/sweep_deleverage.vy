# pragma version ~=0.4.3
"""
@title ADL_TALLY and ADL_CUT: the other side of a bankrupt's shorts is closed
@dev Twin of protocol/sweeps/deleverage.py. A line is two words for one of the shorts: series << 32 | lots, and price << 128 | long lots of
     all << 64 | long lots visited so far. Lines and positions both ascend.
"""

from . import haircut
from . import positions as holdings
from . import tour

COUNT_BITS: constant(uint256) = 64
COUNT_MASK: constant(uint256) = 2**64 - 1
PRICE_SHIFT: constant(uint256) = 128
LOTS_BITS: constant(uint256) = 32
LOTS_MASK: constant(uint256) = 2**32 - 1
MAX_LINES: constant(uint256) = 256  # words

@internal
@pure
def _encode_line(series: uint256, lots: int256) -> uint256:
    return (series << LOTS_BITS) | convert(lots, uint256)

@internal
@pure
def _tally(
    positions: DynArray[uint256, 128], lines: DynArray[uint256, MAX_LINES]
) -> DynArray[uint256, MAX_LINES]:
    """
    @notice Who is long in each line.
    """
    after: DynArray[uint256, MAX_LINES] = lines
    at: uint256 = 0
    for position: uint256 in positions:
        series: uint256 = holdings._series(position)
        lots: int256 = holdings._lots(position)
        for i: uint256 in range(MAX_LINES):
            if at >= len(lines) or lines[at] >> LOTS_BITS >= series:
                break
            at += 2
        if at < len(lines) and lines[at] >> LOTS_BITS == series and lots > 0:
            after[at + 1] += convert(lots, uint256) << COUNT_BITS
    return after

@internal
@pure
def _cut(
    visit: tour.Visit, is_slot: bool, positions: DynArray[uint256, 128], lines: DynArray[uint256, MAX_LINES]
) -> (tour.Visit, DynArray[uint256, MAX_LINES]):
    """
    @notice Each long of a line loses its part of the lots, at the line's price. A user who holds nothing more is not visited again.
    """
    v: tour.Visit = visit
    after: DynArray[uint256, MAX_LINES] = lines
    kept: DynArray[uint256, 128] = []
    at: uint256 = 0
    for position: uint256 in positions:
        series: uint256 = holdings._series(position)
        lots: int256 = holdings._lots(position)
        taken: int256 = 0
        for i: uint256 in range(MAX_LINES):
            if at >= len(lines) or lines[at] >> LOTS_BITS >= series:
                break
            at += 2
        if at < len(lines) and lines[at] >> LOTS_BITS == series and lots > 0:
            sums: uint256 = lines[at + 1]
            taken = haircut._share(
                convert(sums & COUNT_MASK, int256),
                lots,
                convert(lines[at] & LOTS_MASK, int256),
                convert((sums >> COUNT_BITS) & COUNT_MASK, int256),
            )
            v.account.cash += taken * convert(sums >> PRICE_SHIFT, int256)
            after[at + 1] += convert(lots, uint256)
        if lots != taken:
            kept.append(holdings._encode(series, lots - taken))
    v.account.positions = holdings._hash(kept)
    v.keeps_bit = is_slot or tour._is_holder(v.account)
    return v, after
