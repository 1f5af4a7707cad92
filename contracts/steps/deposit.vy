# pragma version ~=0.4.3
"""
@title DEPOSIT: L1 credits an account, and opens it the first time
@dev Twin of protocol/steps/deposit.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import types

ONE: constant(uint256) = 1
VAULT_AUTHORITY: constant(uint256) = 1
POOL_OWNER: constant(uint256) = 1
ADDRESS_BITS: constant(uint256) = 160
MAX_CASH: constant(uint256) = 2**60

ACCOUNT_DEPTH: immutable(uint256)
MAX_ACCOUNTS: immutable(uint256)  # indices from here on are the backstop pool's
EMPTY_ORDERS: immutable(bytes32)  # root of the order slots of a new account

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MAX_ACCOUNTS = (ONE << rules.account_depth) - rules.pool_slots
    root: bytes32 = empty(bytes32)
    for height: uint256 in range(rules.slot_depth, bound=32):
        root = keccak256(concat(root, root))
    EMPTY_ORDERS = root

@internal
@pure
def _check(g: types.Globals, a: types.Account, index: uint256, owner: uint256, amount: uint256) -> uint256:
    if index < g.accounts and a.owner != owner:
        return codes.ACCOUNT
    if owner == 0 or owner == POOL_OWNER or owner >> ADDRESS_BITS != 0:
        return codes.ACCOUNT
    if amount >= MAX_CASH or a.cash + convert(amount, int256) >= convert(MAX_CASH, int256):
        return codes.CASH
    return codes.OK

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    globals: types.Globals,
    rest: bytes32,
    account: types.Account,
    path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice Account indices are given out by L1, one after the other, so a new one is always the next.
    """
    # READ
    assert keccak256(abi_encode(items)) == header.scratch, "deposit: items"
    merkle._check_globals(header.state, globals, rest)
    index: uint256 = items[1]
    owner: uint256 = items[2]
    amount: uint256 = items[3]
    h: types.Header = machine._next_row(header)
    if header.authority != VAULT_AUTHORITY:
        return h, codes.AUTHORITY
    if index > globals.accounts or index >= MAX_ACCOUNTS:
        return h, codes.ACCOUNT
    g: types.Globals = globals
    a: types.Account = account
    # CHECK
    code: uint256 = self._check(g, a, index, owner, amount)
    # WRITE
    if code == codes.OK:
        if index == g.accounts:
            g.accounts += 1
            a.owner = owner
            a.orders = EMPTY_ORDERS
        a.cash += convert(amount, int256)
        g.balance += amount
    h.state = merkle._root(
        g, merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(account), types._account_leaf(a), path)
    )
    return h, code
