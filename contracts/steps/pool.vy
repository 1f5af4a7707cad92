# pragma version ~=0.4.3
"""
@title POOL: asks to enter the backstop pool with cash, or to leave it with shares; a later scan does it
@dev Twin of protocol/steps/pool.py.
"""

from ..lib import codes
from ..lib import free_cash
from ..lib import merkle
from ..lib import pool
from ..lib import positions as holdings
from ..lib import sessions
from ..lib import signatures
from ..lib import types

FLAG_LEAVE: constant(uint256) = 2

ACCOUNT_DEPTH: immutable(uint256)
MARK_MAX_AGE: immutable(uint256)
DOMAIN: immutable(bytes32)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MARK_MAX_AGE = rules.mark_max_age
    DOMAIN = rules.domain

@internal
@view
def _check_entry(
    a: types.Account, positions: DynArray[uint256, 128], amount: uint256, g: types.Globals, markets: types.Market[2]
) -> uint256:
    """
    @notice Of `amount` (1e-6 USD), all of which must be free: an entry is not a way around the margin.
    """
    if amount < pool.MIN_ENTRY:
        return codes.POOL
    free: uint256 = 0
    code: uint256 = codes.OK
    free, code = free_cash._compute_free(a, positions, g, markets, MARK_MAX_AGE)
    if code != codes.OK:
        return code
    return codes.OK if amount <= free else codes.NOTHING_FREE

@internal
@view
def _check(
    a: types.Account, positions: DynArray[uint256, 128], amount: uint256, is_leaving: bool, g: types.Globals, markets: types.Market[2]
) -> uint256:
    if a.request != 0:
        return codes.POOL
    if is_leaving:
        return codes.OK if 0 < amount and amount <= a.shares else codes.POOL
    return self._check_entry(a, positions, amount, g, markets)

@internal
@pure
def _request(account: types.Account, amount: uint256, nonce: uint256, is_leaving: bool, clock: uint256) -> types.Account:
    """
    @notice The account with its request: cash leaves at once, shares stay until they are paid.
    """
    a: types.Account = account
    a.nonce = nonce
    a.request_time = clock
    if is_leaving:
        a.request = -convert(amount, int256)
    else:
        a.cash -= convert(amount, int256)
        a.request = convert(amount, int256)
    return a

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    globals: types.Globals,
    rest: bytes32,
    account: types.Account,
    account_path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    markets_path: bytes32[2],
    holder_word: uint256,
    holder_path: DynArray[bytes32, 32],
    request_word: uint256,
    request_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice Cash leaves the account at once and waits as its request; shares stay until they are paid. The folds at the end prove what the
            checks before them read.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "pool: items"
    index: uint256 = items[1]
    amount: uint256 = items[2]
    nonce: uint256 = items[3]
    is_leaving: bool = (items[0] >> 4) & FLAG_LEAVE != 0
    h: types.Header = sessions._end_row(header, items[0])
    # READ
    merkle._check_globals(header.state, globals, rest)
    if index >= globals.accounts:
        return h, codes.ACCOUNT
    assert holdings._hash(positions) == account.positions, "pool: positions"
    # CHECK
    code: uint256 = codes.NONCE
    if sessions._is_valid_nonce(account, nonce):
        digest: bytes32 = signatures._pool_digest(DOMAIN, index, amount, nonce, is_leaving)
        code = sessions._check_authority(header, items[0], globals, account, nonce, digest, sessions.OWNER_ONLY, chunk_hashes, chunk)
    if code == codes.OK:
        code = self._check(account, positions, amount, is_leaving, globals, markets)
    # WRITE
    a: types.Account = account
    if code == codes.OK:
        a = self._request(account, amount, nonce, is_leaving, globals.clock)
    node: bytes32 = merkle._fold_place(
        rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), account_path
    )
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(node, both, both, markets_path)
    if code != codes.OK:
        return h, code
    node = merkle._put_bit(node, merkle.HOLDER, index, ACCOUNT_DEPTH, True, holder_word, holder_path)
    node = merkle._put_bit(node, merkle.REQUEST, index, ACCOUNT_DEPTH, True, request_word, request_path)
    g: types.Globals = globals
    g.requests += 1
    h.state = merkle._root(g, node)
    return h, codes.OK
