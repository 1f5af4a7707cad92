# pragma version ~=0.4.3
"""
@title MARK: the oracles' index, forwards and surface of one underlying; then the scan
@dev Twin of protocol/steps/mark.py.
"""

from ..lib import breaker
from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import quorum
from ..lib import signatures
from ..lib import types

MARK_HEAD: constant(uint256) = 5  # tag, underlying, previous, time, index
SLICE_ITEMS: constant(uint256) = 7
MAX_SLICES: constant(uint256) = 16
UNDERLYINGS: constant(uint256) = 2
TIME_BITS: constant(uint256) = 40
MAX_FORWARD: constant(uint256) = 2**42
NANO: constant(int256) = 1_000_000_000
MAX_PARAMETER: constant(int256) = 64 * NANO

MARK_GAP: immutable(uint256)
MARK_RESYNC: immutable(uint256)
HALT_MOVE: immutable(uint256)
HALT_WINDOW: immutable(uint256)
HALT_TIME: immutable(uint256)
DOMAIN: immutable(bytes32)
QUORUM: immutable(uint256)
ORACLES: immutable(DynArray[address, 8])

@deploy
def __init__(rules: types.Rules):
    MARK_GAP = rules.mark_gap
    MARK_RESYNC = rules.mark_resync
    HALT_MOVE = rules.halt_move
    HALT_WINDOW = rules.halt_window
    HALT_TIME = rules.halt_time
    DOMAIN = rules.domain
    QUORUM = rules.quorum
    ORACLES = rules.oracles

@internal
@view
def _check_time(g: types.Globals, mark_time: uint256, previous: uint256, time: uint256) -> uint256:
    """
    @notice A mark names its predecessor, so none can be left out; after ten minutes without one it need not. One more follows a shutdown.
    """
    if time > g.clock or time >> TIME_BITS != 0:
        return codes.MARK_TIME
    if g.shutdown != 0:
        return codes.OK if time == g.shutdown and time > mark_time else codes.MARK_TIME
    if previous == mark_time and time >= mark_time + MARK_GAP:
        return codes.OK
    if time >= mark_time + MARK_RESYNC:
        return codes.OK
    return codes.MARK_TIME

@internal
@pure
def _decode_zigzag(code: uint256) -> int256:
    """
    @notice 0, 1, 2, 3, ... are 0, -1, 1, -2, ...; total: the largest word is the smallest int256.
    """
    half: int256 = convert(code >> 1, int256)
    return -half - 1 if code & 1 == 1 else half

@internal
@pure
def _decode_slice(items: DynArray[uint256, 128], at: uint256) -> types.Slice:
    return types.Slice(
        expiry=items[at],
        forward=items[at + 1],
        a=self._decode_zigzag(items[at + 2]),
        b=self._decode_zigzag(items[at + 3]),
        rho=self._decode_zigzag(items[at + 4]),
        m=self._decode_zigzag(items[at + 5]),
        sigma=self._decode_zigzag(items[at + 6]),
        close=0,
    )

@internal
@pure
def _is_slice_bounded(s: types.Slice) -> bool:
    """
    @notice What the surface can be computed for without a clamp that would change it.
    """
    return (
        s.forward > 0
        and s.forward <= MAX_FORWARD
        and s.a >= -MAX_PARAMETER
        and s.a <= MAX_PARAMETER
        and s.b >= 0
        and s.b <= MAX_PARAMETER
        and s.rho > -NANO
        and s.rho < NANO
        and s.m >= -MAX_PARAMETER
        and s.m <= MAX_PARAMETER
        and s.sigma >= 0
        and s.sigma <= MAX_PARAMETER
    )

@internal
@pure
def _merge_slices(market: types.Market, items: DynArray[uint256, 128]) -> (bool, types.Market):
    """
    @notice Expired slices are kept as they are until they settle, but the first mark at or after expiry says where the market closed; all
            others come from the mark. False where the mark does not fit.
    """
    time: uint256 = items[3]
    merged: types.Market = market
    merged.index_price = items[4]
    merged.mark_time = time
    merged.slices = empty(types.Slice[16])
    count: uint256 = 0
    missing: uint256 = 0  # live expiries that the mark must still bring
    for item: types.Slice in market.slices:
        if item.forward == 0:
            break
        if item.expiry <= time:
            merged.slices[count] = item
            if item.close == 0:
                merged.slices[count].close = items[4]
            count += 1
        else:
            missing += 1
    last: uint256 = time
    for i: uint256 in range(MAX_SLICES):
        at: uint256 = MARK_HEAD + SLICE_ITEMS * i
        if at >= len(items):
            break
        fresh: types.Slice = self._decode_slice(items, at)
        if fresh.expiry <= last or fresh.expiry >> TIME_BITS != 0 or not self._is_slice_bounded(fresh) or count == MAX_SLICES:
            return False, merged
        last = fresh.expiry
        merged.slices[count] = fresh
        count += 1
        for item: types.Slice in market.slices:
            if item.expiry == last and item.forward > 0:
                missing -= 1
    return missing == 0, merged

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    next_chunk: Bytes[2080],
    globals: types.Globals,
    rest: bytes32,
    markets: types.Market[2],
    markets_path: bytes32[2],
) -> (types.Header, uint256):
    """
    @notice A mark that applies opens the mandatory scan; not after a shutdown, when nothing is liquidated any more.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "mark: items"
    underlying: uint256 = items[1]
    h: types.Header = machine._next_row(header)
    h.signature += QUORUM
    # READ
    merkle._check_globals(header.state, globals, rest)
    old: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, old, old, markets_path)
    # CHECK
    if underlying >= UNDERLYINGS:
        return h, codes.SERIES
    code: uint256 = quorum._check(header, signatures._mark_digest(DOMAIN, items), chunk_hashes, chunk, next_chunk, QUORUM, ORACLES)
    if code == codes.OK:
        code = self._check_time(globals, markets[underlying].mark_time, items[2], items[3])
    if code != codes.OK:
        return h, code
    if items[4] == 0 or items[4] > MAX_FORWARD:
        return h, codes.MARK_SHAPE
    fresh: types.Market = breaker._observe(markets[underlying], items[3], items[4], HALT_MOVE, HALT_WINDOW, HALT_TIME)
    is_fit: bool = False
    is_fit, fresh = self._merge_slices(fresh, items)
    if not is_fit:
        return h, codes.MARK_SHAPE
    # COMPUTE
    is_counted: bool = not breaker._is_halted(fresh, globals.clock) and not breaker._is_halted(markets[1 - underlying], globals.clock)
    is_scanned: bool = globals.accounts > 0 and globals.shutdown == 0
    # WRITE
    new: bytes32 = merkle._markets_node(fresh, markets[1]) if underlying == 0 else merkle._markets_node(markets[0], fresh)
    g: types.Globals = globals
    if is_counted:
        g.marks += 1
    if is_scanned:
        g.slots_equity = 0
        sweep: types.Sweep = empty(types.Sweep)
        sweep.mode = machine.MODE_FLAG
        h = machine._open_scan(h, sweep)
    h.state = merkle._root(g, merkle._fold_markets(rest, old, new, markets_path))
    return h, codes.OK
