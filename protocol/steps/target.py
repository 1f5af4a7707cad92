"""TARGET: is the flagged account better off by the bid, and not sold further than need be? Twin: contracts/steps/target.vy."""

from protocol.auction import is_cheap, is_restored
from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.margin import Margin, is_reducing
from protocol.rules import Rules
from protocol.state import View
from protocol.steps.margin import ARGUMENTS, compute_side, get_inputs
from protocol.types import MAX_CASH, Header, Phase, Trade

__all__ = ["ARGUMENTS", "TOUCHES", "check", "get_inputs", "step"]
TOUCHES = ("globals", "holder", "markets")


def check(trade: Trade, cash: int, less: Margin, after: Margin) -> Code:
    """`cash` is the target's before the bid, `less` its margin after one unit less, `after` after all of them.

    What it was before, the BID step has put into the trade.
    """
    if not -MAX_CASH < after.cash < MAX_CASH or (after.cash < 0 and after.cash < cash):
        return Code.CASH
    before = Margin(trade.equity, trade.maintenance, 0, True, cash)
    if not is_reducing(before, after) or not is_cheap(before, after):
        return Code.MARGIN
    if is_restored(less):
        return Code.BID_SIZE
    return Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Nothing came between the bid's terms and this, so the price and the margin in the trade are today's."""
    assert pre.trade is not None
    # READ
    trade = pre.trade
    view.get_globals()
    a = view.get_account(trade.maker)
    markets = view.get_markets()
    # COMPUTE
    all_but_one, all_of_them = (compute_side(trade._replace(units=units), a, True) for units in (trade.units + 1, trade.units))
    less = rules.kernel.compute_margin(all_but_one.cash, all_but_one.positions, markets)
    after = rules.kernel.compute_margin(all_of_them.cash, all_of_them.positions, markets)
    # CHECK
    code = check(trade, a.cash, less, after)
    if code != Code.OK:
        return next_row(h), code
    return h._replace(phase=Phase.AWARD), Code.OK
