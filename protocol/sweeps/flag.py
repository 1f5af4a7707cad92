"""FLAG, after a MARK: who is below maintenance, who is taken over, what the pool's slots need. Twin: contracts/lib/sweep_flag.vy."""

from protocol.margin import Margin, is_stale
from protocol.positions import has_expired
from protocol.rules import Rules
from protocol.sweeps.tour import End, Tour, Visit, end_mark
from protocol.types import Account, Phase, Sweep, is_risky
from protocol.waterfall import top_up

RIPE_MARKS = 20  # of a flag: nobody wanted the positions
BANKRUPT_MARKS = 2  # with equity below zero: one wrong mark takes nothing from anybody


def compute_flag(a: Account, margin: Margin, mark: int) -> Account:
    """Flags below maintenance, unflags at or above it. A flag kills the account's orders."""
    is_healthy = margin.equity >= margin.maintenance and a.cash >= 0
    if a.flag and is_healthy:
        return a._replace(flag=0)
    if not a.flag and (a.cash < 0 or (margin.has_short and not is_healthy)):
        return a._replace(flag=mark, generation=a.generation + 1)
    return a


def is_ripe(a: Account, equity: int, tour: Tour, max_age: int) -> bool:
    """Whether the pool takes a flagged account over.

    Not for cash while the marks are behind what everyone knows: where a position has expired and is not settled, or an underlying's mark
    is older than `max_age` seconds. Whoever keeps marks back does not choose the price.
    """
    g = tour.globals
    age = g.marks - a.flag
    if equity < 0:
        return age >= BANKRUPT_MARKS
    return age >= RIPE_MARKS and not has_expired(a.positions, g.clock) and not is_stale(a.positions, tour.markets, g.clock, max_age)


def visit(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """Of a user or a slot of the pool."""
    margin = rules.kernel.compute_margin(a.cash, a.positions, tour.markets)
    if index < rules.params.max_accounts:
        return visit_user(index, a, margin, tour, rules.params.mark_max_age_s)
    return visit_slot(index, a, margin, tour)


def visit_user(index: int, a: Account, margin: Margin, tour: Tour, max_age: int) -> Visit:
    """The bit goes with the last short position and negative cash: the flag has gone by then."""
    after = compute_flag(a, margin, tour.globals.marks)
    if after.flag and is_ripe(after, margin.equity, tour, max_age):
        return Visit(tour.put_sweep(account=index, equity=margin.equity, maintenance=margin.maintenance), after, is_ripe=True)
    return Visit(tour, after, is_risky(a.cash, a.positions))


def visit_slot(index: int, a: Account, margin: Margin, tour: Tour) -> Visit:
    """The pool keeps a slot at its maintenance; one without positions is the next free one."""
    g = tour.globals
    if not a.positions:
        purse, rest = tour.purse._replace(pool=g.pool + max(a.cash, 0)).pay(-a.cash)
        return Visit(tour.put_purse(purse, rest, free_slot=index + 1), a._replace(cash=0, nonce=g.free_slot), False)
    equity, purse = top_up(margin.equity, margin.maintenance, tour.purse)
    tour = tour.put_purse(purse, slots_equity=g.slots_equity + max(equity, 0))
    if equity < 0 and tour.sweep.bankrupt == 0:
        tour = tour.put_sweep(bankrupt=index + 1)
    return Visit(tour, a._replace(cash=a.cash + equity - margin.equity))


def end(tour: Tour) -> End:
    """A bankrupt account that nobody could take over is deleveraged, one a mark."""
    if tour.sweep.bankrupt:
        return End(tour._replace(sweep=Sweep(bankrupt=tour.sweep.bankrupt)), Phase.DELEVERAGE)
    return end_mark(tour)
