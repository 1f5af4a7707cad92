"""The numbered attacks on the exchange, as far as its operations are there."""

import pytest

from protocol.codec.frames import Batch, Message, compute_record
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.margin import compute_margin, is_reducing
from protocol.operations import LAYOUTS, Kind, build_cancel, build_mark, build_trade, build_withdraw
from protocol.series import encode_series
from protocol.signing import compute_mark_digest
from protocol.trace import Machine
from protocol.types import MAX_FORWARD, VAULT_AUTHORITY, Phase, Slice
from sim.baits import EXPIRY, FORWARD, START, USD, make_market
from sim.scribe import get_address, sign
from tests.attacks.life import CALL, PUT, Life

HUGE = (1 << 256) - 1
LONGEST = {  # of the rows whose length varies: all that comes after the account
    Kind.MARK: (HUGE,) * (3 + 7 * 16),
    Kind.COMBO: (HUGE,) * (5 + 4 * 4),
    Kind.SHEET: (HUGE, HUGE, 8, 7, *[HUGE] * (7 + 3 + 5 * 16)),
    Kind.BID: (HUGE,) * (5 + 4 * 4),
}


@pytest.mark.parametrize(("is_gift", "code"), [(False, Code.OK), (True, Code.FLAGGED)])
def test_attack_01__equity_given_to_a_friend_at_the_edge_of_the_band__refused(is_gift: bool, code: Code) -> None:
    """An almost bankrupt account may close at the mark, not at a price that hands what is left to its own second account."""
    life = Life((44_000, 1_000_000))
    life.deal(0, 1, CALL, life.get_price(CALL), 200)
    assert life.run()[-1] == Code.OK
    life.scribe.clock += 10
    cash = life.get_account(0).cash
    jumps = (make_market(life.scribe.clock, FORWARD + jump * 50 * USD) for jump in range(1_000))
    life.mark(next(market for market in jumps if compute_margin(cash, ((CALL, -200),), (market, market)).equity < 2_000 * USD))
    life.run()
    account = life.get_account(0)
    before = compute_margin(account.cash, account.positions, life.state.markets)
    assert account.flag
    assert before.equity > 0
    price = life.get_price(CALL)
    if is_gift:
        price = (price * 104 + life.market.slices[0].forward * 4 // 1_000) // 100
    after = compute_margin(account.cash - 50 * price, ((CALL, -150),), life.state.markets)
    assert after.equity > 0
    assert after.initial - after.equity < before.initial - before.equity, "its shortfall falls either way"
    assert is_reducing(before, after) != is_gift
    life.deal(1, 0, CALL, price, 50)
    assert life.run()[-1] == code


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("by_message", [False, True])
def test_attack_02__largest_words_everywhere__codes_and_no_failure(kind: Kind, by_message: bool) -> None:
    life = Life((1_000, 1_000))
    life.run()
    layout = LAYOUTS[kind]
    root = life.state.get_root()
    for flags in range(layout.flags + 2):
        for account in (0, HUGE):
            row = (kind | flags << 4, account, *[HUGE] * (layout.items - 2)) if layout.items > 1 else (kind | flags << 4,)
            if kind in LONGEST:
                row = (*row[:2], *LONGEST[kind])
            if by_message:
                life.scribe.send(VAULT_AUTHORITY if flags == 3 else get_address(life.scribe.keys[0]), [row], bytes(65))
            else:
                life.scribe.add(row, bytes(65))
                life.scribe.close_frame()
    assert Code.OK not in life.run()
    assert life.state.get_root() != root, "what no-ops cost is deducted (attack 14)"
    assert [life.get_account(i).cash for i in range(2)] == [1_000 * USD] * 2


def test_attack_03__forced_mark_and_trade_older_than_the_delay__fresh_for_each_other() -> None:
    """Without a sequencer: consumed an hour after it was sent, at a clock that the message itself moves to its own time."""
    life = Life((100_000, 200_000))
    life.run()
    scribe = life.scribe
    scribe.clock += 400
    sent = scribe.clock
    market = make_market(sent, FORWARD + 500 * USD)
    row = build_mark(0, START, market)
    digest = compute_mark_digest(scribe.rules.domain, 0, START, sent, market.index_price, row[5:])
    quorum = b"".join(sign(key, digest) for key in scribe.oracles[: scribe.rules.params.quorum])
    life.market = market
    life.deal(0, 1, CALL, life.get_price(CALL), 10)
    rows, signatures = b"".join(scribe._rows), scribe._signatures
    messages = (Message(sent, 0xABC, encode_row(row), quorum), Message(sent, 0xABC, rows, signatures))
    late = sent + 3_700
    batch = Batch(compute_record(1, late, late, 2, messages, ()), messages, ())
    assert life.run_batch(batch) == [Code.OK] * 4
    assert life.state.globals.clock == sent
    assert life.get_account(0).positions == ((CALL, -10),)


def test_attack_04__marks__none_is_skipped_and_none_comes_early() -> None:
    life = Life((1_000,))
    scribe = life.scribe
    scribe.clock += 4
    scribe.mark(0, make_market(scribe.clock))  # a second too early
    scribe.mark_times[0] = START
    scribe.clock += 1
    scribe.close_frame()
    scribe.mark(0, make_market(scribe.clock))
    scribe.clock += 10
    scribe.close_frame()
    scribe.mark_times[0] = START  # leaves out the one at 5 s
    scribe.mark(0, make_market(scribe.clock))
    scribe.mark_times[0] = START + 5
    scribe.mark(0, make_market(scribe.clock + 1))  # ahead of the clock
    scribe.close_frame()
    scribe.clock += 590
    scribe.mark_times[0] = 77
    scribe.mark(0, make_market(scribe.clock))  # resync, whatever it names
    assert life.run()[1:] == [Code.OK, Code.MARK_TIME, Code.OK, Code.MARK_TIME, Code.MARK_TIME, Code.OK]


@pytest.mark.parametrize(("age_s", "code"), [(60, Code.OK), (61, Code.STALE)])
def test_attack_04__old_quotes__do_not_fill_what_adds_risk(age_s: int, code: Code) -> None:
    life = Life((100_000, 200_000))
    life.run()
    life.scribe.clock += age_s
    life.deal(0, 1, CALL, life.get_price(CALL), 10)
    assert life.run()[-1] == code


@pytest.mark.parametrize("cash", [1_500, 3_000])
def test_attack_06__model_value__neither_lent_nor_withdrawn(cash: int) -> None:
    """A long option is worth much in the model; what leaves is cash, and what is bought is paid with cash."""
    life = Life((100_000, cash))
    price = life.get_price(CALL)
    lots = cash * USD // price - 10
    life.deal(0, 1, CALL, price, lots)
    assert life.run()[-1] == Code.OK
    life.deal(0, 1, PUT, life.get_price(PUT), 1 + life.get_account(1).cash // life.get_price(PUT))
    life.scribe.withdraw(1, HUGE >> 100)
    codes = life.run()
    assert codes[-2:] == [Code.CASH, Code.OK]
    assert life.get_account(1).cash == 0
    life.scribe.withdraw(1, 1)
    assert life.run() == [Code.NOTHING_FREE]


@pytest.mark.parametrize(("move", "most"), [(75, 0), (70, 13)])
def test_attack_07__bad_debt_of_a_short_put__within_the_measured_figures(move: int, most: int) -> None:
    """In per cent of the initial margin, of any single short put with just that margin; the market gaps by 25 or 30 %."""
    worst = 0
    for days in (1, 7, 30, 90):
        expiry = START + days * 86_400
        variance = 640_000_000 * days // 365  # 80 % volatility, flat
        now = make_market(START)._replace(slices=(Slice(expiry, FORWARD, variance, 0, 0, 0, 0),))
        then = now._replace(slices=(Slice(expiry, FORWARD * move // 100, variance, 0, 0, 0, 0),))
        for strike in range(40_000, 130_000, 2_500):
            position = ((encode_series(0, expiry, strike * USD, 0), -1_000),)
            flat = compute_margin(0, position, (now, now))
            cash = flat.initial - flat.equity
            assert flat.initial >= 1_000 * FORWARD // 5_000 * 13 // 10, "far out of the money is not free"
            debt = -compute_margin(cash, position, (then, then)).equity
            worst = max(worst, 100 * debt // flat.initial)
    assert worst <= most


def test_attack_10__one_account_on_both_sides_or_one_word_for_both__nothing_is_counted_twice() -> None:
    life = Life((100_000, 100_000))
    money = life.get_money()
    own = life.scribe.order(0, CALL, 1, life.get_price(CALL), 5)
    other = life.scribe.order(0, CALL, 0, life.get_price(CALL), 5)
    life.scribe.trade(0, own, 0, other, 5)
    life.deal(0, 1, CALL, life.get_price(CALL), 5)
    assert life.run()[-6:] == [Code.OK, Code.OK, Code.SELF_TRADE, Code.OK, Code.OK, Code.OK]
    assert life.get_money() == money + 200_000 * USD
    assert life.state.get_word(0) == 1, "both accounts share a word; only the seller is visited"
    assert sum(lots for account in life.state.accounts.values() for _, lots in account.positions) == 0


@pytest.mark.parametrize("taker_cash", [1_000_000, 20])
def test_attack_10__trade_in_pieces__only_the_commit_writes(taker_cash: int) -> None:
    life = Life((100_000, taker_cash))
    life.deal(0, 1, CALL, life.get_price(CALL), 100)
    machine = Machine(life.state, [life.scribe.close_batch()], life.scribe.rules)
    seen = []
    while not machine.is_halted:
        before, phase = machine.header.state, machine.header.phase
        machine.step()
        if Phase.TERMS <= phase <= Phase.COMMIT:
            seen.append(phase)
            assert (machine.header.state == before) == (phase != Phase.COMMIT)
    committed = [Phase.TERMS, Phase.MAKER, Phase.TAKER, Phase.COMMIT]
    assert seen == (committed if taker_cash > 20 else committed[:3])


def test_attack_11__orders_do_not_rise_again() -> None:
    """Filled, cancelled or registered before, sent once more word for word; and a slot that another order has taken."""
    life = Life((1_000_000, 1_000_000))
    price, slots = life.get_price(CALL), life.scribe.rules.params.order_slots
    life.deal(0, 1, CALL, price, 5)
    rows, signatures = list(life.scribe._rows[-3:-1]), life.scribe._signatures[-130:]
    assert life.run()[-1] == Code.OK
    scribe = life.scribe
    for row, at in zip(rows, (0, 65), strict=True):
        scribe._rows.append(row)
        scribe._signatures += signatures[at : at + 65]
    scribe.trade(0, 1, 1, 1, 5)
    assert life.run() == [Code.NONCE, Code.NONCE, Code.OVERFILL]
    scribe.nonces = [slots, slots]  # the next ones fall into slot 1 again
    life.deal(0, 1, CALL, price, 5)
    scribe.cancel(0)
    scribe.trade(0, 1, 1, 1, 1)
    scribe.order(0, CALL, 0, price, 5, generation=0)  # signed before the cancellation
    assert life.run() == [Code.OK, Code.OK, Code.OK, Code.OK, Code.GENERATION, Code.SIGNATURE]


def test_attack_12__forced_withdrawal__pays_what_is_free_to_the_owner_alone() -> None:
    life = Life((1_000, 1_000))
    life.run()
    scribe = life.scribe
    owner, thief = (get_address(scribe.keys[i]) for i in range(2))
    scribe.send(thief, [build_withdraw(0, 10**9, 1, by_authority=True), build_cancel(0, 1, by_authority=True)])
    scribe.send(owner, [build_withdraw(0, 1_000 * USD + 1, 1, by_authority=True)])
    scribe.send(owner, [build_withdraw(0, 1, 1, by_authority=True)])
    scribe.add(build_withdraw(0, 1, 2, by_authority=True))  # in a frame it has nobody's authority
    assert life.run() == [Code.AUTHORITY, Code.AUTHORITY, Code.OK, Code.NONCE, Code.AUTHORITY]
    assert life.state.outbox == [(owner, 1_000 * USD)]
    assert life.get_money() == 2_000 * USD


def test_attack_12__deposit_rows__only_the_vaults() -> None:
    life = Life((1_000,))
    life.run()
    owner = get_address(life.scribe.keys[0])
    row = (Kind.DEPOSIT, 0, owner, 10**12)
    life.scribe.send(owner, [row])
    life.scribe.add(row)
    assert life.run() == [Code.AUTHORITY, Code.AUTHORITY]


def test_attack_13__at_expiry__trading_stops_and_the_slice_stands_still() -> None:
    life = Life((100_000, 100_000))
    life.deal(0, 1, CALL, life.get_price(CALL), 10)
    life.run()
    scribe = life.scribe
    last = make_market(EXPIRY - 5, FORWARD + 100 * USD)
    scribe.clock = EXPIRY - 5
    life.mark(last)
    later = (Slice(EXPIRY + 86_400, FORWARD, 5_000_000, 0, 0, 0, 0),)
    scribe.close_frame()
    scribe.clock = EXPIRY
    scribe.mark_times[0] = EXPIRY - 5
    scribe.mark(0, make_market(EXPIRY, FORWARD))  # an expiry that is over
    scribe.mark_times[0] = EXPIRY - 5
    scribe.mark(0, make_market(EXPIRY)._replace(slices=later))
    life.deal(1, 0, CALL, life.get_price(CALL), 10)
    assert life.run() == [Code.OK, Code.MARK_SHAPE, Code.OK, Code.OK, Code.OK, Code.SERIES]
    assert life.state.markets[0].slices == (last.slices[0]._replace(close=FORWARD), *later), "but for the price that it may settle at"
    assert life.get_account(0).positions == ((CALL, -10),)


def test_attack_13__mark_without_a_live_expiry__refused() -> None:
    life = Life((1_000,))
    life.run()
    life.scribe.clock += 5
    life.scribe.mark(0, make_market(life.scribe.clock)._replace(slices=(Slice(EXPIRY + 1, FORWARD, 1, 0, 0, 0, 0),)))
    assert life.run() == [Code.MARK_SHAPE]


def test_attack_14__dust__every_fill_pays() -> None:
    """Per fill and not per order: a price of one unit a lot makes percentages nothing."""
    life = Life((100_000, 1_000))
    far = encode_series(0, EXPIRY, 400_000 * USD, 1)
    assert life.get_price(far) == 0
    life.deal(0, 1, far, 1, 3)
    life.scribe.trade(0, 1, 1, 1, 1)
    assert life.run()[-2:] == [Code.OK, Code.OVERFILL]
    assert life.state.globals.fees == 50_000


def test_attack_15__extreme_but_legal_surfaces__no_health_check_fails() -> None:
    """Positions of both kinds through marks at every corner of the bounds: flagged or not, the scan goes through and money stays."""
    life = Life((1_000_000, 1_000_000))
    life.deal(0, 1, CALL, life.get_price(CALL), 100)
    life.deal(1, 0, PUT, life.get_price(PUT), 100)
    life.run()
    money = life.get_money()
    nano = 1_000_000_000
    for a in (-64 * nano, 64 * nano):
        for b, rho in ((0, 1 - nano), (64 * nano, nano - 1)):
            for m, forward in ((-64 * nano, 1), (64 * nano, MAX_FORWARD)):
                life.scribe.clock += 5
                shape = Slice(EXPIRY, forward, a, b, rho, m, 64 * nano)
                life.mark(make_market(life.scribe.clock)._replace(slices=(shape,)))
                life.scribe.withdraw(1, 1)
                assert life.run()[0] == Code.OK
    assert life.get_money() == money


def test_attack_15__signature_over_another_markets_slices__not_a_marks() -> None:
    """The slices are hashed as an array: not one of their words can move to a neighbour (DRV2-09)."""
    life = Life((1_000,))
    life.run()
    scribe = life.scribe
    scribe.clock += 5
    market = make_market(scribe.clock)
    row = build_mark(0, START, market)
    digest = compute_mark_digest(scribe.rules.domain, 0, START, market.mark_time, market.index_price, row[5:])
    quorum = b"".join(sign(key, digest) for key in scribe.oracles[: scribe.rules.params.quorum])
    for moved in ((row[0], 1, *row[2:]), (*row[:4], row[4] + 1, *row[5:]), (*row[:-2], row[-1], row[-2]), (*row, *row[5:])):
        scribe.add(moved, quorum)
    scribe.add(row, quorum[65:] + quorum[:65])
    scribe.add(row, quorum[:65] * scribe.rules.params.quorum)
    assert life.run() == [Code.QUORUM] * 6


def test_attack_15__trade_of_strangers_orders__costs_the_taker_no_more_than_his_fills() -> None:
    """Anyone may bring a TRADE of two registered orders; the terms are theirs all the same (DRV-23)."""
    life = Life((100_000, 100_000, 100_000))
    price = life.get_price(CALL)
    sold = life.scribe.order(0, CALL, 0, price, 10)
    bought = life.scribe.order(1, CALL, 1, price, 10)
    life.run()
    life.scribe.send(get_address(life.scribe.keys[2]), [build_trade(0, sold, 1, bought, 10)])
    assert life.run() == [Code.OK]
    fee = life.state.globals.fees
    assert life.get_account(1).cash == 100_000 * USD - 10 * price - fee
    assert life.get_account(0).cash == 100_000 * USD + 10 * price
