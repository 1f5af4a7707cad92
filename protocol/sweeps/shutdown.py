"""SHUTDOWN_TALLY and SHUTDOWN_PAY: everything becomes cash. Twin: contracts/lib/sweep_shutdown.vy."""

from protocol.haircut import share
from protocol.marks import compute_worth_down
from protocol.rules import Rules
from protocol.sweeps.tour import End, Tour, Visit
from protocol.types import Account, Mode, Phase


def compute_gain(a: Account, worth: int) -> int:
    """What of an account a loss may be taken from: the worth of its positions, so far as its cash does not already owe it."""
    return max(0, min(worth, a.cash + worth))


def tally(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """Slots fall to the pool at once, which may be below zero then."""
    s, g = tour.sweep, tour.globals
    worth = compute_worth_down(a.positions, tour.markets)
    if index >= rules.params.max_accounts:
        return Visit(tour._replace(globals=g._replace(pool=g.pool + a.cash + worth)), a)
    tour = tour.put_sweep(total=s.total + compute_gain(a, worth), deficit=s.deficit + max(0, -(a.cash + worth)))
    return Visit(tour, a)


def end_tally(tour: Tour) -> End:
    """As a settlement's; what the pool has left is its share holders', or the fund's where there are none."""
    s, g = tour.sweep, tour.globals
    purse = tour.purse._replace(pool=max(g.pool, 0))
    purse, rest = purse.pay_from_fund(s.deficit + g.debt + max(0, -g.pool))
    loss = min(rest, s.total)
    if g.shares == 0:
        purse = purse._replace(pool=0, fund=purse.fund + purse.pool)
    tour = tour.put_purse(purse, rest - loss - g.debt)
    return End(tour.put_sweep(mode=Mode.SHUTDOWN_PAY, cursor=0, deficit=0, loss=loss, pot=purse.pool), Phase.SCAN)


def pay(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """Positions, shares and requests become cash. Nobody is visited again."""
    if index >= rules.params.max_accounts:
        return Visit(tour, a._replace(cash=0, positions=()), False)
    s = tour.sweep
    worth = compute_worth_down(a.positions, tour.markets)
    gain = compute_gain(a, worth)
    cash = max(0, a.cash + worth) - share(s.before, gain, s.loss, s.total)
    cash += max(0, a.request) + share(s.shares, a.shares, s.pot, tour.globals.shares)
    tour = tour.put_sweep(before=s.before + gain, shares=s.shares + a.shares)
    return Visit(tour, a._replace(cash=cash, flag=0, positions=(), shares=0, request=0), False)


def end_pay(tour: Tour) -> End:
    """All that is left to do is to withdraw."""
    return End(tour._replace(globals=tour.globals._replace(pool=0, shares=0, requests=0, is_settled=1)), Phase.FETCH)
