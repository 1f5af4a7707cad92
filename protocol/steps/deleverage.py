"""DELEVERAGE: the shorts of a bankrupt account are closed against whoever is long. Twin: contracts/steps/deleverage.vy.

What they are closed at is decided here; whose longs, by the two sweeps that follow.
"""

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.marks import compute_lot_mark, compute_values
from protocol.pool_slots import fill_slot, find_slot, set_slot_bits
from protocol.rules import Rules
from protocol.state import View
from protocol.steps.scan import SWEEP_TYPE
from protocol.steps.takeover import put_user
from protocol.sweeps.deleverage import encode_line
from protocol.sweeps.modes import enter
from protocol.sweeps.tour import End, Tour, end_mark
from protocol.types import Account, Header, Market, Mode, Phase, Position, Sweep
from protocol.waterfall import Closing, compute_closing

ARGUMENTS = (SWEEP_TYPE,)
TOUCHES = ("globals", "holder", "markets", "account", "word", "word", "word", "word")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The scan behind the scratch."""
    return (tuple(pre.sweep),)


def compute_lines(shorts: tuple[Position, ...], closing: Closing, markets: tuple[Market, Market]) -> tuple[tuple[int, ...], int]:
    """What is to be closed, and what the rounding of the prices leaves over, in 1e-6 USD."""
    lines: list[int] = []
    dust = closing.paid
    for series, lots in shorts:
        price = closing.compute_price(compute_lot_mark(series, markets).up)
        lines += encode_line(series, -lots, price)
        dust += price * lots
    return tuple(lines), dust


def put_bankrupt(view: View, index: int, a: Account, longs: tuple[Position, ...], cash: int, tour: Tour, rules: Rules) -> Tour:
    """A user's longs go to a slot of the pool. Where there is none, and in a slot, they stay; `cash` makes the equity with them zero."""
    is_user = index < rules.params.max_accounts
    slot = find_slot(tour.globals, rules.params) if is_user and longs else None
    if slot is not None:
        tour = tour._replace(globals=fill_slot(view, tour.globals, slot, cash, longs))
        cash, longs = 0, ()
    if is_user and not longs:
        put_user(view, index, a._replace(cash=0, flag=0, positions=()))
    else:
        view.put_account(index, a._replace(cash=cash, positions=longs))
    if slot is not None:
        set_slot_bits(view, slot)
    return tour


def end(tour: Tour, lines: tuple[int, ...]) -> End:
    """The two sweeps over whoever is long, where there is anything to be closed."""
    return End(Tour(tour.globals, Sweep(mode=Mode.ADL_TALLY), lines), Phase.SCAN) if lines else end_mark(tour)


def apply(view: View, tour: Tour, rules: Rules) -> End:
    """One account a mark."""
    # READ
    index = tour.sweep.bankrupt - 1
    a = view.get_account(index)
    tour = tour._replace(markets=view.get_markets())
    # COMPUTE
    values = compute_values(a.positions, tour.markets)
    closing = compute_closing(a.cash + values.longs - values.shorts, values.shorts, tour.purse)
    lines, dust = compute_lines(tuple(item for item in a.positions if item[1] < 0), closing, tour.markets)
    purse = closing.purse._replace(fund=closing.purse.fund + dust)
    # WRITE
    longs = tuple(item for item in a.positions if item[1] > 0)
    tour = put_bankrupt(view, index, a, longs, -values.longs, tour.put_purse(purse, closing.debt), rules)
    return end(tour, lines)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Always applies."""
    return enter(h, view, pre, apply(view, Tour(view.get_globals().spend(1), pre.sweep), rules)), Code.OK
