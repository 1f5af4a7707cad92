# pragma version ~=0.4.3
"""
@title REQUEST: entries to and exits from the backstop pool that have waited long enough
@dev Twin of protocol/sweeps/request.py.
"""

from . import pool
from . import tour
from . import types

@internal
@pure
def _visit(visit: tour.Visit, pool_delay: uint256) -> tour.Visit:
    """
    @notice At the pool as the mark has left it.
    """
    v: tour.Visit = visit
    g: types.Globals = visit.globals
    if g.clock < v.account.request_time + pool_delay:
        return v
    money: uint256 = convert(g.pool, uint256)
    if v.account.request > 0:
        # cash becomes shares; it goes back where it is worth none, or where there would be too many
        minted: uint256 = pool._compute_minted(convert(v.account.request, uint256), money, g.slots_equity, g.shares)
        if minted == 0 or g.shares + minted > pool.MAX_SHARES:
            v.account.cash += v.account.request
        else:
            v.account.shares += minted
            v.globals.pool += v.account.request
            v.globals.shares += minted
    else:
        shares: uint256 = convert(-v.account.request, uint256)
        paid: uint256 = pool._compute_paid(shares, money, g.shares)
        burned: uint256 = pool._compute_burned(shares, paid, money, g.slots_equity, g.shares)
        v.account.cash += convert(paid, int256)
        v.account.shares -= burned
        v.globals.pool -= convert(paid, int256)
        v.globals.shares -= burned
    v.account.request = 0
    v.globals.requests -= 1
    v.keeps_bit = False
    return v
