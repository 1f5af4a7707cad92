"""Random starts of the steps of a trade: TERMS, MAKER, TAKER and BIDDER (margin), COMMIT."""

from typing import NamedTuple

from protocol.fixed_point import div_down
from protocol.kernel import get_quote
from protocol.legs import pack_leg, pack_plain, unpack_leg
from protocol.machine import Preimages
from protocol.margin import compute_mark, get_slice
from protocol.operations import build_trade
from protocol.positions import apply_lots, is_bounded
from protocol.quotes import get_quote_order
from protocol.rules import Rules
from protocol.series import decode_series
from protocol.steps.margin import compute_side
from protocol.steps.terms import compute_fee
from protocol.types import (
    FILL_OR_KILL,
    LOTS_PER_UNIT,
    MAX_CASH,
    MAX_LOTS,
    MAX_POSITIONS,
    MAX_QUOTES,
    POST_ONLY,
    REDUCE_ONLY,
    Order,
    Page,
    Phase,
    Trade,
    TwoWay,
    compute_trade_hash,
)
from sim.twins.dice import Dice, get_keys
from sim.twins.replay import Start
from sim.twins.worlds import World, load_items, make_header, make_order, make_world, refresh

MAX_PRICE = (1 << 37) - 1


class Meeting(NamedTuple):
    """Who trades what with whom, and at what price a unit."""

    maker: int
    taker: int
    legs: tuple[int, ...]
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


def compute_net(world: World, legs: tuple[int, ...]) -> tuple[int, int]:
    """The marks of one unit, net and gross, in 1e-6 USD a unit of the underlying."""
    net = gross = 0
    for leg in legs:
        series, ratio = unpack_leg(leg)
        mark = compute_mark(series, world.state.markets[decode_series(series).underlying]) or 0
        net, gross = net + ratio * mark, gross + abs(ratio) * mark
    return net, gross


def make_legs(world: World, maker: int, taker: int) -> tuple[int, ...]:
    """One leg mostly, or a combo; of what somebody holds if it can be."""
    dice = world.dice
    live = find_live(world) or world.series
    held = [series for series, _ in world.state.get_account(dice.choice((maker, taker))).positions if series in live]
    if dice.chance(0.6) or len(live) < 4:
        return pack_plain(dice.choice(held if held and dice.chance(0.6) else live))
    count = dice.choice((2, 2, 3, 4))
    chosen = {*dice.sample(held, min(len(held), dice.randrange(count + 1))), *dice.sample(live, count)}
    ratios = [dice.choice((1, -1, 1, -1, 2, -3, 100, -100)) for _ in range(count)]
    return tuple(pack_leg(series, ratio) for series, ratio in zip(sorted(sorted(chosen)[:count]), ratios, strict=True))


def make_meeting(world: World) -> Meeting:
    """Two accounts with two owners, and a price near the mark."""
    dice = world.dice
    maker, taker = dice.sample(world.indices, 2)
    if world.keys[maker] == world.keys[taker]:
        world.keys[taker] = dice.choice([key for key in get_keys() if key != world.keys[maker]])
        world.set_account(taker, owner=world.keys[taker].address)
    legs = make_legs(world, maker, taker)
    net, gross = compute_net(world, legs)
    shifted = net + dice.choice((0, 0, div_down(gross, 25), -div_down(gross, 25)))
    price = div_down(abs(shifted), LOTS_PER_UNIT) * (1 if shifted > 0 else -1)
    return Meeting(maker, taker, legs, bound_price(Order(legs=legs), price))


def bound_price(o: Order, price: int) -> int:
    """Only a combo may have a price that is not positive."""
    return min(max(price, 1 if len(o.legs) == 1 else -MAX_PRICE), MAX_PRICE)


def make_page(world: World, order: Order, sheet: int) -> tuple[Page, int]:
    """A page with a side that is that order, and the number which names it."""
    dice = world.dice
    series, _ = unpack_leg(order.legs[0])
    underlying, expiry, strike, is_call = decode_series(series)
    other = (dice.randrange(MAX_PRICE), dice.choice((0, 1, MAX_LOTS)))
    mine = (order.price, order.lots)
    sides = (*mine, *other) if order.is_buy else (*other, *mine)
    fills = (order.filled, 0) if order.is_buy else (0, order.filled)
    quote = TwoWay(strike, is_call, *sides, *fills)
    filler = TwoWay(10_000 * dice.randrange(1, 10**6), dice.randrange(2), 1, 5, 2**37 - 1, MAX_LOTS, 3, 0)
    count = dice.choice((1, 2, 3, MAX_QUOTES))
    at = dice.randrange(count)
    quotes = (*[filler] * at, quote, *[filler] * (count - at - 1))
    filled = order.filled + dice.choice((0, 0, 3))
    most = filled + dice.choice((order.lots, MAX_LOTS * 2, 0, 1))
    number = sheet + dice.randrange(8)
    page = Page(number, sheet, order.generation, order.valid_until, underlying, expiry, most, filled, quotes)
    return page, 1 + 2 * at + 1 - order.is_buy


def put_maker(world: World, items: list[int], m: Order) -> None:
    """The maker's order into its slot, or a page with it."""
    dice, state, depth = world.dice, world.state, world.rules.params.slot_depth
    _, index, slot, _, _, _ = items
    if slot >> depth or index not in world.indices:
        return
    if len(m.legs) > 1 or dice.chance(0.55):
        state.put_order(index, slot, m)
        return
    sheet = dice.choice((1, 100, 2**63))
    world.set_account(index, sheet=sheet)
    page, ref = make_page(world, m, sheet)
    match dice.randrange(12):
        case 0:
            page = page._replace(sheet=sheet - 1)
        case 1:
            ref = dice.choice((0, 33, 34, 1 + 2 * len(page.quotes), 32, dice.make_number() & 2**200 - 1))
        case 2:
            ref ^= 1
        case _:
            order = get_quote_order(page, ref)
            left = order.lots - order.filled
            if 0 < left < items[5]:
                items[5] = left
    items[2] = slot | ref << depth
    state.put_page(index, slot, page)


def make_terms(dice: Dice, rules: Rules) -> Start:
    """Two orders that meet, then something spoiled."""
    world = make_world(dice, rules, False)
    refresh(world)
    state, clock, slots = world.state, world.state.globals.clock, rules.params.order_slots
    meeting = make_meeting(world)
    m_slot, t_slot, is_buy = dice.randrange(slots), dice.randrange(slots), dice.randrange(2)
    legs, price, until = meeting.legs, meeting.price, clock + dice.choice((0, 1, 600))
    m = make_order(dice, state.get_account(meeting.maker), 5, legs=legs, price=price, valid_until=until, is_buy=is_buy, filled=0)
    t = make_order(dice, state.get_account(meeting.taker), 6, legs=legs, price=price, valid_until=until, is_buy=1 - is_buy, filled=0)
    m = m._replace(flags=dice.choice((0, 0, POST_ONLY, REDUCE_ONLY)))
    t = t._replace(flags=dice.choice((0, 0, REDUCE_ONLY)))
    lots = min(m.lots, t.lots)
    lots = dice.choice((lots, 1, dice.randrange(1, lots + 1)))
    items = list(build_trade(meeting.maker, m_slot, meeting.taker, t_slot, lots))
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        m, t = spoil_orders(world, items, m, t)
    m, t = (o._replace(price=bound_price(o, o.price)) for o in (m, t))
    if dice.chance(0.97):
        put_maker(world, items, m)
    if dice.chance(0.97):
        state.put_order(meeting.taker, t_slot, t)
    elif dice.chance(0.5):
        state.put_page(meeting.taker, t_slot, make_page(world, m._replace(price=abs(m.price)), 7)[0])
    header, pre = load_items(make_header(dice, Phase.TERMS), tuple(items))
    return Start(header, state, pre, rules)


def spoil_orders(world: World, items: list[int], m: Order, t: Order) -> tuple[Order, Order]:
    """One of the ways in which two orders do not meet."""
    dice = world.dice
    is_first = dice.chance(0.5)
    o = m if is_first else t
    match dice.randrange(15):
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
            o = o._replace(valid_until=max(0, world.state.globals.clock + dice.choice((-1, 0, -60))))
        case 5:
            o = o._replace(legs=dice.choice((pack_plain(dice.choice(world.series)), o.legs[:-1] or o.legs, (*o.legs, 2**130)[:4])))
        case 6:
            o = o._replace(is_buy=1 - o.is_buy)
        case 7:
            o = o._replace(price=o.price + dice.choice((-1, 1, -(abs(o.price) >> 3), abs(o.price) >> 3)))
        case 8:
            wanted = min(items[5], o.lots)
            o = o._replace(filled=dice.choice((o.lots, o.lots - 1, o.lots - wanted, min(o.lots - wanted + 1, o.lots))))
        case 9:
            o = o._replace(flags=dice.choice((POST_ONLY, FILL_OR_KILL, FILL_OR_KILL | REDUCE_ONLY)))
        case 10:
            t = t._replace(fee_cap=dice.choice((0, 1, 10_000, 1_000_000)))
            return m, t
        case _:
            return spoil_both(world, items, m, t)
    return (o, t) if is_first else (m, o)


def spoil_both(world: World, items: list[int], m: Order, t: Order) -> tuple[Order, Order]:
    """The orders agree, and yet may not trade."""
    dice = world.dice
    match dice.randrange(4):
        case 0:
            size = abs(m.price)
            price = dice.choice((1, MAX_PRICE, m.price + (size >> 1), m.price + div_down(5 * size, 100), m.price - (size >> 1) or 1))
            return m._replace(price=price), t._replace(price=price)
        case 1:
            legs = pack_plain(dice.choice(world.series))
            return m._replace(legs=legs, price=max(m.price, 1)), t._replace(legs=legs, price=max(t.price, 1))
        case 2:
            taker = items[3]
            if taker in world.indices and items[1] in world.indices:
                world.keys[taker] = world.keys[items[1]]
                world.set_account(taker, owner=world.keys[taker].address)
            return m, t
        case _:
            expiry = decode_series(dice.choice(m.legs) >> 32).expiry
            world.state.put_globals(world.state.globals._replace(clock=expiry + dice.choice((-1, 0, 1))))
            return m._replace(valid_until=expiry + 9), t._replace(valid_until=expiry + 9)


def make_trade(world: World) -> Trade:
    """As TERMS leaves it."""
    dice, rules, markets = world.dice, world.rules, world.state.markets
    meeting = make_meeting(world)
    found = [get_quote(leg >> 32, markets) for leg in meeting.legs]
    traded = {leg >> 32: abs(unpack_leg(leg)[1]) for leg in meeting.legs}
    positions = [p for index in (meeting.maker, meeting.taker) for p in world.state.get_account(index).positions]
    held = [max(div_down(abs(lots), traded[series]), 1) for series, lots in positions if series in traded]
    lots = dice.choice((1, 2, 10, 100, 10_000, MAX_LOTS, *held, *held))
    slots = rules.params.order_slots
    quotes = [quote for quote in found if quote is not None]
    fee = compute_fee(meeting.legs, quotes, meeting.price, lots, rules.params.fees) if len(quotes) == len(meeting.legs) else 0
    m_slot, t_slot, flags = dice.randrange(slots), dice.randrange(slots), dice.choice((0, 0, 0, 1, 2, 3))
    units = dice.choice((1, -1)) * lots
    return Trade(meeting.maker, m_slot, meeting.taker, t_slot, meeting.legs, units, meeting.price, fee, flags)


def load_trade(header_phase: Phase, world: World, trade: Trade) -> Start:
    """As TERMS and MARGIN leave it."""
    pre = Preimages([])
    pre.trade = trade
    header = make_header(world.dice, header_phase, scratch=compute_trade_hash(trade))
    return Start(header, world.state, pre, world.rules)


def make_margin(dice: Dice, rules: Rules) -> Start:
    """Any side, rich and poor, at the bounds and far from them."""
    world = make_world(dice, rules)
    refresh(world)
    trade = make_trade(world)
    phase = dice.choice((Phase.MAKER, Phase.TAKER, Phase.BIDDER))
    if phase == Phase.BIDDER:
        trade = trade._replace(units=-abs(trade.units), fee=0, flags=0, equity=-5, maintenance=7, nonce=9)
    if dice.chance(0.2):
        clock = world.state.globals.clock
        first, second = (m._replace(halted_until=clock + dice.choice((0, 1, 300))) if m.mark_time else m for m in world.state.markets)
        world.state.put_markets((first, second))
    index = trade.maker if phase == Phase.MAKER else trade.taker
    account = world.state.get_account(index)
    units = trade.units if phase == Phase.MAKER else -trade.units
    if dice.chance(0.5):
        cost = units * trade.price + (0 if phase == Phase.MAKER else trade.fee)
        cash = dice.choice(
            (cost, cost - 1, cost + 1, cost + 10**9, 10**14, 10**12, MAX_CASH - 1, 1 - MAX_CASH, cost + MAX_CASH, cost - MAX_CASH)
        )
        world.set_account(index, cash=min(max(cash, 1 - MAX_CASH), MAX_CASH - 1))
    if dice.chance(0.1):
        series, ratio = unpack_leg(dice.choice(trade.legs))
        change = ratio * units
        others = tuple(p for p in account.positions if p[0] != series)[: MAX_POSITIONS - 1]  # more, no state can hold
        most = MAX_LOTS - min(abs(change), MAX_LOTS - 1)
        held = dice.choice((MAX_LOTS, most, min(most + 1, MAX_LOTS))) * (1 if change > 0 else -1)
        world.set_account(index, positions=apply_lots(others, series, held))
    return load_trade(phase, world, trade)


def make_commit(dice: Dice, rules: Rules) -> Start:
    """Only what MARGIN lets through: both sides inside their bounds."""
    world = make_world(dice, rules, near=dice.chance(0.4))
    trade = make_trade(world)
    state, lots = world.state, abs(trade.units)
    for index, is_maker in ((trade.maker, True), (trade.taker, False)):
        if not is_bounded(compute_side(trade, state.get_account(index), is_maker).positions):
            trade = trade._replace(units=1 if trade.units > 0 else -1)
            world.set_account(index, positions=())
    for index, is_maker in ((trade.maker, True), (trade.taker, False)):
        if not -MAX_CASH < compute_side(trade, state.get_account(index), is_maker).cash < MAX_CASH:
            world.set_account(index, cash=0)
    for index, slot in ((trade.maker, trade.maker_slot), (trade.taker, trade.taker_slot)):
        filled = dice.choice((0, MAX_LOTS - lots))
        order = make_order(dice, state.get_account(index), 9, legs=trade.legs, is_buy=dice.randrange(2), lots=MAX_LOTS, filled=filled)
        if index == trade.maker and len(trade.legs) == 1 and dice.chance(0.4):
            page, ref = make_page(world, order, 5)
            state.put_page(index, slot, page._replace(max_lots=2**26 - 1))
            trade = trade._replace(maker_slot=slot | ref << rules.params.slot_depth)
        else:
            state.put_order(index, slot, order)
    return load_trade(Phase.COMMIT, world, trade)
