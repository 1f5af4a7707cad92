# pragma version ~=0.4.3
"""
@title TAKEOVER: the backstop pool takes over an account whose auction nobody ended
@dev Twin of protocol/steps/takeover.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import pool_slots
from ..lib import tour
from ..lib import types
from ..lib import waterfall

ONE: constant(uint256) = 1

ACCOUNT_DEPTH: immutable(uint256)
MAX_ACCOUNTS: immutable(uint256)
POOL_SLOTS: immutable(uint256)
EMPTY_ORDERS: immutable(bytes32)  # root of the order slots of a new account

struct Outcome:
    globals: types.Globals
    sweep: types.Sweep
    user: types.Account
    slot: types.Account
    is_freed: bool  # the user is out of the auction
    is_moved: bool  # into the slot

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    MAX_ACCOUNTS = (ONE << rules.account_depth) - rules.pool_slots
    POOL_SLOTS = rules.pool_slots
    root: bytes32 = empty(bytes32)
    for height: uint256 in range(rules.slot_depth, bound=32):
        root = keccak256(concat(root, root))
    EMPTY_ORDERS = root

@internal
@pure
def _write_off(outcome: Outcome) -> Outcome:
    """
    @notice Of an account without positions: pool and fund pay its debt, and nobody the rest, until a settlement.
    """
    o: Outcome = outcome
    purse: waterfall.Purse = tour._purse(o.globals)
    left: int256 = 0
    purse, left = waterfall._pay(purse, -o.user.cash)
    o.globals = tour._put_purse(o.globals, purse, left)
    o.user.cash = 0
    o.user.flag = 0
    o.is_freed = True
    return o

@internal
@view
def _take_over(outcome: Outcome, terms: waterfall.Takeover) -> Outcome:
    """
    @notice The positions move to a slot with cash that makes its equity what the terms say.
    """
    o: Outcome = outcome
    o.globals = tour._put_purse(o.globals, terms.purse, 0)
    cash: int256 = o.user.cash - o.sweep.equity + terms.equity
    o.globals, o.slot = pool_slots._fill_slot(o.globals, o.slot, cash, o.user.positions, EMPTY_ORDERS)
    o.user.cash = terms.kept
    o.user.flag = 0
    o.user.generation += 1
    o.user.positions = types.EMPTY_POSITIONS
    o.is_freed = True
    o.is_moved = True
    return o

@internal
@view
def _apply(outcome: Outcome, has_slot: bool) -> Outcome:
    """
    @notice Nothing changes without a slot or the money; the first one who is bankrupt then is deleveraged after the mark's scan.
    """
    o: Outcome = outcome
    s: types.Sweep = outcome.sweep
    if o.user.positions == types.EMPTY_POSITIONS:
        return self._write_off(o)
    terms: waterfall.Takeover = waterfall._compute_takeover(s.equity, s.maintenance, tour._purse(o.globals))
    if has_slot and terms.is_possible:
        return self._take_over(o, terms)
    if s.equity < 0 and s.bankrupt == 0:
        o.sweep.bankrupt = s.account + 1
    return o

@external
@view
def step(
    header: types.Header,
    sweep: types.Sweep,
    globals: types.Globals,
    rest: bytes32,
    user: types.Account,
    user_path: DynArray[bytes32, 32],
    slot: types.Account,
    slot_path: DynArray[bytes32, 32],
    user_risky: uint256,
    user_risky_path: DynArray[bytes32, 32],
    user_holder: uint256,
    user_holder_path: DynArray[bytes32, 32],
    slot_risky: uint256,
    slot_risky_path: DynArray[bytes32, 32],
    slot_holder: uint256,
    slot_holder_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice Always applies; the scan goes on behind the account. Folds come in the order of the arguments, each below what the one before left.
    """
    # READ
    assert types._sweep_hash(sweep) == header.scratch, "takeover: sweep"
    merkle._check_globals(header.state, globals, rest)
    index: uint256 = sweep.account
    place: uint256 = 0
    has_slot: bool = False
    has_slot, place = pool_slots._find_slot(globals, MAX_ACCOUNTS, POOL_SLOTS)
    # COMPUTE
    o: Outcome = empty(Outcome)
    o.globals = globals
    o.globals.allowance -= 1
    o.sweep = sweep
    o.user = user
    o.slot = slot
    o = self._apply(o, has_slot)
    o.sweep.account = 0
    o.sweep.equity = 0
    o.sweep.maintenance = 0
    # WRITE
    node: bytes32 = merkle._fold_place(
        rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(user), types._account_leaf(o.user), user_path
    )
    if o.is_moved:
        node = merkle._fold_place(
            node, merkle.ACCOUNTS, place, ACCOUNT_DEPTH, types._account_leaf(slot), types._account_leaf(o.slot), slot_path
        )
    if o.is_freed:
        node = merkle._put_bit(node, merkle.RISKY, index, ACCOUNT_DEPTH, False, user_risky, user_risky_path)
        is_holder: bool = tour._is_holder(o.user)
        node = merkle._put_bit(node, merkle.HOLDER, index, ACCOUNT_DEPTH, is_holder, user_holder, user_holder_path)
    if o.is_moved:
        node = merkle._put_bit(node, merkle.RISKY, place, ACCOUNT_DEPTH, True, slot_risky, slot_risky_path)
        node = merkle._put_bit(node, merkle.HOLDER, place, ACCOUNT_DEPTH, True, slot_holder, slot_holder_path)
    phase: uint256 = machine.SCAN
    o.sweep.cursor = tour._skip_unopened(o.sweep.cursor, o.globals.accounts, MAX_ACCOUNTS)
    if tour._is_over(o.sweep, o.globals.slots, MAX_ACCOUNTS):
        o.sweep, phase = tour._end_flag(o.globals, o.sweep)
    return tour._enter(header, o.globals, o.sweep, phase, node), codes.OK
