"""ORDER: verifies a signature once and registers the terms in the order's slot. Twin: contracts/steps/order.vy."""

from protocol.codec.frames import compute_chunk_hashes, compute_signature_chunks
from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.operations import FLAG_CALL
from protocol.rules import Rules
from protocol.series import EXPIRY_BITS, MAX_STRIKE, STRIKE_UNIT, encode_series
from protocol.signing import compute_order_digest, get_signature
from protocol.state import View
from protocol.types import MAX_LOTS, UNDERLYINGS, Account, Globals, Header, Order

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account", "order")
PRICE_BITS = 37
NONCE_BITS = 64


def get_signature_inputs(h: Header, pre: Preimages) -> tuple[list[bytes], bytes]:
    """The chunk hashes of the source, and the chunk that `header.signature` falls into, empty if there is none."""
    chunks = compute_signature_chunks(pre.signatures)
    at = h.signature >> 5
    return compute_chunk_hashes(pre.signatures), chunks[at] if at < len(chunks) else b""


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def check_terms(items: tuple[int, ...], g: Globals, o: Order) -> Code:
    """Everything but the signature. `o` is what the slot holds."""
    _, _, underlying, expiry, cents, price, lots, nonce, valid_until = items
    if underlying >= len(UNDERLYINGS) or expiry == 0 or expiry >> EXPIRY_BITS:
        return Code.SERIES
    if cents == 0 or cents * STRIKE_UNIT > MAX_STRIKE:
        return Code.SERIES
    if lots == 0 or lots > MAX_LOTS:
        return Code.LOTS
    if price == 0 or price >> PRICE_BITS:
        return Code.PRICE
    if valid_until < g.clock or valid_until >> EXPIRY_BITS:
        return Code.EXPIRED
    if nonce <= o.nonce or nonce >> NONCE_BITS:
        return Code.NONCE
    return Code.OK


def compute_digest(items: tuple[int, ...], a: Account, rules: Rules) -> bytes:
    """What the owner signed, for the account's present order generation."""
    tag, account, underlying, expiry, cents, price, lots, nonce, valid_until = items
    is_call, is_buy = tag >> 4 & FLAG_CALL, tag >> 5
    terms = (account, underlying, expiry, cents * STRIKE_UNIT, is_call, is_buy, price, lots, nonce, a.generation, valid_until)
    return compute_order_digest(rules.domain, terms)


def apply(view: View, items: tuple[int, ...], signature: bytes | None, rules: Rules) -> Code:
    """The slot is the nonce modulo the slots; a nonce registers only above its slot's, so no order lives twice."""
    tag, index, underlying, expiry, cents, price, lots, nonce, valid_until = items
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return Code.ACCOUNT
    a = view.get_account(index)
    slot = rules.params.get_slot(nonce)
    o = view.get_order(index, slot)
    # CHECK
    code = check_terms(items, g, o)
    if code != Code.OK:
        return code
    if rules.kernel.get_signer(compute_digest(items, a, rules), signature) != a.owner:
        return Code.SIGNATURE
    # WRITE
    series = encode_series(underlying, expiry, cents * STRIKE_UNIT, tag >> 4 & FLAG_CALL)
    view.put_order(index, slot, Order(nonce, a.generation, series, tag >> 5, price, lots, valid_until, 0))
    return Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Takes the next signature, whatever becomes of the order."""
    code = apply(view, pre.items, get_signature(pre.signatures, h.signature), rules)
    return next_row(h)._replace(signature=h.signature + 1), code
