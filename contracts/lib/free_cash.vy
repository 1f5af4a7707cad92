# pragma version ~=0.4.3
"""
@title Free cash: what of an account's cash may leave it, to L1 or into the backstop pool
@dev Twin of protocol/free_cash.py.
"""

from . import codes
from . import margin as risk
from . import positions as holdings
from . import types

@internal
@pure
def _compute_free(
    a: types.Account, positions: DynArray[uint256, 128], g: types.Globals, markets: types.Market[2], max_age: uint256
) -> (uint256, uint256):
    """
    @notice In 1e-6 USD: the cash; with shorts at most what equity exceeds the initial margin by. Zero with any other code than OK.
    """
    if len(positions) == 0:
        return convert(max(a.cash, 0), uint256), codes.OK
    if a.flag != 0:
        return 0, codes.FLAGGED
    if g.shutdown != 0:
        return 0, codes.FROZEN
    if holdings._has_expired(positions, g.clock):
        return 0, codes.UNSETTLED
    if not holdings._is_risky(0, positions):
        return convert(max(a.cash, 0), uint256), codes.OK
    margin: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    margin, oldest = risk._compute_margin(a.cash, positions, markets)
    if risk._is_stale(oldest, g.clock, max_age):
        return 0, codes.STALE
    return convert(max(min(a.cash, margin.equity - margin.initial), 0), uint256), codes.OK
