# pragma version ~=0.4.3
"""
@title External doors to the pricing and margin libraries, for tests
"""

from contracts.lib import margin
from contracts.lib import pricing
from contracts.lib import svi
from contracts.lib import types

@external
@pure
def price(forward: int256, strike: int256, v: int256) -> (int256, int256):
    return pricing._compute_price(forward, strike, v)

@external
@pure
def v(item: types.Slice, strike: int256) -> int256:
    return svi._compute_v(item, strike)

@external
@pure
def mark(series: uint256, market: types.Market) -> (bool, int256):
    return margin._compute_mark(series, market)

@external
@pure
def risk(item: types.Slice, strike: int256, is_call: bool) -> margin.Risk:
    surface: svi.Surface = svi._compute_surface(item)
    return margin._compute_risk(surface.forward, strike, is_call, svi._compute_surface_v(surface, strike))

@external
@pure
def margins(
    cash_before: int256, cash_after: int256, positions: DynArray[uint256, 132], markets: types.Market[2]
) -> (margin.Margin, margin.Margin, uint256):
    return margin._compute_margins(cash_before, cash_after, positions, markets)

@external
@pure
def margin_of(cash: int256, positions: DynArray[uint256, 128], markets: types.Market[2]) -> (margin.Margin, uint256):
    return margin._compute_margin(cash, positions, markets)

@external
@pure
def merge(positions: DynArray[uint256, 128], legs: uint256[4], first: int256, second: int256) -> DynArray[uint256, 132]:
    return margin._merge(positions, legs, first, second)

@external
@pure
def is_stale(oldest: uint256, now: uint256, max_age: uint256) -> bool:
    return margin._is_stale(oldest, now, max_age)

@external
@pure
def check_trade(before: margin.Margin, after: margin.Margin, is_flagged: bool, is_stale: bool) -> uint256:
    return margin._check_trade(before, after, is_flagged, is_stale)
