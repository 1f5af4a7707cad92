# pragma version ~=0.4.3
"""
@title ORDER: verifies a signature once and registers the terms in the order's slot
@dev Twin of protocol/steps/order.py. An item may be anything up to 2**256 - 1: each is bounded before it is reckoned with.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import signatures
from ..lib import types

ONE: constant(uint256) = 1
UNDERLYINGS: constant(uint256) = 2
STRIKE_UNIT: constant(uint256) = 10_000
MAX_CENTS: constant(uint256) = (2**43 - 1) // 10_000  # the largest whose strike is at most 2**43 - 1
MAX_LOTS: constant(uint256) = 2**20
PRICE_BITS: constant(uint256) = 37
NONCE_BITS: constant(uint256) = 64
EXPIRY_BITS: constant(uint256) = 40

ACCOUNT_DEPTH: immutable(uint256)
SLOT_DEPTH: immutable(uint256)
DOMAIN: immutable(bytes32)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    SLOT_DEPTH = rules.slot_depth
    DOMAIN = rules.domain

@internal
@pure
def _check_terms(items: DynArray[uint256, 128], g: types.Globals, o: types.Order) -> uint256:
    """
    @notice Everything but the signature. `o` is what the slot holds.
    """
    expiry: uint256 = items[3]
    cents: uint256 = items[4]
    lots: uint256 = items[6]
    nonce: uint256 = items[7]
    valid_until: uint256 = items[8]
    if items[2] >= UNDERLYINGS or expiry == 0 or expiry >> EXPIRY_BITS != 0:
        return codes.SERIES
    if cents == 0 or cents > MAX_CENTS:
        return codes.SERIES
    if lots == 0 or lots > MAX_LOTS:
        return codes.LOTS
    if items[5] == 0 or items[5] >> PRICE_BITS != 0:
        return codes.PRICE
    if valid_until < g.clock or valid_until >> EXPIRY_BITS != 0:
        return codes.EXPIRED
    if nonce <= o.nonce or nonce >> NONCE_BITS != 0:
        return codes.NONCE
    return codes.OK

@internal
@view
def _digest(items: DynArray[uint256, 128], generation: uint256) -> bytes32:
    """
    @notice What the owner signed, for the account's present order generation.
    """
    flags: uint256 = items[0] >> 4
    return signatures._order_digest(
        DOMAIN,
        [
            items[1],
            items[2],
            items[3],
            items[4] * STRIKE_UNIT,
            flags & 1,
            flags >> 1,
            items[5],
            items[6],
            items[7],
            generation,
            items[8],
        ],
    )

@internal
@pure
def _order(items: DynArray[uint256, 128], generation: uint256) -> types.Order:
    flags: uint256 = items[0] >> 4
    return types.Order(
        nonce=items[7],
        generation=generation,
        series=(items[2] << 89) | (items[3] << 49) | ((items[4] * STRIKE_UNIT) << 1) | (flags & 1),
        is_buy=flags >> 1,
        price=items[5],
        lots=items[6],
        valid_until=items[8],
        filled=0,
    )

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    g: types.Globals,
    rest: bytes32,
    account: types.Account,
    path: DynArray[bytes32, 32],
    old_order: types.Order,
    order_path: DynArray[bytes32, 8],
) -> (types.Header, uint256):
    """
    @notice The slot is the nonce modulo the slots; a nonce registers only above its slot's, so no order lives twice.
    """
    # READ
    assert keccak256(abi_encode(items)) == header.scratch, "order: items"
    merkle._check_globals(header.state, g, rest)
    index: uint256 = items[1]
    h: types.Header = machine._next_row(header)
    h.signature += 1
    if index >= g.accounts:
        return h, codes.ACCOUNT
    slot: uint256 = items[7] & ((ONE << SLOT_DEPTH) - 1)
    a: types.Account = account
    o: types.Order = old_order
    # CHECK
    code: uint256 = self._check_terms(items, g, o)
    if code == codes.OK:
        signer: uint256 = signatures._signer(self._digest(items, a.generation), chunk_hashes, chunk, header.signature, header.signatures)
        if signer != a.owner:
            code = codes.SIGNATURE
    # WRITE
    if code == codes.OK:
        o = self._order(items, a.generation)
    a.orders = merkle._fold(account.orders, slot, SLOT_DEPTH, types._order_leaf(old_order), types._order_leaf(o), order_path)
    h.state = merkle._root(
        g, merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path)
    )
    return h, code
