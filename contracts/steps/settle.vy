# pragma version ~=0.4.3
"""
@title SETTLE: the price at which an expiry pays; then the scan that pays it
@dev Twin of protocol/steps/settle.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import quorum
from ..lib import signatures
from ..lib import types

FLAG_FALLBACK: constant(uint256) = 1
UNDERLYINGS: constant(uint256) = 2
EXPIRY_BITS: constant(uint256) = 40
MAX_FORWARD: constant(uint256) = 2**42
LOTS_PER_UNIT: constant(uint256) = 100

SETTLE_FIRST: immutable(uint256)
SETTLE_LAST: immutable(uint256)
DOMAIN: immutable(bytes32)
QUORUM: immutable(uint256)
ORACLES: immutable(DynArray[address, 8])

@deploy
def __init__(rules: types.Rules):
    SETTLE_FIRST = rules.settle_first
    SETTLE_LAST = rules.settle_last
    DOMAIN = rules.domain
    QUORUM = rules.quorum
    ORACLES = rules.oracles

@internal
@pure
def _round_price(price: uint256) -> uint256:
    """
    @notice Down to a multiple of 1e-4 USD, so that a lot pays whole micro-dollars; never to nothing.
    """
    return max(price - price % LOTS_PER_UNIT, LOTS_PER_UNIT)

@internal
@view
def _compute_price(clock: uint256, item: types.Slice, price: uint256, is_fallback: bool) -> (uint256, uint256):
    """
    @notice What the expiry settles at: the oracles' average; without it, a day later where the market closed, a week later the last forward.
    """
    if not is_fallback:
        is_whole: bool = price > 0 and price <= MAX_FORWARD and price % LOTS_PER_UNIT == 0
        return price, codes.OK if is_whole else codes.PRICE
    if price != 0:
        return 0, codes.PRICE
    if item.close != 0 and clock >= item.expiry + SETTLE_FIRST:
        return self._round_price(item.close), codes.OK
    if clock >= item.expiry + SETTLE_LAST:
        return self._round_price(item.close if item.close != 0 else item.forward), codes.OK
    return 0, codes.SETTLE_TIME

@internal
@pure
def _find_slice(market: types.Market, expiry: uint256) -> (bool, types.Slice):
    for item: types.Slice in market.slices:
        if item.expiry == expiry and item.forward > 0:
            return True, item
    return False, empty(types.Slice)

@internal
@pure
def _drop_slice(market: types.Market, expiry: uint256) -> types.Market:
    """
    @notice The others move up.
    """
    m: types.Market = market
    m.slices = empty(types.Slice[16])
    count: uint256 = 0
    for item: types.Slice in market.slices:
        if item.expiry != expiry:
            m.slices[count] = item
            count += 1
    return m

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
    @notice Opens the scan that finds what is owed; without accounts nothing is, and the expiry goes at once.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "settle: items"
    underlying: uint256 = items[1]
    expiry: uint256 = items[2]
    is_fallback: bool = items[0] >> 4 == FLAG_FALLBACK
    h: types.Header = machine._next_row(header)
    if not is_fallback:
        h.signature += QUORUM
    # READ
    merkle._check_globals(header.state, globals, rest)
    old: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, old, old, markets_path)
    # CHECK
    if underlying >= UNDERLYINGS:
        return h, codes.SERIES
    if not is_fallback:
        digest: bytes32 = signatures._settle_digest(DOMAIN, underlying, expiry, items[3])
        if quorum._check(header, digest, chunk_hashes, chunk, next_chunk, QUORUM, ORACLES) != codes.OK:
            return h, codes.QUORUM
    is_listed: bool = False
    item: types.Slice = empty(types.Slice)
    is_listed, item = self._find_slice(markets[underlying], expiry)
    if not is_listed:
        return h, codes.SERIES
    if globals.clock < expiry:
        return h, codes.SETTLE_TIME
    price: uint256 = 0
    code: uint256 = codes.OK
    price, code = self._compute_price(globals.clock, item, items[3], is_fallback)
    if code != codes.OK:
        return h, code
    # WRITE
    if globals.accounts > 0:
        sweep: types.Sweep = empty(types.Sweep)
        sweep.mode = machine.MODE_SETTLE_TALLY
        sweep.listing = (underlying << EXPIRY_BITS) | expiry
        sweep.price = price
        return machine._open_scan(h, sweep), codes.OK
    less: types.Market = self._drop_slice(markets[underlying], expiry)
    new: bytes32 = merkle._markets_node(less, markets[1]) if underlying == 0 else merkle._markets_node(markets[0], less)
    h.state = merkle._root(globals, merkle._fold_markets(rest, old, new, markets_path))
    return h, codes.OK
