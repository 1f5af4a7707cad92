"""Two orders that cross: whether they do, for how much, and whose doing it is where the rules forbid the trade."""

from protocol.codes import Code
from protocol.legs import unpack_leg
from protocol.positions import get_lots
from protocol.rules import Rules
from protocol.state import State
from protocol.steps import margin, terms
from protocol.types import REDUCE_ONLY, Account, Trade
from sequencer.book import Resting

MARGIN_CODES = frozenset({Code.STRIKE, Code.POSITIONS, Code.REDUCE_ONLY, Code.CASH, Code.FLAGGED, Code.MARGIN})
MAKER_CODES = frozenset({Code.BAND, Code.OVERFILL, Code.SELF_TRADE, Code.SHEET, Code.ORDER})  # at the maker's price, of the maker's order


def is_crossing(is_buy: int, limit: int, price: int) -> bool:
    """Whether a taker with `limit` takes a maker at `price`."""
    return limit >= price if is_buy else limit <= price


def count_reducible(account: Account, order: Resting) -> int:
    """Units of the order by which all its legs' positions become smaller, at most."""
    units = order.left
    for leg in order.legs:
        series, ratio = unpack_leg(leg)
        held, change = get_lots(account.positions, series), ratio if order.is_buy else -ratio
        units = min(units, abs(held) // abs(change)) if held * change < 0 else 0
    return units


def compute_lots(state: State, maker: Resting, taker: Resting) -> tuple[int, Code, bool]:
    """How many units the two may trade: a reduce-only order no more than its account holds. Where none, why, and whether by the maker."""
    lots = min(maker.left, taker.left)
    for order in (maker, taker):
        if order.flags & REDUCE_ONLY:
            lots = min(lots, count_reducible(state.get_account(order.account), order))
            if lots == 0:
                return 0, Code.REDUCE_ONLY, order is maker
    return lots, Code.OK, False


def is_makers_fault(state: State, clock: int, rules: Rules, maker: Resting, taker: Resting, lots: int, code: Code) -> bool:
    """Whose fault a rejected TRADE is. A stale mark and a halt are nobody's: the taker waits, the makers stay."""
    if code in MAKER_CODES:
        return True
    if code == Code.EXPIRED:
        return maker.valid_until < clock
    if code == Code.GENERATION:
        return maker.generation != state.get_account(maker.account).generation
    if code not in MARGIN_CODES:
        return False
    signed = lots if maker.is_buy else -lots
    flags = terms.MAKER_REDUCES * (maker.flags & REDUCE_ONLY != 0)
    trade = Trade(maker.account, 0, taker.account, 0, maker.legs, signed, maker.price, 0, flags)
    return margin.check(state, trade, True, rules)[1] != Code.OK
