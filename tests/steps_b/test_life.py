"""A market with crashes, lived through by the machine: every step of this room by both twins, in states that a history leads to."""

import random
from collections import Counter

from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.margin import compute_mark
from protocol.params import MINIMAL
from protocol.series import decode_series, encode_series
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Market, Phase, Slice, is_risky
from sim.scribe import Scribe
from sim.twins import assert_twins
from tests.steps_b.worlds import DAY_S, INDEX, NOW, make_slice

PHASES = (Phase.TERMS, Phase.MAKER, Phase.TAKER, Phase.WITHDRAW, Phase.MARK, Phase.SCAN)
TRADERS = 6
DEPOSITS = (10**9, 3 * 10**9, 10**10, 2 * 10**10, 5 * 10**10, 10**13)
BATCHES = 30
MOST_LIVES = 20
EXPECTED = {
    (Phase.TERMS, Code.BAND),
    (Phase.MAKER, Code.FLAGGED),
    (Phase.MAKER, Code.MARGIN),
    (Phase.TAKER, Code.CASH),
    (Phase.TAKER, Code.OK),
    (Phase.WITHDRAW, Code.OK),
}


def move(rng: random.Random, market: Market, time: int) -> Market:
    """Mostly a little, sometimes far; the surface rises in a crash."""
    factor = rng.choice((rng.uniform(0.99, 1.01), rng.uniform(0.99, 1.01), rng.uniform(0.8, 1.25)))
    index = min(max(int(market.index_price * factor), 10**9), 10**12)
    slices = tuple(
        Slice(s.expiry, int(index * 1.01), min(int(s.a * (2 - factor)) + 1, 2 * 10**9), *s[3:]) for s in market.slices if s.expiry > time
    )
    return Market(index, time, slices)


class Life:
    """Writes each batch in the knowledge of the state that the last one left."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.scribe = Scribe(MINIMAL, NOW, TRADERS)
        self.state = State(MINIMAL)
        self.codes: Counter[tuple[Phase, Code]] = Counter()
        self.unflagged_without_risk = 0

    def run(self, batch: Batch) -> None:
        """An epoch of one batch."""
        machine = Machine(self.state, [batch], self.scribe.rules)
        while not machine.is_halted:
            header = machine.header
            expected = None
            before = self.state.copy()
            if header.phase in PHASES:
                expected = assert_twins(header, self.state.copy(), machine.preimages.copy(), machine.rules)
            applied = machine.step()
            if expected is not None:
                assert (machine.header, applied.code) == (expected.after, expected.code)
                self.codes[Phase(header.phase), applied.code] += 1
            if header.phase == Phase.SCAN:
                self.count_unflagged(before)

    def count_unflagged(self, before: State) -> None:
        for index, account in before.accounts.items():
            is_freed = account.flag > 0 and self.state.get_account(index).flag == 0
            self.unflagged_without_risk += is_freed and not is_risky(account.cash, account.positions)

    def write_start(self) -> Batch:
        """Everybody's money, then two markets."""
        for trader, amount in enumerate(DEPOSITS):
            self.scribe.deposit(trader, amount)
        self.scribe.clock += 1
        for underlying, index in enumerate(INDEX):
            slices = tuple(make_slice(self.rng, index, NOW + days * DAY_S) for days in (1, 60, 200))
            self.scribe.mark(underlying, Market(index, self.scribe.clock, slices))
        return self.scribe.close_batch()

    def choose_series(self, trader: int) -> int:
        """What the trader has, or something near the money; then at most ten to choose from, so that they meet again."""
        positions = self.state.get_account(trader).positions
        if positions and self.rng.random() < 0.6:
            return self.rng.choice(positions)[0]
        underlying = self.rng.randrange(2)
        item = self.rng.choice(self.state.get_markets()[underlying].slices)
        strike = INDEX[underlying] * self.rng.randint(8, 12) // 10
        return encode_series(underlying, item.expiry, strike, self.rng.randrange(2))

    def write_trade(self) -> None:
        """At the mark or at either end of the band; the maker closes what it has, if it can."""
        maker, taker = self.rng.sample(range(TRADERS), 2)
        series = self.choose_series(maker)
        mark = compute_mark(series, self.state.get_markets()[decode_series(series).underlying]) or 0
        price = max(int(mark / 100 * self.rng.choice((1, 1, 1, 0.96, 1.04, 1.2))), 1)
        held = dict(self.state.get_account(maker).positions).get(series, 0)
        is_buy = int(held < 0) if held and self.rng.random() < 0.8 else self.rng.randrange(2)
        lots = self.rng.choice((1, 10, 50, 200, abs(held) or 10))
        self.write_pair(maker, taker, series, is_buy, price, lots)

    def write_pair(self, maker: int, taker: int, series: int, is_buy: int, price: int, lots: int) -> None:
        """Two orders at one price, and their trade."""
        slots = [
            self.scribe.order(trader, series, side, price, lots, self.state.get_account(trader).generation)
            for trader, side in ((maker, is_buy), (taker, 1 - is_buy))
        ]
        self.scribe.trade(maker, slots[0], taker, slots[1], lots)

    def write_exit(self, trader: int) -> None:
        """All that the trader has, shorts first, to the richest, at the mark."""
        for series, lots in sorted(self.state.get_account(trader).positions, key=lambda position: position[1]):
            mark = compute_mark(series, self.state.get_markets()[decode_series(series).underlying]) or 0
            self.write_pair(trader, TRADERS - 1, series, int(lots < 0), max(mark // 100, 1), abs(lots))

    def write_batch(self) -> Batch:
        """Some time later: those who were flagged leave or stay; marks or none, trades, a withdrawal."""
        self.scribe.clock += self.rng.choice((5, 6, 20, 70, 70, DAY_S // 4))
        for trader in range(TRADERS - 1):
            if self.state.get_account(trader).flag and self.rng.random() < 0.5:
                self.write_exit(trader)
        for underlying, market in enumerate(self.state.get_markets()):
            if self.rng.random() < 0.8:
                self.scribe.mark(underlying, move(self.rng, market, self.scribe.clock))
        for _ in range(self.rng.randint(1, 4)):
            self.write_trade()
        if self.rng.random() < 0.5:
            self.scribe.withdraw(self.rng.randrange(TRADERS), 10 ** self.rng.randint(6, 9))
        return self.scribe.close_batch()

    def check_integrity(self) -> None:
        """Cash is conserved to the unit, positions of a series sum to zero, and the bitmap has whom the scan must visit."""
        g = self.state.get_globals()
        cash = sum(account.cash for account in self.state.accounts.values())
        assert cash + g.fees + g.fund + sum(amount for _, amount in self.state.outbox) == sum(DEPOSITS)
        totals: Counter[int] = Counter()
        for index, account in self.state.accounts.items():
            for series, lots in account.positions:
                totals[series] += lots
            is_visited = account.flag > 0 or is_risky(account.cash, account.positions)
            assert self.state.get_word(0) >> index & 1 == is_visited
        assert not any(totals.values())


def test_lives(seed: int) -> None:
    """One after the other, until all has happened that must."""
    rng = random.Random(seed)
    codes: Counter[tuple[Phase, Code]] = Counter()
    lives = unflagged = 0
    while EXPECTED - set(codes) or not unflagged:
        assert lives < MOST_LIVES, (EXPECTED - set(codes), unflagged)
        life = Life(rng)
        life.run(life.write_start())
        for _ in range(BATCHES):
            life.run(life.write_batch())
            life.check_integrity()
        codes += life.codes
        unflagged += life.unflagged_without_risk
        lives += 1
    print(lives, sorted((phase.name, code.name, count) for (phase, code), count in codes.items()))
