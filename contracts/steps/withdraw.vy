# pragma version ~=0.4.3
"""
@title WITHDRAW: moves free cash to the outbox, from where L1 pays it
@dev Twin of protocol/steps/withdraw.py.
"""

from ..lib import codes
from ..lib import free_cash
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import sessions
from ..lib import signatures
from ..lib import types

MIN_WITHDRAWAL: constant(uint256) = 1_000_000  # 1e-6 USD: a place in the outbox is taken for ever, and so costs its owner this much

ACCOUNT_DEPTH: immutable(uint256)
OUTBOX_DEPTH: immutable(uint256)
MARK_MAX_AGE: immutable(uint256)
DOMAIN: immutable(bytes32)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    OUTBOX_DEPTH = rules.outbox_depth
    MARK_MAX_AGE = rules.mark_max_age
    DOMAIN = rules.domain

@internal
@pure
def _compute_paid(a: types.Account, amount: uint256, free: uint256, balance: uint256) -> uint256:
    """
    @notice At most what is free, and what L1 holds; nothing below the minimum, unless it is all of the account's cash: the last cent may
            leave.
    """
    paid: uint256 = min(min(amount, free), balance)
    if paid < MIN_WITHDRAWAL and convert(paid, int256) != a.cash:
        return 0
    return paid

@internal
@view
def _fold_account(
    rest: bytes32, index: uint256, account: types.Account, nonce: uint256, paid: uint256, path: DynArray[bytes32, 32]
) -> bytes32:
    """
    @notice `rest` after the account paid; as it was where `paid` is 0.
    """
    a: types.Account = account
    if paid > 0:
        a.cash -= convert(paid, int256)
        a.nonce = nonce
    return merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path)

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
    outbox_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice Pays the owner, whoever signed, min(amount, free): one unit of change in between does not void a forced withdrawal. The folds
            at the end prove what the checks before them read: the markets' siblings are those below the account as it became.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "withdraw: items"
    index: uint256 = items[1]
    amount: uint256 = items[2]
    nonce: uint256 = items[3]
    h: types.Header = sessions._end_row(header, items[0])
    # READ
    merkle._check_globals(header.state, globals, rest)
    if index >= globals.accounts:
        return h, codes.ACCOUNT
    assert holdings._hash(positions) == account.positions, "withdraw: positions"
    # CHECK
    code: uint256 = codes.NONCE
    if sessions._is_valid_nonce(account, nonce):
        digest: bytes32 = signatures._withdraw_digest(DOMAIN, index, amount, nonce)
        code = sessions._check_authority(header, items[0], globals, account, nonce, digest, sessions.WITHDRAW, chunk_hashes, chunk)
    # COMPUTE
    free: uint256 = 0
    if code == codes.OK:
        free, code = free_cash._compute_free(account, positions, globals, markets, MARK_MAX_AGE)
    paid: uint256 = 0
    if code == codes.OK:
        paid = self._compute_paid(account, amount, free, globals.balance)
        if paid == 0 or globals.outbox >> OUTBOX_DEPTH != 0:
            code = codes.NOTHING_FREE
            paid = 0
    # WRITE
    node: bytes32 = self._fold_account(rest, index, account, nonce, paid, account_path)
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    merkle._fold_markets(node, both, both, markets_path)
    if code != codes.OK:
        return h, code
    leaf: bytes32 = types._outbox_leaf(globals.outbox, account.owner, paid)
    node = merkle._fold_place(node, merkle.OUTBOX, globals.outbox, OUTBOX_DEPTH, empty(bytes32), leaf, outbox_path)
    g: types.Globals = globals
    g.outbox += 1
    g.balance -= paid
    h.state = merkle._root(g, node)
    return h, codes.OK
