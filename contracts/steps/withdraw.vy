# pragma version ~=0.4.3
"""
@title WITHDRAW: moves free cash to the outbox, from where L1 pays it
@dev Twin of protocol/steps/withdraw.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import margin as risk
from ..lib import merkle
from ..lib import positions as holdings
from ..lib import signatures
from ..lib import types

FLAG_AUTHORITY: constant(uint256) = 1
NONCE_BITS: constant(uint256) = 64
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
@view
def _check_authority(
    header: types.Header, items: DynArray[uint256, 128], owner: uint256, chunk_hashes: DynArray[bytes32, 32], chunk: Bytes[2080]
) -> uint256:
    """
    @notice The owner's signature; or, for a flagged row, the owner's own L1 message.
    """
    if items[0] >> 4 == FLAG_AUTHORITY:
        return codes.OK if header.authority == owner else codes.AUTHORITY
    digest: bytes32 = signatures._withdraw_digest(DOMAIN, items[1], items[2], items[3])
    signer: uint256 = signatures._signer(digest, chunk_hashes, chunk, header.signature, header.signatures)
    return codes.OK if signer == owner else codes.SIGNATURE

@internal
@view
def _compute_free(
    account: types.Account, positions: DynArray[uint256, 128], markets: types.Market[2], clock: uint256
) -> (uint256, int256):
    """
    @notice Whether the account may withdraw at all now, and what may leave: cash, and with shorts no more than what equity exceeds the
            initial margin by.
    """
    if account.flag != 0:
        return codes.FLAGGED, 0
    if not holdings._is_risky(0, positions):
        return codes.OK, account.cash
    margin: risk.Margin = empty(risk.Margin)
    oldest: uint256 = 0
    margin, oldest = risk._compute_margin(account.cash, positions, markets)
    if risk._is_stale(oldest, clock, MARK_MAX_AGE):
        return codes.STALE, 0
    return codes.OK, min(account.cash, margin.equity - margin.initial)

@internal
@pure
def _compute_paid(account: types.Account, amount: uint256, free: int256) -> uint256:
    """
    @notice At most what is free; nothing where that is below the minimum, unless it is all of the account's cash: the last cent may leave.
    """
    if free <= 0:
        return 0
    paid: uint256 = min(amount, convert(free, uint256))
    if paid < MIN_WITHDRAWAL and convert(paid, int256) != account.cash:
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
    @notice Pays min(amount, free), so that one unit of change in between does not void a forced withdrawal. The folds at the end prove what
            the checks before them read: the markets' siblings are those below the account as it became.
    """
    assert keccak256(abi_encode(items)) == header.scratch, "withdraw: items"
    index: uint256 = items[1]
    amount: uint256 = items[2]
    nonce: uint256 = items[3]
    h: types.Header = machine._next_row(header)
    if items[0] >> 4 != FLAG_AUTHORITY:
        h.signature += 1
    # READ
    merkle._check_globals(header.state, globals, rest)
    if index >= globals.accounts:
        return h, codes.ACCOUNT
    assert holdings._hash(positions) == account.positions, "withdraw: positions"
    # CHECK
    code: uint256 = codes.NONCE
    if nonce > account.nonce and nonce >> NONCE_BITS == 0:
        code = self._check_authority(header, items, account.owner, chunk_hashes, chunk)
    # COMPUTE
    free: int256 = 0
    if code == codes.OK:
        code, free = self._compute_free(account, positions, markets, globals.clock)
    paid: uint256 = 0
    if code == codes.OK:
        paid = self._compute_paid(account, amount, free)
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
    h.state = merkle._root(g, node)
    return h, codes.OK
