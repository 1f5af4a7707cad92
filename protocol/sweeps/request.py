"""REQUEST: entries to and exits from the backstop pool that have waited long enough. Twin: contracts/lib/sweep_request.vy."""

from protocol.pool import MAX_SHARES, compute_burned, compute_minted, compute_paid
from protocol.rules import Rules
from protocol.sweeps.tour import End, Tour, Visit
from protocol.types import Account, Phase


def visit(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """At the pool as the mark has left it."""
    if tour.globals.clock < a.request_time + rules.params.pool_delay_s:
        return Visit(tour, a)
    tour = tour._replace(globals=tour.globals._replace(requests=tour.globals.requests - 1))
    return enter(a, tour) if a.request > 0 else leave(a, tour)


def enter(a: Account, tour: Tour) -> Visit:
    """Cash becomes shares; it goes back where it is worth none, or where there would be too many."""
    g = tour.globals
    minted = compute_minted(a.request, g.pool, g.slots_equity, g.shares)
    if minted == 0 or g.shares + minted > MAX_SHARES:
        return Visit(tour, a._replace(cash=a.cash + a.request, request=0), False)
    g = g._replace(pool=g.pool + a.request, shares=g.shares + minted)
    return Visit(tour._replace(globals=g), a._replace(shares=a.shares + minted, request=0), False)


def leave(a: Account, tour: Tour) -> Visit:
    """Shares become cash, as far as the pool has any."""
    g = tour.globals
    paid = compute_paid(-a.request, g.pool, g.shares)
    burned = compute_burned(-a.request, paid, g.pool, g.slots_equity, g.shares)
    after = a._replace(cash=a.cash + paid, shares=a.shares - burned, request=0)
    return Visit(tour._replace(globals=g._replace(pool=g.pool - paid, shares=g.shares - burned)), after, False)


def end(tour: Tour) -> End:
    """The last part of a mark's scan."""
    return End(tour, Phase.FETCH)
