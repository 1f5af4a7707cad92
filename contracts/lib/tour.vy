# pragma version ~=0.4.3
"""
@title What a running scan carries from account to account
@dev Twin of protocol/sweeps/tour.py and of the way in protocol/sweeps/modes.py. The cursor goes over the accounts whose bit is set: users
     first, then the pool's slots, which are the last places of the account tree.
"""

from . import machine
from . import merkle
from . import types
from . import waterfall

HALVES: constant(uint256[8]) = [128, 64, 32, 16, 8, 4, 2, 1]

struct Visit:
    globals: types.Globals
    sweep: types.Sweep
    account: types.Account
    keeps_bit: bool
    is_ripe: bool  # TAKEOVER comes next

@internal
@pure
def _purse(g: types.Globals) -> waterfall.Purse:
    return waterfall.Purse(pool=g.pool, fund=convert(g.fund, int256))

@internal
@pure
def _put_purse(globals: types.Globals, purse: waterfall.Purse, debt: int256) -> types.Globals:
    """
    @notice With so much more debt, too.
    """
    g: types.Globals = globals
    g.pool = purse.pool
    g.fund = convert(purse.fund, uint256)
    g.debt = convert(convert(g.debt, int256) + debt, uint256)
    return g

@internal
@pure
def _is_holder(a: types.Account) -> bool:
    """
    @notice Whether a settlement must visit the account.
    """
    return a.positions != types.EMPTY_POSITIONS or a.cash < 0 or a.shares > 0 or a.request != 0

@internal
@pure
def _get_bitmap(mode: uint256) -> uint256:
    if mode == machine.MODE_FLAG:
        return merkle.RISKY
    return merkle.REQUEST if mode == machine.MODE_REQUEST else merkle.HOLDER

@internal
@pure
def _get_next(word: uint256, cursor: uint256) -> uint256:
    """
    @notice The first account from `cursor` on whose bit is set in its word, or the first account of the next word.
    """
    left: uint256 = word >> (cursor & 255)
    if left == 0:
        return ((cursor >> 8) << 8) + 256
    index: uint256 = cursor
    for half: uint256 in HALVES:
        if left & ((1 << half) - 1) == 0:
            left = left >> half
            index += half
    return index

@internal
@pure
def _skip_unopened(cursor: uint256, accounts: uint256, max_accounts: uint256) -> uint256:
    """
    @notice Past the last user the cursor is at the first slot.
    """
    return max_accounts if cursor >= accounts and cursor < max_accounts else cursor

@internal
@pure
def _is_over(s: types.Sweep, slots: uint256, max_accounts: uint256) -> bool:
    """
    @notice Whether a mode has visited all; REQUEST has nothing to do at the slots.
    """
    if s.mode == machine.MODE_REQUEST:
        return s.cursor >= max_accounts
    return s.cursor >= max_accounts + slots

@internal
@pure
def _end_mark(g: types.Globals) -> (types.Sweep, uint256):
    """
    @notice The last part of a mark's scan: requests to enter or leave the pool, where there are any.
    """
    s: types.Sweep = empty(types.Sweep)
    if g.requests == 0:
        return s, machine.FETCH
    s.mode = machine.MODE_REQUEST
    return s, machine.SCAN

@internal
@pure
def _end_flag(g: types.Globals, sweep: types.Sweep) -> (types.Sweep, uint256):
    """
    @notice A bankrupt account that nobody could take over is deleveraged, one a mark.
    """
    if sweep.bankrupt == 0:
        return self._end_mark(g)
    s: types.Sweep = empty(types.Sweep)
    s.bankrupt = sweep.bankrupt
    return s, machine.DELEVERAGE

@internal
@pure
def _enter(header: types.Header, g: types.Globals, sweep: types.Sweep, phase: uint256, rest: bytes32) -> types.Header:
    """
    @notice Goes to the phase, with the scan behind the scratch.
    """
    h: types.Header = header
    if phase == machine.FETCH:
        h = machine._next_row(header)
    else:
        h.phase = phase
        h.scratch = types._sweep_hash(sweep)
    h.state = merkle._root(g, rest)
    return h
