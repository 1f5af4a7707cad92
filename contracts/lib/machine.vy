# pragma version ~=0.4.3
"""
@title What every step shares: phases, the modes of a scan, the next source, the clock
@dev Twin of protocol/machine.py.
"""

from . import types

OPEN: constant(uint256) = 0
MESSAGE: constant(uint256) = 1
INFLATE: constant(uint256) = 2
FETCH: constant(uint256) = 3
DEPOSIT: constant(uint256) = 4
ORDER: constant(uint256) = 5
TERMS: constant(uint256) = 6
MAKER: constant(uint256) = 7
TAKER: constant(uint256) = 8
COMMIT: constant(uint256) = 9
CANCEL: constant(uint256) = 10
WITHDRAW: constant(uint256) = 11
MARK: constant(uint256) = 12
SCAN: constant(uint256) = 13
COMBO: constant(uint256) = 14
SHEET: constant(uint256) = 15
AUTHORIZE: constant(uint256) = 16
BID: constant(uint256) = 17
BIDDER: constant(uint256) = 18
TARGET: constant(uint256) = 19
AWARD: constant(uint256) = 20
SETTLE: constant(uint256) = 21
POOL: constant(uint256) = 22
SHUTDOWN: constant(uint256) = 23
TAKEOVER: constant(uint256) = 24
DELEVERAGE: constant(uint256) = 25

# What a SCAN step does to the account that it visits.
MODE_FLAG: constant(uint256) = 0
MODE_REQUEST: constant(uint256) = 1
MODE_SETTLE_TALLY: constant(uint256) = 2
MODE_SETTLE_PAY: constant(uint256) = 3
MODE_SHUTDOWN_TALLY: constant(uint256) = 4
MODE_SHUTDOWN_PAY: constant(uint256) = 5
MODE_ADL_TALLY: constant(uint256) = 6
MODE_ADL_CUT: constant(uint256) = 7

@internal
@pure
def _next_source(header: types.Header) -> types.Header:
    """
    @notice Leaves the rows that have ended: the next message, else the next frame, else the next batch.
    """
    h: types.Header = header
    h.rows = empty(bytes32)
    h.authority = 0
    h.signatures = empty(bytes32)
    h.offset = 0
    h.signature = 0
    h.scratch = empty(bytes32)
    if h.message < h.messages:
        h.phase = MESSAGE
    elif h.frame < h.frames:
        h.phase = INFLATE
    else:
        h.phase = OPEN
        h.record = empty(bytes32)
        h.message = 0
        h.messages = 0
        h.frame = 0
        h.frames = 0
    return h

@internal
@pure
def _next_row(header: types.Header) -> types.Header:
    """
    @notice An operation is over, applied or not.
    """
    h: types.Header = header
    h.phase = FETCH
    h.scratch = empty(bytes32)
    return h

@internal
@pure
def _open_scan(header: types.Header, sweep: types.Sweep) -> types.Header:
    """
    @notice The next step visits what the sweep's cursor says.
    """
    h: types.Header = header
    h.phase = SCAN
    h.scratch = types._sweep_hash(sweep)
    return h

@internal
@pure
def _advance_clock(
    g: types.Globals, now: uint256, first: uint256, steps_per_second: uint256, steps_cap: uint256
) -> types.Globals:
    """
    @notice Moves the L2 clock forward, never back, and accrues the step allowance up to its cap.
    @dev The clock goes by what the source says, the allowance by its batch's `first`. L1 has held that near its own time, while a message
        may have waited for days: what accrues within an epoch is bounded by the epoch's length.
    """
    r: types.Globals = g
    r.clock = max(g.clock, now)
    r.accrued = max(g.accrued, first)
    # the gap is cut to what fills the cap from any allowance: no overflow for any time
    gap: uint256 = min(r.accrued - g.accrued, 2**40)
    r.allowance = min(g.allowance + convert(gap * steps_per_second, int256), convert(steps_cap, int256))
    return r
