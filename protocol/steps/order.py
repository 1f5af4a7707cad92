"""ORDER: verifies a signature once and registers the terms in the order's slot. Twin: contracts/steps/order.vy."""

from protocol.codec.frames import compute_chunk_hashes, compute_signature_chunks
from protocol.codes import Code
from protocol.legs import check_series, pack_plain
from protocol.machine import Preimages, next_row
from protocol.operations import FEE_UNIT, FLAG_CALL, FLAG_TERMS
from protocol.orders import check_limits
from protocol.rules import Rules
from protocol.series import STRIKE_UNIT, encode_series
from protocol.sessions import cap_validity, may_register
from protocol.signing import compute_order_digest, get_signature
from protocol.state import View
from protocol.types import Account, Header, Order

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account", "entry")


def get_signature_inputs(h: Header, pre: Preimages) -> tuple[list[bytes], bytes]:
    """The chunk hashes of the source, and the chunk that `header.signature` falls into, empty if there is none."""
    chunks = compute_signature_chunks(pre.signatures)
    at = h.signature >> 5
    return compute_chunk_hashes(pre.signatures), chunks[at] if at < len(chunks) else b""


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def check_terms(items: tuple[int, ...], clock: int, last: int) -> Code:
    """Everything but the signature. `last` is the nonce of what stands in the slot."""
    _, _, underlying, expiry, cents, price, lots, nonce, valid_until, fee_cap = items
    code = check_series(underlying, expiry, cents * STRIKE_UNIT)
    return code or check_limits(price, 1, lots, nonce, valid_until, fee_cap, clock, last)


def compute_digest(items: tuple[int, ...], a: Account, rules: Rules) -> bytes:
    """What is signed, for the account's present order generation."""
    tag, account, underlying, expiry, cents, price, lots, nonce, valid_until, fee_cap = items
    call, buy, post_only, reduce_only, fill_or_kill = tag >> 4 & 1, tag >> 5 & 1, tag >> 6 & 1, tag >> 7 & 1, tag >> 8 & 1
    limits = (price, lots, post_only, reduce_only, fill_or_kill, fee_cap * FEE_UNIT, nonce, a.generation, valid_until)
    return compute_order_digest(rules.domain, (account, underlying, expiry, cents * STRIKE_UNIT, call, buy, *limits))


def apply(view: View, items: tuple[int, ...], signature: bytes | None, rules: Rules) -> Code:
    """The slot is the nonce modulo the slots; a nonce registers only above its slot's, so no order lives twice."""
    tag, index, underlying, expiry, cents, price, lots, nonce, valid_until, fee_cap = items
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return Code.ACCOUNT
    a = view.get_account(index)
    slot = rules.params.get_slot(nonce)
    last = view.get_slot_nonce(index, slot)
    # CHECK
    code = check_terms(items, g.clock, last)
    if code != Code.OK:
        return code
    signer = rules.kernel.get_signer(compute_digest(items, a, rules), signature)
    if not may_register(a, signer, nonce, last, g.clock):
        return Code.SIGNATURE
    # WRITE
    legs = pack_plain(encode_series(underlying, expiry, cents * STRIKE_UNIT, tag >> 4 & FLAG_CALL))
    until = cap_validity(a, signer, valid_until)
    flags = tag >> 4 >> FLAG_TERMS
    view.put_order(index, slot, Order(nonce, a.generation, legs, tag >> 5 & 1, price, lots, until, 0, flags, fee_cap * FEE_UNIT))
    return Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Takes the next signature, whatever becomes of the order."""
    code = apply(view, pre.items, get_signature(pre.signatures, h.signature), rules)
    return next_row(h)._replace(signature=h.signature + 1), code
