"""Signed orders as the sequencer handles them: what is signed, and the row by which they will be posted. An order is plain, or a combo."""

from functools import lru_cache

from protocol.codes import Code
from protocol.legs import compute_signed_legs as compute_signed_legs_anew
from protocol.legs import unpack_leg
from protocol.operations import FEE_UNIT, build_combo, build_order
from protocol.series import STRIKE_UNIT
from protocol.series import decode_series as decode_series_anew
from protocol.signing import compute_combo_digest, compute_order_digest
from sequencer.book import Resting
from sequencer.events import Legs, OrderReceived

decode_series = lru_cache(maxsize=1 << 12)(decode_series_anew)  # an order's series is looked at four times, and a venue has some hundreds


@lru_cache(maxsize=1 << 12)
def compute_signed_legs(legs: Legs) -> bytes:
    """Of packed legs."""
    return compute_signed_legs_anew(tuple(map(unpack_leg, legs)))


def is_plain(legs: Legs) -> bool:
    """An ORDER; else a COMBO."""
    return len(legs) == 1


def compute_digest(
    domain: bytes, account: int, legs: Legs, is_buy: int, price: int, lots: int, flags: int, fee_cap: int, *validity: int
) -> bytes:
    """What is signed. `validity`: nonce, generation, valid_until."""
    limits = (price, lots, flags & 1, flags >> 1 & 1, flags >> 2 & 1, fee_cap, *validity)
    if is_plain(legs):
        return compute_order_digest(domain, (account, *decode_series(legs[0] >> 32), is_buy, *limits))
    return compute_combo_digest(domain, account, compute_signed_legs(legs), (is_buy, *limits))


def digest_order(domain: bytes, event: OrderReceived) -> bytes:
    """Of an order that was received."""
    validity = (event.nonce, event.generation, event.valid_until)
    return compute_digest(domain, event.account, event.legs, event.is_buy, event.price, event.lots, event.flags, event.fee_cap, *validity)


def check_form(event: OrderReceived) -> Code:
    """What no row can carry: parts of a cent in a strike or in the fee cap, a negative price of a plain order."""
    if any(decode_series(leg >> 32).strike % STRIKE_UNIT for leg in event.legs):
        return Code.SERIES
    return Code.PRICE if event.fee_cap % FEE_UNIT or (is_plain(event.legs) and event.price < 0) else Code.OK


def build_resting(event: OrderReceived, owner: int, valid_until: int) -> Resting:
    """With its row as it will be posted. `valid_until` may be sooner than what was signed."""
    limits = (event.is_buy, event.price, event.lots, event.nonce, event.valid_until, event.flags, event.fee_cap)
    if is_plain(event.legs):
        row = build_order(event.account, event.legs[0] >> 32, *limits)
    else:
        row = build_combo(event.account, [unpack_leg(leg) for leg in event.legs], *limits)
    return Resting(
        account=event.account,
        nonce=event.nonce,
        owner=owner,
        legs=event.legs,
        is_buy=event.is_buy,
        price=event.price,
        lots=event.lots,
        left=event.lots,
        generation=event.generation,
        valid_until=valid_until,
        flags=event.flags,
        row=row,
        signature=event.signature,
        created=event.now,
        rfq=event.rfq,
    )
