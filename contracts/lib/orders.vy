# pragma version ~=0.4.3
"""
@title What ORDER, COMBO and SHEET have in common
@dev Twin of protocol/orders.py. An item may be anything up to 2**256 - 1: each is bounded before it is reckoned with.
"""

from . import codes
from . import merkle
from . import types

MAX_LOTS: constant(uint256) = 2**20
PRICE_BITS: constant(uint256) = 37
MAX_PRICE: constant(int256) = 2**37
NONCE_BITS: constant(uint256) = 64
EXPIRY_BITS: constant(uint256) = 40
FEE_CAP_BITS: constant(uint256) = 32  # of the row's item: multiples of 0.01 USD

@internal
@pure
def _check_validity(valid_until: uint256, clock: uint256) -> uint256:
    """
    @notice Neither over nor for ever.
    """
    if valid_until < clock or valid_until >> EXPIRY_BITS != 0:
        return codes.EXPIRED
    return codes.OK

@internal
@pure
def _check_nonce(nonce: uint256, last: uint256) -> uint256:
    """
    @notice Above `last`, that of what stands in the slot: so nothing lives twice.
    """
    if nonce <= last or nonce >> NONCE_BITS != 0:
        return codes.NONCE
    return codes.OK

@internal
@pure
def _check_limits(
    price: int256, least: int256, lots: uint256, nonce: uint256, valid_until: uint256, fee_cap: uint256, clock: uint256, last: uint256
) -> uint256:
    """
    @notice Of an order or a combo: everything but its series and its signature.
    @param least the lowest price that it may name
    """
    if lots == 0 or lots > MAX_LOTS:
        return codes.LOTS
    if price < least or price >= MAX_PRICE or fee_cap >> FEE_CAP_BITS != 0:
        return codes.PRICE
    code: uint256 = self._check_validity(valid_until, clock)
    if code != codes.OK:
        return code
    return self._check_nonce(nonce, last)

@internal
@pure
def _put(
    g: types.Globals,
    rest: bytes32,
    index: uint256,
    depth: uint256,
    old: types.Account,
    new: types.Account,
    path: DynArray[bytes32, 32],
    slot: uint256,
    slot_depth: uint256,
    old_leaf: bytes32,
    new_leaf: bytes32,
    slot_path: DynArray[bytes32, 32],
) -> bytes32:
    """
    @notice The state's root after a slot of an account, and the account with it, became another; reverts if they were not what is said.
    """
    a: types.Account = new
    a.orders = merkle._fold(old.orders, slot, slot_depth, old_leaf, new_leaf, slot_path)
    return merkle._root(
        g, merkle._fold_place(rest, merkle.ACCOUNTS, index, depth, types._account_leaf(old), types._account_leaf(a), path)
    )
