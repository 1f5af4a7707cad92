# pragma version ~=0.4.3
"""
@title MARK: the oracles' index, forwards and surface of one underlying; then the scan
@dev Twin of protocol/steps/mark.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
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
DOMAIN: immutable(bytes32)
QUORUM: immutable(uint256)
ORACLES: immutable(DynArray[address, 8])

@deploy
def __init__(rules: types.Rules):
    MARK_GAP = rules.mark_gap
    MARK_RESYNC = rules.mark_resync
    DOMAIN = rules.domain
    QUORUM = rules.quorum
    ORACLES = rules.oracles

@internal
@view
def _get_place(signer: uint256) -> uint256:
    """
    @notice 1 for the first oracle, 0 for anyone else.
    """
    place: uint256 = 0
    for oracle: address in ORACLES:
        place += 1
        if signer != 0 and convert(oracle, uint256) == signer:
            return place
    return 0

@internal
@view
def _check_quorum(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    next_chunk: Bytes[2080],
) -> uint256:
    """
    @notice Signers ascend in the oracles' list, so that they are distinct.
    """
    digest: bytes32 = signatures._mark_digest(DOMAIN, items)
    last: uint256 = 0
    for i: uint256 in range(QUORUM, bound=8):
        index: uint256 = header.signature + i
        signer: uint256 = 0
        if index >> signatures.CHUNK_BITS == header.signature >> signatures.CHUNK_BITS:
            signer = signatures._signer(digest, chunk_hashes, chunk, index, header.signatures)
        else:
            signer = signatures._signer(digest, chunk_hashes, next_chunk, index, header.signatures)
        place: uint256 = self._get_place(signer)
        if place <= last:
            return codes.QUORUM
        last = place
    return codes.OK

@internal
@view
def _check_time(clock: uint256, mark_time: uint256, previous: uint256, time: uint256) -> uint256:
    """
    @notice A mark names its predecessor, so none can be left out; after ten minutes without one it need not.
    """
    if time > clock or time >> TIME_BITS != 0:
        return codes.MARK_TIME
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
    @notice Expired slices are kept as they are until they settle; all others come from the mark. False where the mark does not fit.
    """
    time: uint256 = items[3]
    merged: types.Market = empty(types.Market)
    merged.index_price = items[4]
    merged.mark_time = time
    count: uint256 = 0
    missing: uint256 = 0  # live expiries that the mark must still bring
    for item: types.Slice in market.slices:
        if item.forward == 0:
            break
        if item.expiry <= time:
            merged.slices[count] = item
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
    @notice A mark that applies opens the mandatory scan.
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
    code: uint256 = self._check_quorum(header, items, chunk_hashes, chunk, next_chunk)
    if code == codes.OK:
        code = self._check_time(globals.clock, markets[underlying].mark_time, items[2], items[3])
    if code != codes.OK:
        return h, code
    is_fit: bool = False
    fresh: types.Market = empty(types.Market)
    is_fit, fresh = self._merge_slices(markets[underlying], items)
    if not is_fit or fresh.index_price == 0 or fresh.index_price > MAX_FORWARD:
        return h, codes.MARK_SHAPE
    # WRITE
    new: bytes32 = merkle._markets_node(fresh, markets[1]) if underlying == 0 else merkle._markets_node(markets[0], fresh)
    g: types.Globals = globals
    g.marks += 1
    g.cursor = 0
    h.state = merkle._root(g, merkle._fold_markets(rest, old, new, markets_path))
    if g.accounts > 0:
        h.phase = machine.SCAN
    return h, codes.OK
