# pragma version ~=0.4.3
"""
@title AUTHORIZE: gives an account a session key in place of the one it had, or none
@dev Twin of protocol/steps/authorize.py.
"""

from ..lib import codes
from ..lib import merkle
from ..lib import sessions
from ..lib import signatures
from ..lib import types

ACCOUNT_DEPTH: immutable(uint256)
DOMAIN: immutable(bytes32)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    DOMAIN = rules.domain

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
    @notice The generation goes up, so that nothing which the old key signed is left; the nonce, so that the old key cannot come back.
    """
    # READ
    assert keccak256(abi_encode(items)) == header.scratch, "authorize: items"
    merkle._check_globals(header.state, g, rest)
    tag: uint256 = items[0]
    index: uint256 = items[1]
    key: uint256 = items[2]
    scope: uint256 = items[3]
    expiry: uint256 = items[4]
    nonce: uint256 = items[5]
    h: types.Header = sessions._end_row(header, tag)
    if index >= g.accounts:
        return h, codes.ACCOUNT
    a: types.Account = account
    # CHECK
    code: uint256 = codes.NONCE
    if key > sessions.ADDRESS_MASK or scope > sessions.TRADE | sessions.WITHDRAW or expiry > sessions.EXPIRY_MASK:
        code = codes.SCOPE
    elif sessions._is_valid_nonce(a, nonce):
        digest: bytes32 = signatures._authorize_digest(DOMAIN, index, key, scope, expiry, nonce)
        code = sessions._check_authority(header, tag, g, a, nonce, digest, sessions.OWNER_ONLY, chunk_hashes, chunk)
    # WRITE
    if code == codes.OK:
        a.session = sessions._encode(key, scope, expiry)
        a.nonce = nonce
        a.generation += 1
    r: bytes32 = merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path)
    h.state = merkle._root(g, r)
    return h, code
