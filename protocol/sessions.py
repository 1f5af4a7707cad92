"""Who may act for an account: its owner, a session key that it lets sign for some purposes and for some time, or its own L1 message.

Twin: contracts/lib/sessions.vy.
"""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.operations import FLAG_AUTHORITY
from protocol.rules import Rules
from protocol.signing import get_signature
from protocol.types import SCOPE_TRADE, Account, Globals, Header

OWNER_ONLY = 0  # a scope that no session key has
EXPIRY_SHIFT = 160
SCOPE_SHIFT = 200
ADDRESS_MASK = (1 << EXPIRY_SHIFT) - 1
EXPIRY_MASK = (1 << 40) - 1
NONCE_BITS = 64
MAX_JUMP = 1 << 32  # of a nonce that a session key signs for: else a stolen one could use them up, and lock the owner out for ever


def encode_session(key: int, scope: int, expiry: int) -> int:
    """As it stands in the account: scope | expiry 40 bits | address 160 bits; 0 without a key."""
    return scope << SCOPE_SHIFT | expiry << EXPIRY_SHIFT | key if key else 0


def is_authorized(a: Account, signer: int, scope: int, clock: int) -> bool:
    """Whether `signer` (0 for a signature that is none) may sign for the account: its owner, or its session key in scope and time."""
    if signer == a.owner:
        return signer != 0
    session = a.session
    is_key = signer != 0 and session & ADDRESS_MASK == signer
    return is_key and session >> SCOPE_SHIFT & scope != 0 and clock <= (session >> EXPIRY_SHIFT & EXPIRY_MASK)


def end_row(h: Header, tag: int) -> Header:
    """The row is over, applied or not; the signature that it required, unless it is flagged, is counted."""
    return next_row(h) if tag >> 4 & FLAG_AUTHORITY else next_row(h)._replace(signature=h.signature + 1)


def is_valid_nonce(a: Account, nonce: int) -> bool:
    """Above the last one that an operation of the account carried: no operation applies twice."""
    return a.nonce < nonce < 1 << NONCE_BITS


def check_authority(h: Header, pre: Preimages, g: Globals, a: Account, nonce: int, digest: bytes, scope: int, rules: Rules) -> Code:
    """Of a row that is signed with `scope`, or, where it is flagged, sent from L1 by the owner. `h` is the header before the row."""
    if pre.items[0] >> 4 & FLAG_AUTHORITY:
        return Code.OK if h.authority == a.owner else Code.AUTHORITY
    signer = rules.kernel.get_signer(digest, get_signature(pre.signatures, h.signature))
    if signer != a.owner and nonce > a.nonce + MAX_JUMP:
        return Code.SIGNATURE
    return Code.OK if is_authorized(a, signer, scope, g.clock) else Code.SIGNATURE


def may_register(a: Account, signer: int, nonce: int, last: int, clock: int) -> bool:
    """Whether `signer` may put an order, a combo or a page of quotes into a slot; `last` is the nonce of what stands there.

    A session key's nonce jumps no further here, above the highest that there is: else a stolen one could close every slot, and the owner's
    sheets, for ever.
    """
    is_near = signer == a.owner or nonce <= max(last, a.nonce, a.sheet) + MAX_JUMP
    return is_near and is_authorized(a, signer, SCOPE_TRADE, clock)


def cap_validity(a: Account, signer: int, valid_until: int) -> int:
    """An order lives no longer than the session key that signed it."""
    return valid_until if signer == a.owner else min(valid_until, a.session >> EXPIRY_SHIFT & EXPIRY_MASK)
