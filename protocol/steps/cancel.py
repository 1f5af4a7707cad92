"""CANCEL: kills every earlier order of an account, registered or not. Twin: contracts/steps/cancel.vy."""

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.sessions import check_authority, end_row, is_valid_nonce
from protocol.signing import compute_cancel_digest
from protocol.state import View
from protocol.steps.order import get_signature_inputs
from protocol.types import SCOPE_TRADE, Header

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Orders are signed for the account's generation, which goes up. A key that trades may also stop trading."""
    tag, index, nonce = pre.items
    after = end_row(h, tag)
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return after, Code.ACCOUNT
    a = view.get_account(index)
    # CHECK
    if not is_valid_nonce(a, nonce):
        return after, Code.NONCE
    code = check_authority(h, pre, g, a, nonce, compute_cancel_digest(rules.domain, index, nonce), SCOPE_TRADE, rules)
    if code != Code.OK:
        return after, code
    # WRITE
    view.put_account(index, a._replace(nonce=nonce, generation=a.generation + 1))
    return after, Code.OK
