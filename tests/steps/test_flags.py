"""A flagged account that trades its way out of its shorts must come free again."""

from protocol.machine import Preimages
from protocol.params import DEVNET
from protocol.state import State
from protocol.steps.terms import MIN_FEE
from protocol.types import Account, Globals, Header, Order, Phase, Trade, compute_trade_hash
from sim.twins import assert_twins
from sim.twins.dice import make_rules
from tests.steps.test_epoch import MARKET, NOW, SERIES

RULES = make_rules(DEVNET)
FLAGGED, OTHER = 5, 6


def make_state() -> State:
    state = State(DEVNET)
    state.put_globals(Globals(clock=NOW + 2, allowance=100, accounts=7, marks=3, cursor=FLAGGED))
    state.put_markets((MARKET, MARKET._replace(mark_time=0, index_price=0, slices=())))
    state.put_account(FLAGGED, Account(owner=0xA, cash=10**10, generation=4, flag=3, positions=((SERIES, -10),)))
    state.put_account(OTHER, Account(owner=0xB, cash=10**12, positions=((SERIES, 10),)))
    state.put_order(FLAGGED, 1, Order(1, 4, SERIES, 1, 10**6, 10, NOW + 99, 0))
    state.put_order(OTHER, 1, Order(1, 0, SERIES, 0, 10**6, 10, NOW + 99, 0))
    state.put_word(0, 1 << FLAGGED)
    return state


def test_closing_the_last_short_leads_to_the_scan_that_unflags() -> None:
    state, pre = make_state(), Preimages([])
    trade = Trade(FLAGGED, 1, OTHER, 1, SERIES, 10, 10**6, MIN_FEE)
    pre.trade = trade
    header = Header(state.get_root(), bytes(32), 1, batch=1, phase=Phase.COMMIT, scratch=compute_trade_hash(trade))
    assert_twins(header, state, pre, RULES)
    account = state.get_account(FLAGGED)
    assert (account.positions, account.flag) == ((), 3)
    assert state.get_word(0) == 1 << FLAGGED
    assert_twins(header._replace(phase=Phase.SCAN, scratch=bytes(32)), state, pre, RULES)
    assert state.get_account(FLAGGED).flag == 0
    assert state.get_word(0) == 0
