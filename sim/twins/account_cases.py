"""Random starts of what moves no position: DEPOSIT, CANCEL, WITHDRAW, AUTHORIZE, POOL."""

from protocol.free_cash import compute_free
from protocol.operations import Kind, build_authorize, build_cancel, build_pool, build_withdraw
from protocol.pool import MIN_ENTRY
from protocol.rules import Rules
from protocol.series import decode_series
from protocol.sessions import encode_session
from protocol.signing import compute_authorize_digest, compute_cancel_digest, compute_pool_digest, compute_withdraw_digest
from protocol.steps.withdraw import MIN_WITHDRAWAL
from protocol.types import MAX_CASH, SCOPE_TRADE, SCOPE_WITHDRAW, VAULT_AUTHORITY, Phase
from sim.twins.dice import Dice, Key, get_keys
from sim.twins.replay import Start
from sim.twins.worlds import DAY_S, World, load_items, make_header, make_order, make_world, refresh

ALL_SCOPES = SCOPE_TRADE | SCOPE_WITHDRAW


def make_deposit(dice: Dice, rules: Rules) -> Start:
    """For accounts that are there, the next one, and none."""
    world = make_world(dice, rules)
    count = world.state.globals.accounts
    index = dice.choice((world.make_index(), world.make_index(0), count, count, count + 1))
    owner = world.keys[index].address if index in world.keys else dice.getrandbits(160)
    amount = dice.choice((0, 1, 10**9, MAX_CASH - 1))
    if dice.chance(0.4):
        owner = dice.choice((owner, owner ^ 1, 0, 1, 2, 1 << 160, dice.make_number()))
        amount = dice.choice(
            (dice.make_number(), dice.make_near(MAX_CASH), max(0, MAX_CASH - world.state.get_account(index).cash - dice.randrange(3)))
        )
    authority = VAULT_AUTHORITY if dice.chance(0.9) else dice.choice((0, 2, owner))
    header, pre = load_items(make_header(dice, Phase.DEPOSIT, authority=authority), (Kind.DEPOSIT, index, owner, amount))
    return Start(header, world.state, pre, rules)


def make_nonce(dice: Dice, old: int) -> int:
    """Above the last one, mostly."""
    edges = (old + 2**32, old + 2**32 + 1, old, max(0, old - 1), 2**64 - 1, 2**64, dice.make_number())
    return dice.choice((old + 1, old + 1, old + 1, old + 100, dice.choice(edges)))


def make_authority(world: World, index: int) -> int:
    """Of a row that claims its sender's: mostly the owner."""
    owner = world.get_key(index).address
    return world.dice.choice((owner, owner, owner, 0, 1, owner ^ 1))


def make_session(world: World, index: int) -> Key:
    """Gives an account that is there a session key, live or not, in scope or not."""
    dice = world.dice
    key = dice.choice(get_keys())
    if index in world.indices:
        clock = world.state.globals.clock
        expiry = dice.choice((0, clock - 1, clock, clock + 600, 2**40 - 1))
        world.set_account(index, session=encode_session(key.address, dice.choice((0, SCOPE_TRADE, SCOPE_WITHDRAW, ALL_SCOPES)), expiry))
    return key


def make_signed(world: World, phase: Phase, items: tuple[int, ...], digest: bytes, session: Key | None) -> Start:
    """A row with its signature somewhere in a source, of the owner or of `session`; a flagged one with a sender instead."""
    dice, index = world.dice, items[1]
    is_flagged = items[0] >> 4 & 1
    key = session if session is not None and dice.chance(0.5) else world.get_key(index)
    signature = dice.make_signature(key, digest, dice.chance(0.8))
    signatures, number = dice.place_signatures([signature], dice.chance(0.95))
    authority = make_authority(world, index) if is_flagged else dice.choice((0, 0, world.get_key(index).address))
    header, pre = load_items(make_header(dice, phase, signature=number, authority=authority), items, signatures)
    return Start(header, world.state, pre, world.rules)


def make_cancel(dice: Dice, rules: Rules) -> Start:
    """By signature or by L1's word."""
    world = make_world(dice, rules)
    index = world.make_index()
    account = world.state.get_account(index)
    if index in world.indices and dice.chance(0.5):
        world.state.put_order(index, 1, make_order(dice, account, 1))
    session = make_session(world, index) if dice.chance(0.5) else None
    nonce = make_nonce(dice, account.nonce)
    digest = compute_cancel_digest(rules.domain, index, nonce if dice.chance(0.95) else nonce ^ 1)
    return make_signed(world, Phase.CANCEL, build_cancel(index, nonce, dice.chance(0.3)), digest, session)


def make_authorize(dice: Dice, rules: Rules) -> Start:
    """A new key, the same, or none, signed by the owner or by the key that goes."""
    world = make_world(dice, rules)
    index = world.make_index()
    session = make_session(world, index) if dice.chance(0.5) else None
    key = dice.choice((0, 1, dice.choice(get_keys()).address, 2**160 - 1))
    scope, expiry = dice.randrange(4), dice.choice((0, world.state.globals.clock, 2**40 - 1))
    if dice.chance(0.25):
        spoiled = dice.randrange(3)
        key = dice.choice((2**160, dice.make_number())) if spoiled == 0 else key
        scope = dice.choice((4, 7, dice.make_number())) if spoiled == 1 else scope
        expiry = dice.choice((2**40, dice.make_number())) if spoiled == 2 else expiry
    nonce = make_nonce(dice, world.state.get_account(index).nonce)
    signed = (key, scope if dice.chance(0.97) else scope ^ 1, expiry, nonce)
    digest = compute_authorize_digest(rules.domain, index, *signed)
    return make_signed(world, Phase.AUTHORIZE, build_authorize(index, key, scope, expiry, nonce, dice.chance(0.3)), digest, session)


def make_solvent(world: World, index: int) -> None:
    """Mostly an account that may take cash out, were it not for its positions; now and then everything is frozen or expired."""
    dice, state = world.dice, world.state
    if dice.chance(0.1):
        state.put_globals(state.globals._replace(shutdown=max(1, state.globals.clock - dice.randrange(DAY_S))))
    if index not in world.indices:
        return
    if dice.chance(0.7):
        world.set_account(index, flag=0, nonce=dice.choice((0, 7)))
        if dice.chance(0.6):
            world.set_account(index, cash=dice.choice((MIN_WITHDRAWAL - 1, MIN_ENTRY, 10**10, 10**13, 10**15, MAX_CASH - 1)))
    if dice.chance(0.5):
        clock = state.globals.clock
        live = tuple(p for p in state.get_account(index).positions if p[0] >> 49 & 2**40 - 1 > clock)
        world.set_account(index, positions=live)


def make_withdraw(dice: Dice, rules: Rules) -> Start:
    """By signature or by L1's word; with shorts and without."""
    world = make_world(dice, rules)
    refresh(world)
    state = world.state
    if dice.chance(0.1):
        state.put_globals(state.globals._replace(outbox=1 << rules.params.outbox_depth))
    index = world.make_index()
    make_solvent(world, index)
    if dice.chance(0.1):
        state.put_globals(state.globals._replace(balance=dice.choice((0, MIN_WITHDRAWAL - 1, MIN_WITHDRAWAL, 10**10))))
    account = state.get_account(index)
    free, _ = compute_free(account, state.globals, state.markets, rules)
    nonce = make_nonce(dice, account.nonce)
    least = dice.choice((MIN_WITHDRAWAL - 1, MIN_WITHDRAWAL))
    amount = dice.choice((0, 1, least, free, free + 1, max(0, account.cash), 2**255, 2**256 - 1, dice.make_number()))
    session = make_session(world, index) if dice.chance(0.5) else None
    digest = compute_withdraw_digest(rules.domain, index, amount if dice.chance(0.97) else amount ^ 1, nonce)
    return make_signed(world, Phase.WITHDRAW, build_withdraw(index, amount, nonce, dice.chance(0.3)), digest, session)


def make_pool(dice: Dice, rules: Rules) -> Start:
    """In or out; with a request that waits, with nothing to give, with all of it."""
    world = make_world(dice, rules)
    refresh(world)
    state = world.state
    index = world.make_index()
    make_solvent(world, index)
    if index in world.indices:
        world.set_account(index, shares=dice.choice((0, 1, 10**9, 2**96)), request=dice.choice((0, 0, 0, 0, 1, -1, MAX_CASH - 1)))
    account = state.get_account(index)
    g = state.globals._replace(requests=dice.choice((0, 1, 7)))
    if account.positions and dice.chance(0.1):
        g = g._replace(clock=decode_series(dice.choice(account.positions)[0]).expiry - dice.choice((0, 1)))
    state.put_globals(g)
    free, _ = compute_free(account, state.globals, state.markets, rules)
    is_leaving = dice.chance(0.3)
    least = dice.choice((MIN_ENTRY - 1, MIN_ENTRY, MIN_ENTRY))
    ways_in = (least, least, free, free + 1, max(0, account.cash), dice.make_number())
    ways_out = (account.shares, account.shares + 1, 1, 0, dice.make_number())
    amount = dice.choice(ways_out if is_leaving else ways_in)
    nonce = make_nonce(dice, account.nonce)
    session = make_session(world, index) if dice.chance(0.3) else None
    digest = compute_pool_digest(rules.domain, index, amount, nonce, is_leaving if dice.chance(0.97) else not is_leaving)
    return make_signed(world, Phase.POOL, build_pool(index, amount, nonce, is_leaving, dice.chance(0.3)), digest, session)
