"""SCAN: whole scans over random exchanges, and each mode by itself."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.haircut import share
from protocol.margin import compute_margin
from protocol.marks import compute_values, compute_worth_down
from protocol.pool import MIN_ENTRY, VIRTUAL
from protocol.series import encode_series
from protocol.state import State
from protocol.sweeps.settle import compute_payoff
from protocol.types import MAX_CASH, Account, Bitmap, Market, Mode, Phase, Position, Sweep
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.runner import get_twins
from sim.twins.scan_cases import make_exchange, open_sweep
from sim.twins.worst import make_worst_scan
from tests.steps_b.scans import (
    FIRST_SLOT,
    MARKS,
    RULES,
    Scan,
    check_state,
    get_margin,
    has_bit,
    make_slot,
    make_state,
    make_user,
    open_state,
)
from tests.steps_b.worlds import NOW, make_market, make_positions

OPENINGS = (Mode.FLAG, Mode.SETTLE_TALLY, Mode.SHUTDOWN_TALLY)
WHOLE_SCANS = 120  # of each opening, in Python
TWIN_SCANS = 12  # of each opening, by both twins
MAX_GAS = 10_000_000
MAX_ARGUMENT_BYTES = 28_672
DELAY = RULES.params.pool_delay_s
USD = 10**6
EXPIRY = NOW - 60
LISTING = 0 << 40 | EXPIRY


def make_random_scan(seed: int, number: int, opening: Mode, rules_at: int = 0) -> Scan:
    """Of an exchange whose books balance."""
    world = make_exchange(Dice(f"{seed} {number} {opening}"), ALL_RULES[rules_at])
    header, pre = open_sweep(world, opening)
    return Scan(world.state, header, pre, world.rules)


def make_markets(seed: int) -> tuple[Market, Market]:
    rng = random.Random(seed)
    return make_market(rng, 0), make_market(rng, 1)


def make_short(seed: int, markets: tuple[Market, Market], above: int, **fields: int) -> Account:
    """Equity `above` units over the maintenance margin."""
    positions = make_positions(random.Random(seed), markets, 5, shorts=1.0)
    margin = compute_margin(0, positions, markets)
    return make_user(positions, margin.maintenance - margin.equity + above, **fields)


def oppose(positions: tuple[Position, ...]) -> tuple[Position, ...]:
    """The other side."""
    return tuple((series, -lots) for series, lots in positions)


def make_long(markets: tuple[Market, Market]) -> Position:
    """Calls at the money that live longest: worth something at any marks."""
    item = markets[0].slices[-1]
    return encode_series(0, item.expiry, item.forward // 10_000 * 10_000, 1), 50


# -- whole scans


class TestWholeScans:
    @pytest.mark.parametrize("opening", OPENINGS)
    def test_books_balance_and_bits_are_set(self, seed: int, opening: Mode) -> None:
        seen: Counter[tuple[Phase, Mode]] = Counter()
        for number in range(WHOLE_SCANS):
            scan = make_random_scan(seed, number, opening, number & 1)
            if opening != Mode.FLAG:
                check_state(scan.state)
            scan.run(by_both=False)
            check_state(scan.state)
            seen.update(scan.seen)
        phases = {phase for phase, _ in seen}
        modes = {mode for _, mode in seen}
        if opening == Mode.FLAG:
            assert phases == {Phase.SCAN, Phase.TAKEOVER, Phase.DELEVERAGE}
            assert modes == {Mode.FLAG, Mode.REQUEST, Mode.ADL_TALLY, Mode.ADL_CUT}
        else:
            assert phases == {Phase.SCAN}
            assert modes == {opening, Mode(opening + 1)}

    @pytest.mark.parametrize("opening", OPENINGS)
    def test_twins_agree(self, seed: int, opening: Mode) -> None:
        for number in range(TWIN_SCANS):
            scan = make_random_scan(seed, number, opening).run()  # each step by both
            assert scan.seen[0][1] == opening

    @pytest.mark.parametrize("opening", OPENINGS)
    def test_flat_users_never_pay(self, seed: int, opening: Mode) -> None:
        flat = 0
        for number in range(WHOLE_SCANS):
            scan = make_random_scan(seed, number, opening, number & 1)
            before = dict(scan.state.accounts)
            scan.run(by_both=False)
            for index, a in before.items():
                if index < scan.rules.params.max_accounts and not a.positions and a.cash >= 0 and a.request == 0 and a.shares == 0:
                    flat += 1
                    after = scan.state.get_account(index)
                    assert (after.cash, after.positions, after.shares) == (a.cash, (), 0)
        assert flat > WHOLE_SCANS

    @pytest.mark.parametrize("opening", OPENINGS)
    def test_as_many_steps_as_accounts_and_words(self, seed: int, opening: Mode) -> None:
        """A step visits an account or leaves a word; a takeover and a deleveraging are one more each."""
        for number in range(WHOLE_SCANS // 4):
            scan = make_random_scan(seed, number, opening)
            allowance = scan.state.globals.allowance
            bits = sum(word.bit_count() for word in scan.state.words.values()) + 2 * scan.rules.params.pool_slots
            scan.run(by_both=False)
            modes = len({mode for _, mode in scan.seen})
            takeovers = sum(phase != Phase.SCAN for phase, _ in scan.seen)
            assert len(scan.seen) <= modes * (bits + 3) + takeovers
            assert scan.state.globals.allowance == allowance - len(scan.seen)

    @pytest.mark.parametrize("mode", Mode)
    def test_dearest_visit(self, mode: Mode) -> None:
        for rules in ALL_RULES:
            outcome = get_twins().assert_twins(*make_worst_scan(rules, mode))
            assert outcome.gas < MAX_GAS
            assert len(outcome.arguments) <= MAX_ARGUMENT_BYTES


# -- from account to account


def visit(state: State, sweep: Sweep) -> Scan:
    """One step by both twins."""
    scan = open_state(state, sweep)
    scan.step()
    return scan


class TestCursor:
    @pytest.mark.parametrize("bit", [0, 1, 5, 127, 128, 200, 250, 251])
    @pytest.mark.parametrize("back", [0, 1, 300])
    def test_next_set_bit(self, bit: int, back: int) -> None:
        state = make_state({FIRST_SLOT - 1: make_user(), 255: make_user(cash=-1), 256 + bit: make_user(cash=-1)})
        scan = visit(state, Sweep(cursor=max(256 + bit - back, 256)))
        assert scan.state.get_account(256 + bit).flag == MARKS
        assert scan.state.get_account(255).flag == 0
        if bit < 251:
            assert scan.pre.sweep.cursor == 256 + bit + 1
        else:
            assert scan.header.phase == Phase.FETCH
        assert state.globals.allowance == 999

    @pytest.mark.parametrize(
        ("cursor", "accounts", "slots", "expected"),
        [(0, 500, 0, 256), (17, 257, 2, 256), (3, 256, 2, FIRST_SLOT), (0, 1, 1, FIRST_SLOT), (0, 1, 0, None), (300, 301, 2, None)],
    )
    def test_word_without_a_bit(self, cursor: int, accounts: int, slots: int, expected: int | None) -> None:
        """Past the last user comes the first slot, or the end. The second word is the slots' too: without a bit, it ends all."""
        scan = visit(make_state({}, accounts=accounts, slots=slots), Sweep(cursor=cursor))
        if expected is None:
            assert scan.header.phase == Phase.FETCH
        else:
            assert scan.pre.sweep.cursor == expected

    def test_users_then_slots(self) -> None:
        accounts = {3: make_user(cash=-1), 300: make_user(cash=-1), FIRST_SLOT: make_slot(cash=5), FIRST_SLOT + 2: make_slot(cash=7)}
        accounts[FIRST_SLOT + 1] = make_slot()
        scan = open_state(make_state(accounts), Sweep())
        cursors = []
        scan.run(watch=lambda s: cursors.append(s.pre.sweep.cursor))
        assert cursors == [0, 4, 256, FIRST_SLOT, FIRST_SLOT + 1, FIRST_SLOT + 2]
        assert scan.state.globals.pool == 12

    def test_requests_end_at_the_last_user(self) -> None:
        state = make_state({1: make_user(request=MIN_ENTRY, request_time=NOW), FIRST_SLOT: make_slot(((5, 1),))})
        assert len(open_state(state, Sweep(mode=Mode.REQUEST)).run().seen) == 1


# -- after a mark


class TestFlag:
    @pytest.mark.parametrize(("above", "flag", "expected", "generation"), [(0, 0, 0, 0), (-1, 0, MARKS, 1), (0, 38, 0, 0), (-1, 38, 38, 0)])
    def test_at_the_maintenance_margin(self, seed: int, above: int, flag: int, expected: int, generation: int) -> None:
        markets = make_markets(seed)
        after = open_state(make_state({20: make_short(seed, markets, above, flag=flag)}, markets), Sweep()).run().state
        assert (after.get_account(20).flag, after.get_account(20).generation) == (expected, generation)
        assert has_bit(after, Bitmap.RISKY, 20)

    @pytest.mark.parametrize(("cash", "flag", "expected"), [(-1, 0, MARKS), (-1, 39, 39), (0, 2, 0), (0, 0, 0), (1 - MAX_CASH, 0, MARKS)])
    def test_without_positions(self, cash: int, flag: int, expected: int) -> None:
        """The bit is cleared once nothing is at risk: a deposit leaves that to the scan."""
        state = make_state({3: make_user(cash=cash, flag=flag), 4: make_user(cash=-1)})
        state.put_word(0, 0b11 << 3)
        scan = visit(state, Sweep())
        assert scan.state.get_account(3).flag == expected
        assert state.get_word(0) == (0b11 << 3 if cash < 0 else 0b10 << 3)

    @pytest.mark.parametrize(
        ("age", "above", "is_ripe"), [(19, -1, False), (20, -1, True), (1, None, False), (2, None, True), (0, None, False), (30, 0, False)]
    )
    def test_who_is_taken_over(self, seed: int, age: int, above: int | None, is_ripe: bool) -> None:
        """After 20 marks; after two with equity below zero (`above` None)."""
        markets = make_markets(seed)
        a = make_short(seed, markets, above or 0, flag=MARKS - age)
        margin = compute_margin(a.cash, a.positions, markets)
        if above is None:
            a = a._replace(cash=a.cash - margin.equity - 1)
        scan = visit(make_state({20: a}, markets), Sweep())
        assert (scan.header.phase == Phase.TAKEOVER) == is_ripe
        if is_ripe:
            equity = -1 if above is None else margin.equity
            assert scan.pre.sweep == Sweep(cursor=21, account=20, equity=equity, maintenance=margin.maintenance)

    @pytest.mark.parametrize(("equity", "expiry", "is_ripe"), [(0, NOW, False), (0, NOW - 9, False), (0, NOW + 1, True), (-1, NOW, True)])
    def test_nobody_with_equity_is_taken_over_before_its_expiry_settles(self, seed: int, equity: int, expiry: int, is_ripe: bool) -> None:
        """At the last marks an attacker would sell the pool what is known to expire without worth."""
        first, second = make_markets(seed)
        markets = (first._replace(slices=(first.slices[0]._replace(expiry=expiry), *first.slices)), second)
        a = make_user(((encode_series(0, expiry, 100 * USD, 1), 5), *make_short(seed, markets, 0).positions), flag=MARKS - 20)
        a = a._replace(positions=tuple(sorted(a.positions)))
        a = a._replace(cash=equity - compute_margin(0, a.positions, markets).equity)
        scan = visit(make_state({20: a}, markets), Sweep())
        assert (scan.header.phase == Phase.TAKEOVER) == is_ripe

    @pytest.mark.parametrize(
        ("stale", "equity", "late", "is_ripe"), [(0, 0, 1, False), (0, 0, 0, True), (1, 0, 9_999, True), (0, -1, 9_999, True)]
    )
    def test_nobody_with_equity_is_taken_over_at_old_marks(self, seed: int, stale: int, equity: int, late: int, is_ripe: bool) -> None:
        """Whoever keeps the marks of what it holds back, while others count, does not choose the price."""
        markets = list(make_markets(seed))
        markets[stale] = markets[stale]._replace(mark_time=NOW - RULES.params.mark_max_age_s - late)
        first, second = markets
        a = make_user(((encode_series(0, first.slices[-1].expiry, 100 * USD, 1), -5),), flag=MARKS - 20)
        a = a._replace(cash=equity - compute_margin(0, a.positions, (first, second)).equity)
        scan = visit(make_state({20: a}, (first, second)), Sweep())
        assert (scan.header.phase == Phase.TAKEOVER) == is_ripe


class TestSlots:
    @pytest.mark.parametrize(
        ("above", "pool", "fund", "left", "is_bankrupt"),
        [
            (5, 0, 0, 0, False),  # what is above goes to the pool
            (0, 0, 0, 0, False),
            (-5, 3, 9, -2, False),  # the pool as far as it goes; the fund does not keep slots at their maintenance
            (-5, 8, 9, 0, False),
        ],
    )
    def test_the_pool_keeps_it_at_its_maintenance(self, seed: int, above: int, pool: int, fund: int, left: int, is_bankrupt: bool) -> None:
        markets = make_markets(seed)
        short = make_short(seed, markets, above)
        state = make_state(
            {0: make_user(oppose(short.positions)), FIRST_SLOT: make_slot(short.positions, short.cash)}, markets, pool=pool, fund=fund
        )
        scan = open_state(state, Sweep()).run()
        margin = get_margin(state, FIRST_SLOT)
        assert margin.equity == margin.maintenance + left
        assert state.globals.pool == pool + above - left
        assert state.globals.fund == fund
        assert state.globals.slots_equity == margin.equity
        assert ((Phase.DELEVERAGE, Mode.FLAG) in scan.seen) == is_bankrupt

    @pytest.mark.parametrize(
        ("pool", "fund", "equity", "after"), [(3, 2, 0, (0, 0)), (3, 1, -2, (0, 1)), (0, 5, 0, (0, 0)), (0, 9, 0, (0, 4))]
    )
    def test_the_fund_brings_it_to_zero_or_does_nothing(self, seed: int, pool: int, fund: int, equity: int, after: tuple[int, int]) -> None:
        markets = make_markets(seed)
        short = make_short(seed, markets, 0)
        cash = short.cash - compute_margin(short.cash, short.positions, markets).equity - 5
        state = make_state({FIRST_SLOT: make_slot(short.positions, cash)}, markets, pool=pool, fund=fund)
        scan = visit(state, Sweep(cursor=FIRST_SLOT))
        assert get_margin(state, FIRST_SLOT).equity == equity
        assert (state.globals.pool, state.globals.fund) == after
        assert state.globals.slots_equity == 0
        assert scan.header.phase == (Phase.FETCH if equity == 0 else Phase.DELEVERAGE)
        assert scan.pre.sweep == (Sweep() if equity == 0 else Sweep(bankrupt=FIRST_SLOT + 1))

    @pytest.mark.parametrize(
        ("cash", "pool", "fund", "after"), [(7, 1, 2, (8, 2, 0)), (0, 1, 2, (1, 2, 0)), (-2, 1, 2, (0, 1, 0)), (-9, 1, 2, (0, 0, 6))]
    )
    def test_one_without_positions_is_emptied(self, cash: int, pool: int, fund: int, after: tuple[int, int, int]) -> None:
        state = make_state({FIRST_SLOT: make_slot(), FIRST_SLOT + 1: make_slot(cash=cash)}, pool=pool, fund=fund)
        open_state(state, Sweep()).run()
        assert (state.globals.pool, state.globals.fund, state.globals.debt) == after
        assert state.globals.free_slot == FIRST_SLOT + 2
        assert state.get_account(FIRST_SLOT + 1) == make_slot(nonce=FIRST_SLOT + 1)
        check_state(state)


class TestRequests:
    @pytest.mark.parametrize("waited", [DELAY - 1, DELAY])
    def test_an_entry_pays_for_the_slots_equity(self, waited: int) -> None:
        a = make_user(request=100 * USD, request_time=NOW - waited, shares=7)
        state = make_state({1: a}, pool=60 * USD, slots_equity=39 * USD, shares=49 * USD)
        open_state(state, Sweep(mode=Mode.REQUEST)).run()
        if waited < DELAY:
            assert state.get_account(1) == a
            assert state.globals.requests == 1
            return
        assert state.get_account(1) == a._replace(request=0, shares=7 + 50 * USD)  # half as many shares as there is money, and so it stays
        assert (state.globals.pool, state.globals.shares, state.globals.requests) == (160 * USD, 99 * USD, 0)
        assert not has_bit(state, Bitmap.REQUEST, 1)
        assert has_bit(state, Bitmap.HOLDER, 1)

    @pytest.mark.parametrize(("slots_equity", "burned"), [(0, 24 * USD), (150, 6 * USD + 1), (50 * 10**6 - 50, 25)])
    def test_an_exit_is_paid_from_the_pool_alone__with_as_many_shares_as_that_is_worth(self, slots_equity: int, burned: int) -> None:
        """The others stand for what the slots are worth; without slots all are given up."""
        a = make_user(cash=5, request=-(24 * USD), shares=30 * USD)
        state = make_state({1: a}, pool=49 * USD, slots_equity=slots_equity * USD, shares=99 * USD)
        open_state(state, Sweep(mode=Mode.REQUEST)).run()
        assert state.get_account(1) == a._replace(cash=5 + 12 * USD, request=0, shares=30 * USD - burned)
        assert (state.globals.pool, state.globals.shares) == (37 * USD, 99 * USD - burned)

    @pytest.mark.parametrize(("request_", "pool", "shares"), [(MIN_ENTRY, 10**15, 0), (MIN_ENTRY, 0, 2**96 - 1)])
    def test_an_entry_that_gets_nothing_is_refused(self, request_: int, pool: int, shares: int) -> None:
        """Worth no share, or one too many."""
        state = make_state({1: make_user(request=request_, cash=3)}, pool=pool * 10**3, shares=shares)
        open_state(state, Sweep(mode=Mode.REQUEST)).run()
        assert state.get_account(1) == make_user(cash=3 + request_)
        assert state.globals.shares == shares

    @given(
        st.lists(st.tuples(st.booleans(), st.integers(1, 10**13)), min_size=1, max_size=8),
        st.integers(0, 10**13),
        st.integers(0, 10**13),
    )
    def test_nobody_enters_or_leaves_at_others_cost(self, wishes: list[tuple[bool, int]], pool: int, slots_equity: int) -> None:
        """In Python: the twins agree on each visit."""
        accounts = {
            index: make_user(request=size if is_entry else -size, shares=0 if is_entry else size)
            for index, (is_entry, size) in enumerate(wishes)
        }
        state = make_state(accounts, pool=pool, slots_equity=slots_equity)
        worth = [(pool + slots_equity + VIRTUAL, state.globals.shares + VIRTUAL)]

        def watch(scan: Scan) -> None:
            g = scan.state.globals
            worth.append((g.pool + slots_equity + VIRTUAL, g.shares + VIRTUAL))
            assert worth[-1][0] * worth[-2][1] >= worth[-2][0] * worth[-1][1]

        open_state(state, Sweep(mode=Mode.REQUEST)).run(by_both=False, watch=watch)


# -- settlement


def make_expired(strike: int, is_call: int = 1) -> int:
    """A series that has expired; `strike` in USD."""
    return encode_series(0, EXPIRY, strike * USD, is_call)


def make_settled_markets(seed: int) -> tuple[Market, Market]:
    """The first market's first slice has expired."""
    first, second = make_markets(seed)
    expired = first.slices[0]._replace(expiry=EXPIRY)
    return first._replace(slices=(expired, *first.slices)), second


class TestSettle:
    @pytest.mark.parametrize(
        ("strike", "is_call", "price", "payoff"), [(100, 1, 90, 0), (100, 1, 117, 17), (100, 0, 117, 0), (100, 0, 90, 10), (100, 1, 100, 0)]
    )
    def test_payoff_of_a_hundred_lots(self, strike: int, is_call: int, price: int, payoff: int) -> None:
        assert compute_payoff(make_expired(strike, is_call), price * USD) * 100 == payoff * USD

    def settle(self, seed: int, accounts: dict[int, Account], price: int, **fields: int) -> State:
        state = make_state(accounts, make_settled_markets(seed), **fields)
        open_state(state, Sweep(mode=Mode.SETTLE_TALLY, listing=LISTING, price=price * USD)).run()
        return state

    def test_everybody_can_pay(self, seed: int) -> None:
        call, put = make_expired(100), make_expired(150, 0)
        held = tuple(sorted([(call, -100), (put, 50)]))
        accounts = {0: make_user(held, 20 * USD), 1: make_user(oppose(held), 300 * USD), 2: make_user(cash=5)}
        state = self.settle(seed, accounts, 110, fund=3, pool=4)
        assert [state.get_account(index).cash for index in (0, 1)] == [30 * USD, 290 * USD]
        assert (state.globals.fund, state.globals.pool, state.globals.debt) == (3, 4, 0)
        assert [item.expiry for item in state.markets[0].slices] == [item.expiry for item in make_markets(seed)[0].slices]
        assert not any(a.positions for a in state.accounts.values())
        assert not has_bit(state, Bitmap.HOLDER, 0), "nobody who holds nothing is visited again"

    @pytest.mark.parametrize(
        ("fund", "pool", "debt", "left", "paid"),
        [
            (8, 0, 0, (1, 0, 0), (20, 20)),
            (5, 9, 0, (0, 7, 0), (20, 20)),
            (1, 2, 0, (0, 0, 0), (18, 18)),
            (0, 0, 0, (0, 0, 0), (17, 16)),
            (0, 0, 30, (0, 0, 0), (2, 1)),
            (0, 0, 60, (0, 0, 27), (0, 0)),
        ],
    )
    def test_a_deficit_falls_on_fund_pool_and_winners(
        self, seed: int, fund: int, pool: int, debt: int, left: tuple[int, int, int], paid: tuple[int, int]
    ) -> None:
        """The loser owes 40 and has 33; the two winners should get 20 each."""
        call = make_expired(100)
        unit = 100  # 1e-6 USD: what one lot pays
        accounts = {
            0: make_user(((call, -40),), 33),
            1: make_user(((call, 20),)),
            2: make_user(((call, 20),)),
            3: make_user(cash=9),
        }
        state = make_state(accounts, make_settled_markets(seed), fund=fund, pool=pool, debt=debt)
        price = 100 * USD + unit
        open_state(state, Sweep(mode=Mode.SETTLE_TALLY, listing=LISTING, price=price)).run()
        g = state.globals
        assert (g.fund, g.pool, g.debt) == left
        assert (state.get_account(1).cash, state.get_account(2).cash) == paid
        assert (state.get_account(0).cash, state.get_account(3).cash) == (0, 9)

    def test_what_other_positions_are_worth_is_no_deficit(self, seed: int) -> None:
        markets = make_settled_markets(seed)
        long = make_long(markets)
        worth = compute_values((long,), markets).longs
        call = make_expired(100)
        lots = worth // USD + 7
        accounts = {
            0: make_user(tuple(sorted([(call, -lots), long]))),
            1: make_user(tuple(sorted([(call, lots), (long[0], -long[1])])), 10**12),
        }
        state = make_state(accounts, markets)
        open_state(state, Sweep(mode=Mode.SETTLE_TALLY, listing=LISTING, price=200 * USD)).run()
        a = state.get_account(0)
        assert a.positions == (long,)
        assert a.cash == -worth, "so far it owes on credit of its other position, and no further"
        assert has_bit(state, Bitmap.RISKY, 0)

    def test_an_account_that_is_bankrupt_elsewhere_pays_what_it_has(self, seed: int) -> None:
        """It owes 100 USD and has them; that its other short is under water for the moment is nobody else's loss yet."""
        markets = make_settled_markets(seed)
        series, lots = make_long(markets)
        call, cash = make_expired(100), 100 * USD
        worth = compute_values(((series, lots),), markets).longs
        short = (series, -lots * (2 * cash // worth + 2))
        accounts = {
            0: make_user(tuple(sorted([(call, -100), short])), cash),
            1: make_user(tuple(sorted([(call, 100), (series, -short[1])])), 10**12),
        }
        state = make_state(accounts, markets, fund=10**12, pool=10**12)
        open_state(state, Sweep(mode=Mode.SETTLE_TALLY, listing=LISTING, price=200 * USD)).run()
        a = state.get_account(0)
        assert (a.cash, a.positions) == (0, (short,))
        assert compute_margin(a.cash, a.positions, state.markets).equity < 0
        assert (state.globals.fund, state.globals.pool) == (10**12, 10**12)

    def test_slots_share_no_loss(self, seed: int) -> None:
        call = make_expired(100)
        accounts = {0: make_user(((call, -3),)), 1: make_user(((call, 1),)), FIRST_SLOT: make_slot(((call, 2),))}
        state = make_state(accounts, make_settled_markets(seed))
        open_state(state, Sweep(mode=Mode.SETTLE_TALLY, listing=LISTING, price=101 * USD)).run()
        cash = [state.get_account(index).cash for index in (0, 1, FIRST_SLOT)]
        assert cash == [0, 0, 2 * USD // 100]
        assert state.globals.debt == 2 * USD // 100


# -- the end of everything


class TestShutdown:
    def test_everybody_is_paid_at_the_marks(self, seed: int) -> None:
        markets = make_markets(seed)
        held = make_positions(random.Random(seed), markets, 6)
        worth = compute_worth_down(held, markets)
        accounts = {
            0: make_user(held, 10**13, flag=3, shares=30),
            1: make_user(oppose(held), 10**13, shares=10, request=-10),
            2: make_user(cash=5, request=MIN_ENTRY),
        }
        state = make_state(accounts, markets, pool=100, shutdown=NOW)
        open_state(state, Sweep(mode=Mode.SHUTDOWN_TALLY)).run()
        assert [state.get_account(index).cash for index in range(3)] == [10**13 + worth + 75, 10**13 - worth + 25, MIN_ENTRY + 5]
        for index in range(3):
            a = state.get_account(index)
            assert a == make_user(cash=a.cash)
            assert not has_bit(state, Bitmap.HOLDER, index)
        g = state.globals
        assert (g.pool, g.shares, g.requests, g.is_settled, g.debt) == (0, 0, 0, 1, 0)

    @pytest.mark.parametrize(("fund", "pool", "lost", "left"), [(0, 0, 10, 0), (4, 5, 1, 0), (9, 5, 0, 4), (20, 5, 0, 15)])
    def test_losses_fall_on_what_positions_are_worth(self, seed: int, fund: int, pool: int, lost: int, left: int) -> None:
        """One account is 10 short; without share holders the pool's rest is the fund's."""
        markets = make_markets(seed)
        long = make_long(markets)
        worth = compute_worth_down((long,), markets)
        accounts = {0: make_user(((long[0], -long[1]),), worth - 10), 1: make_user((long,)), 2: make_user(cash=77)}
        state = make_state(accounts, markets, fund=fund, pool=pool, shutdown=NOW)
        open_state(state, Sweep(mode=Mode.SHUTDOWN_TALLY)).run()
        assert [state.get_account(index).cash for index in range(3)] == [0, worth - lost, 77]
        assert (state.globals.fund, state.globals.pool) == (left, 0)

    def test_a_pool_below_zero_is_a_loss(self, seed: int) -> None:
        markets = make_markets(seed)
        long = make_long(markets)
        worth = compute_worth_down((long,), markets)
        accounts = {0: make_user((long,), shares=4), FIRST_SLOT: make_slot(((long[0], -long[1]),), worth - 50)}
        state = make_state(accounts, markets, pool=20, fund=12, shutdown=NOW)
        open_state(state, Sweep(mode=Mode.SHUTDOWN_TALLY)).run()
        assert state.get_account(0).cash == worth - 18
        assert (state.globals.pool, state.globals.fund, state.globals.debt) == (0, 0, 0)
        assert state.get_account(FIRST_SLOT).cash == 0


# -- the haircut


@given(st.lists(st.integers(0, 10**15), max_size=12), st.integers(0, 10**16))
def test_shares_sum_to_the_loss_and_take_no_more_than_there_is(parts: list[int], loss: int) -> None:
    total = sum(parts)
    loss = min(loss, total)
    before, taken = 0, []
    for part in parts:
        taken.append(share(before, part, loss, total))
        before += part
    assert sum(taken) == loss
    assert all(0 <= item <= part for item, part in zip(taken, parts, strict=True))
    assert all(total == 0 or abs(item - part * loss / total) <= 1 + 1e-9 * item for item, part in zip(taken, parts, strict=True))
