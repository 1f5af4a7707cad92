# pragma version ~=0.4.3
"""
@title BID: the first step of a bid for positions of a flagged account, which checks everything but margin
@dev Twin of protocol/steps/bid.py.
"""

from ..lib import auction
from ..lib import codes
from ..lib import legs as parts
from ..lib import machine
from ..lib import margin as risk
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import sessions
from ..lib import signatures
from ..lib import types

BID_HEAD: constant(uint256) = 7  # tag, account, target, units, limit, nonce, valid until
TIME_BITS: constant(uint256) = 40
LIMIT_BITS: constant(uint256) = 64
MAX_LOTS: constant(uint256) = 2**20

ACCOUNT_DEPTH: immutable(uint256)
MARK_MAX_AGE: immutable(uint256)
DOMAIN: immutable(bytes32)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MARK_MAX_AGE = rules.mark_max_age
    DOMAIN = rules.domain

@internal
@pure
def _check_terms(items: DynArray[uint256, 128], clock: uint256, bidder: types.Account) -> (uint256[4], uint256):
    """
    @notice The row by itself, without its signature; and its legs. One ratio is 1, so that a unit cannot be made larger than need be.
    """
    units: uint256 = items[3]
    valid_until: uint256 = items[6]
    legs: uint256[4] = empty(uint256[4])
    code: uint256 = 0
    if not sessions._is_valid_nonce(bidder, items[5]):
        return legs, codes.NONCE
    if valid_until < clock or valid_until >> TIME_BITS != 0:
        return legs, codes.EXPIRED
    legs, code = parts._decode(items, BID_HEAD)
    if code != codes.OK:
        return legs, code
    is_single: bool = False
    for leg: uint256 in legs:
        if leg != 0 and abs(parts._ratio(leg)) == 1:
            is_single = True
    if not is_single:
        return legs, codes.LEGS
    if units == 0 or units > MAX_LOTS or items[4] >> LIMIT_BITS != 0:
        return legs, codes.LOTS
    return legs, codes.OK

@internal
@view
def _digest(items: DynArray[uint256, 128], legs: uint256[4]) -> bytes32:
    """
    @notice What the bidder signed.
    """
    return signatures._bid_digest(
        DOMAIN, items[1], items[2], parts._hash(legs), items[3], parts._decode_zigzag(items[4]), items[5], items[6]
    )

@internal
@pure
def _is_live(series: uint256, market: types.Market, clock: uint256) -> bool:
    expiry: uint256 = (series >> 49) & (2**40 - 1)
    if clock >= expiry:
        return False
    for item: types.Slice in market.slices:
        if item.expiry == expiry and item.forward > 0:
            return True
    return False

@internal
@view
def _check_target(
    flag: uint256, positions: DynArray[uint256, 128], legs: uint256[4], units: int256, markets: types.Market[2], clock: uint256
) -> uint256:
    """
    @notice Whether these units are the target's to lose, and have a price now: nobody asks the target whether it likes an old one.
    """
    if flag == 0:
        return codes.NOT_FLAGGED
    for leg: uint256 in legs:
        if leg == 0:
            break
        lots: int256 = holdings._get_lots(positions, parts._series(leg))
        ratio: int256 = parts._ratio(leg)
        if ratio * lots <= 0 or abs(ratio) * units > abs(lots):
            return codes.BID_SIZE
    for leg: uint256 in legs:
        if leg == 0:
            break
        if not self._is_live(parts._series(leg), markets[parts._series(leg) >> 89], clock):
            return codes.SERIES
    for leg: uint256 in legs:
        if leg == 0:
            break
        if risk._is_stale(markets[parts._series(leg) >> 89].mark_time, clock, MARK_MAX_AGE):
            return codes.STALE
    return codes.OK

@internal
@view
def _fold_account(rest: bytes32, index: uint256, account: types.Account, path: DynArray[bytes32, 32]):
    """
    @notice Reverts unless `rest` holds the account.
    """
    leaf: bytes32 = types._account_leaf(account)
    merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, leaf, leaf, path)

@internal
@view
def _check(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    g: types.Globals,
    bidder: types.Account,
    target: types.Account,
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
) -> (uint256[4], uint256):
    """
    @notice All checks but the limit; with the legs.
    """
    legs: uint256[4] = empty(uint256[4])
    code: uint256 = codes.SELF_TRADE
    if bidder.owner != target.owner:
        legs, code = self._check_terms(items, g.clock, bidder)
    if code == codes.OK:
        digest: bytes32 = self._digest(items, legs)
        code = sessions._check_authority(header, items[0], g, bidder, items[5], digest, sessions.TRADE, chunk_hashes, chunk)
    if code == codes.OK:
        code = self._check_target(target.flag, positions, legs, convert(items[3], int256), markets, g.clock)
    return legs, code

@internal
@pure
def _compute_trade(
    items: DynArray[uint256, 128],
    legs: uint256[4],
    price: int256,
    cash: int256,
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
) -> bytes32:
    """
    @notice Hash of the trade that the bid is: the target sells, and how it stands before that goes with it.
    """
    margin: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    margin, oldest = risk._compute_margin(cash, positions, markets)
    return types._trade_hash(
        types.Trade(
            maker=items[2],
            maker_slot=0,
            taker=items[1],
            taker_slot=0,
            legs=legs,
            units=-convert(items[3], int256),
            price=price,
            fee=0,
            flags=0,
            equity=margin.equity,
            maintenance=margin.maintenance,
            nonce=items[5],
        )
    )

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    globals: types.Globals,
    rest: bytes32,
    bidder: types.Account,
    bidder_path: DynArray[bytes32, 32],
    target: types.Account,
    target_path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    markets_path: bytes32[2],
) -> (types.Header, uint256):
    """
    @notice Takes the next signature and writes nothing: the trade goes on to its margin steps in the scratch.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "bid: items"
    h: types.Header = sessions._end_row(header, items[0])
    # READ
    merkle._check_globals(header.state, globals, rest)
    if items[1] >= globals.accounts or items[2] >= globals.accounts:
        return h, codes.ACCOUNT
    if items[1] == items[2]:
        return h, codes.SELF_TRADE
    self._fold_account(rest, items[1], bidder, bidder_path)
    self._fold_account(rest, items[2], target, target_path)
    assert holdings._hash(positions) == target.positions, "bid: positions"
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(rest, both, both, markets_path)
    # CHECK
    legs: uint256[4] = empty(uint256[4])
    code: uint256 = 0
    legs, code = self._check(header, items, chunk_hashes, chunk, globals, bidder, target, positions, markets)
    if code != codes.OK:
        return h, code
    # COMPUTE
    price: int256 = auction._compute_price(legs, globals.marks - target.flag, markets)
    if price > parts._decode_zigzag(items[4]):
        return h, codes.LIMIT
    h.phase = machine.BIDDER
    h.scratch = self._compute_trade(items, legs, price, target.cash, positions, markets)
    return h, codes.OK
