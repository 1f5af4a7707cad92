"""The auction of a flagged account: the price of a unit of its positions, and how much may be sold. Twin: contracts/lib/auction.vy.

The discount grows by the mark, not by the second: whoever holds bids back has to hold back marks too, and those name their predecessor.
It is a share of the maintenance that a unit would need alone, since an option's mark says little about the risk of taking it over.
"""

from collections.abc import Sequence

from protocol.fixed_point import div_down
from protocol.kernel import Kernel
from protocol.legs import Leg
from protocol.margin import Margin
from protocol.types import Market

AUCTION_MARKS = 20  # after so many marks the discount is at its largest
DISCOUNT_PERCENT = 10  # of the standalone maintenance, then
BUFFER = (6, 5)  # equity over maintenance: what an auction restores, and no more


def compute_discount(maintenance: int, age: int) -> int:
    """Off the price of a unit that alone needs `maintenance` (1e-6 USD), `age` marks after the flag. Rounded down, against the bidder."""
    return div_down(maintenance * DISCOUNT_PERCENT * min(age, AUCTION_MARKS), 100 * AUCTION_MARKS)


def compute_price(legs: tuple[Leg, ...], age: int, markets: Sequence[Market], kernel: Kernel) -> int:
    """What the bidder pays for one unit, in 1e-6 USD; negative: is paid.

    Marks are rounded against the bidder, up for a long and down for a short: as whoever holds the other side of the unit is valued.
    """
    other_side = tuple((series, -ratio) for series, ratio in legs)
    gross = -kernel.compute_margin(0, other_side, markets).equity
    return gross - compute_discount(kernel.compute_margin(0, legs, markets).maintenance, age)


def is_cheap(before: Margin, after: Margin) -> bool:
    """Whether a sale costs the account at most a tenth of the maintenance that it takes off, which is what the pool would take for that.

    A leg of a hedge needs more maintenance alone than it takes off the account's: its discount could otherwise be all of the equity.
    """
    return 100 * (before.equity - after.equity) <= DISCOUNT_PERCENT * (before.maintenance - after.maintenance)


def is_restored(margin: Margin) -> bool:
    """No debt, and no shorts or equity of 1.2 times the maintenance: then nothing more is sold."""
    over, under = BUFFER
    return margin.cash >= 0 and (not margin.has_short or under * margin.equity >= over * margin.maintenance)
