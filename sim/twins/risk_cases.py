"""Random starts of SCAN."""

from protocol.keccak import ZERO
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.types import Phase, Slice
from sim.twins.dice import Dice
from sim.twins.replay import Start
from sim.twins.worlds import NANO, make_header, make_slice, make_world


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
