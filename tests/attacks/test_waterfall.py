"""The numbered attacks on what happens to losses: flags, the pool, deleveraging, settlement and shutdown (6, 8, 14)."""

import pytest

from protocol.codes import Code
from protocol.margin import compute_margin
from protocol.params import MAINNET
from protocol.series import encode_series
from sim.baits import EXPIRY, FORWARD, USD, make_market
from tests.attacks.life import CALL, PUT, Life

RIPE = 20  # marks
ROUND = 100  # of settlement prices


def jump(life: Life, forward: int, wait_s: int = 5) -> None:
    """The next mark."""
    life.scribe.clock += wait_s
    life.mark(make_market(life.scribe.clock, forward))
    life.run()


def crash(life: Life, forward: int, marks: int) -> None:
    """To that forward, the halt, and so many marks after it."""
    jump(life, forward)
    life.scribe.clock += life.scribe.rules.params.halt_s
    for _ in range(marks):
        jump(life, forward)


def sell(life: Life, seller: int, buyer: int, series: int, lots: int) -> None:
    """At the mark."""
    life.deal(seller, buyer, series, life.get_price(series), lots)
    assert life.run()[-1] == Code.OK


def provide(life: Life, trader: int, amount: int) -> None:
    """Into the pool, and the delay."""
    life.scribe.pool(trader, amount * USD)
    assert life.run()[-1] == Code.OK
    life.scribe.clock += life.scribe.rules.params.pool_delay_s
    jump(life, FORWARD, 0)
    assert life.get_account(trader).shares


def get_share_value(life: Life, trader: int) -> int:
    """What the trader's shares are worth, slots and all."""
    g = life.state.globals
    return life.get_account(trader).shares * (g.pool + g.slots_equity + USD) // (g.shares + USD)


def test_attack_06__settlement_beyond_all_it_has__takes_its_cash_and_leaves_no_debt() -> None:
    """Nobody can get at it later: what it cannot pay is the winners' loss at once."""
    life = Life((400_000, 400_000))
    sell(life, 0, 1, CALL, 900)
    life.scribe.clock = EXPIRY - 5
    jump(life, 2 * FORWARD, 0)
    far = EXPIRY + 86_400
    life.scribe.clock = EXPIRY
    later = make_market(EXPIRY, 2 * FORWARD)
    life.mark(later._replace(slices=(later.slices[0]._replace(expiry=far),)))
    life.scribe.settle(0, EXPIRY, 2 * FORWARD // ROUND * ROUND)
    assert life.run() == [Code.OK, Code.OK]
    assert life.get_account(0).cash == 0
    assert 400_000 * USD < life.get_account(1).cash < 800_000 * USD
    assert life.get_account(0).positions == life.get_account(1).positions == ()
    assert life.get_money() == 800_000 * USD


def test_attack_06__negative_cash_with_other_positions__flagged_and_reduce_only() -> None:
    """Losses of one expiry against gains of another: the gains are no cash yet."""
    life = Life((60_000, 1_000_000))
    later = EXPIRY + 30 * 86_400
    both = make_market(life.scribe.clock)
    life.run()
    life.scribe.clock += 5
    life.mark(both._replace(mark_time=life.scribe.clock, slices=(*both.slices, both.slices[0]._replace(expiry=later))))
    life.run()
    far = encode_series(0, later, 95_000 * USD, 1)
    sell(life, 1, 0, far, 100)
    sell(life, 0, 1, CALL, 100)
    life.scribe.clock = EXPIRY
    market = make_market(EXPIRY, 2 * FORWARD)
    life.mark(market._replace(slices=(market.slices[0]._replace(expiry=later),)))
    life.scribe.settle(0, EXPIRY, 2 * FORWARD)
    assert life.run() == [Code.OK, Code.OK]
    jumped = life.get_account(0)
    assert jumped.cash < 0
    assert jumped.positions == ((far, 100),)
    life.scribe.clock += life.scribe.rules.params.halt_s
    life.mark(market._replace(mark_time=life.scribe.clock, slices=(market.slices[0]._replace(expiry=later),)))
    life.run()
    assert life.get_account(0).flag, "negative cash is flagged whatever the positions are worth"
    assert compute_margin(jumped.cash, jumped.positions, life.state.markets).equity > 0
    life.deal(1, 0, far, life.get_price(far), 1)
    life.scribe.withdraw(0, 1)
    assert life.run()[-2:] == [Code.CASH, Code.FLAGGED]
    sell(life, 0, 1, far, 50)


def test_attack_06__fully_paid_buyer__needs_no_margin() -> None:
    """Although 1.2 times the maintenance margin of an option can be more than it is worth."""
    life = Life((1_000_000, 1_000))
    cheap = encode_series(0, EXPIRY, 110_000 * USD, 1)
    sell(life, 0, 1, cheap, 500 * USD // life.get_price(cheap))
    bought = life.get_account(1)
    margin = compute_margin(0, bought.positions, life.state.markets)
    assert margin.equity < margin.maintenance * 6 // 5


def test_attack_08__no_money_left__only_the_bankrupts_shorts_are_cut__at_a_price_from_nothing_to_the_mark() -> None:
    life = Life((120_000, 400_000, 400_000, 400_000))
    sell(life, 0, 1, CALL, 250)
    sell(life, 2, 3, PUT, 100)
    sell(life, 2, 1, CALL, 10)
    others = [life.get_account(index) for index in (2, 3)]
    before, money = life.get_account(1), life.get_money()
    crash(life, FORWARD * 2, 3)
    assert life.get_account(0).positions == ()
    assert life.get_account(0).cash == 0
    cut = life.get_account(1)
    closed = dict(before.positions)[CALL] - dict(cut.positions).get(CALL, 0)
    assert closed == 250
    price, rest = divmod(cut.cash - before.cash, closed)
    assert 0 <= price < life.get_price(CALL), "at a haircut"
    assert rest == 0
    assert [life.get_account(index).positions for index in (2, 3)] == [a.positions for a in others], "nobody else's"
    assert [life.get_account(index).cash for index in (2, 3)] == [a.cash for a in others]
    assert life.state.globals.debt == 0
    assert life.get_money() == money


def test_attack_08__leaving_the_pool_before_a_loss__takes_part_in_it() -> None:
    """Who sees the loss coming has asked too late: the request waits, and is paid what the pool is then."""
    life = Life((60_000, 400_000, 200_000, 200_000), MAINNET)
    provide(life, 2, 100_000)
    provide(life, 3, 100_000)
    sell(life, 0, 1, CALL, 80)
    worth = get_share_value(life, 2)
    life.scribe.pool(2, life.get_account(2).shares, is_leaving=True)
    life.run()
    cash = life.get_account(2).cash
    crash(life, FORWARD * 2, 3)
    assert life.get_account(0).positions == ()
    assert life.get_account(2).shares, "it waits"
    assert life.state.globals.pool < 200_000 * USD
    life.scribe.clock += life.scribe.rules.params.pool_delay_s
    jump(life, FORWARD * 2, 0)
    assert life.get_account(2).request == 0
    assert life.get_account(2).cash - cash + get_share_value(life, 2) < worth


def test_attack_08__entering_the_pool_before_a_penalty__does_not_share_in_it() -> None:
    """The penalty is in the value at which the request becomes shares."""
    life = Life((60_000, 400_000, 200_000, 200_000), MAINNET)
    provide(life, 2, 100_000)
    sell(life, 0, 1, CALL, 80)
    life.scribe.pool(3, 100_000 * USD)
    life.run()
    assert life.get_account(3).request
    weak = next(FORWARD + step * 50 * USD for step in range(2_000) if is_weak(life, FORWARD + step * 50 * USD))
    worth = get_share_value(life, 2)
    crash(life, weak, RIPE + 2)
    assert life.get_account(0).positions == ()
    assert life.state.globals.fund > 0, "a penalty was taken"
    life.scribe.clock += life.scribe.rules.params.pool_delay_s
    jump(life, weak, 0)
    assert life.get_account(3).request == 0
    assert get_share_value(life, 3) <= 100_000 * USD
    assert get_share_value(life, 2) > worth


def test_attack_08__pools_cash_made_a_slot_before_an_exit__takes_nothing_from_who_leaves() -> None:
    """Half of the pool has an account of its own taken over while the other half waits to leave."""
    life = Life((20_000_000, 80_000_000, 500_000, 500_000))
    provide(life, 2, 500_000)
    provide(life, 3, 500_000)
    sell(life, 0, 1, CALL, 4_900)
    life.scribe.withdraw(0, 1 << 60)
    life.run()
    weak = FORWARD * 107 // 100
    for _ in range(12):
        jump(life, weak)
    before, cash = get_share_value(life, 2), life.get_account(2).cash
    life.scribe.pool(2, life.get_account(2).shares, is_leaving=True)
    for _ in range(RIPE):
        jump(life, weak)
    g = life.state.globals
    assert g.slots_equity > 9 * g.pool
    left = life.get_account(2)
    assert left.request == 0
    assert 0 < left.cash - cash < before // 5
    assert left.cash - cash + get_share_value(life, 2) >= before
    assert get_share_value(life, 3) < before * 11 // 10


def is_weak(life: Life, forward: int) -> bool:
    """Whether the first account would be below maintenance there, and above zero."""
    a, market = life.get_account(0), make_market(life.scribe.clock, forward)
    margin = compute_margin(a.cash, a.positions, (market, market))
    return 0 < margin.equity < margin.maintenance // 2


@pytest.mark.parametrize("up", [115, 116])
def test_attack_14__halted_market__flags_all_the_same_and_takes_the_flag_back(up: int) -> None:
    """A spike of seconds must neither spare an account nor finish it."""
    life = Life((60_000, 400_000))
    sell(life, 0, 1, CALL, 250)
    jump(life, FORWARD * up // 100)
    assert life.state.markets[0].halted_until > life.scribe.clock
    assert life.get_account(0).flag
    marks = life.state.globals.marks
    for _ in range(RIPE + 5):
        jump(life, FORWARD * up // 100)
    assert life.state.globals.marks == marks, "no auction grows older while nobody may trade"
    assert life.get_account(0).positions
    life.deal(0, 1, CALL, life.get_price(CALL), 1)
    assert life.run()[-1] == Code.HALTED
    jump(life, FORWARD)
    assert not life.get_account(0).flag


def test_drv2_08__insolvent_account__needs_no_bidder() -> None:
    """Bids on it are refused: they could only make others pay. The pool has it at the second mark."""
    life = Life((60_000, 400_000, 2_000_000, 400_000))
    provide(life, 2, 1_000_000)
    sell(life, 0, 1, CALL, 100)
    crash(life, FORWARD * 2, 1)
    assert life.get_account(0).flag
    life.scribe.bid(3, 0, ((CALL, -1),), 10, 1 << 40)
    assert life.run() == [Code.MARGIN]
    jump(life, FORWARD * 2)
    assert life.get_account(0).positions == ()
    assert life.state.globals.slots == 1
    assert life.state.get_account(life.scribe.rules.params.max_accounts).positions == ((CALL, -100),)
