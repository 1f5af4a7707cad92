"""A small exchange in which everything happens: each action writes one batch, and a leap applies it.

Random choices come from outside, so that a test may seed them or let hypothesis draw them.
"""

from collections.abc import Callable, Sequence
from random import Random

from protocol.codec.frames import Batch
from protocol.codes import Code
from protocol.leap import Leap, Outcome
from protocol.legs import Leg
from protocol.margin import compute_margin, compute_mark
from protocol.operations import build_authorize, build_cancel, build_pool, build_shutdown, build_withdraw
from protocol.params import MINIMAL, Params
from protocol.positions import apply_lots
from protocol.rules import Rules
from protocol.series import UNDERLYING_SHIFT, decode_series, encode_series
from protocol.state import State
from protocol.types import INBOX_AUTHORITY, MAX_SLICES, Account, Market, Page, Slice, TwoWay
from sim.scribe import Scribe, get_address, make_key

START = 1_790_000_000
USD = 1_000_000
FORWARDS = (90_000 * USD, 4_500 * USD)
STRIKES = (60, 85, 100, 115, 150)  # per cent of those
LIFE_S = (3_600, 14_400, 86_400)  # of the expiries that are listed when there are too few
PENNY = 10_000
SESSION = make_key(77)


class RecordingScribe(Scribe):
    """Keeps what it has written: anyone may post it once more."""

    def __init__(self, params: Params, start: int, traders: int) -> None:
        super().__init__(params, start, traders)
        self.written: list[tuple[Sequence[int], bytes]] = []

    def add(self, items: Sequence[int], signatures: bytes = b"") -> None:
        super().add(items, signatures)
        self.written.append((items, signatures))


class World:
    """`traders` are the accounts that act; below `opened` there are others that only stand there."""

    def __init__(self, cash: Sequence[int], traders: Sequence[int] = (), opened: int = 0, params: Params = MINIMAL) -> None:
        self.traders = list(traders or range(len(cash)))
        self.opened = max(opened, len(cash))
        self.scribe = RecordingScribe(params, START, self.opened)
        state = State(params)
        for index in range(self.opened):
            state.put_account(index, Account(owner=get_address(self.scribe.keys[index])))
        for index, amount in zip(self.traders, cash, strict=True):
            state.put_account(index, state.get_account(index)._replace(cash=amount * USD))
        state.put_globals(state.globals._replace(accounts=self.opened, balance=sum(cash) * USD))
        self.genesis = state.copy()
        self.leap = Leap(state, self.scribe.rules)
        self.forwards = list(FORWARDS)
        self.batches: list[Batch] = []
        self.outcomes: list[Outcome] = []

    @property
    def rules(self) -> Rules:
        return self.scribe.rules

    @property
    def state(self) -> State:
        return self.leap.state

    def get_account(self, index: int) -> Account:
        return self.state.get_account(index)

    def run(self) -> list[Code]:
        """Applies what is written since the last time: a code a row."""
        batch = self.scribe.close_batch()
        self.batches.append(batch)
        outcomes = self.leap.apply_batch(batch)
        self.outcomes += outcomes
        return [outcome.code for outcome in outcomes]

    def list_series(self) -> list[int]:
        """Of the live slices, the grid of strikes."""
        return [
            encode_series(of, item.expiry, FORWARDS[of] * percent // 100, kind)
            for of, market in enumerate(self.state.markets)
            for item in market.slices
            if item.expiry > self.scribe.clock
            for percent in STRIKES
            for kind in (0, 1)
        ]

    def get_price(self, series: int) -> int:
        """The mark of a lot, at least 1."""
        return max((compute_mark(series, self.state.markets[series >> UNDERLYING_SHIFT]) or 0) // 100, 1)

    def list_holders(self) -> list[int]:
        """Users with positions."""
        return [index for index in self.traders if self.get_account(index).positions]

    # -- marks

    def wait(self, seconds: int) -> None:
        """Nothing happens meanwhile."""
        self.scribe.clock += seconds

    def mark(self, of: int) -> None:
        """At the forward that the world has for the underlying, over all expiries that still live."""
        market, clock = self.state.markets[of], self.scribe.clock
        live = {item.expiry for item in market.slices if item.expiry > clock}
        if len(live) < len(LIFE_S) - 1 and len(market.slices) + len(LIFE_S) <= MAX_SLICES:
            live.update(clock + after for after in LIFE_S)
        chosen = sorted(live)
        forward = self.forwards[of]
        slices = tuple(Slice(expiry, forward, 4_000_000, 12_000_000, -300_000_000, 0, 150_000_000) for expiry in chosen)
        self.scribe.mark_times[of] = market.mark_time
        self.scribe.mark(of, Market(forward, clock, slices))

    def mark_both(self) -> None:
        """Five seconds later."""
        self.wait(5)
        for of in (0, 1):
            self.mark(of)
        self.run()

    def move(self, rng: Random) -> None:
        """A small move of the market."""
        self.forwards = [max(forward * rng.randint(97, 103) // 100, 10 * USD) for forward in self.forwards]
        self.mark_both()

    def crash(self, rng: Random) -> None:
        """A large one, which halts; then the market comes halfway back, or does not, and a few marks follow."""
        of = rng.randrange(2)
        self.forwards[of] = max(FORWARDS[of] * rng.choice((40, 60, 75, 90, 100, 110, 130, 170, 250)) // 100, 10 * USD)
        self.mark_both()
        self.wait(310)
        for _ in range(rng.choice((1, 3, 6))):
            self.mark_both()

    def drift(self, rng: Random) -> None:
        """Marks enough for any auction to ripen."""
        del rng
        for _ in range(21):
            self.mark_both()

    # -- trading

    def order(self, trader: int, series: int, is_buy: int, price: int, lots: int, flags: int = 0) -> int:
        """A registered order of any kind; its slot."""
        return self.scribe.order(trader, series, is_buy, price, lots, self.get_account(trader).generation, None, flags)

    def deal(self, seller: int, buyer: int, series: int, price: int, lots: int) -> None:
        """The seller's order rests, the buyer's takes it."""
        sold, bought = self.order(seller, series, 0, price, lots), self.order(buyer, series, 1, price, lots)
        self.scribe.trade(seller, sold, buyer, bought, lots)
        self.run()

    def pick_two(self, rng: Random) -> list[int]:
        """Who trade; now and then before there is a mark that is young enough."""
        oldest = min(market.mark_time for market in self.state.markets)
        if self.scribe.clock - oldest > self.rules.params.mark_max_age_s and rng.random() < 0.9:
            self.mark_both()
        return rng.sample(self.traders, 2)

    def pick_lots(self, seller: int, buyer: int, series: int, price: int, rng: Random) -> int:
        """Mostly nearly as many as the two can bear, so that the market can hurt them."""
        if rng.random() < 0.3:
            return rng.choice((1, 20, 2_000))
        a, cash = self.get_account(seller), self.get_account(buyer).cash
        for lots in (4_000, 1_200, 400, 120, 40, 12, 4):
            margin = compute_margin(a.cash + lots * price, apply_lots(a.positions, series, -lots), self.state.markets)
            if margin.equity >= margin.initial and cash >= lots * price * 6 // 5:
                return lots
        return 1

    def trade(self, rng: Random) -> None:
        """Near the mark, in any size, now and then with terms that refuse it."""
        maker, taker = self.pick_two(rng)
        item, is_buy = rng.choice(self.list_series()), rng.randrange(2)
        price = max(self.get_price(item) * rng.randint(98, 102) // 100, 1)
        seller, buyer = (taker, maker) if is_buy else (maker, taker)
        lots = self.pick_lots(seller, buyer, item, price, rng)
        resting = self.order(maker, item, is_buy, price, lots, rng.choice((0, 0, 0, 0, 1, 2, 4)))
        taking = self.order(taker, item, 1 - is_buy, price, lots, rng.choice((0, 0, 0, 0, 0, 1, 2, 4)))
        self.scribe.trade(maker, resting, taker, taking, rng.choice((lots, lots, lots, max(lots // 2, 1), lots + 1)))
        self.run()

    def close(self, rng: Random) -> None:
        """Someone's position becomes smaller, against someone else."""
        holders = self.list_holders()
        if not holders:
            return
        index = rng.choice(holders)
        series, lots = rng.choice(self.get_account(index).positions)
        others = [other for other in self.traders if other != index]
        opposite = [other for other in others if any(s == series and (q > 0) != (lots > 0) for s, q in self.get_account(other).positions)]
        other = rng.choice(opposite or others)
        size = rng.randint(1, min(abs(lots), 1_000))
        seller, buyer = (index, other) if lots > 0 else (other, index)
        self.deal(seller, buyer, series, self.get_price(series), size)

    def combo(self, rng: Random) -> None:
        """Two to four legs."""
        maker, taker = self.pick_two(rng)
        chosen = sorted(rng.sample(self.list_series(), rng.randint(2, 4)))
        legs: list[Leg] = [(item, rng.choice((-2, -1, 1, 2)) if at else rng.choice((1, 2))) for at, item in enumerate(chosen)]
        price, lots, is_buy = sum(ratio * self.get_price(item) for item, ratio in legs), rng.choice((1, 5, 40)), rng.randrange(2)
        slots = [
            self.scribe.combo(trader, legs, side, price, lots, self.get_account(trader).generation)
            for trader, side in ((maker, is_buy), (taker, 1 - is_buy))
        ]
        self.scribe.trade(maker, slots[0], taker, slots[1], lots)
        self.run()

    def quote(self, rng: Random) -> None:
        """A sheet of one or two pages, and a trade with one of its quotes."""
        maker, taker = self.pick_two(rng)
        of = rng.randrange(2)
        live = [item.expiry for item in self.state.markets[of].slices if item.expiry > self.scribe.clock]
        pages = []
        for expiry in rng.sample(live, min(rng.randint(1, 2), len(live))):
            series = [encode_series(of, expiry, FORWARDS[of] * percent // 100, kind) for percent in STRIKES for kind in (0, 1)]
            quotes = []
            for item in rng.sample(series, 3):
                price = self.get_price(item)
                quotes.append(TwoWay(*decode_series(item)[2:], max(price * 99 // 100, 1), 20, price * 101 // 100 + 1, rng.choice((0, 20))))
            pages.append(Page(underlying=of, expiry=expiry, max_lots=30, quotes=tuple(quotes)))
        nonce = self.scribe.take_nonce(maker, len(pages))
        generation = self.get_account(maker).generation
        places = [self.scribe.sheet(maker, pages, at, nonce, generation) for at in range(len(pages))]
        at, number, side = rng.randrange(len(pages)), rng.randrange(3), rng.randrange(2)
        hit = pages[at].quotes[number]
        item = encode_series(of, pages[at].expiry, hit.strike, hit.is_call)
        taking = self.order(taker, item, side, hit.ask if side else hit.bid, 20)
        place = places[at] | (1 + 2 * number + side) << self.rules.params.slot_depth
        for lots in (20, 15):
            self.scribe.trade(maker, place, taker, taking, lots)
        self.run()

    def session(self, rng: Random) -> None:
        """A session key, given or revoked, and what it then signs."""
        trader = rng.choice(self.traders)
        self.scribe.authorize(trader, rng.choice((get_address(SESSION), 0)), rng.randrange(4), self.scribe.clock + 600)
        item, generation = rng.choice(self.list_series()), self.get_account(trader).generation + 1
        self.scribe.order(trader, item, 1, self.get_price(item), 1, generation, signer=SESSION)
        self.run()

    def cancel(self, rng: Random) -> None:
        self.scribe.cancel(rng.choice(self.traders))
        self.run()

    def force(self, rng: Random) -> None:
        """The owner's own L1 messages."""
        trader = rng.choice(self.traders)
        nonce = self.scribe.take_nonce(trader)
        row = rng.choice(
            (
                build_cancel(trader, nonce, True),
                build_withdraw(trader, 50 * USD, nonce, True),
                build_authorize(trader, 5, 1, self.scribe.clock, nonce, True),
                build_pool(trader, 20 * USD, nonce, False, True),
            )
        )
        self.scribe.send(get_address(self.scribe.keys[rng.choice((trader, self.traders[0]))]), [row])
        self.run()

    def junk(self, rng: Random) -> None:
        """Rows that mean nothing."""
        self.scribe.add([rng.choice((0, 1, 3, 5, 6, 9, 14, 99, 1 << 255)) for _ in range(rng.randint(1, 7))], bytes(rng.choice((0, 65))))
        self.run()

    def replay(self, rng: Random) -> None:
        """Rows of the past, word for word."""
        for _ in range(3):
            self.scribe.add(*rng.choice(self.scribe.written))
        self.run()

    # -- money

    def deposit(self, rng: Random) -> None:
        self.scribe.deposit(rng.choice(self.traders), rng.choice((100, 5_000, 100_000)) * USD)
        self.run()

    def withdraw(self, rng: Random) -> None:
        self.scribe.withdraw(rng.choice(self.traders), rng.choice((1, 2_000 * USD, 1 << 70)))
        self.run()

    def enter(self, rng: Random) -> None:
        """Into the pool, a lot."""
        trader = rng.choice(self.traders)
        self.scribe.pool(trader, max(self.get_account(trader).cash // rng.choice((2, 10)), 10 * USD))
        self.run()

    def leave(self, rng: Random) -> None:
        """Out of it, if anyone is in."""
        owners = [index for index in self.traders if self.get_account(index).shares]
        if not owners:
            return
        trader = rng.choice(owners)
        self.scribe.pool(trader, self.get_account(trader).shares // rng.choice((1, 2, 5)) or 1, is_leaving=True)
        self.run()

    # -- liquidation and settlement

    def bid(self, rng: Random) -> None:
        """For some positions of a flagged account."""
        flagged = [index for index in self.list_holders() if self.get_account(index).flag]
        if not flagged:
            return
        target = rng.choice(flagged)
        positions = self.get_account(target).positions
        chosen = sorted(rng.sample(positions, min(rng.randint(1, 4), len(positions))))
        legs = [(series, 1 if lots > 0 else -1) for series, lots in chosen]
        units = rng.choice((1, rng.randint(1, min(abs(lots) for _, lots in chosen))))
        self.scribe.bid(rng.choice([index for index in self.traders if index != target]), target, legs, units, 1 << 50)
        self.run()

    def settle(self, rng: Random) -> None:
        """Goes to the next expiry where none is over, and settles what is."""
        clock = self.scribe.clock
        over = [(of, item) for of, market in enumerate(self.state.markets) for item in market.slices if item.expiry <= clock]
        if not over:
            live = [item.expiry for market in self.state.markets for item in market.slices]
            self.wait(min(live, default=clock) - clock + rng.choice((0, 130, 250)))
            self.mark_both()
            return
        of, item = rng.choice(over)
        price = rng.choice((0, self.forwards[of] * rng.randint(50, 150) // 100 // PENNY * PENNY))
        self.scribe.settle(of, item.expiry, price)
        self.run()

    def shut_down(self, rng: Random) -> None:
        """L1 says so; the last marks are the oracles' for that time; what has expired settles; then all becomes cash."""
        self.wait(5)
        self.scribe.send(INBOX_AUTHORITY, [build_shutdown()])
        self.run()
        at = self.scribe.clock
        self.wait(10)
        self.scribe.shutdown()
        for of in (0, 1):
            clock, self.scribe.clock = self.scribe.clock, at
            self.mark(of)
            self.scribe.clock = clock
        self.scribe.cancel(self.traders[0])
        self.run()
        self.settle(rng)
        self.wait(self.rules.params.shutdown_s)
        self.scribe.shutdown()
        self.run()
        for trader in self.traders:
            self.scribe.withdraw(trader, 1 << 70)
        self.run()


ACTIONS: dict[str, tuple[Callable[[World, Random], None], int]] = {
    "move": (World.move, 8),
    "crash": (World.crash, 5),
    "drift": (World.drift, 1),
    "trade": (World.trade, 30),
    "close": (World.close, 8),
    "combo": (World.combo, 5),
    "quote": (World.quote, 4),
    "session": (World.session, 2),
    "cancel": (World.cancel, 1),
    "force": (World.force, 2),
    "junk": (World.junk, 1),
    "replay": (World.replay, 2),
    "deposit": (World.deposit, 3),
    "withdraw": (World.withdraw, 2),
    "enter": (World.enter, 4),
    "leave": (World.leave, 2),
    "bid": (World.bid, 6),
    "settle": (World.settle, 2),
}  # with how often each is drawn
