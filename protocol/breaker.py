"""The circuit breaker of a market: an index price that moves too far within the window halts it for a while.

Twin: contracts/lib/breaker.vy. Two windows, the present one and the one before, bound every index price of the last `halt_window_s`
seconds, and the last one before them: what happened while nobody looked counts too.
"""

from protocol.params import Params
from protocol.types import Market

MILLION = 1_000_000


def is_halted(market: Market, clock: int) -> bool:
    """Whether positions in this market may only become smaller."""
    return clock < market.halted_until


def start_window(market: Market, time: int, index_price: int, p: Params) -> Market:
    """The windows in which the mark falls, before they take in its index price. The first, and the first after a halt, start with it."""
    is_new = market.window == 0 or market.window < market.halted_until
    if not is_new and time < market.window + p.halt_window_s:
        return market
    first = index_price if is_new else market.index_price
    if is_new or time >= market.window + 2 * p.halt_window_s:
        return market._replace(window=time, low=first, high=first, low_before=first, high_before=first)
    return market._replace(window=time, low=first, high=first, low_before=market.low, high_before=market.high)


def observe(market: Market, time: int, index_price: int, p: Params) -> Market:
    """The market with what its breaker makes of a mark at `time`; index price, mark time and slices are left to the caller.

    A mark during a halt changes nothing: a halt ends when it was said to end.
    """
    if is_halted(market, time):
        return market
    market = start_window(market, time, index_price, p)
    market = market._replace(low=min(market.low, index_price), high=max(market.high, index_price))
    low, high = min(market.low, market.low_before), max(market.high, market.high_before)
    has_risen = index_price * MILLION >= low * (MILLION + p.halt_move_ppm)
    has_fallen = index_price * MILLION <= high * (MILLION - p.halt_move_ppm)
    return market._replace(halted_until=time + p.halt_s) if has_risen or has_fallen else market
