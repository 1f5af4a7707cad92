"""TAKEOVER: the backstop pool takes over an account whose auction nobody ended. Twin: contracts/steps/takeover.vy."""

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.pool_slots import fill_slot, find_slot, set_slot_bits
from protocol.rules import Rules
from protocol.state import View, put_bit
from protocol.steps.scan import SWEEP_TYPE
from protocol.sweeps.modes import go_on
from protocol.sweeps.tour import Tour
from protocol.types import Account, Bitmap, Header, is_holder
from protocol.waterfall import Takeover, compute_takeover

ARGUMENTS = (SWEEP_TYPE,)
TOUCHES = ("globals", "account", "account", "word", "word", "word", "word")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The scan behind the scratch."""
    return (tuple(pre.sweep),)


def put_user(view: View, index: int, a: Account) -> None:
    """The account is out of the auction, without positions and without debt: no mark need visit it."""
    view.put_account(index, a)
    put_bit(view, Bitmap.RISKY, index, False)
    put_bit(view, Bitmap.HOLDER, index, is_holder(a))


def write_off(view: View, index: int, a: Account, tour: Tour) -> Tour:
    """Of an account without positions: pool and fund pay its debt, and nobody the rest, until a settlement."""
    purse, rest = tour.purse.pay(-a.cash)
    put_user(view, index, a._replace(cash=0, flag=0))
    return tour.put_purse(purse, rest)


def take_over(view: View, index: int, a: Account, tour: Tour, terms: Takeover, slot: int) -> Tour:
    """The positions move to a slot with cash that makes its equity what the terms say."""
    tour = tour.put_purse(terms.purse)
    g = fill_slot(view, tour.globals, slot, a.cash - tour.sweep.equity + terms.equity, a.positions)
    put_user(view, index, a._replace(cash=terms.kept, flag=0, generation=a.generation + 1, positions=()))
    set_slot_bits(view, slot)
    return tour._replace(globals=g)


def apply(view: View, tour: Tour, rules: Rules) -> Tour:
    """Nothing changes without a slot or the money; the first one who is bankrupt then is deleveraged after the mark's scan."""
    s = tour.sweep
    a = view.get_account(s.account)
    if not a.positions:
        return write_off(view, s.account, a, tour)
    slot = find_slot(tour.globals, rules.params)
    terms = compute_takeover(s.equity, s.maintenance, tour.purse)
    if slot is not None and terms is not None:
        return take_over(view, s.account, a, tour, terms, slot)
    return tour.put_sweep(bankrupt=s.account + 1) if s.equity < 0 and s.bankrupt == 0 else tour


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Always applies; the scan goes on behind the account."""
    tour = apply(view, Tour(view.get_globals().spend(1), pre.sweep), rules)
    return go_on(h, view, pre, tour.put_sweep(account=0, equity=0, maintenance=0)), Code.OK
