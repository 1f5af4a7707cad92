# pragma version ~=0.4.3
"""
@title CANCEL: kills every earlier order of an account, registered or not
@dev Twin of protocol/steps/cancel.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import signatures
from ..lib import types

FLAG_AUTHORITY: constant(uint256) = 1
MAX_NONCE: constant(uint256) = 2**64 - 1

ACCOUNT_DEPTH: immutable(uint256)
DOMAIN: immutable(bytes32)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    DOMAIN = rules.domain

@internal
@view
def _check(
    header: types.Header,
    items: DynArray[uint256, 128],
    a: types.Account,
    by_authority: bool,
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
) -> uint256:
    nonce: uint256 = items[2]
    if nonce <= a.nonce or nonce > MAX_NONCE:
        return codes.NONCE
    if by_authority:
        return codes.OK if header.authority == a.owner else codes.AUTHORITY
    digest: bytes32 = signatures._cancel_digest(DOMAIN, items[1], nonce)
    signer: uint256 = signatures._signer(digest, chunk_hashes, chunk, header.signature, header.signatures)
    return codes.OK if signer == a.owner else codes.SIGNATURE

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    g: types.Globals,
    rest: bytes32,
    account: types.Account,
    path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice A flagged row is the owner's own L1 message and needs no signature.
    """
    # READ
    assert keccak256(abi_encode(items)) == header.scratch, "cancel: items"
    merkle._check_globals(header.state, g, rest)
    index: uint256 = items[1]
    by_authority: bool = items[0] >> 4 == FLAG_AUTHORITY
    h: types.Header = machine._next_row(header)
    if not by_authority:
        h.signature += 1
    if index >= g.accounts:
        return h, codes.ACCOUNT
    # CHECK
    a: types.Account = account
    code: uint256 = self._check(header, items, a, by_authority, chunk_hashes, chunk)
    # WRITE
    if code == codes.OK:
        a.nonce = items[2]
        a.generation += 1
    r: bytes32 = merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path)
    h.state = merkle._root(g, r)
    return h, code
