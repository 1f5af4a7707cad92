# pragma version ~=0.4.3
"""
@title The auction of a flagged account: the price of a unit of its positions, and how much may be sold
@dev Twin of protocol/auction.py.
"""

from . import margin as risk
from . import types

AUCTION_MARKS: constant(uint256) = 20  # after so many marks the discount is at its largest
DISCOUNT_PERCENT: constant(int256) = 10  # of the standalone maintenance, then
OVER: constant(int256) = 6  # equity over maintenance: what an auction restores, and no more
UNDER: constant(int256) = 5

@internal
@pure
def _compute_discount(maintenance: int256, age: uint256) -> int256:
    """
    @notice Off the price of a unit that alone needs `maintenance`, `age` marks after the flag. Rounded down, against the bidder.
    """
    return maintenance * DISCOUNT_PERCENT * convert(min(age, AUCTION_MARKS), int256) // (100 * convert(AUCTION_MARKS, int256))

@internal
@pure
def _compute_price(legs: uint256[4], age: uint256, markets: types.Market[2]) -> int256:
    """
    @notice What the bidder pays for one unit, in 1e-6 USD; negative: is paid. Marks are rounded against the bidder: as whoever holds the
            other side of the unit is valued.
    """
    unit: risk.Margin = empty(risk.Margin)
    other_side: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    unit, other_side, oldest = risk._compute_margins(0, 0, risk._merge([], legs, 1, -1), markets)
    return -other_side.equity - self._compute_discount(unit.maintenance, age)

@internal
@pure
def _is_cheap(before: risk.Margin, after: risk.Margin) -> bool:
    """
    @notice Whether a sale costs the account at most a tenth of the maintenance that it takes off, which is what the pool would take for that.
    @dev A leg of a hedge needs more maintenance alone than it takes off the account's: its discount could otherwise be all of the equity.
    """
    return 100 * (before.equity - after.equity) <= DISCOUNT_PERCENT * (before.maintenance - after.maintenance)

@internal
@pure
def _is_restored(margin: risk.Margin) -> bool:
    """
    @notice No debt, and no shorts or equity of 1.2 times the maintenance: then nothing more is sold.
    """
    return margin.cash >= 0 and (not margin.has_short or UNDER * margin.equity >= OVER * margin.maintenance)
