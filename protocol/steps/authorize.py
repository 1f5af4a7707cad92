"""AUTHORIZE: gives an account a session key in place of the one it had, or none. Twin: contracts/steps/authorize.vy."""

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.sessions import EXPIRY_MASK, OWNER_ONLY, check_authority, encode_session, end_row, is_valid_nonce
from protocol.signing import compute_authorize_digest
from protocol.state import View
from protocol.steps.order import get_signature_inputs
from protocol.types import SCOPE_TRADE, SCOPE_WITHDRAW, Header

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """The generation goes up, so that nothing which the old key signed is left; the nonce, so that the old key cannot come back."""
    tag, index, key, scope, expiry, nonce = pre.items
    after = end_row(h, tag)
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return after, Code.ACCOUNT
    a = view.get_account(index)
    # CHECK
    if key >> 160 or scope > SCOPE_TRADE | SCOPE_WITHDRAW or expiry > EXPIRY_MASK:
        return after, Code.SCOPE
    if not is_valid_nonce(a, nonce):
        return after, Code.NONCE
    code = check_authority(h, pre, g, a, nonce, compute_authorize_digest(rules.domain, index, key, scope, expiry, nonce), OWNER_ONLY, rules)
    if code != Code.OK:
        return after, code
    # WRITE
    view.put_account(index, a._replace(session=encode_session(key, scope, expiry), nonce=nonce, generation=a.generation + 1))
    return after, Code.OK
