"""Builds the epochs in which lies about the exchange matter: people with money, a market that moves, time that passes."""

from collections.abc import Sequence

from coincurve import PrivateKey

from protocol.codec.frames import Batch
from protocol.fixed_point import div_down
from protocol.legs import Leg
from protocol.margin import compute_mark
from protocol.params import Params
from protocol.series import encode_series
from protocol.types import LOTS_PER_UNIT, Market, Slice
from sim.baits import EXPIRY, FORWARD, START, USD
from sim.scribe import Scribe

MAX_FRAMES = 12  # in one batch of a scene
RICH = 1_000_000 * USD
STRANGER = 0x57A6  # who forces rows in: anyone may
VOLATILITY = (4_000_000, 12_000_000, -300_000_000, 0, 150_000_000)  # of a raw SVI slice: about 60 %, with a skew


class Scene:
    """Trader `i` holds account `i`. Time passes by `tick`; all that is said between two ticks is one frame. At most ten minutes in all: a
    batch may not begin earlier. A forced scene has no sequencer: all is said through L1, and L1 makes the batch."""

    def __init__(
        self,
        params: Params,
        domain: bytes | None,
        money: Sequence[int] = (RICH, RICH, RICH, RICH),
        life_s: int | None = None,
        is_forced: bool = False,
    ) -> None:
        self.scribe = Scribe(params, START, len(money), domain)
        self.expiry = EXPIRY if life_s is None else START + life_s
        self.forward = FORWARD
        self._is_forced = is_forced
        self._batches: list[Batch] = []
        self._frames = 0
        for trader, amount in enumerate(money):
            self.scribe.deposit(trader, amount)
        self.mark()

    @property
    def clock(self) -> int:
        """L2 time of what is said now."""
        return self.scribe.clock

    def get_key(self, trader: int) -> PrivateKey:
        """Of the owner of an account."""
        return self.scribe.keys[trader]

    def call(self, strike: int, expiry: int | None = None) -> int:
        """A BTC call; `strike` in USD."""
        return encode_series(0, expiry or self.expiry, strike * USD, 1)

    def put(self, strike: int, expiry: int | None = None) -> int:
        """A BTC put; `strike` in USD."""
        return encode_series(0, expiry or self.expiry, strike * USD, 0)

    def make_market(self, time: int) -> Market:
        """One expiry, at the forward as it is."""
        return Market(self.forward, time, (Slice(self.expiry, self.forward, *VOLATILITY),))

    def price(self, series: int, ppm: int = 1_000_000) -> int:
        """So much of the mark, in 1e-6 USD a lot, at least 1."""
        mark = compute_mark(series, self.make_market(self.clock))
        assert mark is not None, "a series of the scene's expiry has a mark"
        return max(div_down(mark * ppm, 1_000_000 * LOTS_PER_UNIT), 1)

    # -- what is said

    def mark(self, forward: int | None = None) -> None:
        """The oracles' mark of BTC now; `forward` in 1e-6 USD."""
        self.forward = forward or self.forward
        self.scribe.mark(0, self.make_market(self.clock))

    def trade(self, seller: int, buyer: int, series: int, lots: int, price: int | None = None) -> None:
        """Two plain orders, and their trade; the seller is the maker."""
        at = price or self.price(series)
        offer = self.scribe.order(seller, series, 0, at, lots)
        bid = self.scribe.order(buyer, series, 1, at, lots)
        self.scribe.trade(seller, offer, buyer, bid, lots)

    def trade_combo(self, seller: int, buyer: int, legs: Sequence[Leg], price: int, units: int) -> None:
        """Two orders for one combination, and their trade."""
        offer = self.scribe.combo(seller, legs, 0, price, units)
        bid = self.scribe.combo(buyer, legs, 1, price, units)
        self.scribe.trade(seller, offer, buyer, bid, units)

    # -- time

    def tick(self, seconds: int) -> None:
        """What was said is a frame, or a forced message; then time passes."""
        if self.scribe.rows_size and self._is_forced:
            self.scribe.force(STRANGER)
        elif self.scribe.rows_size:
            self.scribe.close_frame()
            self._frames += 1
        if self._frames == MAX_FRAMES:
            self.close_batch()
        self.scribe.clock += seconds

    def close_batch(self) -> None:
        """What was said so far is a batch."""
        self._batches.append(self.scribe.close_batch())
        self._frames = 0

    def finish(self) -> tuple[Scribe, list[Batch]]:
        """What a lie's `epoch` returns."""
        if self._is_forced:
            self.tick(0)
            return self.scribe, [self.scribe.close_queue(self.scribe.clock)]
        self.close_batch()
        return self.scribe, self._batches
