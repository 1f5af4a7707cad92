# pragma version ~=0.4.3
"""
@title COMBO: registers an order on several legs, which trade together or not at all
@dev Twin of protocol/steps/combo.py. An item may be anything up to 2**256 - 1: each is bounded before it is reckoned with.
"""

from ..lib import codes
from ..lib import legs as parts
from ..lib import machine
from ..lib import merkle
from ..lib import orders
from ..lib import sessions
from ..lib import signatures
from ..lib import types

ONE: constant(uint256) = 1
FEE_UNIT: constant(uint256) = 10_000
COMBO_HEAD: constant(uint256) = 7  # tag, account, price, lots, nonce, valid until, fee cap
LEAST_PRICE: constant(int256) = 1 - 2**37  # a combo may cost less than nothing

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
def _check_terms(items: DynArray[uint256, 128], clock: uint256, last: uint256) -> (uint256[4], uint256):
    """
    @notice Everything but the signature, and the legs. `last` is the nonce of what stands in the slot.
    """
    legs: uint256[4] = empty(uint256[4])
    code: uint256 = codes.OK
    legs, code = parts._decode(items, COMBO_HEAD)
    if code == codes.OK and parts._ratio(legs[0]) < 0:
        code = codes.LEGS  # so that each combination has one form, and selling it is its other side
    if code == codes.OK:
        price: int256 = parts._decode_zigzag(items[2])
        code = orders._check_limits(price, LEAST_PRICE, items[3], items[4], items[5], items[6], clock, last)
    return legs, code

@internal
@view
def _digest(items: DynArray[uint256, 128], legs: uint256[4], generation: uint256) -> bytes32:
    """
    @notice What is signed, for the account's present order generation.
    """
    flags: uint256 = items[0] >> 4
    return signatures._combo_digest(
        DOMAIN,
        items[1],
        parts._hash(legs),
        [
            (flags >> 1) & 1,
            convert(convert(parts._decode_zigzag(items[2]), bytes32), uint256),
            items[3],
            (flags >> 2) & 1,
            (flags >> 3) & 1,
            (flags >> 4) & 1,
            items[6] * FEE_UNIT,
            items[4],
            generation,
            items[5],
        ],
    )

@internal
@pure
def _order(items: DynArray[uint256, 128], legs: uint256[4], generation: uint256, valid_until: uint256) -> types.Order:
    flags: uint256 = items[0] >> 4
    return types.Order(
        nonce=items[4],
        generation=generation,
        legs=legs,
        is_buy=(flags >> 1) & 1,
        price=parts._decode_zigzag(items[2]),
        lots=items[3],
        valid_until=valid_until,
        filled=0,
        flags=flags >> 2,
        fee_cap=items[6] * FEE_UNIT,
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
    @notice Into the slot of its nonce, as an order.
    """
    # READ
    assert keccak256(abi_encode(items)) == header.scratch, "combo: items"
    merkle._check_globals(header.state, g, rest)
    index: uint256 = items[1]
    h: types.Header = machine._next_row(header)
    h.signature += 1
    if index >= g.accounts:
        return h, codes.ACCOUNT
    slot: uint256 = items[4] & ((ONE << SLOT_DEPTH) - 1)
    old: bytes32 = types._slot_leaf(last, body)
    new: bytes32 = old
    # CHECK
    legs: uint256[4] = empty(uint256[4])
    code: uint256 = codes.OK
    legs, code = self._check_terms(items, g.clock, last)
    if code == codes.OK:
        digest: bytes32 = self._digest(items, legs, account.generation)
        signer: uint256 = signatures._signer(digest, chunk_hashes, chunk, header.signature, header.signatures)
        if sessions._may_register(account, signer, items[4], last, g.clock):
            until: uint256 = sessions._cap_validity(account, signer, items[5])
            new = types._order_leaf(self._order(items, legs, account.generation, until))
        else:
            code = codes.SIGNATURE
    # WRITE
    h.state = orders._put(g, rest, index, ACCOUNT_DEPTH, account, account, path, slot, SLOT_DEPTH, old, new, slot_path)
    return h, code
