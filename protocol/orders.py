"""What ORDER, COMBO and SHEET check alike before they register something in a slot. Twin: contracts/lib/orders.vy."""

from protocol.codes import Code
from protocol.series import EXPIRY_BITS
from protocol.types import MAX_LOTS

PRICE_BITS = 37
NONCE_BITS = 64
FEE_CAP_BITS = 32  # of the row's item: multiples of 0.01 USD


def check_validity(valid_until: int, clock: int) -> Code:
    """Neither over nor for ever."""
    return Code.EXPIRED if valid_until < clock or valid_until >> EXPIRY_BITS else Code.OK


def check_nonce(nonce: int, last: int) -> Code:
    """Above `last`, that of what stands in the slot: so nothing lives twice."""
    return Code.NONCE if nonce <= last or nonce >> NONCE_BITS else Code.OK


def check_limits(price: int, least: int, lots: int, nonce: int, valid_until: int, fee_cap: int, clock: int, last: int) -> Code:
    """Of an order or a combo: everything but its series and its signature. `least` is the lowest price that it may name."""
    if lots == 0 or lots > MAX_LOTS:
        return Code.LOTS
    if not least <= price < 1 << PRICE_BITS or fee_cap >> FEE_CAP_BITS:
        return Code.PRICE
    return check_validity(valid_until, clock) or check_nonce(nonce, last)
