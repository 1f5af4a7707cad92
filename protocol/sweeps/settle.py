"""SETTLE_TALLY and SETTLE_PAY: an expiry's positions become cash. Twin: contracts/lib/sweep_settle.vy."""

from protocol.fixed_point import div_down
from protocol.haircut import share
from protocol.marks import compute_values
from protocol.rules import Rules
from protocol.series import EXPIRY_BITS, decode_series
from protocol.sweeps.tour import End, Tour, Visit
from protocol.types import LOTS_PER_UNIT, Account, Market, Mode, Phase, Position, Sweep, is_holder

LISTING_SHIFT = 49  # of a series: underlying and expiry are above


def compute_payoff(series: int, price: int) -> int:
    """1e-6 USD a lot at the settlement price: exact, since strikes and the price are multiples of 100."""
    _, _, strike, is_call = decode_series(series)
    return div_down(max(price - strike if is_call else strike - price, 0), LOTS_PER_UNIT)


def compute_gain(positions: tuple[Position, ...], sweep: Sweep) -> int:
    """What the positions of the listing pay, 1e-6 USD, signed."""
    return sum(lots * compute_payoff(series, sweep.price) for series, lots in positions if series >> LISTING_SHIFT == sweep.listing)


def drop_listing(positions: tuple[Position, ...], listing: int) -> tuple[Position, ...]:
    """The positions that stay."""
    return tuple(item for item in positions if item[0] >> LISTING_SHIFT != listing)


def compute_deficit(a: Account, gain: int, tour: Tour) -> int:
    """What the account cannot pay of what it owes here, out of its cash and of what its other positions are worth.

    Where these are worth less than nothing, that is no settlement's loss: its cash is not kept for it.
    """
    if gain >= 0:
        return 0
    longs, shorts = compute_values(drop_listing(a.positions, tour.sweep.listing), tour.markets)
    return max(0, min(-(a.cash + gain + max(0, longs - shorts)), -gain))


def tally(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """What users gain and what they cannot pay. The pool's slots share no loss: it has paid before them."""
    if index >= rules.params.max_accounts:
        return Visit(tour, a)
    s = tour.sweep
    gain = compute_gain(a.positions, s)
    return Visit(tour.put_sweep(total=s.total + max(0, gain), deficit=s.deficit + compute_deficit(a, gain, tour)), a)


def end_tally(tour: Tour) -> End:
    """The fund and the pool pay what is missing; the winners go without the rest."""
    s = tour.sweep
    purse, rest = tour.purse.pay_from_fund(s.deficit + tour.globals.debt)
    loss = min(rest, s.total)
    tour = tour.put_purse(purse, rest - loss - tour.globals.debt)
    return End(tour.put_sweep(mode=Mode.SETTLE_PAY, cursor=0, deficit=0, loss=loss), Phase.SCAN)


def pay(index: int, a: Account, tour: Tour, rules: Rules) -> Visit:
    """The positions become cash. A user who holds nothing more is not visited again."""
    s = tour.sweep
    gain = compute_gain(a.positions, s)
    kept = drop_listing(a.positions, s.listing)
    if index >= rules.params.max_accounts:
        return Visit(tour, a._replace(cash=a.cash + gain, positions=kept))
    won = max(0, gain)
    change = gain - share(s.before, won, s.loss, s.total) + compute_deficit(a, gain, tour)
    after = a._replace(cash=a.cash + change, positions=kept)
    return Visit(tour.put_sweep(before=s.before + won), after, is_holder(after))


def end_pay(tour: Tour) -> End:
    """The slice goes."""
    underlying, expiry = tour.sweep.listing >> EXPIRY_BITS, tour.sweep.listing & (1 << EXPIRY_BITS) - 1
    first, second = (drop_slice(market, expiry) if of == underlying else market for of, market in enumerate(tour.markets))
    return End(tour._replace(markets=(first, second)), Phase.FETCH)


def drop_slice(market: Market, expiry: int) -> Market:
    """The others move up."""
    return market._replace(slices=tuple(item for item in market.slices if item.expiry != expiry))
