"""COMBO: registers an order on several legs, which trade together or not at all. Twin: contracts/steps/combo.vy."""

from protocol.codec.rows import decode_zigzag
from protocol.codes import Code
from protocol.legs import Leg, compute_signed_legs, decode_legs, pack_leg
from protocol.machine import Preimages, next_row
from protocol.operations import COMBO_HEAD, FEE_UNIT, FLAG_TERMS
from protocol.orders import PRICE_BITS, check_limits
from protocol.rules import Rules
from protocol.sessions import cap_validity, may_register
from protocol.signing import compute_combo_digest, get_signature
from protocol.state import View
from protocol.steps.order import get_signature_inputs
from protocol.types import Account, Header, Order

ARGUMENTS = ("uint256[]", "bytes32[]", "bytes")  # items, chunk hashes, the chunk of the signature
TOUCHES = ("globals", "account", "entry")
LEAST_PRICE = 1 - (1 << PRICE_BITS)  # a combo may cost less than nothing


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row and its signature."""
    return (pre.items, *get_signature_inputs(h, pre))


def check_terms(items: tuple[int, ...], clock: int, last: int) -> tuple[tuple[Leg, ...], Code]:
    """Everything but the signature, and the legs. `last` is the nonce of what stands in the slot."""
    _, _, price, lots, nonce, valid_until, fee_cap = items[:COMBO_HEAD]
    legs, code = decode_legs(items[COMBO_HEAD:])
    if code == Code.OK and legs[0][1] < 0:  # so that each combination has one form, and selling it is its other side
        code = Code.LEGS
    return legs, code or check_limits(decode_zigzag(price), LEAST_PRICE, lots, nonce, valid_until, fee_cap, clock, last)


def compute_digest(items: tuple[int, ...], legs: tuple[Leg, ...], a: Account, rules: Rules) -> bytes:
    """What is signed, for the account's present order generation."""
    tag, account, price, lots, nonce, valid_until, fee_cap = items[:COMBO_HEAD]
    buy, post_only, reduce_only, fill_or_kill = tag >> 5 & 1, tag >> 6 & 1, tag >> 7 & 1, tag >> 8 & 1
    flags = post_only, reduce_only, fill_or_kill
    terms = (buy, decode_zigzag(price), lots, *flags, fee_cap * FEE_UNIT, nonce, a.generation, valid_until)
    return compute_combo_digest(rules.domain, account, compute_signed_legs(legs), terms)


def apply(view: View, items: tuple[int, ...], signature: bytes | None, rules: Rules) -> Code:
    """Into the slot of its nonce, as an order."""
    tag, index, price, lots, nonce, valid_until, fee_cap = items[:COMBO_HEAD]
    # READ
    g = view.get_globals()
    if index >= g.accounts:
        return Code.ACCOUNT
    a = view.get_account(index)
    slot = rules.params.get_slot(nonce)
    last = view.get_slot_nonce(index, slot)
    # CHECK
    legs, code = check_terms(items, g.clock, last)
    if code != Code.OK:
        return code
    signer = rules.kernel.get_signer(compute_digest(items, legs, a, rules), signature)
    if not may_register(a, signer, nonce, last, g.clock):
        return Code.SIGNATURE
    # WRITE
    packed = tuple(pack_leg(series, ratio) for series, ratio in legs)
    until, flags, cap = cap_validity(a, signer, valid_until), tag >> 4 >> FLAG_TERMS, fee_cap * FEE_UNIT
    order = Order(nonce, a.generation, packed, tag >> 5 & 1, decode_zigzag(price), lots, until, 0, flags, cap)
    view.put_order(index, slot, order)
    return Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Takes the next signature, whatever becomes of the combo."""
    code = apply(view, pre.items, get_signature(pre.signatures, h.signature), rules)
    return next_row(h)._replace(signature=h.signature + 1), code
