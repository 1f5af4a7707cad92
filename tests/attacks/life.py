"""A life of an exchange for the attacks: every batch runs by steps and by leaps, and both must land on one root."""

from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.leap import Leap
from protocol.margin import compute_mark
from protocol.params import DEVNET, Params
from protocol.series import encode_series
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Account, Market
from sim.baits import EXPIRY, START, USD, make_market
from sim.scribe import Scribe

CALL = encode_series(0, EXPIRY, 95_000 * USD, 1)
PUT = encode_series(0, EXPIRY, 85_000 * USD, 0)


class Life:
    """`scribe` writes, `run` applies what is written since the last time."""

    def __init__(self, deposits: tuple[int, ...], params: Params = DEVNET) -> None:
        self.scribe = Scribe(params, START, traders=len(deposits))
        self.state = State(params)
        self.market = Market()
        self._leap = Leap(State(params), self.scribe.rules)
        for trader, amount in enumerate(deposits):
            self.scribe.deposit(trader, amount * USD)
        self.mark(make_market(START))

    def mark(self, market: Market) -> None:
        self.market = market
        self.scribe.mark(0, market)

    def get_price(self, series: int) -> int:
        """The mark of a lot, rounded down."""
        return (compute_mark(series, self.market) or 0) // 100

    def deal(self, seller: int, buyer: int, series: int, price: int, lots: int) -> None:
        """Two orders, the seller's first, and their trade."""
        sold = self.scribe.order(seller, series, 0, price, lots, self.get_account(seller).generation)
        bought = self.scribe.order(buyer, series, 1, price, lots, self.get_account(buyer).generation)
        self.scribe.trade(seller, sold, buyer, bought, lots)

    def get_account(self, index: int) -> Account:
        return self.state.get_account(index)

    def run(self) -> list[Code]:
        """The codes of the rows since the last run."""
        return self.run_batch(self.scribe.close_batch())

    def run_batch(self, batch: Batch) -> list[Code]:
        machine = Machine(self.state, [batch], self.scribe.rules)
        machine.run()
        outcomes = self._leap.apply_batch(batch)
        assert self._leap.state.get_root() == self.state.get_root()
        return [outcome.code for outcome in outcomes]

    def get_money(self) -> int:
        """All cash there is, and what is in the outbox: what was deposited."""
        g = self.state.globals
        held = sum(account.cash + max(account.request, 0) for account in self.state.accounts.values())
        return held + g.fees + g.fund + g.pool - g.debt + sum(amount for _, amount in self.state.outbox)
