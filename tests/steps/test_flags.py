"""A flagged account that trades its way out of its shorts must come free again."""

from protocol.legs import pack_plain
from protocol.machine import Preimages, open_scan
from protocol.params import DEVNET
from protocol.state import State, get_word_index
from protocol.types import Bitmap, Globals, Market, Mode, Order, Phase, Sweep, Trade, compute_trade_hash
from sim.twins import assert_twins
from sim.twins.dice import Dice, make_rules
from sim.twins.worlds import NOW, World, make_header
from tests.steps_b.exchange import CALL, make_market

RULES = make_rules(DEVNET)
FLAGGED, OTHER = 5, 6
MARKS = 3


def make_world() -> World:
    state = State(DEVNET)
    state.put_globals(Globals(clock=NOW + 2, allowance=100, accounts=7, marks=MARKS))
    state.put_markets((make_market(0), Market()))
    world = World(state, RULES, Dice(1), [CALL])
    world.set_account(FLAGGED, owner=0xA, cash=10**10, generation=4, flag=MARKS, positions=((CALL, -10),))
    world.set_account(OTHER, owner=0xB, cash=10**12, positions=((CALL, 10),))
    for index, is_buy in ((FLAGGED, 1), (OTHER, 0)):
        generation = state.get_account(index).generation
        state.put_order(index, 1, Order(1, generation, pack_plain(CALL), is_buy, 10**6, 10, NOW + 99))
    return world


def get_words(state: State) -> tuple[int, int]:
    """Who is risky, and who holds anything."""
    risky, holders = (state.get_word(get_word_index(bitmap, FLAGGED, DEVNET)) for bitmap in (Bitmap.RISKY, Bitmap.HOLDER))
    return risky, holders


def test_closing_the_last_short_leads_to_the_scan_that_unflags() -> None:
    world, pre = make_world(), Preimages([])
    state = world.state
    trade = Trade(FLAGGED, 1, OTHER, 1, pack_plain(CALL), 10, 10**6, 50_000)
    pre.trade = trade
    header = make_header(Dice(1), Phase.COMMIT, scratch=compute_trade_hash(trade))
    assert_twins(header, state, pre, RULES)
    account = state.get_account(FLAGGED)
    assert (account.positions, account.flag) == ((), MARKS)
    assert get_words(state) == (1 << FLAGGED, 0)
    scan = open_scan(make_header(Dice(1), Phase.SCAN), pre, Sweep(Mode.FLAG))
    assert_twins(scan, state, pre, RULES)
    assert state.get_account(FLAGGED).flag == 0
    assert get_words(state) == (0, 0)
