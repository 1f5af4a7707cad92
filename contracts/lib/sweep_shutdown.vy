# pragma version ~=0.4.3
"""
@title SHUTDOWN_TALLY and SHUTDOWN_PAY: everything becomes cash
@dev Twin of protocol/sweeps/shutdown.py.
"""

from . import haircut
from . import machine
from . import marks
from . import tour
from . import types
from . import waterfall

@internal
@pure
def _compute_gain(cash: int256, worth: int256) -> int256:
    """
    @notice What of an account a loss may be taken from: the worth of its positions, so far as its cash does not already owe it.
    """
    return max(0, min(worth, cash + worth))

@internal
@pure
def _tally(visit: tour.Visit, is_slot: bool, worth: int256) -> tour.Visit:
    """
    @notice Slots fall to the pool at once, which may be below zero then.
    """
    v: tour.Visit = visit
    if is_slot:
        v.globals.pool += v.account.cash + worth
    else:
        v.sweep.total += self._compute_gain(v.account.cash, worth)
        v.sweep.deficit += max(0, -(v.account.cash + worth))
    return v

@internal
@pure
def _pay(visit: tour.Visit, is_slot: bool, worth: int256) -> tour.Visit:
    """
    @notice Positions, shares and requests become cash. Nobody is visited again.
    """
    v: tour.Visit = visit
    s: types.Sweep = visit.sweep
    v.keeps_bit = False
    v.account.positions = types.EMPTY_POSITIONS
    if is_slot:
        v.account.cash = 0
        return v
    gain: int256 = self._compute_gain(v.account.cash, worth)
    shares: int256 = convert(v.account.shares, int256)
    v.account.cash = max(0, v.account.cash + worth) - haircut._share(s.before, gain, s.loss, s.total)
    v.account.cash += max(0, v.account.request)
    v.account.cash += haircut._share(convert(s.shares, int256), shares, s.pot, convert(v.globals.shares, int256))
    v.account.flag = 0
    v.account.request = 0
    v.account.shares = 0
    v.sweep.before += gain
    v.sweep.shares += convert(shares, uint256)
    return v

@internal
@pure
def _visit(v: tour.Visit, is_slot: bool, positions: DynArray[uint256, 128], markets: types.Market[2]) -> tour.Visit:
    """
    @notice Both sides of a series at the mark rounded down, so that over all accounts it sums to zero.
    """
    longs: int256 = 0
    shorts: int256 = 0
    worth: int256 = 0
    longs, shorts, worth = marks._compute_values(positions, markets)
    if v.sweep.mode == machine.MODE_SHUTDOWN_TALLY:
        return self._tally(v, is_slot, worth)
    return self._pay(v, is_slot, worth)

@internal
@pure
def _end_tally(globals: types.Globals, sweep: types.Sweep) -> (types.Globals, types.Sweep):
    """
    @notice As a settlement's; what the pool has left is its share holders', or the fund's where there are none.
    """
    s: types.Sweep = sweep
    purse: waterfall.Purse = tour._purse(globals)
    debt: int256 = convert(globals.debt, int256)
    lost: int256 = max(0, -purse.pool)
    left: int256 = 0
    purse.pool = max(purse.pool, 0)
    purse, left = waterfall._pay_from_fund(purse, s.deficit + debt + lost)
    if globals.shares == 0:
        purse.fund += purse.pool
        purse.pool = 0
    s.loss = min(left, s.total)
    s.pot = purse.pool
    s.mode = machine.MODE_SHUTDOWN_PAY
    s.cursor = 0
    s.deficit = 0
    return tour._put_purse(globals, purse, left - s.loss - debt), s

@internal
@pure
def _end_pay(globals: types.Globals) -> types.Globals:
    """
    @notice All that is left to do is to withdraw.
    """
    g: types.Globals = globals
    g.pool = 0
    g.shares = 0
    g.requests = 0
    g.is_settled = 1
    return g
