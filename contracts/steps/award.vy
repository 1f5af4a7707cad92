# pragma version ~=0.4.3
"""
@title AWARD: the only step of a BID that writes
@dev Twin of protocol/steps/award.py. The touched leaves are folded one after the other, each proven against the root that the last fold gave.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import types

ACCOUNT_DEPTH: immutable(uint256)

struct Side:
    index: uint256
    units: int256  # signed: of the legs, what the positions change by
    price: int256
    nonce: uint256  # 0 where it stays
    is_risky: bool  # after the award, as is `is_holder`
    is_holder: bool

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth

@internal
@view
def _apply_side(
    rest: bytes32,
    side: Side,
    legs: uint256[4],
    account: types.Account,
    path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
) -> (bytes32, Side):
    """
    @notice The new `rest`, and the side with the bits that the account now has.
    """
    assert holdings._hash(positions) == account.positions, "award: positions"
    a: types.Account = account
    s: Side = side
    merged: DynArray[uint256, 132] = holdings._apply_legs(positions, legs, side.units)
    a.cash -= side.units * side.price
    a.positions = holdings._hash(merged)
    if side.nonce != 0:
        a.nonce = side.nonce
    s.is_risky = a.flag != 0 or holdings._is_risky(a.cash, merged)
    s.is_holder = len(merged) > 0 or a.cash < 0 or a.shares > 0 or a.request != 0
    r: bytes32 = merkle._fold_place(
        rest, merkle.ACCOUNTS, side.index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path
    )
    return r, s

@internal
@view
def _put_bits(
    rest: bytes32, side: Side, risky: uint256, risky_path: DynArray[bytes32, 32], holder: uint256, holder_path: DynArray[bytes32, 32]
) -> bytes32:
    r: bytes32 = merkle._put_bit(rest, merkle.RISKY, side.index, ACCOUNT_DEPTH, side.is_risky, risky, risky_path)
    return merkle._put_bit(r, merkle.HOLDER, side.index, ACCOUNT_DEPTH, side.is_holder, holder, holder_path)

@external
@view
def step(
    header: types.Header,
    trade: types.Trade,
    globals: types.Globals,
    rest: bytes32,
    target: types.Account,
    target_path: DynArray[bytes32, 32],
    target_positions: DynArray[uint256, 128],
    bidder: types.Account,
    bidder_path: DynArray[bytes32, 32],
    bidder_positions: DynArray[uint256, 128],
    target_risky: uint256,
    target_risky_path: DynArray[bytes32, 32],
    target_holder: uint256,
    target_holder_path: DynArray[bytes32, 32],
    bidder_risky: uint256,
    bidder_risky_path: DynArray[bytes32, 32],
    bidder_holder: uint256,
    bidder_holder_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice The target stays flagged until the next mark's scan: a bid may have restored its margin, and may not have.
    """
    assert types._trade_hash(trade) == header.scratch, "award: trade"
    # READ
    merkle._check_globals(header.state, globals, rest)
    # COMPUTE
    seller: Side = Side(index=trade.maker, units=trade.units, price=trade.price, nonce=0, is_risky=False, is_holder=False)
    buyer: Side = Side(index=trade.taker, units=-trade.units, price=trade.price, nonce=trade.nonce, is_risky=False, is_holder=False)
    # WRITE
    r: bytes32 = rest
    r, seller = self._apply_side(r, seller, trade.legs, target, target_path, target_positions)
    r, buyer = self._apply_side(r, buyer, trade.legs, bidder, bidder_path, bidder_positions)
    r = self._put_bits(r, seller, target_risky, target_risky_path, target_holder, target_holder_path)
    r = self._put_bits(r, buyer, bidder_risky, bidder_risky_path, bidder_holder, bidder_holder_path)
    h: types.Header = machine._next_row(header)
    h.state = merkle._root(globals, r)
    return h, codes.OK
