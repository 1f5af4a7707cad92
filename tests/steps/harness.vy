# pragma version ~=0.4.3
"""
@title Opens the step libraries' internal functions to the tests
"""

from contracts.lib import merkle
from contracts.lib import positions
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
def order_leaf(o: types.Order) -> bytes32:
    return types._order_leaf(o)

@external
@pure
def trade_hash(t: types.Trade) -> bytes32:
    return types._trade_hash(t)

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
def apply_lots(held: DynArray[uint256, 128], series: uint256, change: int256) -> (DynArray[uint256, 129], bytes32, bool, bool):
    merged: DynArray[uint256, 129] = positions._apply_lots(held, series, change)
    return merged, positions._hash(merged), positions._is_bounded(merged), positions._is_risky(0, merged)

@external
@pure
def get_lots(held: DynArray[uint256, 128], series: uint256) -> int256:
    return positions._get_lots(held, series)

@external
@pure
def order_digest(domain: bytes32, terms: uint256[11]) -> bytes32:
    return signatures._order_digest(domain, terms)

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
