# pragma version ~=0.4.3
"""
@title Who may act for an account: its owner, a session key that it lets sign for some purposes and for some time, or its own L1 message
@dev Twin of protocol/sessions.py. A session is scope | expiry 40 bits | address 160 bits; 0 without a key.
"""

from . import codes
from . import machine
from . import signatures
from . import types

OWNER_ONLY: constant(uint256) = 0  # a scope that no session key has
FLAG_AUTHORITY: constant(uint256) = 1  # of a row
TRADE: constant(uint256) = 1
WITHDRAW: constant(uint256) = 2
EXPIRY_SHIFT: constant(uint256) = 160
SCOPE_SHIFT: constant(uint256) = 200
ADDRESS_MASK: constant(uint256) = 2**160 - 1
EXPIRY_MASK: constant(uint256) = 2**40 - 1
MAX_NONCE: constant(uint256) = 2**64 - 1
MAX_JUMP: constant(uint256) = 2**32  # of a nonce that a session key signs for: else a stolen one could use them up

@internal
@pure
def _encode(key: uint256, scope: uint256, expiry: uint256) -> uint256:
    return (scope << SCOPE_SHIFT) | (expiry << EXPIRY_SHIFT) | key if key != 0 else 0

@internal
@pure
def _is_authorized(a: types.Account, signer: uint256, scope: uint256, clock: uint256) -> bool:
    """
    @notice Whether `signer` (0 for a signature that is not one) may sign for the account: its owner, or its session key within scope and
            time.
    """
    if signer == a.owner:
        return signer != 0
    is_key: bool = signer != 0 and a.session & ADDRESS_MASK == signer
    return is_key and (a.session >> SCOPE_SHIFT) & scope != 0 and clock <= (a.session >> EXPIRY_SHIFT) & EXPIRY_MASK

@internal
@pure
def _end_row(header: types.Header, tag: uint256) -> types.Header:
    """
    @notice The row is over, applied or not; the signature that it required, unless it is flagged, is counted.
    """
    h: types.Header = machine._next_row(header)
    if (tag >> 4) & FLAG_AUTHORITY == 0:
        h.signature += 1
    return h

@internal
@pure
def _is_valid_nonce(a: types.Account, nonce: uint256) -> bool:
    """
    @notice Above the last one that an operation of the account carried: no operation applies twice.
    """
    return a.nonce < nonce and nonce <= MAX_NONCE

@internal
@view
def _check_authority(
    header: types.Header,
    tag: uint256,
    g: types.Globals,
    a: types.Account,
    nonce: uint256,
    digest: bytes32,
    scope: uint256,
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
) -> uint256:
    """
    @notice Of a row that is signed with `scope`, or, where it is flagged, sent from L1 by the owner.
    """
    if (tag >> 4) & FLAG_AUTHORITY != 0:
        return codes.OK if header.authority == a.owner else codes.AUTHORITY
    signer: uint256 = signatures._signer(digest, chunk_hashes, chunk, header.signature, header.signatures)
    if signer != a.owner and nonce > a.nonce + MAX_JUMP:
        return codes.SIGNATURE
    return codes.OK if self._is_authorized(a, signer, scope, g.clock) else codes.SIGNATURE

@internal
@pure
def _may_register(a: types.Account, signer: uint256, nonce: uint256, last: uint256, clock: uint256) -> bool:
    """
    @notice Whether `signer` may put an order, a combo or a page of quotes into a slot; `last` is the nonce of what stands there.
    @dev A session key's nonce jumps no further here, above the highest that there is: else a stolen one could close every slot, and the
         owner's sheets, for ever.
    """
    is_near: bool = signer == a.owner or nonce <= max(last, max(a.nonce, a.sheet)) + MAX_JUMP
    return is_near and self._is_authorized(a, signer, TRADE, clock)

@internal
@pure
def _cap_validity(a: types.Account, signer: uint256, valid_until: uint256) -> uint256:
    """
    @notice An order lives no longer than the session key that signed it.
    """
    return valid_until if signer == a.owner else min(valid_until, (a.session >> EXPIRY_SHIFT) & EXPIRY_MASK)
