"""Random starts of the steps that reckon with markets and positions: TERMS, MARGIN, COMMIT, MARK, SCAN."""

from typing import NamedTuple

from protocol.keccak import ZERO
from protocol.machine import Preimages
from protocol.margin import compute_mark, get_slice
from protocol.operations import build_trade
from protocol.positions import apply_lots, is_bounded
from protocol.rules import Rules
from protocol.series import decode_series
from protocol.steps.margin import compute_side
from protocol.steps.terms import compute_fee
from protocol.types import MAX_CASH, MAX_LOTS, MAX_POSITIONS, Order, Phase, Slice, Trade, compute_trade_hash
from sim.twins.dice import Dice, get_keys
from sim.twins.replay import Start
from sim.twins.worlds import NANO, World, load_items, make_header, make_order, make_slice, make_world, refresh


class Meeting(NamedTuple):
    """Who trades what with whom."""

    maker: int
    taker: int
    series: int
    price: int


def find_live(world: World) -> list[int]:
    """The series that may trade now."""
    g, markets = world.state.globals, world.state.markets
    live = []
    for series in world.series:
        underlying, expiry, _, _ = decode_series(series)
        if get_slice(markets[underlying], expiry) is not None and expiry > g.clock:
            live.append(series)
    return live


def make_meeting(world: World) -> Meeting:
    """Two accounts with two owners, and a price near the mark."""
    dice = world.dice
    maker, taker = dice.sample(world.indices, 2)
    if world.keys[maker] == world.keys[taker]:
        world.keys[taker] = dice.choice([key for key in get_keys() if key != world.keys[maker]])
        world.set_account(taker, owner=world.keys[taker].address)
    live = find_live(world)
    held = [series for series, _ in world.state.get_account(dice.choice((maker, taker))).positions if series in live]
    series = dice.choice(held) if held and dice.chance(0.6) else dice.choice(live or world.series)
    mark = compute_mark(series, world.state.markets[decode_series(series).underlying]) or 0
    price = dice.choice((mark, mark, mark + mark // 25, mark - mark // 25)) // 100
    return Meeting(maker, taker, series, min(max(price, 1), 2**37 - 1))


def make_terms(dice: Dice, rules: Rules) -> Start:
    """Two orders that meet, then something spoiled."""
    world = make_world(dice, rules, False)
    refresh(world)
    state, clock, slots = world.state, world.state.globals.clock, rules.params.order_slots
    meeting = make_meeting(world)
    m_slot, t_slot, is_buy = dice.randrange(slots), dice.randrange(slots), dice.randrange(2)
    good = {"series": meeting.series, "price": meeting.price, "valid_until": clock + dice.choice((0, 1, 600))}
    m = make_order(dice, state.get_account(meeting.maker), 5)._replace(**good, is_buy=is_buy, filled=0)
    t = make_order(dice, state.get_account(meeting.taker), 6)._replace(**good, is_buy=1 - is_buy, filled=0)
    lots = min(m.lots, t.lots)
    lots = dice.choice((lots, 1, dice.randrange(1, lots + 1)))
    items = list(build_trade(meeting.maker, m_slot, meeting.taker, t_slot, lots))
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        m, t = spoil_orders(world, items, m, t)
    orders = ((meeting.maker, m_slot, m), (meeting.taker, t_slot, t))
    for index, slot, order in orders:
        if dice.chance(0.97):
            state.put_order(index, slot, order)
    header, pre = load_items(make_header(dice, Phase.TERMS), tuple(items))
    return Start(header, state, pre, rules)


def spoil_orders(world: World, items: list[int], m: Order, t: Order) -> tuple[Order, Order]:
    """One of the ways in which two orders do not meet."""
    dice = world.dice
    clock = world.state.globals.clock
    is_first = dice.chance(0.5)
    o = m if is_first else t
    match dice.randrange(13):
        case 0:
            at = dice.choice((1, 3))
            items[at] = world.make_index(0.7)
            if dice.chance(0.3):
                items[1] = items[3]
        case 1:
            items[dice.choice((2, 4))] = dice.choice((dice.make_number(), dice.make_near(world.rules.params.order_slots)))
        case 2:
            items[5] = dice.choice((0, dice.make_number(), dice.make_near(min(m.lots, t.lots) + 1)))
        case 3:
            o = o._replace(generation=max(0, o.generation + dice.choice((-1, 1))))
        case 4:
            o = o._replace(valid_until=max(0, clock + dice.choice((-1, 0, -60))))
        case 5:
            o = o._replace(series=dice.choice(world.series))
        case 6:
            o = o._replace(is_buy=1 - o.is_buy)
        case 7:
            o = o._replace(price=max(1, o.price + dice.choice((-1, 1, -(o.price >> 3), o.price >> 3))))
        case 8:
            o = o._replace(filled=dice.choice((o.lots, o.lots - 1, max(0, o.lots - items[5]), max(0, o.lots - min(items[5], o.lots) + 1))))
        case 9:
            price = dice.choice((1, 2**37 - 1, m.price + (m.price >> 1), m.price + 5 * m.price // 100, max(1, m.price >> 1)))
            m, t = m._replace(price=price), t._replace(price=price)
            return m, t
        case 10:
            series = dice.choice(world.series)
            return m._replace(series=series), t._replace(series=series)
        case 11:
            taker = items[3]
            if taker in world.indices and items[1] in world.indices:
                world.keys[taker] = world.keys[items[1]]
                world.set_account(taker, owner=world.keys[taker].address)
        case _:
            expiry = decode_series(m.series).expiry
            world.state.put_globals(world.state.globals._replace(clock=expiry + dice.choice((-1, 0, 1))))
            m, t = m._replace(valid_until=expiry + 9), t._replace(valid_until=expiry + 9)
            return m, t
    return (o, t) if is_first else (m, o)


def make_trade(world: World) -> Trade:
    """As TERMS leaves it."""
    dice, rules = world.dice, world.rules
    meeting = make_meeting(world)
    underlying, expiry, _, _ = decode_series(meeting.series)
    item = get_slice(world.state.markets[underlying], expiry)
    held = [
        abs(lots)
        for index in (meeting.maker, meeting.taker)
        for series, lots in world.state.get_account(index).positions
        if series == meeting.series
    ]
    lots = dice.choice((1, 2, 10, 100, 10_000, MAX_LOTS, *held, *held))
    slots = rules.params.order_slots
    fee = compute_fee(item.forward if item else 0, meeting.price, lots)
    m_slot, t_slot = dice.randrange(slots), dice.randrange(slots)
    return Trade(meeting.maker, m_slot, meeting.taker, t_slot, meeting.series, dice.choice((1, -1)) * lots, meeting.price, fee)


def load_trade(header_phase: Phase, world: World, trade: Trade) -> Start:
    """As TERMS and MARGIN leave it."""
    pre = Preimages([])
    pre.trade = trade
    header = make_header(world.dice, header_phase, scratch=compute_trade_hash(trade))
    return Start(header, world.state, pre, world.rules)


def make_margin(dice: Dice, rules: Rules) -> Start:
    """Either side, rich and poor, at the bounds and far from them."""
    world = make_world(dice, rules)
    refresh(world)
    trade = make_trade(world)
    phase = dice.choice((Phase.MAKER, Phase.TAKER))
    index = trade.maker if phase == Phase.MAKER else trade.taker
    account = world.state.get_account(index)
    lots = trade.maker_lots if phase == Phase.MAKER else -trade.maker_lots
    if dice.chance(0.5):
        cost = lots * trade.price + (trade.fee if phase == Phase.TAKER else 0)
        cash = dice.choice(
            (cost, cost - 1, cost + 1, cost + 10**9, 10**14, 10**12, MAX_CASH - 1, 1 - MAX_CASH, cost + MAX_CASH, cost - MAX_CASH)
        )
        world.set_account(index, cash=min(max(cash, 1 - MAX_CASH), MAX_CASH - 1))
    if dice.chance(0.1):
        others = tuple(p for p in account.positions if p[0] != trade.series)[: MAX_POSITIONS - 1]  # more, no state can hold
        held = dice.choice((MAX_LOTS, MAX_LOTS - abs(lots), MAX_LOTS - abs(lots) + 1)) * (1 if lots > 0 else -1)
        world.set_account(index, positions=apply_lots(others, trade.series, held))
    return load_trade(phase, world, trade)


def make_commit(dice: Dice, rules: Rules) -> Start:
    """Only what MARGIN lets through: both sides inside their bounds."""
    world = make_world(dice, rules, near=dice.chance(0.4))
    trade = make_trade(world)
    state = world.state
    for index, is_maker in ((trade.maker, True), (trade.taker, False)):
        after = compute_side(trade, state.get_account(index), is_maker)
        if not is_bounded(after.positions):
            world.set_account(index, positions=())
        if not -MAX_CASH < after.cash < MAX_CASH:
            world.set_account(index, cash=0)
    lots = abs(trade.maker_lots)
    for index, slot in ((trade.maker, trade.maker_slot), (trade.taker, trade.taker_slot)):
        order = make_order(dice, state.get_account(index), 9, series=trade.series, lots=MAX_LOTS, filled=dice.choice((0, MAX_LOTS - lots)))
        state.put_order(index, slot, order)
    return load_trade(Phase.COMMIT, world, trade)


def make_scan(dice: Dice, rules: Rules) -> Start:
    """A cursor somewhere in a word with a few bits, all of accounts that are there."""
    world = make_world(dice, rules, near=True)
    state = world.state
    for index in world.indices:
        account = state.get_account(index)
        if dice.chance(0.4):
            world.set_account(index, cash=dice.choice((10**9, 10**11, 10**14, -1, 0)), flag=dice.choice((0, 0, 3)))
        if dice.chance(0.2):
            # a deposit may have made it harmless since
            state.put_word(index >> 8, state.get_word(index >> 8) | 1 << (index & 255))
        if dice.chance(0.1):
            world.set_account(index, positions=tuple((series, abs(lots)) for series, lots in account.positions))
    if dice.chance(0.15):
        state.put_word(world.indices[0] >> 8, 0)
    base = world.indices[0] >> 8 << 8
    cursor = dice.choice((base, base, *(i for i in world.indices if i >> 8 == base >> 8), base + dice.randrange(256)))
    state.put_globals(state.globals._replace(cursor=min(cursor, state.globals.accounts - 1)))
    return Start(make_header(dice, Phase.SCAN, scratch=ZERO), state, Preimages([]), rules)


def make_full_slice(dice: Dice, expiry: int) -> Slice:
    """A surface in which nothing is zero."""
    return make_slice(dice, expiry, 50_000 * 10**6)._replace(
        forward=50_000 * 10**6, a=NANO // 20, b=NANO // 10, rho=-NANO // 3, m=NANO // 50, sigma=NANO // 5
    )
