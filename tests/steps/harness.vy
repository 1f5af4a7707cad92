# pragma version ~=0.4.3
"""
@title Opens the step libraries' internal functions to the tests
"""

from contracts.lib import legs
from contracts.lib import merkle
from contracts.lib import positions
from contracts.lib import quotes
from contracts.lib import signatures
from contracts.lib import types

@external
@pure
def header_leaf(h: types.Header) -> bytes32:
    return types._header_leaf(h)

@external
@pure
def record_hash(r: types.Record) -> bytes32:
    return types._record_hash(r)

@external
@pure
def globals_leaf(g: types.Globals) -> bytes32:
    return types._globals_leaf(g)

@external
@pure
def market_leaf(m: types.Market) -> bytes32:
    return types._market_leaf(m)

@external
@pure
def account_leaf(a: types.Account) -> bytes32:
    return types._account_leaf(a)

@external
@pure
def entry_leaf(o: types.Order, p: types.Page) -> bytes32:
    return types._entry_leaf(o, p)

@external
@pure
def trade_hash(t: types.Trade) -> bytes32:
    return types._trade_hash(t)

@external
@pure
def sweep_hash(s: types.Sweep) -> bytes32:
    return types._sweep_hash(s)

@external
@pure
def outbox_leaf(index: uint256, owner: uint256, amount: uint256) -> bytes32:
    return types._outbox_leaf(index, owner, amount)

@external
@pure
def fold(root: bytes32, index: uint256, depth: uint256, old: bytes32, new: bytes32, path: DynArray[bytes32, 32]) -> bytes32:
    return merkle._fold(root, index, depth, old, new, path)

@external
@pure
def apply_legs(held: DynArray[uint256, 128], packed: uint256[4], units: int256) -> (DynArray[uint256, 132], bytes32, bool, bool):
    merged: DynArray[uint256, 132] = positions._apply_legs(held, packed, units)
    return merged, positions._hash(merged), positions._is_bounded(merged), positions._is_risky(0, merged)

@external
@pure
def is_shrinking(held: DynArray[uint256, 128], packed: uint256[4], units: int256) -> bool:
    return positions._is_shrinking(held, packed, units)

@external
@pure
def get_lots(held: DynArray[uint256, 128], series: uint256) -> int256:
    return positions._get_lots(held, series)

@external
@pure
def decode_legs(items: DynArray[uint256, 128], start: uint256) -> (uint256[4], uint256, bytes32):
    packed: uint256[4] = empty(uint256[4])
    code: uint256 = 0
    packed, code = legs._decode(items, start)
    return packed, code, legs._hash(packed)

@external
@pure
def quote(page: types.Page, ref: uint256) -> (bool, types.Order):
    return quotes._has_quote(page, ref), quotes._get_quote_order(page, ref)

@external
@pure
def fill_quote(page: types.Page, ref: uint256, lots: uint256) -> types.Page:
    return quotes._fill_quote(page, ref, lots)

@external
@pure
def order_digest(domain: bytes32, terms: uint256[15]) -> bytes32:
    return signatures._order_digest(domain, terms)

@external
@pure
def combo_digest(domain: bytes32, account: uint256, hashed: bytes32, terms: uint256[10]) -> bytes32:
    return signatures._combo_digest(domain, account, hashed, terms)

@external
@pure
def bid_digest(
    domain: bytes32, account: uint256, target: uint256, hashed: bytes32, units: uint256, limit: int256, nonce: uint256, valid_until: uint256
) -> bytes32:
    return signatures._bid_digest(domain, account, target, hashed, units, limit, nonce, valid_until)

@external
@pure
def page_hash(underlying: uint256, expiry: uint256, max_lots: uint256, terms: DynArray[uint256[6], 16]) -> bytes32:
    hashes: DynArray[bytes32, 16] = []
    for item: uint256[6] in terms:
        hashes.append(signatures._quote_hash(item[0], item[1], [item[2], item[3], item[4], item[5]]))
    encoded: Bytes[576] = abi_encode(hashes)
    return signatures._page_hash(underlying, expiry, max_lots, keccak256(slice(encoded, 64, 32 * len(hashes))))

@external
@pure
def sheet_digest(
    domain: bytes32, account: uint256, pages: bytes32, nonce: uint256, generation: uint256, valid_until: uint256
) -> bytes32:
    return signatures._sheet_digest(domain, account, pages, nonce, generation, valid_until)

@external
@pure
def authorize_digest(domain: bytes32, account: uint256, key: uint256, scope: uint256, expiry: uint256, nonce: uint256) -> bytes32:
    return signatures._authorize_digest(domain, account, key, scope, expiry, nonce)

@external
@pure
def pool_digest(domain: bytes32, account: uint256, amount: uint256, nonce: uint256, is_leaving: bool) -> bytes32:
    return signatures._pool_digest(domain, account, amount, nonce, is_leaving)

@external
@pure
def settle_digest(domain: bytes32, underlying: uint256, expiry: uint256, price: uint256) -> bytes32:
    return signatures._settle_digest(domain, underlying, expiry, price)

@external
@pure
def cancel_digest(domain: bytes32, account: uint256, nonce: uint256) -> bytes32:
    return signatures._cancel_digest(domain, account, nonce)

@external
@pure
def withdraw_digest(domain: bytes32, account: uint256, amount: uint256, nonce: uint256) -> bytes32:
    return signatures._withdraw_digest(domain, account, amount, nonce)

@external
@pure
def mark_digest(domain: bytes32, items: DynArray[uint256, 128]) -> bytes32:
    return signatures._mark_digest(domain, items)

@external
@pure
def signer(digest: bytes32, chunk_hashes: DynArray[bytes32, 32], chunk: Bytes[2080], index: uint256, signatures_hash: bytes32) -> uint256:
    return signatures._signer(digest, chunk_hashes, chunk, index, signatures_hash)
