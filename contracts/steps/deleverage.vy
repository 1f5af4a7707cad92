# pragma version ~=0.4.3
"""
@title DELEVERAGE: the shorts of a bankrupt account are closed against whoever is long
@dev Twin of protocol/steps/deleverage.py. What they are closed at is decided here; whose longs, by the two sweeps that follow.
"""

from ..lib import codes
from ..lib import machine
from ..lib import marks
from ..lib import merkle
from ..lib import pool_slots
from ..lib import positions as holdings
from ..lib import sweep_deleverage
from ..lib import tour
from ..lib import types
from ..lib import waterfall

ONE: constant(uint256) = 1
MAX_LINES: constant(uint256) = 256

ACCOUNT_DEPTH: immutable(uint256)
MAX_ACCOUNTS: immutable(uint256)
POOL_SLOTS: immutable(uint256)
EMPTY_ORDERS: immutable(bytes32)  # root of the order slots of a new account

struct Worth:
    longs: int256  # what they fetch, 1e-6 USD
    shorts: int256  # what buying them back costs

struct Outcome:
    globals: types.Globals
    bankrupt: types.Account
    slot: types.Account
    place: uint256  # of the slot
    is_freed: bool  # a user who has nothing left and owes nothing
    is_moved: bool  # its longs are in the slot

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
def _split(
    positions: DynArray[uint256, 128], markets: types.Market[2]
) -> (Worth, DynArray[uint256, 128], DynArray[uint256, MAX_LINES]):
    """
    @notice What both sides are worth, the longs, and for each short a line that has its mark in the price's place.
    """
    worth: Worth = empty(Worth)
    longs: DynArray[uint256, 128] = []
    lines: DynArray[uint256, MAX_LINES] = []
    for position: uint256 in positions:
        series: uint256 = holdings._series(position)
        lots: int256 = holdings._lots(position)
        down: int256 = 0
        up: int256 = 0
        down, up = marks._compute_lot_mark(series, markets)
        if lots > 0:
            worth.longs += lots * down
            longs.append(position)
        else:
            worth.shorts -= lots * up
            lines.append(sweep_deleverage._encode_line(series, -lots))
            lines.append(convert(up, uint256))
    return worth, longs, lines

@internal
@pure
def _compute_lines(
    marked: DynArray[uint256, MAX_LINES], closing: waterfall.Closing
) -> (DynArray[uint256, MAX_LINES], int256):
    """
    @notice What is to be closed, and what the rounding of the prices leaves over, in 1e-6 USD.
    """
    lines: DynArray[uint256, MAX_LINES] = []
    dust: int256 = closing.paid
    lots: int256 = 0
    for word: uint256 in marked:
        if len(lines) % 2 == 0:
            lots = convert(word & sweep_deleverage.LOTS_MASK, int256)
            lines.append(word)
        else:
            price: int256 = waterfall._compute_price(closing, convert(word, int256))
            lines.append(convert(price, uint256) << sweep_deleverage.PRICE_SHIFT)
            dust -= price * lots
    return lines, dust

@internal
@view
def _put_bankrupt(outcome: Outcome, index: uint256, longs: DynArray[uint256, 128], cash: int256) -> Outcome:
    """
    @notice A user's longs go to a slot of the pool. Where there is none, and in a slot, they stay; `cash` makes the equity with them zero.
    """
    o: Outcome = outcome
    is_user: bool = index < MAX_ACCOUNTS
    has_slot: bool = False
    has_slot, o.place = pool_slots._find_slot(o.globals, MAX_ACCOUNTS, POOL_SLOTS)
    o.is_moved = is_user and len(longs) > 0 and has_slot
    o.is_freed = is_user and (o.is_moved or len(longs) == 0)
    if o.is_moved:
        o.globals, o.slot = pool_slots._fill_slot(o.globals, o.slot, cash, holdings._hash(longs), EMPTY_ORDERS)
    if o.is_freed:
        o.bankrupt.cash = 0
        o.bankrupt.flag = 0
        o.bankrupt.positions = types.EMPTY_POSITIONS
    else:
        o.bankrupt.cash = cash
        o.bankrupt.positions = holdings._hash(longs)
    return o

@internal
@view
def _put_account(
    rest: bytes32, index: uint256, before: types.Account, after: types.Account, path: DynArray[bytes32, 32]
) -> bytes32:
    return merkle._fold_place(rest, merkle.ACCOUNTS, index, ACCOUNT_DEPTH, types._account_leaf(before), types._account_leaf(after), path)

@internal
@view
def _put_bits(
    rest: bytes32,
    index: uint256,
    is_risky: bool,
    is_holder: bool,
    risky: uint256,
    risky_path: DynArray[bytes32, 32],
    holder: uint256,
    holder_path: DynArray[bytes32, 32],
) -> bytes32:
    """
    @notice Whether a mark and a settlement visit the account.
    """
    r: bytes32 = merkle._put_bit(rest, merkle.RISKY, index, ACCOUNT_DEPTH, is_risky, risky, risky_path)
    return merkle._put_bit(r, merkle.HOLDER, index, ACCOUNT_DEPTH, is_holder, holder, holder_path)

@internal
@pure
def _end(g: types.Globals, count: uint256, lines: bytes32) -> (types.Sweep, uint256):
    """
    @notice The two sweeps over whoever is long, where there is anything to be closed; of the lines their number and their hash.
    """
    if count == 0:
        return tour._end_mark(g)
    s: types.Sweep = empty(types.Sweep)
    s.mode = machine.MODE_ADL_TALLY
    s.lines = lines
    return s, machine.SCAN

@external
@view
def step(
    header: types.Header,
    sweep: types.Sweep,
    globals: types.Globals,
    rest: bytes32,
    account: types.Account,
    account_path: DynArray[bytes32, 32],
    positions: DynArray[uint256, 128],
    markets: types.Market[2],
    markets_path: bytes32[2],
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
    @notice Always applies. Folds come in the order of the arguments, each below what the one before left.
    """
    # READ
    assert types._sweep_hash(sweep) == header.scratch, "deleverage: sweep"
    merkle._check_globals(header.state, globals, rest)
    assert holdings._hash(positions) == account.positions, "deleverage: positions"
    index: uint256 = sweep.bankrupt - 1
    # COMPUTE
    worth: Worth = empty(Worth)
    longs: DynArray[uint256, 128] = []
    lines: DynArray[uint256, MAX_LINES] = []
    worth, longs, lines = self._split(positions, markets)
    equity: int256 = account.cash + worth.longs - worth.shorts
    closing: waterfall.Closing = waterfall._compute_closing(equity, worth.shorts, tour._purse(globals))
    dust: int256 = 0
    lines, dust = self._compute_lines(lines, closing)
    closing.purse.fund += dust
    o: Outcome = empty(Outcome)
    o.globals = tour._put_purse(globals, closing.purse, closing.debt)
    o.globals.allowance -= 1
    o.bankrupt = account
    o.slot = slot
    o = self._put_bankrupt(o, index, longs, -worth.longs)
    s: types.Sweep = empty(types.Sweep)
    phase: uint256 = 0
    s, phase = self._end(o.globals, len(lines), keccak256(abi_encode(lines)))
    # WRITE
    node: bytes32 = self._put_account(rest, index, account, o.bankrupt, account_path)
    both: bytes32 = merkle._markets_node(markets[0], markets[1])
    node = merkle._fold_markets(node, both, both, markets_path)
    if o.is_moved:
        node = self._put_account(node, o.place, slot, o.slot, slot_path)
    if o.is_freed:
        is_holder: bool = tour._is_holder(o.bankrupt)
        node = self._put_bits(node, index, False, is_holder, user_risky, user_risky_path, user_holder, user_holder_path)
    if o.is_moved:
        node = self._put_bits(node, o.place, True, True, slot_risky, slot_risky_path, slot_holder, slot_holder_path)
    return tour._enter(header, o.globals, s, phase, node), codes.OK
