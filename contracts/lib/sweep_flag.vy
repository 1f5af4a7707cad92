# pragma version ~=0.4.3
"""
@title FLAG, after a MARK: who is below maintenance, who is taken over, what the pool's slots need
@dev Twin of protocol/sweeps/flag.py.
"""

from . import margin as risk
from . import positions as holdings
from . import tour
from . import types
from . import waterfall

RIPE_MARKS: constant(uint256) = 20  # of a flag: nobody wanted the positions
BANKRUPT_MARKS: constant(uint256) = 2  # with equity below zero: one wrong mark takes nothing from anybody

@internal
@pure
def _compute_flag(account: types.Account, margin: risk.Margin, mark: uint256) -> types.Account:
    """
    @notice Flags below maintenance, unflags at or above it. A flag kills the account's orders.
    """
    a: types.Account = account
    is_healthy: bool = margin.equity >= margin.maintenance and a.cash >= 0
    if a.flag != 0:
        if is_healthy:
            a.flag = 0
    elif a.cash < 0 or (margin.has_short and not is_healthy):
        a.flag = mark
        a.generation += 1
    return a

@internal
@pure
def _is_ripe(flag: uint256, positions: DynArray[uint256, 128], equity: int256, marks: uint256, clock: uint256, is_stale: bool) -> bool:
    """
    @notice Whether the pool takes a flagged account over.
    @dev Not for cash while the marks are behind what everyone knows: where a position has expired and is not settled, or an underlying's
         mark is stale. Whoever keeps marks back does not choose the price.
    """
    age: uint256 = marks - flag
    if equity < 0:
        return age >= BANKRUPT_MARKS
    return age >= RIPE_MARKS and not is_stale and not holdings._has_expired(positions, clock)

@internal
@pure
def _visit_user(
    visit: tour.Visit, index: uint256, positions: DynArray[uint256, 128], margin: risk.Margin, is_stale: bool
) -> tour.Visit:
    """
    @notice The bit goes with the last short position and negative cash: the flag has gone by then.
    """
    v: tour.Visit = visit
    g: types.Globals = v.globals
    v.account = self._compute_flag(v.account, margin, g.marks)
    if v.account.flag != 0 and self._is_ripe(v.account.flag, positions, margin.equity, g.marks, g.clock, is_stale):
        v.sweep.account = index
        v.sweep.equity = margin.equity
        v.sweep.maintenance = margin.maintenance
        v.is_ripe = True
    else:
        v.keeps_bit = holdings._is_risky(v.account.cash, positions)
    return v

@internal
@pure
def _visit_slot(visit: tour.Visit, index: uint256, is_empty: bool, margin: risk.Margin) -> tour.Visit:
    """
    @notice The pool keeps a slot at its maintenance; one without positions is the next free one.
    """
    v: tour.Visit = visit
    purse: waterfall.Purse = tour._purse(v.globals)
    if is_empty:
        debt: int256 = 0
        purse.pool += max(v.account.cash, 0)
        purse, debt = waterfall._pay(purse, -v.account.cash)
        v.globals = tour._put_purse(v.globals, purse, debt)
        v.account.cash = 0
        v.account.nonce = v.globals.free_slot
        v.globals.free_slot = index + 1
        v.keeps_bit = False
        return v
    equity: int256 = 0
    equity, purse = waterfall._top_up(margin.equity, margin.maintenance, purse)
    v.globals = tour._put_purse(v.globals, purse, 0)
    v.globals.slots_equity += convert(max(equity, 0), uint256)
    if equity < 0 and v.sweep.bankrupt == 0:
        v.sweep.bankrupt = index + 1
    v.account.cash += equity - margin.equity
    return v

@internal
@pure
def _visit(
    v: tour.Visit, index: uint256, is_slot: bool, positions: DynArray[uint256, 128], markets: types.Market[2], max_age: uint256
) -> tour.Visit:
    """
    @notice Of a user or a slot of the pool.
    """
    margin: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    margin, oldest = risk._compute_margin(v.account.cash, positions, markets)
    if is_slot:
        return self._visit_slot(v, index, len(positions) == 0, margin)
    return self._visit_user(v, index, positions, margin, risk._is_stale(oldest, v.globals.clock, max_age))
