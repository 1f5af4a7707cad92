# pragma version ~=0.4.3
"""
@title Session keys: a second key that an owner lets sign, for some purposes and for some time
@dev Twin of protocol/sessions.py. scope | expiry 40 bits | address 160 bits; 0 without a key.
"""

from . import types

TRADE: constant(uint256) = 1
WITHDRAW: constant(uint256) = 2
EXPIRY_SHIFT: constant(uint256) = 160
SCOPE_SHIFT: constant(uint256) = 200
ADDRESS_MASK: constant(uint256) = 2**160 - 1
EXPIRY_MASK: constant(uint256) = 2**40 - 1

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
def _cap_validity(a: types.Account, signer: uint256, valid_until: uint256) -> uint256:
    """
    @notice An order lives no longer than the session key that signed it.
    """
    return valid_until if signer == a.owner else min(valid_until, (a.session >> EXPIRY_SHIFT) & EXPIRY_MASK)
