"""Random starts of what registers orders: ORDER, COMBO, SHEET."""

from protocol.operations import Kind
from protocol.rules import Rules
from protocol.series import MAX_STRIKE, STRIKE_UNIT
from protocol.sessions import encode_session
from protocol.steps import order
from protocol.types import MAX_LOTS, Account, Phase
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
