"""CANCEL: kills every earlier order of an account, registered or not. Twin: contracts/steps/cancel.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.operations import FLAG_AUTHORITY
from protocol.rules import Rules
from protocol.signing import compute_cancel_digest, get_signature
from protocol.state import View
from protocol.steps.order import NONCE_BITS, get_signature_inputs
from protocol.types import Header

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A flagged row is the owner's own L1 message and needs no signature."""
    tag, index, nonce = pre.items
    by_authority = tag >> 4 == FLAG_AUTHORITY
    signature = get_signature(pre.signatures, h.signature)
    h = next_row(h) if by_authority else next_row(h)._replace(signature=h.signature + 1)
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return h, Code.ACCOUNT
    a = view.get_account(index)
    # CHECK
    if nonce <= a.nonce or nonce >> NONCE_BITS:
        return h, Code.NONCE
    if by_authority and h.authority != a.owner:
        return h, Code.AUTHORITY
    if not by_authority and rules.kernel.get_signer(compute_cancel_digest(rules.domain, index, nonce), signature) != a.owner:
        return h, Code.SIGNATURE
    # WRITE
    view.put_account(index, a._replace(nonce=nonce, generation=a.generation + 1))
    return h, Code.OK
