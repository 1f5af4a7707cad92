"""ADL_TALLY and ADL_CUT: the other side of a bankrupt's shorts is closed. Twin: contracts/lib/sweep_deleverage.vy.

A line is two words for one of the shorts: series << 32 | lots, and price << 128 | long lots of all << 64 | long lots visited so far.
"""

from protocol.haircut import share
from protocol.positions import get_lots
from protocol.rules import Rules
from protocol.sweeps.tour import End, Tour, Visit, end_mark
from protocol.types import Account, Mode, Phase, Position, is_holder

COUNT_BITS = 64
COUNT_MASK = (1 << COUNT_BITS) - 1
PRICE_SHIFT = 2 * COUNT_BITS
LOTS_BITS = 32
LOTS_MASK = (1 << LOTS_BITS) - 1


def encode_line(series: int, lots: int, price: int) -> tuple[int, int]:
    """`lots` to be closed at `price` (1e-6 USD a lot), neither negative."""
    return series << LOTS_BITS | lots, price << PRICE_SHIFT


def tally(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """Who is long in each line."""
    lines = list(tour.lines)
    for at in range(0, len(lines), 2):
        held = get_lots(a.positions, lines[at] >> LOTS_BITS)
        lines[at + 1] += max(held, 0) << COUNT_BITS
    return Visit(tour._replace(lines=tuple(lines)), a)


def end_tally(tour: Tour) -> End:
    """Now each long's part can be told."""
    return End(tour.put_sweep(mode=Mode.ADL_CUT, cursor=0), Phase.SCAN)


def cut(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """Each long of a line loses its part of the lots, at the line's price. A user who holds nothing more is not visited again."""
    lines = list(tour.lines)
    numbers = {lines[at] >> LOTS_BITS: at for at in range(0, len(lines), 2)}
    cash = a.cash
    kept: list[Position] = []
    for series, lots in a.positions:
        at = numbers.get(series)
        taken = 0
        if at is not None and lots > 0:
            sums = lines[at + 1]
            taken = share(sums & COUNT_MASK, lots, lines[at] & LOTS_MASK, sums >> COUNT_BITS & COUNT_MASK)
            cash += taken * (sums >> PRICE_SHIFT)
            lines[at + 1] += lots
        if lots != taken:
            kept.append((series, lots - taken))
    after = a._replace(cash=cash, positions=tuple(kept))
    return Visit(tour._replace(lines=tuple(lines)), after, index >= rules.params.max_accounts or is_holder(after))


def end_cut(tour: Tour) -> End:
    """The lines are closed."""
    return end_mark(tour._replace(lines=()))
