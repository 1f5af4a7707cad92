"""Random starts of the steps that move a whole market: MARK, SETTLE, SHUTDOWN."""

from protocol.fixed_point import div_down
from protocol.operations import MARK_HEAD, SLICE_ITEMS, build_mark, build_settle, build_shutdown
from protocol.rules import Rules
from protocol.signing import compute_settle_digest
from protocol.steps.mark import compute_digest
from protocol.types import INBOX_AUTHORITY, LOTS_PER_UNIT, MAX_FORWARD, VAULT_AUTHORITY, Market, Phase
from sim.twins.dice import Dice, get_keys
from sim.twins.replay import Start
from sim.twins.worlds import DAY_S, NANO, World, load_items, make_header, make_slice, make_world, refresh


def sign_as_quorum(dice: Dice, rules: Rules, digest: bytes) -> tuple[bytes, int]:
    """A source with a quorum's signatures, mostly good, and the number of the first."""
    p = rules.params
    oracles = get_keys()[-p.oracle_count :]
    signers = sorted(dice.sample(range(p.oracle_count), p.quorum))
    if dice.chance(0.1):
        signers = [dice.choice((signers[0], signers[-1], 0)) for _ in signers]
    parts = [dice.make_signature(oracles[at], digest, dice.chance(0.95)) for at in signers]
    return dice.place_signatures(parts, dice.chance(0.95))


def make_breaker(dice: Dice, market: Market, rules: Rules) -> Market:
    """What the circuit breaker may have seen by the market's last mark."""
    p, index, now = rules.params, market.index_price, market.mark_time
    if not now or dice.chance(0.2):
        return market
    low, low_before = (max(1, index - div_down(index * dice.choice((0, 1, 50, 99)), 1_000)) for _ in range(2))
    high, high_before = (min(MAX_FORWARD, index + div_down(index * dice.choice((0, 1, 50, 99)), 1_000)) for _ in range(2))
    window = max(1, now - dice.choice((0, 1, p.halt_window_s - 1)))
    halted_until = dice.choice((0, 0, window, window + 1, now, now + 1, now + p.halt_s))
    return market._replace(
        window=window, low=low, high=high, low_before=low_before, high_before=high_before, halted_until=max(0, halted_until)
    )


def make_market_world(dice: Dice, rules: Rules) -> World:
    """Markets with a past, sometimes an exchange without accounts, sometimes one that is shut down."""
    world = make_world(dice, rules, False)
    refresh(world)
    state = world.state
    first, second = state.markets
    state.put_markets((make_breaker(dice, first, rules), make_breaker(dice, second, rules)))
    if dice.chance(0.05):
        state.put_globals(state.globals._replace(accounts=0))
    return world


def make_index(dice: Dice, market: Market, rules: Rules) -> int:
    """A calm market's, one at the breaker's edge, or anything."""
    low = min(market.low, market.low_before) or 50_000 * 10**6
    edge = div_down(low * (10**6 + rules.params.halt_move_ppm), 10**6)
    fallen = div_down(max(market.high, market.high_before) * (10**6 - rules.params.halt_move_ppm), 10**6)
    return dice.choice((market.index_price, low, edge, edge + 1, edge - 1, fallen, fallen + 1, 1, 50_000 * 10**6, MAX_FORWARD))


def make_next_market(dice: Dice, market: Market, time: int, rules: Rules) -> Market:
    """Every live expiry again, and maybe new ones."""
    live = [item for item in market.slices if item.expiry > time]
    forward = live[0].forward if live else 10**9
    slices = [make_slice(dice, item.expiry, item.forward) for item in live]
    last = max([time, *(item.expiry for item in live)])
    while not slices or (len(slices) < 16 and dice.chance(0.3)):
        last += dice.choice((1, DAY_S))
        slices.append(make_slice(dice, last, forward))
    return Market(min(max(make_index(dice, market, rules), 1), MAX_FORWARD), time, tuple(slices))


def spoil_mark(dice: Dice, items: list[int]) -> None:
    """One item out of its bounds, or two slices that do not fit."""
    count = (len(items) - MARK_HEAD) // SLICE_ITEMS
    start = MARK_HEAD + SLICE_ITEMS * dice.randrange(count)
    match dice.randrange(5):
        case 0 if count > 1:
            del items[start : start + SLICE_ITEMS]
        case 1 if count > 1:
            at = MARK_HEAD + SLICE_ITEMS
            items[MARK_HEAD:at], items[at : at + SLICE_ITEMS] = items[at : at + SLICE_ITEMS], items[MARK_HEAD:at]
        case 2:
            items[4] = dice.choice((0, MAX_FORWARD + 1, dice.make_number()))
        case _:
            at = dice.randrange(SLICE_ITEMS)
            edge = 64 * NANO
            edges = (2**40, MAX_FORWARD, edge << 1, edge << 1, NANO << 1, edge << 1, edge << 1)
            items[start + at] = dice.choice((dice.make_number(), 0, edges[at] + dice.choice((-2, -1, 0, 1, 2))))


def make_mark(dice: Dice, rules: Rules) -> Start:
    """A good mark, then something about it or its quorum spoiled."""
    world = make_market_world(dice, rules)
    state, p = world.state, rules.params
    underlying = dice.randrange(2)
    market = state.markets[underlying]
    clock = state.globals.clock
    gap, resync, window = market.mark_time + p.mark_gap_s, market.mark_time + p.mark_resync_s, market.window + p.halt_window_s
    time = dice.choice((clock, clock, clock - 1, dice.make_near(gap), dice.make_near(resync), dice.make_near(window)))
    time = dice.choice((time, time, dice.make_near(window + p.halt_window_s), dice.make_near(market.halted_until)))
    if dice.chance(0.85):
        time = max(time, gap)
        clock = max(clock, time)
        state.put_globals(state.globals._replace(clock=clock))
    if dice.chance(0.1):
        shutdown = dice.choice((time, time, market.mark_time, 1, clock))
        state.put_globals(state.globals._replace(shutdown=shutdown))
    previous = market.mark_time if dice.chance(0.85) else dice.choice((0, market.mark_time + 1, dice.make_number()))
    items = list(build_mark(underlying, previous, make_next_market(dice, market, time, rules)))
    if dice.chance(0.25):
        spoil_mark(dice, items)
    if dice.chance(0.05):
        items[dice.choice((1, 3))] = dice.make_number()
    signatures, number = sign_as_quorum(dice, rules, compute_digest(tuple(items), rules))
    header, pre = load_items(make_header(dice, Phase.MARK, signature=number), tuple(items), signatures)
    return Start(header, state, pre, rules)


def make_settle(dice: Dice, rules: Rules) -> Start:
    """By the oracles' average or by a fallback, of a slice that has expired or not, with a close or without."""
    world = make_market_world(dice, rules)
    state, p = world.state, rules.params
    underlying = dice.randrange(2)
    market = state.markets[underlying]
    slices = tuple(item._replace(close=dice.choice((0, 1, 99, 12_345, MAX_FORWARD))) for item in market.slices)
    market = market._replace(slices=slices)
    state.put_markets((market, state.markets[1]) if underlying == 0 else (state.markets[0], market))
    expiry = dice.choice(slices).expiry if slices else 1
    ages = (0, 1, p.settle_first_s, p.settle_last_s, 2 * p.settle_last_s)
    state.put_globals(state.globals._replace(clock=max(0, expiry + dice.choice(ages) + dice.choice((-1, 0, 0)))))
    by_fallback = dice.chance(0.5)
    price = dice.choice((100, 4_200 * 10**6, MAX_FORWARD // 100 * 100)) if not by_fallback else 0
    items = list(build_settle(underlying, expiry, price, by_fallback))
    if dice.chance(0.25):
        at = dice.choice((1, 2, 3))
        items[at] = dice.choice((dice.make_number(), items[at] + 1, 0, MAX_FORWARD + LOTS_PER_UNIT, 150))
    digest = compute_settle_digest(rules.domain, *items[1:])
    signatures, number = sign_as_quorum(dice, rules, digest)
    header, pre = load_items(make_header(dice, Phase.SETTLE, signature=number), tuple(items), signatures)
    return Start(header, state, pre, rules)


def make_shutdown(dice: Dice, rules: Rules) -> Start:
    """The first or the second, from the inbox or from anyone."""
    world = make_market_world(dice, rules)
    state, delay = world.state, rules.params.shutdown_s
    if dice.chance(0.6):
        shutdown = max(1, state.globals.clock - delay + dice.choice((-1, 0, 1, -delay, delay)))
        state.put_globals(state.globals._replace(shutdown=shutdown, is_settled=dice.choice((0, 0, 1))))
    authority = dice.choice((INBOX_AUTHORITY, INBOX_AUTHORITY, VAULT_AUTHORITY, 0, 3, get_keys()[0].address))
    header, pre = load_items(make_header(dice, Phase.SHUTDOWN, authority=authority), build_shutdown())
    return Start(header, state, pre, rules)
