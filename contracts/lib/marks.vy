# pragma version ~=0.4.3
"""
@title What positions are worth at their marks
@dev Twin of protocol/marks.py.
"""

from . import margin as risk
from . import positions as holdings
from . import types

UNDERLYINGS: constant(uint256) = 2
LOTS_PER_UNIT: constant(int256) = 100
UNDERLYING_SHIFT: constant(uint256) = 89  # of a series

@internal
@pure
def _compute_lot_mark(series: uint256, markets: types.Market[2]) -> (int256, int256):
    """
    @notice 1e-6 USD a lot: of a long, and of a short. Nothing for a series that its market does not carry.
    """
    underlying: uint256 = series >> UNDERLYING_SHIFT
    if underlying >= UNDERLYINGS:
        return 0, 0
    is_listed: bool = False
    mark: int256 = 0
    is_listed, mark = risk._compute_mark(series, markets[underlying])
    return mark // LOTS_PER_UNIT, (mark + LOTS_PER_UNIT - 1) // LOTS_PER_UNIT

@internal
@pure
def _compute_values(positions: DynArray[uint256, 128], markets: types.Market[2]) -> (int256, int256, int256):
    """
    @notice What the longs fetch and what buying the shorts back costs, a mark a lot rounded against the holder; and both sides at the mark
            rounded down, which over all accounts sums to zero.
    """
    longs: int256 = 0
    shorts: int256 = 0
    total: int256 = 0
    for position: uint256 in positions:
        lots: int256 = holdings._lots(position)
        down: int256 = 0
        up: int256 = 0
        down, up = self._compute_lot_mark(holdings._series(position), markets)
        total += lots * down
        if lots > 0:
            longs += lots * down
        else:
            shorts -= lots * up
    return longs, shorts, total
