# pragma version ~=0.4.3
"""
@title ORDER: verifies a signature once and registers the terms in the order's slot
@dev Twin of protocol/steps/order.py. An item may be anything up to 2**256 - 1: each is bounded before it is reckoned with.
"""

from ..lib import codes
from ..lib import legs
from ..lib import machine
from ..lib import merkle
from ..lib import orders
from ..lib import sessions
from ..lib import signatures
from ..lib import types

ONE: constant(uint256) = 1
FEE_UNIT: constant(uint256) = 10_000

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
def _check_terms(items: DynArray[uint256, 128], clock: uint256, last: uint256) -> uint256:
    """
    @notice Everything but the signature. `last` is the nonce of what stands in the slot.
    """
    code: uint256 = legs._check_series(items[2], items[3], items[4])
    if code != codes.OK:
        return code
    price: int256 = convert(min(items[5], 2**orders.PRICE_BITS), int256)
    return orders._check_limits(price, 1, items[6], items[7], items[8], items[9], clock, last)

@internal
@view
def _digest(items: DynArray[uint256, 128], generation: uint256) -> bytes32:
    """
    @notice What is signed, for the account's present order generation.
    """
    flags: uint256 = items[0] >> 4
    return signatures._order_digest(
        DOMAIN,
        [
            items[1],
            items[2],
            items[3],
            items[4] * legs.STRIKE_UNIT,
            flags & 1,
            (flags >> 1) & 1,
            items[5],
            items[6],
            (flags >> 2) & 1,
            (flags >> 3) & 1,
            (flags >> 4) & 1,
            items[9] * FEE_UNIT,
            items[7],
            generation,
            items[8],
        ],
    )

@internal
@pure
def _order(items: DynArray[uint256, 128], generation: uint256, valid_until: uint256) -> types.Order:
    flags: uint256 = items[0] >> 4
    series: uint256 = (items[2] << 89) | (items[3] << 49) | ((items[4] * legs.STRIKE_UNIT) << 1) | (flags & 1)
    return types.Order(
        nonce=items[7],
        generation=generation,
        legs=[legs._pack(series, 1), 0, 0, 0],
        is_buy=(flags >> 1) & 1,
        price=convert(items[5], int256),
        lots=items[6],
        valid_until=valid_until,
        filled=0,
        flags=flags >> 2,
        fee_cap=items[9] * FEE_UNIT,
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
    last: uint256,
    body: bytes32,
    slot_path: DynArray[bytes32, 32],
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
    old: bytes32 = types._slot_leaf(last, body)
    new: bytes32 = old
    # CHECK
    code: uint256 = self._check_terms(items, g.clock, last)
    if code == codes.OK:
        digest: bytes32 = self._digest(items, account.generation)
        signer: uint256 = signatures._signer(digest, chunk_hashes, chunk, header.signature, header.signatures)
        if sessions._may_register(account, signer, items[7], last, g.clock):
            new = types._order_leaf(self._order(items, account.generation, sessions._cap_validity(account, signer, items[8])))
        else:
            code = codes.SIGNATURE
    # WRITE
    h.state = orders._put(g, rest, index, ACCOUNT_DEPTH, account, account, path, slot, SLOT_DEPTH, old, new, slot_path)
    return h, code
