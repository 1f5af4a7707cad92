"""Random starts of SCAN, TAKEOVER and DELEVERAGE: somewhere on the way of a whole scan, over an exchange whose books balance."""

from collections import Counter

from protocol.machine import Preimages, open_scan
from protocol.margin import compute_margin, get_slice
from protocol.marks import compute_values
from protocol.pool import MIN_ENTRY
from protocol.rules import Rules
from protocol.series import EXPIRY_BITS, decode_series
from protocol.state import State, put_bit
from protocol.steps import STEPS
from protocol.sweeps.settle import LISTING_SHIFT
from protocol.types import MAX_LOTS, POOL_OWNER, Account, Bitmap, Globals, Header, Mode, Phase, Position, Sweep
from sim.twins.dice import Dice, get_keys
from sim.twins.replay import Start
from sim.twins.worlds import NOW, OWNERS, World, get_pool, make_header

MARKS = 40
MOST_STEPS = 2_000
ATTEMPTS = 200
GAP = 10**9  # 1e-6 USD


def compute_total(state: State) -> int:
    """All cash wherever it is, less what nobody has covered: the balance, always."""
    g = state.globals
    cash = sum(a.cash + max(0, a.request) for a in state.accounts.values())
    return cash + g.fund + g.fees + g.pool - g.debt


def deal(dice: Dice, series: list[int], indices: list[int]) -> dict[int, list[Position]]:
    """Positions of some of the accounts in some of the series; each series sums to zero."""
    held: dict[int, list[Position]] = {index: [] for index in indices}
    most = dice.choice((1, 20, 500, MAX_LOTS >> 3))
    for item in sorted(dice.sample(series, min(len(series), dice.choice((0, 1, 2, 3, 6, 12))))):
        holders = dice.sample(indices, dice.randrange(2, min(len(indices), 5) + 1)) if len(indices) > 1 else []
        lots = [dice.choice((-1, 1)) * dice.randrange(1, most + 1) for _ in holders[1:]]
        for holder, size in zip(holders, [-sum(lots), *lots], strict=True) if holders else ():
            if size:
                held[holder].append((item, size))
    return held


def choose_cash(dice: Dice, positions: tuple[Position, ...], world: World) -> int:
    """Cash with which the account is rich, at its maintenance margin or one off it, worth nothing, or less than nothing."""
    margin = compute_margin(0, positions, world.state.markets)
    floor = margin.maintenance
    broken = -dice.choice((1, dice.randrange(1, GAP), max(1, compute_values(positions, world.state.markets).shorts >> 1), 10 * GAP))
    target = dice.choice((floor + dice.randrange(GAP), floor, floor - 1, floor >> 1, floor >> 5, 0, -1, broken, broken))
    return target - margin.equity


def put_users(world: World, held: dict[int, list[Position]]) -> None:
    """With flags of every age, shares of the pool and requests to enter and leave it."""
    dice, g, delay = world.dice, world.state.globals, world.rules.params.pool_delay_s
    for index in world.indices:
        key = dice.choice(get_keys()[:OWNERS])
        world.keys[index] = key
        positions = tuple(sorted(held[index]))
        flag = dice.choice((0, 0, g.marks, g.marks - 1, g.marks - 2, g.marks - 19, g.marks - 20, g.marks - 30))
        shares = dice.choice((0, 0, 1, dice.randrange(10**12)))
        request = dice.choice((0, 0, MIN_ENTRY, dice.randrange(MIN_ENTRY, 10**12), -shares, -(shares >> 1)))
        waited = dice.choice((0, delay - 1, delay, delay + 99))
        cash = choose_cash(dice, positions, world)
        fields = {"generation": dice.randrange(9), "flag": flag, "shares": shares, "request": request, "request_time": g.clock - waited}
        world.set_account(index, owner=key.address, cash=cash, nonce=dice.randrange(9), positions=positions, **fields)


def put_slots(world: World, slots: list[int], held: dict[int, list[Position]]) -> None:
    """Those without positions wait to be emptied, or are on the list of free ones."""
    dice, state = world.dice, world.state
    for index in dice.sample(slots, len(slots)):
        positions = tuple(sorted(held[index]))
        if not positions and dice.chance(0.5):
            state.put_account(index, Account(POOL_OWNER, nonce=state.globals.free_slot))
            state.put_globals(state.globals._replace(free_slot=index + 1))
            continue
        cash = choose_cash(dice, positions, world) if positions else dice.choice((0, dice.randrange(GAP), -dice.randrange(GAP)))
        state.put_account(index, Account(POOL_OWNER, cash, positions=positions))
        for bitmap in (Bitmap.RISKY, Bitmap.HOLDER):
            put_bit(state, bitmap, index, True)


def make_exchange(dice: Dice, rules: Rules) -> World:
    """A few users among at most three hundred, some of the pool's slots, money in pool and fund or none. Cash sums to the balance."""
    params = rules.params
    state = State(params)
    markets, series = dice.choice(get_pool())
    world = World(state, rules, dice, [item for item in series if get_slice(markets[decode_series(item)[0]], decode_series(item)[1])])
    count, used = dice.choice((2, 4, 8, 256, 257, 300)), dice.choice((0, 0, 1, 2, params.pool_slots if params.pool_slots < 9 else 3))
    money = (0, 0, 1, dice.randrange(10**6), dice.randrange(10**10), dice.randrange(10**14))
    allowance = dice.choice((-(2**40), 0, 1_000))
    g = Globals(NOW + 60, allowance, NOW, count, MARKS, fund=dice.choice(money), pool=dice.choice(money), debt=dice.choice((0, 0, *money)))
    state.put_globals(g._replace(slots=used))
    state.put_markets(markets)
    world.indices = sorted(dice.sample(range(count), min(count, dice.randrange(2, 7))))
    if dice.chance(0.5):
        world.indices = sorted({*world.indices, 0, count - 1})
    slots = [params.max_accounts + at for at in range(used)]
    held = deal(dice, world.series, world.indices + slots)
    for index in range(count):
        if index < 9 or index in world.indices:
            state.put_account(index, Account(owner=get_keys()[0].address))
    put_users(world, held)
    put_slots(world, slots, held)
    balance_books(state)
    return world


def balance_books(state: State) -> None:
    """The globals that count and sum up what the accounts have."""
    users = state.accounts.values()
    state.put_globals(
        state.globals._replace(
            shares=sum(a.shares for a in users), requests=sum(a.request != 0 for a in users), slots_equity=0, balance=0, fees=0
        )
    )
    total = compute_total(state)
    state.put_globals(state.globals._replace(balance=max(total, 0), fees=max(-total, 0)))


def open_sweep(world: World, mode: Mode, phase: Phase = Phase.SCAN) -> tuple[Header, Preimages]:
    """As MARK, SETTLE or SHUTDOWN leaves it; of a listing that somebody holds, where there is one."""
    pre = Preimages([])
    sweep = Sweep(mode=mode)
    if mode == Mode.SETTLE_TALLY:
        dice, state = world.dice, world.state
        held = [series for a in state.accounts.values() for series, _ in a.positions] or world.series or [1 << LISTING_SHIFT]
        series = dice.choice(held)
        _, expiry, strike, _ = decode_series(series)
        item = get_slice(state.markets[decode_series(series)[0]], expiry)
        around = [strike, strike << 1, strike >> 1, 100, item.forward if item else 100]
        sweep = sweep._replace(listing=series >> LISTING_SHIFT, price=max(100, dice.choice(around) // 100 * 100))
        assert sweep.listing >> EXPIRY_BITS < len(state.markets)
    if mode in (Mode.SHUTDOWN_TALLY, Mode.SETTLE_TALLY) and (mode == Mode.SHUTDOWN_TALLY or world.dice.chance(0.3)):
        world.state.put_globals(world.state.globals._replace(shutdown=NOW))
    return open_scan(make_header(world.dice, phase), pre, sweep), pre


def list_phases(world: World, header: Header, pre: Preimages) -> list[tuple[Phase, int]]:
    """Phase and mode of every step of the scan."""
    state, pre = world.state.copy(), pre.copy()
    found = []
    while header.phase != Phase.FETCH:
        found.append((Phase(header.phase), pre.sweep.mode))
        header, _ = STEPS[Phase(header.phase)](header, state, pre, world.rules)
        assert len(found) < MOST_STEPS, "the scan ends"
    return found


def advance(world: World, header: Header, pre: Preimages, steps: int) -> Start:
    """The scan after so many steps."""
    for _ in range(steps):
        header, _ = STEPS[Phase(header.phase)](header, world.state, pre, world.rules)
    return Start(header, world.state, pre, world.rules)


def make_within(dice: Dice, rules: Rules, wanted: tuple[Phase, int]) -> Start:
    """A step of the phase and mode, of the first random scan that has one."""
    opening = {Mode.SETTLE_PAY: Mode.SETTLE_TALLY, Mode.SHUTDOWN_PAY: Mode.SHUTDOWN_TALLY}.get(Mode(wanted[1]), Mode(wanted[1]))
    if wanted[1] in (Mode.REQUEST, Mode.ADL_TALLY, Mode.ADL_CUT):
        opening = Mode.FLAG
    for _ in range(ATTEMPTS):
        world = make_exchange(dice, rules)
        header, pre = open_sweep(world, opening)
        steps = [at for at, found in enumerate(list_phases(world, header, pre)) if found == wanted]
        if steps:
            return advance(world, header, pre, dice.choice((steps[-1], dice.choice(steps), dice.choice(steps))))
    raise AssertionError(f"no random scan comes to {wanted}")


def make_scan(dice: Dice, rules: Rules) -> Start:
    """In one of the modes."""
    return make_within(dice, rules, (Phase.SCAN, dice.choice((Mode.FLAG, Mode.FLAG, *Mode))))


def make_takeover(dice: Dice, rules: Rules) -> Start:
    """Of somebody with positions or without, with and without a slot and money for it."""
    return make_within(dice, rules, (Phase.TAKEOVER, Mode.FLAG))


def make_deleverage(dice: Dice, rules: Rules) -> Start:
    """Of a user or a slot."""
    return make_within(dice, rules, (Phase.DELEVERAGE, Mode.FLAG))


def count_lots(state: State) -> Counter[int]:
    """By series, over all accounts: zero everywhere."""
    lots: Counter[int] = Counter()
    for a in state.accounts.values():
        for series, size in a.positions:
            lots[series] += size
    return lots
