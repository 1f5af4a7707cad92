"""Random starts of what registers orders: ORDER, COMBO, SHEET."""

from protocol.codec.rows import encode_zigzag
from protocol.legs import decode_legs
from protocol.operations import COMBO_HEAD, LEG_ITEMS, QUOTE_ITEMS, Kind
from protocol.rules import Rules
from protocol.series import MAX_STRIKE, STRIKE_UNIT
from protocol.sessions import encode_session
from protocol.steps import combo, order, sheet
from protocol.types import MAX_LOTS, MAX_PAGES, MAX_QUOTES, MAX_RATIO, Account, Phase
from sim.twins.dice import Dice, Key, get_keys
from sim.twins.replay import Start
from sim.twins.worlds import DAY_S, NOW, World, load_items, make_header, make_order, make_world

NONCES = (1, 2, 7, 255, 256, 1_000, 2**64 - 1)


def fill_slots(world: World, index: int, nonce: int) -> None:
    """The slot of `nonce` may be empty, hold an older order, the same, or a newer one; the next slot holds something too."""
    dice, slots = world.dice, world.rules.params.order_slots
    account = world.state.get_account(index)
    old = dice.choice((None, nonce - slots, nonce, nonce + slots, nonce - 1))
    for slot, number in ((nonce & slots - 1, old), (nonce + 1 & slots - 1, 3)):
        if number is not None and 0 <= number < 2**64:
            world.state.put_order(index, slot, make_order(dice, account, number))


def pick_signer(world: World, index: int) -> Key:
    """The owner's, or a session key that may sign, may not, or no longer."""
    dice, key = world.dice, world.get_key(index)
    if index not in world.indices or dice.chance(0.7):
        return key
    session = dice.choice([other for other in get_keys() if other is not key])
    scope = dice.choice((1, 1, 3, 3, 0, 2))
    expiry = world.state.globals.clock + dice.choice((0, 1, 30, 10**6, 10**6, -1))
    world.set_account(index, session=encode_session(session.address, scope, expiry))
    return session


def make_validity(world: World) -> int:
    """Of an order, mostly live."""
    clock = world.state.globals.clock
    return world.dice.choice((clock, clock + 60, clock + 60, 2**40 - 1))


def finish(world: World, phase: Phase, items: list[int], key: Key, digest: bytes) -> Start:
    """Signed, well or not, with everything else in place."""
    dice = world.dice
    signature = dice.make_signature(key, digest, dice.chance(0.8))
    signatures, number = dice.place_signatures([signature], dice.chance(0.93))
    header, pre = load_items(make_header(dice, phase, signature=number), tuple(items), signatures)
    return Start(header, world.state, pre, world.rules)


def make_order_start(dice: Dice, rules: Rules) -> Start:
    """A good order, then something about it spoiled, before or after it was signed."""
    world = make_world(dice, rules, False)
    index, clock = world.make_index(), world.state.globals.clock
    cents = dice.choice((1, 5_000_000, MAX_STRIKE // STRIKE_UNIT, dice.randrange(1, MAX_STRIKE // STRIKE_UNIT)))
    series = [dice.randrange(2), dice.choice((1, NOW + DAY_S, 2**40 - 1)), cents]
    limits = [dice.choice((1, 10**6, 2**37 - 1)), dice.choice((1, 100, MAX_LOTS)), dice.choice((*NONCES, dice.getrandbits(64)))]
    cap = dice.choice((0, 5, 2**32 - 1))
    items = [Kind.ORDER | dice.randrange(32) << 4, index, *series, *limits, make_validity(world), cap]
    bounds = (2, 2**40, MAX_STRIKE // STRIKE_UNIT + 1, 2**37, MAX_LOTS + 1, 2**64, dice.choice((clock, 2**40)), 2**32)
    spoiled = dice.choice((None, None, "before", "after"))

    def spoil() -> None:
        at = dice.randrange(2, 10)
        items[at] = dice.choice((dice.make_number(), 0, dice.make_near(bounds[at - 2])))

    if spoiled == "before":
        spoil()
    if index in world.indices:
        fill_slots(world, index, items[7])
    key = pick_signer(world, index)
    account: Account = world.state.get_account(index)
    account = account._replace(generation=account.generation + dice.choice((0,) * 20 + (1,)))
    digest = order.compute_digest(tuple(items), account, rules)
    if spoiled == "after":
        spoil()
    return finish(world, Phase.ORDER, items, key, digest)


def make_strike(dice: Dice) -> int:
    """In cents, with the call bit below."""
    most = MAX_STRIKE // STRIKE_UNIT
    return dice.choice((1, 5_000_000, most, dice.randrange(1, most + 1))) << 1 | dice.randrange(2)


def make_leg_items(dice: Dice, count: int) -> list[int]:
    """Ascending legs of a row, the first ratio positive."""
    legs = {(dice.randrange(2), dice.choice((1, NOW + DAY_S, 2**40 - 1)), make_strike(dice)) for _ in range(count + 9)}
    items: list[int] = []
    for at, leg in enumerate(sorted(legs)[:count]):
        ratio = dice.choice((1, 1, 2, MAX_RATIO))
        items += (*leg, encode_zigzag(ratio if at == 0 or dice.chance(0.5) else -ratio))
    return items


def make_combo(dice: Dice, rules: Rules) -> Start:
    """A good combo, then something about it spoiled, before or after it was signed."""
    world = make_world(dice, rules, False)
    index, clock = world.make_index(), world.state.globals.clock
    price = dice.choice((0, 1, -1, 10**6, -(10**6), 2**37 - 1, 1 - 2**37))
    nonce = dice.choice((*NONCES, dice.getrandbits(64)))
    cap, tag = dice.choice((0, 5, 2**32 - 1)), Kind.COMBO | dice.randrange(16) << 5
    items = [tag, index, encode_zigzag(price), dice.choice((1, 100, MAX_LOTS)), nonce, make_validity(world), cap]
    items += make_leg_items(dice, dice.choice((2, 2, 3, 4)))
    bounds = (2**38, MAX_LOTS + 1, 2**64, dice.choice((clock, 2**40)), 2**32)
    spoiled = dice.choice((None, None, "before", "after"))

    def spoil() -> None:
        at = dice.randrange(2, COMBO_HEAD)
        items[at] = dice.choice((dice.make_number(), 0, dice.make_near(bounds[at - 2])))

    if spoiled == "before":
        spoil()
        spoil_legs(dice, items)
    if index in world.indices:
        fill_slots(world, index, items[4])
    key, account = pick_signer(world, index), world.state.get_account(index)
    account = account._replace(generation=account.generation + dice.choice((0,) * 20 + (1,)))
    legs, _ = decode_legs(tuple(items[COMBO_HEAD:]))
    digest = combo.compute_digest(tuple(items), legs, account, rules)
    if spoiled == "after":
        dice.choice((spoil, lambda: spoil_legs(dice, items)))()
    return finish(world, Phase.COMBO, items, key, digest)


def spoil_legs(dice: Dice, items: list[int]) -> None:
    """Two legs change places or are one, or an item is out of range."""
    first, second, end = COMBO_HEAD, COMBO_HEAD + LEG_ITEMS, COMBO_HEAD + 2 * LEG_ITEMS
    match dice.randrange(5):
        case 0:
            items[first:second], items[second:end] = items[second:end], items[first:second]
        case 1:
            items[second : end - 1] = items[first : second - 1]
        case 2:
            items[second - 1] = encode_zigzag(dice.choice((-1, 0, MAX_RATIO + 1, -MAX_RATIO)))
        case 3:
            at = dice.randrange(first, len(items))
            items[at] = dice.make_number()
        case _:
            at = dice.randrange(first, len(items))
            bounds = (2, 2**40, (MAX_STRIKE // STRIKE_UNIT + 1) << 1, MAX_RATIO << 1)
            items[at] = dice.choice((0, dice.make_near(bounds[(at - first) % LEG_ITEMS])))


def make_quote_items(dice: Dice) -> list[int]:
    """Both sides or one."""
    sides = [dice.choice(((0, 0), (5, 0), (1, 1), (10**6, 100), (2**37 - 1, MAX_LOTS))) for _ in range(2)]
    return [make_strike(dice), *sides[0], *sides[1]]


def make_sheet(dice: Dice, rules: Rules) -> Start:
    """A good page of a new sheet or of the present one, then something about it spoiled, before or after it was signed."""
    world = make_world(dice, rules, False)
    index, clock = world.make_index(), world.state.globals.clock
    nonce, pages = dice.choice((*NONCES[:-1], 2**64 - 8, dice.getrandbits(63) + 1)), dice.randrange(1, MAX_PAGES + 1)
    page, life = dice.randrange(pages), rules.params.sheet_life_s
    head = [Kind.SHEET, index, nonce, clock + dice.choice((0, 1, life - 1, life)), pages, page]
    others = [int.from_bytes(dice.make_hash(), "big") >> dice.choice((0, 0, 9, 255)) for _ in range(pages - 1)]
    content = [dice.randrange(2), dice.choice((1, NOW + DAY_S, 2**40 - 1)), dice.choice((0, 1, MAX_LOTS, 2**26 - 1))]
    start = len(head) + len(others)
    items = [*head, *others, *content]
    for _ in range(dice.choice((0, 1, 2, 5, MAX_QUOTES))):
        items += make_quote_items(dice)
    spoiled = dice.choice((None, None, "before", "after"))

    def spoil() -> None:
        at = dice.choice((2, 3, *range(start, len(items))))
        bounds = (2**64 - page, dice.choice((clock, clock + life + 1, 2**40)))
        page_bounds = (2, 2**40, 2**26)
        quote_bounds = ((MAX_STRIKE // STRIKE_UNIT + 1) << 1, 2**37, MAX_LOTS + 1, 2**37, MAX_LOTS + 1)
        in_page = at - start
        bound = bounds[at - 2] if at < 4 else page_bounds[in_page] if in_page < 3 else quote_bounds[(in_page - 3) % QUOTE_ITEMS]
        items[at] = dice.choice((dice.make_number(), 0, dice.make_near(bound)))

    if spoiled == "before":
        spoil()
    if index in world.indices:
        fill_slots(world, index, items[2] + page)
        old = dice.choice((0, 0, 1, nonce - 1, nonce, nonce, nonce + 1))
        world.set_account(index, sheet=min(old, 2**64 - 1))
    key, account = pick_signer(world, index), world.state.get_account(index)
    account = account._replace(generation=account.generation + dice.choice((0,) * 20 + (1,)))
    digest = sheet.compute_digest(tuple(items), sheet.decode_page(tuple(items)), account, rules)
    if spoiled == "after":
        spoil()
        if pages > 1 and dice.chance(0.3):
            items[6] ^= 1
    return finish(world, Phase.SHEET, items, key, digest)
