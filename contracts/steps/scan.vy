# pragma version ~=0.4.3
"""
@title SCAN: one account of a scan, or one bitmap word without any
@dev Twin of protocol/steps/scan.py. What happens to the account is in the libraries `sweep_*`, one a mode; the way from account to account
     is in `tour`.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import sweep_deleverage
from ..lib import sweep_flag
from ..lib import sweep_request
from ..lib import sweep_settle
from ..lib import sweep_shutdown
from ..lib import tour
from ..lib import types

ONE: constant(uint256) = 1
WORD_BITS: constant(uint256) = 8
MAX_LINES: constant(uint256) = 256

ACCOUNT_DEPTH: immutable(uint256)
MAX_ACCOUNTS: immutable(uint256)
POOL_DELAY: immutable(uint256)
MARK_MAX_AGE: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MAX_ACCOUNTS = (ONE << rules.account_depth) - rules.pool_slots
    POOL_DELAY = rules.pool_delay
    MARK_MAX_AGE = rules.mark_max_age

@internal
@view
def _visit(
    v: tour.Visit,
    index: uint256,
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    lines: DynArray[uint256, MAX_LINES],
) -> (tour.Visit, DynArray[uint256, MAX_LINES]):
    """
    @notice By the sweep's mode.
    """
    is_slot: bool = index >= MAX_ACCOUNTS
    mode: uint256 = v.sweep.mode
    if mode == machine.MODE_FLAG:
        return sweep_flag._visit(v, index, is_slot, positions, markets, MARK_MAX_AGE), lines
    if mode == machine.MODE_REQUEST:
        return sweep_request._visit(v, POOL_DELAY), lines
    if mode <= machine.MODE_SETTLE_PAY:
        return sweep_settle._visit(v, is_slot, positions, markets), lines
    if mode <= machine.MODE_SHUTDOWN_PAY:
        return sweep_shutdown._visit(v, is_slot, positions, markets), lines
    if mode == machine.MODE_ADL_TALLY:
        return v, sweep_deleverage._tally(positions, lines)
    return sweep_deleverage._cut(v, is_slot, positions, lines)

@internal
@pure
def _end(globals: types.Globals, sweep: types.Sweep) -> (types.Globals, types.Sweep, uint256):
    """
    @notice What comes after the sweep's mode.
    """
    g: types.Globals = globals
    s: types.Sweep = sweep
    phase: uint256 = machine.SCAN
    if s.mode == machine.MODE_FLAG:
        s, phase = tour._end_flag(g, s)
    elif s.mode == machine.MODE_SETTLE_TALLY:
        g, s = sweep_settle._end_tally(g, s)
    elif s.mode == machine.MODE_SHUTDOWN_TALLY:
        g, s = sweep_shutdown._end_tally(g, s)
    elif s.mode == machine.MODE_SHUTDOWN_PAY:
        g = sweep_shutdown._end_pay(g)
        phase = machine.FETCH
    elif s.mode == machine.MODE_ADL_TALLY:
        s.mode = machine.MODE_ADL_CUT
        s.cursor = 0
    elif s.mode == machine.MODE_ADL_CUT:
        s, phase = tour._end_mark(g)
    else:
        phase = machine.FETCH
    return g, s, phase

@internal
@view
def _go_on(v: tour.Visit) -> (types.Globals, types.Sweep, uint256, bool):
    """
    @notice After the visit: to the next account, to the next mode, or out of the scan, and whether the mode is over.
    """
    g: types.Globals = v.globals
    s: types.Sweep = v.sweep
    if v.is_ripe:
        return g, s, machine.TAKEOVER, False
    s.cursor = tour._skip_unopened(s.cursor, g.accounts, MAX_ACCOUNTS)
    if not tour._is_over(s, g.slots, MAX_ACCOUNTS):
        return g, s, machine.SCAN, False
    phase: uint256 = 0
    g, s, phase = self._end(g, s)
    return g, s, phase, True

@internal
@view
def _put_word(rest: bytes32, sweep: types.Sweep, word: uint256, left: uint256, path: DynArray[bytes32, 32]) -> bytes32:
    """
    @notice The word of the sweep's bitmap that its cursor is in.
    """
    place: uint256 = (tour._get_bitmap(sweep.mode) << (ACCOUNT_DEPTH - WORD_BITS)) | (sweep.cursor >> WORD_BITS)
    depth: uint256 = ACCOUNT_DEPTH - WORD_BITS + merkle.BITMAP_BITS
    return merkle._fold_place(rest, merkle.WORDS, place, depth, convert(word, bytes32), convert(left, bytes32), path)

@internal
@pure
def _put_markets(rest: bytes32, sweep: types.Sweep, markets: types.Market[2], path: bytes32[2], is_over: bool) -> bytes32:
    """
    @notice As they are, but for the end of a settlement, which takes the expired one off the list.
    """
    before: bytes32 = merkle._markets_node(markets[0], markets[1])
    if not is_over or sweep.mode != machine.MODE_SETTLE_PAY:
        return merkle._fold_markets(rest, before, before, path)
    left: types.Market[2] = sweep_settle._end_pay(markets, sweep.listing)
    return merkle._fold_markets(rest, before, merkle._markets_node(left[0], left[1]), path)

@external
@view
def step(
    header: types.Header,
    sweep: types.Sweep,
    lines: DynArray[uint256, MAX_LINES],
    globals: types.Globals,
    rest: bytes32,
    word: uint256,
    word_path: DynArray[bytes32, 32],
    account: types.Account,
    account_path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    markets_path: bytes32[2],
    holder_word: uint256,
    holder_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice The sequencer has no say in it: every set bit is visited, in index order. Folds come in the order of the arguments, each below
            what the one before left.
    """
    # READ
    assert types._sweep_hash(sweep) == header.scratch, "scan: sweep"
    merkle._check_globals(header.state, globals, rest)
    index: uint256 = tour._get_next(word, sweep.cursor)
    is_visit: bool = index >> WORD_BITS == sweep.cursor >> WORD_BITS
    is_adl: bool = sweep.mode >= machine.MODE_ADL_TALLY
    if is_adl:
        assert keccak256(abi_encode(lines)) == sweep.lines, "scan: lines"
    v: tour.Visit = tour.Visit(globals=globals, sweep=sweep, account=account, keeps_bit=True, is_ripe=False)
    v.globals.allowance -= 1
    v.sweep.cursor = index
    # COMPUTE
    after: DynArray[uint256, MAX_LINES] = lines
    if is_visit:
        assert holdings._hash(positions) == account.positions, "scan: positions"
        v.sweep.cursor = index + 1
        v, after = self._visit(v, index, positions, markets, lines)
    if is_adl:
        v.sweep.lines = keccak256(abi_encode(after))
    g: types.Globals = empty(types.Globals)
    s: types.Sweep = empty(types.Sweep)
    phase: uint256 = 0
    is_over: bool = False
    g, s, phase, is_over = self._go_on(v)
    # WRITE
    left: uint256 = word if v.keeps_bit else word & ~(ONE << (index & 255))
    node: bytes32 = self._put_word(rest, sweep, word, left, word_path)
    if is_visit:
        node = merkle._fold_place(
            node, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(v.account), account_path
        )
    node = self._put_markets(node, sweep, markets, markets_path, is_over)
    if not v.keeps_bit and index >= MAX_ACCOUNTS and sweep.mode == machine.MODE_FLAG:
        node = merkle._put_bit(node, merkle.HOLDER, index, ACCOUNT_DEPTH, False, holder_word, holder_path)
    return tour._enter(header, g, s, phase, node), codes.OK
