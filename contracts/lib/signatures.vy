# pragma version ~=0.4.3
"""
@title Who signed what
@dev Twin of protocol/signing.py. A source's signatures are known by the hash of the list of its chunks' hashes; a chunk is 32 signatures of
     65 bytes, r || s || v. A chunk that is not the source's reverts; a signature that is missing, malformed or not canonical has signer 0.
"""

SIGNATURE_BYTES: constant(uint256) = 65
CHUNK_BITS: constant(uint256) = 5
CHUNK_MASK: constant(uint256) = 31
CHUNK_BYTES: constant(uint256) = 2080
MAX_CHUNKS: constant(uint256) = 32
HEAD_WORDS: constant(uint256) = 5  # of a MARK: tag, underlying, previous, time, index
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

ORDER_TYPE: constant(bytes32) = keccak256(
    "Order(uint256 account,uint256 underlying,uint256 expiry,uint256 strike,bool isCall,bool isBuy,uint256 price,uint256 lots,bool postOnly,bool reduceOnly,bool fillOrKill,uint256 feeCap,uint256 nonce,uint256 generation,uint256 validUntil)"
)
COMBO_TYPE: constant(bytes32) = keccak256(
    "Combo(uint256 account,Leg[] legs,bool isBuy,int256 price,uint256 lots,bool postOnly,bool reduceOnly,bool fillOrKill,uint256 feeCap,uint256 nonce,uint256 generation,uint256 validUntil)Leg(uint256 underlying,uint256 expiry,uint256 strike,bool isCall,int256 ratio)"
)
QUOTE_TYPE: constant(bytes32) = keccak256("Quote(uint256 strike,bool isCall,uint256 bid,uint256 bidLots,uint256 ask,uint256 askLots)")
PAGE_TYPE: constant(bytes32) = keccak256(
    "Page(uint256 underlying,uint256 expiry,uint256 maxLots,Quote[] quotes)Quote(uint256 strike,bool isCall,uint256 bid,uint256 bidLots,uint256 ask,uint256 askLots)"
)
SHEET_TYPE: constant(bytes32) = keccak256(
    "Sheet(uint256 account,Page[] pages,uint256 nonce,uint256 generation,uint256 validUntil)Page(uint256 underlying,uint256 expiry,uint256 maxLots,Quote[] quotes)Quote(uint256 strike,bool isCall,uint256 bid,uint256 bidLots,uint256 ask,uint256 askLots)"
)
CANCEL_TYPE: constant(bytes32) = keccak256("Cancel(uint256 account,uint256 nonce)")
WITHDRAW_TYPE: constant(bytes32) = keccak256("Withdraw(uint256 account,uint256 amount,uint256 nonce)")
AUTHORIZE_TYPE: constant(bytes32) = keccak256("Authorize(uint256 account,address key,uint256 scope,uint256 expiry,uint256 nonce)")
ENTER_TYPE: constant(bytes32) = keccak256("EnterPool(uint256 account,uint256 amount,uint256 nonce)")
LEAVE_TYPE: constant(bytes32) = keccak256("LeavePool(uint256 account,uint256 shares,uint256 nonce)")
BID_TYPE: constant(bytes32) = keccak256(
    "Bid(uint256 account,uint256 target,Leg[] legs,uint256 units,int256 limit,uint256 nonce,uint256 validUntil)Leg(uint256 underlying,uint256 expiry,uint256 strike,bool isCall,int256 ratio)"
)
SETTLE_TYPE: constant(bytes32) = keccak256("Settle(uint256 underlying,uint256 expiry,uint256 price)")
MARK_TYPE: constant(bytes32) = keccak256("Mark(uint256 underlying,uint256 previous,uint256 time,uint256 index,uint256[] slices)")

@internal
@pure
def _digest(domain: bytes32, struct_hash: bytes32) -> bytes32:
    return keccak256(concat(b"\x19\x01", domain, struct_hash))

@internal
@pure
def _order_digest(domain: bytes32, terms: uint256[15]) -> bytes32:
    """
    @param terms account, underlying, expiry, strike, is_call, is_buy, price, lots, post_only, reduce_only, fill_or_kill, fee_cap, nonce,
           generation, valid_until
    """
    return self._digest(domain, keccak256(abi_encode(ORDER_TYPE, terms)))

@internal
@pure
def _combo_digest(domain: bytes32, account: uint256, legs: bytes32, terms: uint256[10]) -> bytes32:
    """
    @param legs the hash of their array (`legs._hash`)
    @param terms is_buy, price (two's complement), lots, post_only, reduce_only, fill_or_kill, fee_cap, nonce, generation, valid_until
    """
    return self._digest(domain, keccak256(abi_encode(COMBO_TYPE, account, legs, terms)))

@internal
@pure
def _quote_hash(strike: uint256, is_call: uint256, sides: uint256[4]) -> bytes32:
    """
    @param sides bid, bid_lots, ask, ask_lots
    """
    return keccak256(abi_encode(QUOTE_TYPE, strike, is_call, sides))

@internal
@pure
def _page_hash(underlying: uint256, expiry: uint256, max_lots: uint256, quotes: bytes32) -> bytes32:
    """
    @param quotes the hash of the quotes' hashes, one after the other
    """
    return keccak256(abi_encode(PAGE_TYPE, underlying, expiry, max_lots, quotes))

@internal
@pure
def _sheet_digest(
    domain: bytes32, account: uint256, pages: bytes32, nonce: uint256, generation: uint256, valid_until: uint256
) -> bytes32:
    """
    @param pages the hash of the pages' hashes, one after the other
    """
    return self._digest(domain, keccak256(abi_encode(SHEET_TYPE, account, pages, nonce, generation, valid_until)))

@internal
@pure
def _cancel_digest(domain: bytes32, account: uint256, nonce: uint256) -> bytes32:
    return self._digest(domain, keccak256(abi_encode(CANCEL_TYPE, account, nonce)))

@internal
@pure
def _withdraw_digest(domain: bytes32, account: uint256, amount: uint256, nonce: uint256) -> bytes32:
    return self._digest(domain, keccak256(abi_encode(WITHDRAW_TYPE, account, amount, nonce)))

@internal
@pure
def _authorize_digest(domain: bytes32, account: uint256, key: uint256, scope: uint256, expiry: uint256, nonce: uint256) -> bytes32:
    """
    @param key an address, 0 to revoke
    """
    return self._digest(domain, keccak256(abi_encode(AUTHORIZE_TYPE, account, key, scope, expiry, nonce)))

@internal
@pure
def _pool_digest(domain: bytes32, account: uint256, amount: uint256, nonce: uint256, is_leaving: bool) -> bytes32:
    """
    @param amount in 1e-6 USD into the pool, or in shares out of it
    """
    kind: bytes32 = LEAVE_TYPE if is_leaving else ENTER_TYPE
    return self._digest(domain, keccak256(abi_encode(kind, account, amount, nonce)))

@internal
@pure
def _bid_digest(
    domain: bytes32, account: uint256, target: uint256, legs: bytes32, units: uint256, limit: int256, nonce: uint256, valid_until: uint256
) -> bytes32:
    """
    @param legs the hash of their array
    """
    return self._digest(domain, keccak256(abi_encode(BID_TYPE, account, target, legs, units, limit, nonce, valid_until)))

@internal
@pure
def _settle_digest(domain: bytes32, underlying: uint256, expiry: uint256, price: uint256) -> bytes32:
    return self._digest(domain, keccak256(abi_encode(SETTLE_TYPE, underlying, expiry, price)))

@internal
@pure
def _mark_digest(domain: bytes32, items: DynArray[uint256, 128]) -> bytes32:
    """
    @notice The slices are signed as they stand in the row, as an array's packed elements.
    @param items the whole row, its tag first
    """
    encoded: Bytes[4160] = abi_encode(items)
    slices: bytes32 = keccak256(slice(encoded, 64 + 32 * HEAD_WORDS, 32 * (len(items) - HEAD_WORDS)))
    return self._digest(domain, keccak256(abi_encode(MARK_TYPE, items[1], items[2], items[3], items[4], slices)))

@internal
@pure
def _recover(digest: bytes32, signature: Bytes[65]) -> uint256:
    """
    @notice The address that signed, as an integer; 0 for what is not a canonical signature. Without gas for the precompile it reverts.
    """
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    if (v != 27 and v != 28) or s > HALF_ORDER:
        return 0
    return convert(ecrecover(digest, v, r, s), uint256)

@internal
@pure
def _signer(digest: bytes32, chunk_hashes: DynArray[bytes32, 32], chunk: Bytes[2080], index: uint256, signatures_hash: bytes32) -> uint256:
    """
    @notice The signer of the source's signature number `index`; reverts on chunks that are not the source's.
    @param chunk the one that `index` falls into; not looked at if the source has none
    """
    assert keccak256(abi_encode(chunk_hashes)) == signatures_hash, "signatures: hashes"
    at: uint256 = index >> CHUNK_BITS
    if at >= len(chunk_hashes):
        return 0
    assert keccak256(chunk) == chunk_hashes[at], "signatures: chunk"
    start: uint256 = (index & CHUNK_MASK) * SIGNATURE_BYTES
    if start + SIGNATURE_BYTES > len(chunk):
        return 0
    return self._recover(digest, slice(chunk, start, SIGNATURE_BYTES))
