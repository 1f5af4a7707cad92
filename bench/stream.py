"""A stream of orders like a busy venue's, for benchmarks: two underlyings, hundreds of series, makers that rest, takers that sweep.

A sequencer's machine takes them as its daemon would, and an L1 lands what it posts: so there are the events that it took and the batches
that came of them. About 1.24 orders a trade, as in recorded flow: a maker who was hit often pulls the rest and quotes anew. Signed for
real.
"""

import random
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from coincurve import PrivateKey

from protocol.codec.frames import Batch, Message, compute_record
from protocol.codec.rows import encode_row
from protocol.codes import Code
from protocol.legs import pack_plain
from protocol.margin import compute_mark
from protocol.operations import MAX_FEE_CAP, build_deposit, build_mark
from protocol.params import MAINNET
from protocol.rules import Rules
from protocol.series import UNDERLYING_SHIFT, encode_series
from protocol.signing import compute_domain, compute_mark_digest
from protocol.types import VAULT_AUTHORITY, Market, Slice
from sequencer.events import (
    BatchLanded,
    BlockSeen,
    CancelReceived,
    ClockElapsed,
    Event,
    MessagesQueued,
    OrderPlaced,
    OrderReceived,
    PostBatch,
    Reply,
    RowApplied,
    RowReceived,
)
from sequencer.machine import Machine, build_settings
from sequencer.orders import compute_digest
from sim.scribe import get_address, make_key, sign

START = 1_790_000_000
USD = 1_000_000
DAYS = (1, 2, 7, 14, 28, 60, 91, 182)
TRADERS = 200
MARK_TRADES = 1_500  # a mark every 5 seconds at 300 trades a second: ten times a busy venue's flow
MARK_GAP_S = 5
BATCH_S = 5
REQUOTE = 0.2  # how often a maker who was hit, and has some left, pulls it
REQUEST = 1


class Stream(NamedTuple):
    """`setup` opens accounts and trades for a while, `events` are timed and hold `trades`; L1 got `opening` and `batches` of them."""

    rules: Rules
    setup: list[Event]
    events: list[Event]
    opening: list[Batch]
    batches: list[Batch]
    trades: int


class _Quote:
    __slots__ = ("lots", "nonce", "trader")

    def __init__(self, trader: int, nonce: int, lots: int) -> None:
        self.trader = trader
        self.nonce = nonce
        self.lots = lots


def make_market(underlying: int, time: int) -> Market:
    """Eight expiries with a smile."""
    forward = (90_000, 3_000)[underlying] * (USD + time - START)  # moves with every mark, and stays in every trade's band
    slices = tuple(Slice(START + days * 86_400, forward, 800_000 * days, 900_000 * days, -200_000_000, 0, 200_000_000) for days in DAYS)
    return Market(forward, time, slices)


def list_series() -> list[int]:
    """Strikes around the money in every expiry: 2 x 8 x 11 x 2."""
    return [
        encode_series(underlying, START + days * 86_400, step * forward // 20 * USD, kind)
        for underlying, forward in ((0, 90_000), (1, 3_000))
        for days in DAYS
        for step in range(15, 26)
        for kind in (0, 1)
    ]


class _Flow:
    """Takers that sweep resting quotes, series by popularity. Knows what rests without a book: one price a side and series."""

    def __init__(self, rules: Rules, keys: list[PrivateKey], seed: int) -> None:
        self._rules = rules
        self._keys = keys
        self._addresses = [get_address(key) for key in keys]
        self._nonces = [0] * TRADERS
        self._rng = random.Random(seed)
        self._series = list_series()
        self._weights = [1 / (1 + rank) for rank in range(len(self._series))]
        self._rng.shuffle(self._series)
        markets = (make_market(0, START), make_market(1, START))
        marks = {item: max((compute_mark(item, markets[item >> UNDERLYING_SHIFT]) or 0) // 100, 100) for item in self._series}
        # a taker's buy meets asks 2 % above the mark, a sell bids 2 % below: inside every trade's band
        self._prices = {(item, is_buy): mark * (98 + 4 * is_buy) // 100 for item, mark in marks.items() for is_buy in (0, 1)}
        self._resting: dict[tuple[int, int], deque[_Quote]] = {}
        self.trades = 0

    def sweep(self, now: int) -> Iterator[Event]:
        """One taker's order, after the quotes that it will take."""
        rng = self._rng
        item = rng.choices(self._series, self._weights)[0]
        is_buy, taker, lots = rng.randint(0, 1), rng.randrange(TRADERS), rng.choice((1, 1, 2, 5, 10))
        price = self._prices[item, is_buy]
        quotes = self._resting.setdefault((item, is_buy), deque())
        left, at = lots, 0
        while left:
            if at < len(quotes) and quotes[at].trader == taker:
                del quotes[at]  # as the book does with one's own
                continue
            if at == len(quotes):
                maker, rest = rng.choice([i for i in range(TRADERS) if i != taker]), rng.choice((20, 60, 200))
                order = self._order(now, maker, item, 1 - is_buy, price, rest)
                quotes.append(_Quote(maker, order.nonce, rest))
                yield order
            filled = min(left, quotes[at].lots)
            quotes[at].lots -= filled
            left -= filled
            self.trades += 1
            at += quotes[at].lots == 0
        while quotes and not quotes[0].lots:
            quotes.popleft()
        yield self._order(now, taker, item, is_buy, price, lots)
        if quotes and rng.random() < REQUOTE:
            pulled = quotes.popleft()
            yield CancelReceived(now, REQUEST, pulled.trader, (pulled.nonce,))

    def _order(self, now: int, trader: int, series: int, is_buy: int, price: int, lots: int) -> OrderReceived:
        self._nonces[trader] += 1
        nonce, valid_until, legs = self._nonces[trader], now + 3_600, pack_plain(series)
        digest = compute_digest(self._rules.domain, trader, legs, is_buy, price, lots, 0, MAX_FEE_CAP, nonce, 0, valid_until)
        signature = sign(self._keys[trader], digest)
        terms = (trader, legs, is_buy, price, lots, nonce, 0, valid_until, 0, MAX_FEE_CAP, 0, 0)
        return OrderReceived(now, REQUEST, *terms, signature, self._addresses[trader])


class _World:
    """The machine, the events that it was given, and an L1 that lands at once what it posts."""

    def __init__(self, rules: Rules, oracles: list[PrivateKey]) -> None:
        self.machine = open_machine(rules)
        self.events: list[Event] = []
        self.batches: list[Batch] = []
        self._rules = rules
        self._oracles = oracles
        self._messages: tuple[Message, ...] = ()
        self._marks = [0, 0]

    def take(self, event: Event) -> None:
        """Everything must be accepted, every taker filled."""
        self.events.append(event)
        for effect in self.machine.apply(event):
            if isinstance(effect, Reply) and isinstance(effect.result, OrderPlaced | RowApplied):
                assert effect.result.code == Code.OK, effect
            elif isinstance(effect, PostBatch):
                self._land(event.now, effect)

    def deposit(self, now: int, keys: list[PrivateKey], amount: int) -> None:
        """Trader `i` gets account `i`."""
        rows = [encode_row(build_deposit(i, get_address(key), amount)) for i, key in enumerate(keys)]
        self._messages = tuple(Message(now, VAULT_AUTHORITY, row, b"") for row in rows)
        self.take(MessagesQueued(now, 0, self._messages))

    def mark(self, now: int, underlying: int) -> None:
        """Signed by a quorum."""
        market = make_market(underlying, now)
        row = build_mark(underlying, self._marks[underlying], market)
        digest = compute_mark_digest(self._rules.domain, underlying, self._marks[underlying], now, market.index_price, row[5:])
        signatures = b"".join(sign(key, digest) for key in self._oracles[: self._rules.params.quorum])
        self.take(RowReceived(now, REQUEST, row, signatures, True))
        self._marks[underlying] = now

    def settle(self, now: int) -> None:
        """Closes what is open; all of it lands."""
        self.take(ClockElapsed(now))
        self.take(BlockSeen(now, now - START + 1, now))

    def _land(self, now: int, post: PostBatch) -> None:
        start = self.batches[-1].record.message_start + self.batches[-1].record.message_count if self.batches else 0
        messages = self._messages[start : start + post.message_count]
        record = compute_record(len(self.batches), post.first, post.last, start, messages, post.frames)
        self.batches.append(Batch(record, messages, post.frames))
        self.take(BatchLanded(now, record, None))


def open_machine(rules: Rules) -> Machine:
    """Empty."""
    return Machine(rules, build_settings(rules))


def _trade(world: _World, flow: _Flow, now: int, trades: int) -> int:
    """At least so many, at their rate, and a mark of one underlying now and then; the time after them."""
    start, until = flow.trades, now
    while flow.trades - start < trades:
        if now >= until:
            world.take(BlockSeen(now, now - START + 1, now))
            world.mark(now, now // MARK_GAP_S & 1)
            until = now + MARK_GAP_S
        marked = flow.trades
        while flow.trades - marked < MARK_TRADES // MARK_GAP_S:
            for event in flow.sweep(now):
                world.take(event)
        now += 1
    world.settle(now + BATCH_S)
    return now + MARK_GAP_S


def make_stream(trades: int, seed: int = 1) -> Stream:
    """Deterministic in its arguments. As many trades again warm up."""
    keys = [make_key(i) for i in range(TRADERS)]
    oracles = [make_key(1_000_000 + i) for i in range(MAINNET.oracle_count)]
    rules = Rules(MAINNET, compute_domain(1337, 0x57AD), tuple(map(get_address, oracles)))
    world, flow = _World(rules, oracles), _Flow(rules, keys, seed)
    world.deposit(START, keys, 50_000_000 * USD)
    for underlying in (0, 1):
        world.mark(START, underlying)
    now = _trade(world, flow, START + MARK_GAP_S, trades)
    events, batches, before = len(world.events), len(world.batches), flow.trades
    _trade(world, flow, now, trades)
    assert world.machine.matcher.fills == flow.trades
    return Stream(
        rules, world.events[:events], world.events[events:], world.batches[:batches], world.batches[batches:], flow.trades - before
    )
