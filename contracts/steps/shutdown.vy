# pragma version ~=0.4.3
"""
@title SHUTDOWN: the first freezes the exchange, the second turns everything into cash
@dev Twin of protocol/steps/shutdown.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import types

INBOX_AUTHORITY: constant(uint256) = 2

SHUTDOWN_DELAY: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    SHUTDOWN_DELAY = rules.shutdown_delay

@external
@view
def step(header: types.Header, globals: types.Globals, rest: bytes32) -> (types.Header, uint256):
    """
    @notice In between, the oracles may sign one more mark, and expiries may settle.
    """
    # READ
    h: types.Header = machine._next_row(header)
    g: types.Globals = globals
    merkle._check_globals(header.state, g, rest)
    # CHECK
    if g.shutdown == 0:
        if header.authority != INBOX_AUTHORITY:
            return h, codes.AUTHORITY
        g.shutdown = g.clock
        h.state = merkle._root(g, rest)
        return h, codes.OK
    if g.is_settled != 0 or g.clock < g.shutdown + SHUTDOWN_DELAY:
        return h, codes.SHUTDOWN_TIME
    # WRITE
    if g.accounts > 0:
        sweep: types.Sweep = empty(types.Sweep)
        sweep.mode = machine.MODE_SHUTDOWN_TALLY
        return machine._open_scan(h, sweep), codes.OK
    g.is_settled = 1
    h.state = merkle._root(g, rest)
    return h, codes.OK
