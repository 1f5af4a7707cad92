"""Random states, built directly: as an honest machine could reach them, and up to the bounds of every field."""

from dataclasses import dataclass, field
from functools import cache

from protocol.codec.frames import compute_signatures_hash
from protocol.keccak import compute_array_hash
from protocol.legs import pack_plain
from protocol.machine import Preimages
from protocol.operations import MAX_FEE_CAP
from protocol.rules import Rules
from protocol.series import MAX_STRIKE, STRIKE_UNIT, encode_series
from protocol.state import State, put_bit
from protocol.types import (
    MAX_ACCOUNT_LOTS,
    MAX_CASH,
    MAX_FORWARD,
    MAX_LOTS,
    MAX_POSITIONS,
    MAX_SLICES,
    Account,
    Bitmap,
    Globals,
    Header,
    Market,
    Order,
    Phase,
    Position,
    Slice,
    is_holder,
    is_risky,
)
from sim.twins.dice import Dice, Key, get_keys

NOW = 1_700_000_000
DAY_S = 86_400
NANO = 10**9
OWNERS = 6  # of the keys
POOL = 10


def make_slice(dice: Dice, expiry: int, forward: int) -> Slice:
    """A surface like the market's, or one at the edges of what a MARK may say."""
    if dice.chance(0.8):
        return Slice(
            expiry,
            forward,
            dice.randrange(10**6, 2 * 10**8),
            dice.randrange(10**6, 5 * 10**8),
            dice.randrange(-9 * 10**8, 9 * 10**8),
            dice.randrange(-5 * 10**8, 5 * 10**8),
            dice.randrange(10**6, 10**9),
        )
    edge = 64 * NANO
    return Slice(
        expiry,
        dice.choice((1, 2, MAX_FORWARD - 1, MAX_FORWARD, forward)),
        dice.choice((-edge, -1, 0, 1, edge)),
        dice.choice((0, 1, edge)),
        dice.choice((1 - NANO, 0, NANO - 1)),
        dice.choice((-edge, 0, edge)),
        dice.choice((0, 1, edge)),
    )


def make_market(dice: Dice, spot: int) -> Market:
    """One to sixteen slices, some of them expired; or none yet."""
    if dice.chance(0.05):
        return Market()
    count = dice.choice((1, 2, 3, 6, 15, MAX_SLICES))
    expiries = sorted(dice.sample(range(-3, 60), count))
    slices = tuple(make_slice(dice, NOW + DAY_S * day + 28_800, spot + dice.randrange(spot >> 4)) for day in expiries)
    return Market(spot, NOW - dice.choice((0, 1, 5, 59, 60, 61, 600)), slices)


def make_strikes(forward: int) -> list[int]:
    """Around the forward, and at the edges of a tenth and ten times."""
    wanted = (
        forward >> 1,
        forward - (forward >> 3),
        forward,
        forward + (forward >> 3),
        forward << 1,
        (forward + 9) // 10,
        forward * 10,
        MAX_STRIKE,
    )
    return sorted({min(max(strike, STRIKE_UNIT), MAX_STRIKE) // STRIKE_UNIT * STRIKE_UNIT for strike in wanted})


@cache
def get_pool() -> list[tuple[tuple[Market, Market], list[int]]]:
    """Pairs of markets with the series that are held in them: few, because pricing a series in Python is slow and remembered."""
    dice = Dice(7)
    pool = []
    for _ in range(POOL):
        markets = make_market(dice, 50_000 * 10**6), make_market(dice, 2_500 * 10**6)
        series = [
            encode_series(underlying, item.expiry, strike, kind)
            for underlying, market in enumerate(markets)
            for item in market.slices
            for strike in make_strikes(item.forward)
            for kind in (0, 1)
        ]
        series += [encode_series(u, NOW + 99 * DAY_S, 10**10, 1) for u in (0, 1)]  # in no market
        dice.shuffle(series)
        pool.append((markets, sorted(series[:160])))
    return pool


@dataclass
class World:
    """A state under construction, and who is in it."""

    state: State
    rules: Rules
    dice: Dice
    series: list[int]
    indices: list[int] = field(default_factory=list)  # accounts that are there
    keys: dict[int, Key] = field(default_factory=dict)  # by account

    def get_key(self, index: int) -> Key:
        """Of an account that may not be there: then anybody's."""
        return self.keys.get(index) or get_keys()[0]

    def make_index(self, bad: float = 0.08) -> int:
        """An account that is there, or one that is not; never a number below the count that nobody opened, which no honest state has."""
        if self.dice.chance(bad):
            number = self.dice.make_number()
            count = self.state.globals.accounts
            return number if number >= count and self.dice.chance(0.6) else count + self.dice.choice((0, 0, 1, 2))
        return self.dice.choice(self.indices)

    def set_account(self, index: int, **fields: object) -> None:
        """Also keeps the account's bits."""
        account = self.state.get_account(index)._replace(**fields)  # type: ignore[arg-type]  # by name, checked by use
        self.state.put_account(index, account)
        put_bit(self.state, Bitmap.RISKY, index, bool(account.flag) or is_risky(account.cash, account.positions))
        put_bit(self.state, Bitmap.HOLDER, index, is_holder(account))
        put_bit(self.state, Bitmap.REQUEST, index, account.request != 0)


def make_positions(dice: Dice, series: list[int], count: int) -> tuple[Position, ...]:
    """Bounded as the state's are."""
    chosen = sorted(dice.sample(series, min(count, len(series))))
    sizes = (1, 10, 100, 10_000, MAX_LOTS)
    most = dice.choice(sizes)
    lots = [dice.choice((-1, 1)) * dice.choice((1, most, dice.randrange(1, most + 1))) for _ in chosen]
    while sum(map(abs, lots)) > MAX_ACCOUNT_LOTS:
        lots = [item >> 1 or 1 for item in lots]
    return tuple(zip(chosen, lots, strict=True))


def make_cash(dice: Dice) -> int:
    """Mostly money that people have."""
    if dice.chance(0.1):
        return dice.choice((0, 1, -1, MAX_CASH - 1, 1 - MAX_CASH, MAX_CASH >> 1))
    return dice.choice((1, 1, 1, -1)) * dice.randrange(10 ** dice.randrange(1, 16))


def make_account(dice: Dice, owner: int, series: list[int], count: int) -> Account:
    """With `count` positions."""
    return Account(
        owner=owner,
        cash=make_cash(dice),
        generation=dice.choice((0, 1, 7, 2**64)),
        nonce=dice.choice((0, 0, 1, 7, 2**63, 2**64 - 2, 2**64 - 1)),
        flag=dice.choice((0, 0, 0, 1, 9)),
        positions=make_positions(dice, series, count),
    )


def make_count(dice: Dice) -> int:
    """Of positions: mostly few, because margin takes its time."""
    return dice.choices((0, 1, 2, 3, 5, 8, 30, MAX_POSITIONS), (25, 20, 15, 15, 10, 8, 4, 1))[0]


def make_world(dice: Dice, rules: Rules, has_positions: bool = True, near: bool = False) -> World:
    """Three or four accounts among many. `near` puts them into one bitmap word."""
    params = rules.params
    state = State(params)
    markets, series = dice.choice(get_pool())
    most = params.max_accounts
    count = dice.choice((3, 4, 256, 257, 300, most - 1, most))
    state.put_globals(
        Globals(
            clock=NOW + dice.choice((0, 0, 1, 58, 61, 900, DAY_S)),
            allowance=dice.choice((-(2**40), -1, 0, 1, 1_000, params.steps_cap - 1, params.steps_cap)),
            accrued=NOW - dice.choice((0, 0, 1, 3_600)),
            accounts=count,
            marks=dice.randrange(1, 1_000),
            fund=dice.choice((0, dice.randrange(10**9), dice.randrange(10**13))),
            fees=dice.randrange(10**9),
            outbox=dice.randrange(1 << params.outbox_depth),
            balance=dice.randrange(10**18),
            pool=dice.choice((0, dice.randrange(10**9), dice.randrange(10**13))),
            shares=dice.choice((0, 1, dice.randrange(10**13))),
            slots_equity=dice.randrange(10**12),
            debt=dice.choice((0, 0, dice.randrange(10**9))),
        )
    )
    state.put_markets(markets)
    world = World(state, rules, dice, series)
    base = dice.randrange(count - 2) >> 8 << 8  # of a word with three accounts
    candidates = (
        {base, min(base + 255, count - 1), min(base + 7, count - 1)}
        if near
        else {0, 1, count - 1, min(255, count - 1), min(256, count - 1)}
    )
    world.indices = dice.sample(sorted(candidates), min(4, len(candidates)))
    for index in world.indices:
        key = dice.choice(get_keys()[:OWNERS])
        world.keys[index] = key
        state.put_account(index, make_account(dice, key.address, series, make_count(dice) if has_positions else dice.choice((0, 0, 2))))
        world.set_account(index)
    return world


def refresh(world: World) -> None:
    """Puts the clock near the marks, mostly."""
    dice, state = world.dice, world.state
    if dice.chance(0.8):
        latest = max(market.mark_time for market in state.markets) or dice.choice((NOW, 3))
        state.put_globals(state.globals._replace(clock=latest + dice.choice((0, 1, 10, 60, 61))))
        first, second = (m._replace(mark_time=latest - dice.choice((0, 0, 1, 30))) if m.mark_time else m for m in state.markets)
        state.put_markets((first, second))


def make_header(dice: Dice, phase: Phase, **fields: object) -> Header:
    """In the middle of a batch. `state` is put right by whoever runs it."""
    frames, messages = dice.randrange(17), dice.randrange(257)
    header = Header(
        state=bytes(32),
        inbox=dice.make_hash(),
        batches=dice.randrange(1, 1 << 12),
        batch=1,
        record=dice.make_hash(),
        message=dice.choice((0, messages)),
        messages=messages,
        frame=dice.choice((0, frames)),
        frames=frames,
        rows=dice.make_hash(),
        authority=0,
        signatures=dice.make_hash(),
        offset=dice.randrange(8_193),
        signature=dice.randrange(1_025),
        phase=phase,
    )
    return header._replace(**fields)  # type: ignore[arg-type]  # by name, checked by use


def load_items(header: Header, items: tuple[int, ...], signatures: bytes = b"") -> tuple[Header, Preimages]:
    """As FETCH leaves it."""
    pre = Preimages([])
    pre.items, pre.signatures = items, signatures
    return header._replace(scratch=compute_array_hash(items), signatures=compute_signatures_hash(signatures)), pre


def make_order(dice: Dice, account: Account, nonce: int, **fields: object) -> Order:
    """A live one on the account's generation."""
    lots = dice.choice((1, 5, 100, MAX_LOTS, dice.randrange(1, MAX_LOTS)))
    filled = dice.choice((0, 0, 0, lots - 1, lots, lots >> 1))
    order = Order(nonce, account.generation, pack_plain(0), dice.randrange(2), 1, lots, NOW + 2 * DAY_S, filled, fee_cap=MAX_FEE_CAP)
    return order._replace(**fields)  # type: ignore[arg-type]  # by name, checked by use
