# pragma version ~=0.4.3
"""
@title The circuit breaker of a market: an index price that moves too far within the window halts it for a while
@dev Twin of protocol/breaker.py.
"""

from . import types

MILLION: constant(uint256) = 1_000_000

@internal
@pure
def _is_halted(market: types.Market, clock: uint256) -> bool:
    """
    @notice Whether positions in this market may only become smaller.
    """
    return clock < market.halted_until

@internal
@pure
def _start_window(market: types.Market, time: uint256, index_price: uint256, halt_window: uint256) -> types.Market:
    """
    @notice The windows in which the mark falls, before they take in its index price. The first, and the first after a halt, start with it.
    """
    m: types.Market = market
    is_new: bool = market.window == 0 or market.window < market.halted_until
    if not is_new and time < market.window + halt_window:
        return m
    m.window = time
    m.low = index_price if is_new else market.index_price
    m.high = m.low
    m.low_before = market.low
    m.high_before = market.high
    if is_new or time >= market.window + 2 * halt_window:
        m.low_before = m.low
        m.high_before = m.low
    return m

@internal
@pure
def _observe(
    market: types.Market, time: uint256, index_price: uint256, halt_move: uint256, halt_window: uint256, halt_time: uint256
) -> types.Market:
    """
    @notice The market with what its breaker makes of a mark at `time`; index price, mark time and slices are left to the caller. A mark
            during a halt changes nothing: a halt ends when it was said to end.
    @param halt_move in ppm, below a million
    """
    if self._is_halted(market, time):
        return market
    m: types.Market = self._start_window(market, time, index_price, halt_window)
    m.low = min(m.low, index_price)
    m.high = max(m.high, index_price)
    low: uint256 = min(m.low, m.low_before)
    high: uint256 = max(m.high, m.high_before)
    has_risen: bool = index_price * MILLION >= low * (MILLION + halt_move)
    has_fallen: bool = index_price * MILLION <= high * (MILLION - halt_move)
    if has_risen or has_fallen:
        m.halted_until = time + halt_time
    return m
