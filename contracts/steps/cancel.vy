# pragma version ~=0.4.3
"""
@title CANCEL: kills every earlier order of an account, registered or not
@dev Twin of protocol/steps/cancel.py.
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
    @notice Orders are signed for the account's generation, which goes up. A key that trades may also stop trading.
    """
    # READ
    assert keccak256(abi_encode(items)) == header.scratch, "cancel: items"
    merkle._check_globals(header.state, g, rest)
    tag: uint256 = items[0]
    index: uint256 = items[1]
    nonce: uint256 = items[2]
    h: types.Header = sessions._end_row(header, tag)
    if index >= g.accounts:
        return h, codes.ACCOUNT
    a: types.Account = account
    # CHECK
    code: uint256 = codes.NONCE
    if sessions._is_valid_nonce(a, nonce):
        digest: bytes32 = signatures._cancel_digest(DOMAIN, index, nonce)
        code = sessions._check_authority(header, tag, g, a, nonce, digest, sessions.TRADE, chunk_hashes, chunk)
    # WRITE
    if code == codes.OK:
        a.nonce = nonce
        a.generation += 1
    r: bytes32 = merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path)
    h.state = merkle._root(g, r)
    return h, code
