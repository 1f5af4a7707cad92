"""Who signed what: EIP-712 digests and their recovery.

Digests are packed by hand, which is several times faster than a general encoder; the tests hold them against eth-account.
Recovery accepts what L1's `ecrecover` accepts and, beyond that, asks for `v` 27 or 28 and `s` in the lower half, so that a signature
has one form.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct, error

from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]
from coincurve.context import GLOBAL_CONTEXT
from sha3 import keccak_256

from protocol.codec.frames import SIGNATURE_BYTES
from protocol.keccak import WORD, encode_words, keccak

DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
ORDER_TYPE = keccak(
    b"Order(uint256 account,uint256 underlying,uint256 expiry,uint256 strike,bool isCall,bool isBuy,uint256 price,uint256 lots,"
    b"bool postOnly,bool reduceOnly,bool fillOrKill,uint256 feeCap,uint256 nonce,uint256 generation,uint256 validUntil)"
)
LEG = b"Leg(uint256 underlying,uint256 expiry,uint256 strike,bool isCall,int256 ratio)"
LEG_TYPE = keccak(LEG)
COMBO_TYPE = keccak(
    b"Combo(uint256 account,Leg[] legs,bool isBuy,int256 price,uint256 lots,bool postOnly,bool reduceOnly,bool fillOrKill,"
    b"uint256 feeCap,uint256 nonce,uint256 generation,uint256 validUntil)" + LEG
)
BID_TYPE = keccak(b"Bid(uint256 account,uint256 target,Leg[] legs,uint256 units,int256 limit,uint256 nonce,uint256 validUntil)" + LEG)
QUOTE = b"Quote(uint256 strike,bool isCall,uint256 bid,uint256 bidLots,uint256 ask,uint256 askLots)"
PAGE = b"Page(uint256 underlying,uint256 expiry,uint256 maxLots,Quote[] quotes)" + QUOTE
QUOTE_TYPE = keccak(QUOTE)
PAGE_TYPE = keccak(PAGE)
SHEET_TYPE = keccak(b"Sheet(uint256 account,Page[] pages,uint256 nonce,uint256 generation,uint256 validUntil)" + PAGE)
CANCEL_TYPE = keccak(b"Cancel(uint256 account,uint256 nonce)")
WITHDRAW_TYPE = keccak(b"Withdraw(uint256 account,uint256 amount,uint256 nonce)")
AUTHORIZE_TYPE = keccak(b"Authorize(uint256 account,address key,uint256 scope,uint256 expiry,uint256 nonce)")
ENTER_TYPE = keccak(b"EnterPool(uint256 account,uint256 amount,uint256 nonce)")
LEAVE_TYPE = keccak(b"LeavePool(uint256 account,uint256 shares,uint256 nonce)")
MARK_TYPE = keccak(b"Mark(uint256 underlying,uint256 previous,uint256 time,uint256 index,uint256[] slices)")
SETTLE_TYPE = keccak(b"Settle(uint256 underlying,uint256 expiry,uint256 price)")
NAME_HASH = keccak(b"Straddle")
VERSION_HASH = keccak(b"1")
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
RECOVERY_BASE = 27
KEY_BYTES = 65  # uncompressed: a tag and two coordinates

_CONTEXT = GLOBAL_CONTEXT.ctx
_RECOVERABLE = ffi.typeof("secp256k1_ecdsa_recoverable_signature *")
_KEY = ffi.typeof("secp256k1_pubkey *")
_ENCODED = ffi.typeof("unsigned char[65]")
_SIZE = ffi.typeof("size_t *")
_pack_order = Struct(">" + 15 * "24xQ").pack  # 15 words whose values fit 64 bits


def compute_domain(chain_id: int, vault: int) -> bytes:
    """EIP-712 domain separator; `vault` is its address as an integer."""
    return keccak(DOMAIN_TYPE + NAME_HASH + VERSION_HASH + encode_words((chain_id, vault)))


def _compute_digest(domain: bytes, struct_hash: bytes) -> bytes:
    digest: bytes = keccak_256(b"\x19\x01" + domain + struct_hash).digest()
    return digest


@lru_cache(maxsize=1 << 12)  # a sequencer asks three times: for the signer, for its book, and when the rules apply the order
def compute_order_digest(domain: bytes, terms: tuple[int, ...]) -> bytes:
    """`terms`: account, underlying, expiry, strike, is_call, is_buy, price, lots, post_only, reduce_only, fill_or_kill, fee_cap, nonce,
    generation, valid_until."""
    try:
        words = _pack_order(*terms)
    except error:  # a term above 64 bits: no order that registers has one, but whoever asks gets its digest
        words = encode_words(terms)
    return _compute_digest(domain, keccak(ORDER_TYPE + words))


def compute_cancel_digest(domain: bytes, account: int, nonce: int) -> bytes:
    """Kills every order signed for the account's present generation."""
    return _compute_digest(domain, keccak(CANCEL_TYPE + encode_words((account, nonce))))


def compute_withdraw_digest(domain: bytes, account: int, amount: int, nonce: int) -> bytes:
    """`amount` in 1e-6 USD is the most that is paid."""
    return _compute_digest(domain, keccak(WITHDRAW_TYPE + encode_words((account, amount, nonce))))


def compute_legs_hash(legs: Iterable[tuple[int, int, int, int, int]]) -> bytes:
    """Of an array of legs: underlying, expiry, strike, is_call, ratio each."""
    return keccak(b"".join([keccak(LEG_TYPE + encode_words(leg)) for leg in legs]))


def compute_combo_digest(domain: bytes, account: int, legs: bytes, terms: tuple[int, ...]) -> bytes:
    """`terms`: is_buy, price, lots, post_only, reduce_only, fill_or_kill, fee_cap, nonce, generation, valid_until."""
    return _compute_digest(domain, keccak(COMBO_TYPE + encode_words((account,)) + legs + encode_words(terms)))


def compute_bid_digest(domain: bytes, account: int, target: int, legs: bytes, terms: tuple[int, ...]) -> bytes:
    """`terms`: units, limit, nonce, valid_until."""
    return _compute_digest(domain, keccak(BID_TYPE + encode_words((account, target)) + legs + encode_words(terms)))


def compute_page_hash(underlying: int, expiry: int, max_lots: int, quotes: Iterable[tuple[int, ...]]) -> bytes:
    """Of one page of a sheet; a quote is strike, is_call, bid, bid_lots, ask, ask_lots."""
    packed = keccak(b"".join([keccak(QUOTE_TYPE + encode_words(quote)) for quote in quotes]))
    return keccak(PAGE_TYPE + encode_words((underlying, expiry, max_lots)) + packed)


def compute_sheet_digest(domain: bytes, account: int, pages: Sequence[bytes], nonce: int, generation: int, valid_until: int) -> bytes:
    """`pages` are hashes of the pages."""
    body = encode_words((account,)) + keccak(b"".join(pages)) + encode_words((nonce, generation, valid_until))
    return _compute_digest(domain, keccak(SHEET_TYPE + body))


def compute_authorize_digest(domain: bytes, account: int, key: int, scope: int, expiry: int, nonce: int) -> bytes:
    """`key` is an address as an integer, 0 to revoke."""
    return _compute_digest(domain, keccak(AUTHORIZE_TYPE + encode_words((account, key, scope, expiry, nonce))))


def compute_pool_digest(domain: bytes, account: int, amount: int, nonce: int, is_leaving: bool) -> bytes:
    """`amount` in 1e-6 USD into the pool, or in shares out of it."""
    return _compute_digest(domain, keccak((LEAVE_TYPE if is_leaving else ENTER_TYPE) + encode_words((account, amount, nonce))))


def compute_settle_digest(domain: bytes, underlying: int, expiry: int, price: int) -> bytes:
    """`price` in 1e-6 USD: the average of the 30 minutes before expiry."""
    return _compute_digest(domain, keccak(SETTLE_TYPE + encode_words((underlying, expiry, price))))


def compute_mark_digest(domain: bytes, underlying: int, previous: int, time: int, index: int, slices: tuple[int, ...]) -> bytes:
    """`slices` as they stand in the row, signed values zig-zag. EIP-712 hashes an array as its packed elements."""
    packed = keccak(encode_words(slices))
    return _compute_digest(domain, keccak(MARK_TYPE + encode_words((underlying, previous, time, index)) + packed))


def get_signature(signatures: bytes, index: int) -> bytes | None:
    """The i-th signature of a source, or None where there is none."""
    start = index * SIGNATURE_BYTES
    found = signatures[start : start + SIGNATURE_BYTES]
    return found if len(found) == SIGNATURE_BYTES else None


def get_signer(digest: bytes, signature: bytes | None) -> int:
    """The address that signed, as an integer; 0 for a missing, malformed or non-canonical signature. Total.

    By the library's C functions themselves: coincurve's classes around them would cost a tenth more.
    """
    if signature is None or len(signature) != SIGNATURE_BYTES or len(digest) != WORD:
        return 0
    recovery = signature[64] - RECOVERY_BASE
    if recovery not in (0, 1) or int.from_bytes(signature[32:64], "big") > HALF_ORDER:
        return 0
    parsed, key = ffi.new(_RECOVERABLE), ffi.new(_KEY)
    if not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(_CONTEXT, parsed, signature[:64], recovery):
        return 0
    if not lib.secp256k1_ecdsa_recover(_CONTEXT, key, parsed, digest):
        return 0
    encoded = ffi.new(_ENCODED)
    lib.secp256k1_ec_pubkey_serialize(_CONTEXT, encoded, ffi.new(_SIZE, KEY_BYTES), key, lib.SECP256K1_EC_UNCOMPRESSED)
    return int.from_bytes(keccak(ffi.buffer(encoded)[1:KEY_BYTES])[12:], "big")
