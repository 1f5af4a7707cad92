"""Random starts of the steps of a bid for positions of a flagged account: BID, TARGET, AWARD."""

from protocol.auction import AUCTION_MARKS, compute_price
from protocol.codec.rows import encode_zigzag
from protocol.kernel import REFERENCE
from protocol.legs import Leg, compute_signed_legs, decode_legs, pack_leg
from protocol.machine import Preimages
from protocol.margin import compute_margin, get_slice
from protocol.operations import BID_HEAD, LEG_ITEMS, build_bid, encode_row_legs
from protocol.rules import Rules
from protocol.series import decode_series
from protocol.sessions import MAX_JUMP, encode_session
from protocol.signing import compute_bid_digest
from protocol.types import MAX_CASH, MAX_LEGS, MAX_LOTS, MAX_POSITIONS, MAX_RATIO, Phase, Trade, compute_trade_hash
from sim.twins.dice import Dice, get_keys
from sim.twins.replay import Start
from sim.twins.worlds import World, load_items, make_header, make_positions, make_world, refresh


def make_auction(world: World) -> tuple[int, int]:
    """The account of a bidder and that of a target with positions, with two owners; mostly flagged."""
    dice, g = world.dice, world.state.globals
    bidder, target = dice.sample(world.indices, 2)
    if world.keys[bidder] == world.keys[target]:
        world.keys[target] = dice.choice([key for key in get_keys() if key != world.keys[bidder]])
    listed = [series for series in world.series if is_live(world, series)]
    count = dice.choices((1, 2, 4, 10, MAX_POSITIONS), (8, 8, 6, 2, 1))[0]
    positions = make_positions(dice, listed if len(listed) > count and dice.chance(0.9) else world.series, count)
    flag = dice.choice((0, g.marks, *(max(1, g.marks - age) for age in (1, 5, AUCTION_MARKS - 1, AUCTION_MARKS, AUCTION_MARKS + 1, 300))))
    world.set_account(target, owner=world.keys[target].address, flag=flag, positions=positions)
    world.set_account(bidder, nonce=dice.choice((0, 7, 2**63)))
    return bidder, target


def is_live(world: World, series: int) -> bool:
    """Whether it may trade now."""
    underlying, expiry, _, _ = decode_series(series)
    return get_slice(world.state.markets[underlying], expiry) is not None and expiry > world.state.globals.clock


def make_legs(world: World, target: int) -> tuple[tuple[Leg, ...], int]:
    """Of positions that the target holds, and how many units of them it has."""
    dice, held = world.dice, world.state.get_account(target).positions
    chosen = sorted(dice.sample(held, min(len(held), dice.choice((1, 1, 2, MAX_LEGS)))))
    sizes = [dice.choice((1, min(abs(lots), dice.choice((1, 2, 7, MAX_RATIO))))) for _, lots in chosen]
    sizes[dice.randrange(len(sizes))] = 1
    units = min(abs(lots) // size for (_, lots), size in zip(chosen, sizes, strict=True))
    return tuple((series, size if lots > 0 else -size) for (series, lots), size in zip(chosen, sizes, strict=True)), units


def get_price(world: World, target: int, legs: tuple[Leg, ...]) -> int:
    """What a unit costs now."""
    g, flag = world.state.globals, world.state.get_account(target).flag
    return compute_price(legs, g.marks - flag if flag else 0, world.state.markets, REFERENCE)


def spoil_bid(world: World, items: list[int]) -> None:
    """One of the ways in which a row is no bid."""
    dice, clock = world.dice, world.state.globals.clock
    match dice.randrange(7):
        case 0:
            items[dice.choice((1, 2))] = world.make_index(0.7)
        case 1:
            items[2] = items[1] if dice.chance(0.5) else items[2]
        case 2:
            items[3] = dice.choice((0, dice.make_number(), dice.make_near(MAX_LOTS), items[3] + 1))
        case 3:
            items[4] = dice.choice((dice.make_number(), dice.make_near(2**64)))
        case 4:
            items[5] = dice.choice((0, 7, 2**64 - 1, 2**64, dice.make_number()))
        case 5:
            items[6] = dice.choice((max(0, clock - 1), 0, 2**40 - 1, 2**40, dice.make_number()))
        case _:
            spoil_leg(world, items)


def spoil_leg(world: World, items: list[int]) -> None:
    """One leg another, or two that do not ascend."""
    dice = world.dice
    at = BID_HEAD + LEG_ITEMS * dice.randrange((len(items) - BID_HEAD) // LEG_ITEMS)
    match dice.randrange(5):
        case 0:
            edges = (2, 2**40, 2**30, encode_zigzag(MAX_RATIO))
            which = dice.randrange(LEG_ITEMS)
            items[at + which] = dice.choice((0, dice.make_number(), dice.make_near(edges[which])))
        case 1:
            items[at + 3] = dice.choice((items[at + 3] ^ 1, encode_zigzag(2), encode_zigzag(-2), encode_zigzag(dice.randrange(-101, 102))))
        case 2:
            items[at : at + LEG_ITEMS] = encode_row_legs([(dice.choice(world.series), dice.choice((1, -1)))])
        case 3 if len(items) < BID_HEAD + LEG_ITEMS * MAX_LEGS:
            items += items[at : at + LEG_ITEMS]
        case _:
            items[BID_HEAD : BID_HEAD + LEG_ITEMS], items[at : at + LEG_ITEMS] = (
                items[at : at + LEG_ITEMS],
                items[BID_HEAD : BID_HEAD + LEG_ITEMS],
            )


def sign_bid(world: World, items: list[int]) -> bytes:
    """By the owner or by a session key; of legs that are none, something else is signed."""
    dice, index = world.dice, items[1]
    key = world.get_key(index)
    if index in world.indices and dice.chance(0.2):
        key = dice.choice([other for other in get_keys() if other != key])
        expiry = world.state.globals.clock + dice.choice((0, 60, -1))
        world.set_account(index, session=encode_session(key.address, dice.choice((1, 3, 3, 2)), expiry))
    legs, _ = decode_legs(tuple(items[BID_HEAD:]))
    limit = -((items[4] + 1) >> 1) if items[4] & 1 else items[4] >> 1
    digest = compute_bid_digest(
        world.rules.domain, index, items[2], compute_signed_legs(legs), (items[3], limit, items[5], items[6] ^ dice.chance(0.02))
    )
    return dice.make_signature(key, digest, dice.chance(0.9))


def make_bid(dice: Dice, rules: Rules) -> Start:
    """A good bid, then something about it spoiled, before or after it was signed."""
    world = make_world(dice, rules, False)
    refresh(world)
    bidder, target = make_auction(world)
    legs, most = make_legs(world, target)
    price = get_price(world, target, legs)
    limit = dice.choice((price, price, price + 1, price - 1, 2**63 - 1, -(2**62)))
    units = dice.choice((1, most, most, most + 1, dice.randrange(1, most + 1)))
    clock = world.state.globals.clock
    nonce = world.state.get_account(bidder).nonce + dice.choice((1, 1, 1, 1, 5, MAX_JUMP, MAX_JUMP + 1, 0))
    items = list(build_bid(bidder, target, legs, units, limit, nonce, clock + dice.choice((0, 60))))
    if dice.chance(0.3):
        spoil_bid(world, items)
    signature = sign_bid(world, items)
    if dice.chance(0.1):
        spoil_bid(world, items)
    signatures, number = dice.place_signatures([signature], dice.chance(0.95))
    header, pre = load_items(make_header(dice, Phase.BID, signature=number), tuple(items), signatures)
    return Start(header, world.state, pre, rules)


def load_auction(phase: Phase, world: World, trade: Trade) -> Start:
    """As BID and the steps after it leave it."""
    pre = Preimages([])
    pre.trade = trade
    return Start(make_header(world.dice, phase, scratch=compute_trade_hash(trade)), world.state, pre, world.rules)


def make_terms(world: World, bidder: int, target: int, legs: tuple[Leg, ...], units: int) -> Trade:
    """What BID makes of a bid that it lets through."""
    a = world.state.get_account(target)
    margin = compute_margin(a.cash, a.positions, world.state.markets)
    packed, nonce = tuple(pack_leg(*leg) for leg in legs), world.state.get_account(bidder).nonce + 1
    price = get_price(world, target, legs)
    return Trade(target, 0, bidder, 0, packed, -units, price, 0, equity=margin.equity, maintenance=margin.maintenance, nonce=nonce)


def make_target(dice: Dice, rules: Rules) -> Start:
    """Equity below nothing, between nothing and the margin, at the buffer's edge, above it; cash at its bounds."""
    world = make_world(dice, rules, False)
    bidder, target = make_auction(world)
    a = world.state.get_account(target)
    legs, most = make_legs(world, target)
    margin = compute_margin(0, a.positions, world.state.markets)
    equity = margin.maintenance * dice.choice((0, 50, 90, 99, 119, 120, 121, -20)) // 100
    edges = (0, -1, 10**9, 1 - MAX_CASH, MAX_CASH - 1)
    cash = dice.choice(edges) if dice.chance(0.15) else equity - margin.equity
    world.set_account(target, cash=min(max(cash, 1 - MAX_CASH), MAX_CASH - 1), flag=a.flag or 1)
    trade = make_terms(world, bidder, target, legs, dice.choice((1, 2, most, dice.randrange(1, most + 1))))
    return load_auction(Phase.TARGET, world, trade._replace(units=max(trade.units, -most)))


def make_award(dice: Dice, rules: Rules) -> Start:
    """Near each other or far apart, into a full account or an empty one."""
    world = make_world(dice, rules, near=dice.chance(0.4))
    bidder, target = make_auction(world)
    legs, most = make_legs(world, target)
    if dice.chance(0.3):
        world.set_account(target, shares=dice.choice((0, 5)), request=dice.choice((0, -3, 10**7)), request_time=1)
    if dice.chance(0.3):
        lots = dice.choice((1, most))
        world.set_account(bidder, positions=tuple((series, -ratio * lots) for series, ratio in legs))
    held = dict(world.state.get_account(bidder).positions)
    room = [MAX_POSITIONS - len({*held, *(series for series, _ in legs)})]
    if min(room) < 0:
        world.set_account(bidder, positions=())
    return load_auction(Phase.AWARD, world, make_terms(world, bidder, target, legs, dice.choice((1, most))))
