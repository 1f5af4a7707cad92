"""Random lives of the machine: whatever users, L1 and accidents do, what landed leads to its state, and its journal to itself; and what
was told of it, fill by fill, is what the state says.
"""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.codec.frames import Message
from protocol.codec.rows import encode_row
from protocol.leap import Leap
from protocol.legs import pack_leg, pack_plain, unpack_leg
from protocol.operations import build_deposit, build_order, build_trade, build_withdraw
from protocol.quotes import get_quote_order
from protocol.series import encode_series
from protocol.state import State
from protocol.types import MAX_CASH, VAULT_AUTHORITY
from sequencer.engine import Limits
from sequencer.events import (
    BatchLost,
    CancelReceived,
    ClockElapsed,
    Fill,
    L1Undone,
    Legs,
    OrderPlaced,
    Persist,
    PostBatch,
    Publish,
    Reply,
    RfqReceived,
    RowReceived,
)
from sequencer.journal import decode_event, encode_event
from sequencer.machine import Machine, build_settings
from sequencer.snapshot import dump_machine, load_machine
from sequencer.views import view_ticker
from tests.sequencer.test_machine import replay_on_l1
from tests.sequencer.world import (
    ADDRESSES,
    CALL,
    EXPIRY,
    PARAMS,
    PLAIN,
    START,
    USD,
    World,
    build_authorize_event,
    build_cancel_event,
    build_mark_event,
    build_order_event,
    build_sheet_event,
    build_withdraw_event,
)

KEY = 8  # a session key's
SPREAD = (pack_leg(CALL, 1), pack_leg(encode_series(0, EXPIRY, 53_000 * USD, 1), -1))
LIMITS = Limits(interval_s=4, frame_s=2, calldata_bytes=3_000, in_flight=3, checkpoint=2)
ACCOUNTS = 5


class Life:
    """One random life. L1 is played by its rules: what it would refuse is reverted."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(limits=LIMITS)
        self.now = START
        self.nonces = [0] * ACCOUNTS
        self.operations = [0] * ACCOUNTS
        self.records: list[bytes] = []
        self.is_rough = bool(self.random.randrange(3))
        self.sheets = [0] * ACCOUNTS
        self.engine = self.world.machine.engine
        self.world.open(ACCOUNTS, 3_000 * USD)

    def step(self) -> None:
        action = self.random.choices(
            [self.order, self.sheet, self.ask, self.mark, self.pass_time, self.see, self.land, self.lose, self.deposit, self.cancel,
             self.withdraw, self.authorize, self.lie, self.force_trade, self.take_queue, self.undo],
            [40, 8, 2, 8, 8, 8, 8, 1, 2, 1, 2, 1, 1, 3, 1, 1],
        )[0]  # fmt: skip
        action()
        self.check_book()

    def order(self) -> None:
        account = self.random.randrange(ACCOUNTS)
        self.nonces[account] += self.random.choice((1, 1, 1, 255))
        generation = self.world.machine.state.get_account(account).generation
        legs = self.random.choice((PLAIN, PLAIN, PLAIN, SPREAD))
        mark = self.get_mark(legs)
        price = mark + self.random.randrange(-20, 20) * mark // 400
        lots = self.random.choice((1, 5, 300))
        valid = self.random.choice((3, 20, 5_000))
        requests = [rfq.number for rfq in self.world.machine.matcher.rfqs.open.values() if rfq.legs == legs]
        event = build_order_event(
            self.now, account, self.random.randrange(2), price, lots, self.nonces[account], legs=legs,
            generation=generation, valid_s=valid, options=self.random.choice((0, 0, 0, 1)), flags=self.random.choice((0, 0, 0, 0, 1, 2, 4)),
            rfq=self.random.choice((0, *requests)), key=self.random.choice((None, None, None, KEY)),
        )  # fmt: skip
        self.world.apply(event)

    def get_mark(self, legs: Legs) -> int:
        return int(view_ticker(self.world.machine, legs)["mark_price"])

    def sheet(self) -> None:
        """Of one or two pages, whose quotes are more than the page may fill."""
        account = self.random.randrange(ACCOUNTS)
        self.sheets[account] += 8
        generation = self.world.machine.state.get_account(account).generation
        quotes = []
        for strike in (51_000 * USD, 52_000 * USD):
            mark = self.get_mark(pack_plain(encode_series(0, EXPIRY, strike, 1)))
            bid = mark - self.random.randrange(20) * mark // 400
            quotes.append((strike, 1, bid, self.random.choice((0, 1, 9)), bid + self.random.randrange(1, 30) * mark // 400, 7))
        pages = [(0, EXPIRY, self.random.choice((3, 10, 100)), tuple(quotes))] * self.random.choice((1, 2))
        nonce, valid = 2**32 + self.sheets[account], self.random.choice((3, 30))
        self.world.apply(build_sheet_event(self.now, account, nonce, (), pages=pages, generation=generation, valid_s=valid))

    def ask(self) -> None:
        legs = self.random.choice((PLAIN, SPREAD))
        self.world.apply(RfqReceived(self.now, 1, self.random.randrange(ACCOUNTS), legs, 5, self.now + self.random.choice((3, 60, 600))))

    def authorize(self) -> None:
        account = self.random.randrange(ACCOUNTS)
        self.operations[account] += 1
        self.world.apply(build_authorize_event(self.now, account, KEY, 1, self.now + 900, self.operations[account]))

    def force_trade(self) -> None:
        """Somebody registers an order through L1, and trades it with whatever of others is on the chain."""
        machine, account = self.world.machine, self.random.randrange(ACCOUNTS)
        slots = machine.rules.params.order_slots
        resting = [
            order for order in machine.book.orders.values() if order.legs == PLAIN and order.account != account and order.lots > order.left
        ]
        if not resting:
            return
        maker = self.random.choice(resting)
        self.nonces[account] += 1
        lots, nonce, until = self.random.choice((1, maker.left)), self.nonces[account], self.now + 50_000
        terms = (1 - maker.is_buy, maker.price, lots, nonce)
        generation = machine.state.get_account(account).generation
        event = build_order_event(self.now, account, *terms, generation=generation, valid_s=50_000)
        trade = build_trade(maker.account, maker.nonce % slots + slots * maker.place, account, nonce % slots, lots)
        rows = encode_row(build_order(account, CALL, *terms, until)) + encode_row(trade)
        self.world.queue(self.now, (Message(self.now, ADDRESSES[7], rows, event.signature),))

    def check_book(self) -> None:
        """Nothing rests that could not fill for so much on the chain."""
        machine = self.world.machine
        for order in machine.book.orders.values():
            slot = machine.rules.params.get_slot(order.nonce)
            if machine.state.get_slot_nonce(order.account, slot) != order.nonce:
                continue
            page = machine.state.get_page(order.account, slot)
            on_chain = get_quote_order(page, order.place) if order.place else machine.state.get_order(order.account, slot)
            assert order.left <= on_chain.lots - on_chain.filled, order

    def mark(self) -> None:
        market = self.world.machine.state.markets[0]
        forward = 50_000 * USD + self.random.randrange(-1_000, 1_000) * USD
        self.world.apply(build_mark_event(self.now, self.now, market.mark_time, forward))

    def pass_time(self) -> None:
        self.now += self.random.choice((0, 0, 1, 1, 1, 2, 2, 5, 5, 5, 20, 700) if self.is_rough else (0, 1, 1, 2, 5))
        self.world.apply(ClockElapsed(self.now))

    def see(self) -> None:
        self.world.see(self.now)

    def deposit(self) -> None:
        account = self.random.randrange(ACCOUNTS)
        row = encode_row(build_deposit(account, ADDRESSES[account], 500 * USD))
        self.world.queue(self.now, (Message(self.now, VAULT_AUTHORITY, row, b""),))

    def cancel(self) -> None:
        account = self.random.randrange(ACCOUNTS)
        if self.random.randrange(2):
            self.world.apply(CancelReceived(self.now, 1, account, ()))
            return
        self.operations[account] += 1
        self.world.apply(build_cancel_event(self.now, account, self.operations[account], bool(self.random.randrange(2))))

    def withdraw(self) -> None:
        account = self.random.randrange(ACCOUNTS)
        self.operations[account] += 1
        self.world.apply(build_withdraw_event(self.now, account, 100 * USD, self.operations[account]))

    def lie(self) -> None:
        self.world.apply(RowReceived(self.now, 1, build_withdraw(0, MAX_CASH, 1), b"\x05" * 65, False))

    def land(self, post: PostBatch | None = None) -> None:
        """The oldest transaction is mined: recorded if the inbox takes it."""
        world = self.world
        if not world.posts:
            return
        post = world.posts[0]
        last = world.landed[-1].record if world.landed else None
        waiting = len(world.messages) - (last.message_start + last.message_count if last else 0)
        window = world.rules.params.header_window_s
        if (
            post.number != len(world.landed)
            or (last and post.first < last.last)
            or post.message_count > waiting
            or self.leaves_out(post, waiting)
            or not self.now - window <= post.first <= post.last <= self.now
        ):
            world.posts.pop(0)
            world.apply(BatchLost(self.now, post.entry, True))
        else:
            world.land(self.now, post)

    def leaves_out(self, post: PostBatch, waiting: int) -> bool:
        """A message that has waited too long."""
        oldest = len(self.world.messages) - waiting + post.message_count
        delay = self.world.rules.params.inclusion_delay_s
        return post.message_count < waiting and self.world.messages[oldest].time + delay < self.now

    def lose(self) -> None:
        if self.world.posts and self.is_rough:
            post = self.world.posts.pop(self.random.randrange(len(self.world.posts)))
            self.world.apply(BatchLost(self.now, post.entry, bool(self.random.randrange(2))))

    def take_queue(self) -> None:
        """Somebody else posts the queue alone."""
        world = self.world
        last = world.landed[-1].record if world.landed else None
        waiting = len(world.messages) - (last.message_start + last.message_count if last else 0)
        if waiting and self.is_rough:
            time = last.last if last else 0
            world.apply(world.build_landing(self.now, time, time, waiting, ()))

    def undo(self) -> None:
        """The last batch is reorganised away; its transaction does not come back by itself."""
        world = self.world
        if self.is_rough and world.landed and len(world.landed) > world.machine.base.batches and not world.posts:
            world.landed.pop()
            world.apply(L1Undone(self.now, len(world.landed), len(world.messages)))

    def finish(self) -> None:
        """L1 works again, and all of it lands."""
        for _ in range(50):
            self.now += LIMITS.interval_s
            self.world.apply(ClockElapsed(self.now))
            self.world.see(self.now)
            while self.world.posts:
                self.land()
            machine = self.world.machine
            is_drained = machine.engine.consumed == len(self.world.messages)
            if is_drained and machine.engine.batch is None and not machine.is_dirty:
                if all(entry.record is not None for entry in machine.chain):
                    return
        raise AssertionError("batches do not land")


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_what_lands_is_what_was_promised(seed: int) -> None:
    life = Life(seed)
    for _ in range(120):
        life.step()
    life.finish()
    machine = life.world.machine
    state = replay_on_l1(life.world)
    assert state.get_root() == machine.state.get_root()
    assert sum(account.cash for account in state.accounts.values()) + state.globals.fees + sum(paid for _, paid in state.outbox) == sum(
        build_amount(message) for message in life.world.messages if message.authority == VAULT_AUTHORITY
    )
    for market_series in {series for account in state.accounts.values() for series, _ in account.positions}:
        held = [lots for account in state.accounts.values() for series, lots in account.positions if series == market_series]
        assert sum(held) == 0
    check_told(life, state)
    numbers = [batch.record.number for batch in life.world.landed]
    assert numbers == list(range(len(numbers)))


def check_told(life: Life, state: State) -> None:
    """The fills that were told add up to what is held and what was paid, in every life in which nothing was rebuilt."""
    news = [effect.news for effect in life.world.effects if isinstance(effect, Publish)]
    if life.world.machine.engine is not life.engine:
        return
    held: Counter[tuple[int, int]] = Counter()
    fills = [item for item in news if isinstance(item, Fill)]
    for fill in fills:
        for series, ratio in map(unpack_leg, fill.legs):
            size = ratio * fill.lots * (1 if fill.is_buy else -1)
            held[fill.taker, series] += size
            held[fill.maker, series] -= size
    assert {place: lots for place, lots in held.items() if lots} == {
        (index, series): lots for index, account in state.accounts.items() for series, lots in account.positions
    }
    assert sum(fill.fee for fill in fills) == state.globals.fees
    replies = [effect.result for effect in life.world.effects if isinstance(effect, Reply)]
    placed = [fill for reply in replies if isinstance(reply, OrderPlaced) for fill in reply.fills]
    assert [fill for fill in fills if fill in placed] == placed


def build_amount(message: Message) -> int:
    leap = Leap(State(PARAMS), World().rules)
    leap.open_message(message.time, message.time, message.authority, b"")
    (outcome,) = leap.apply_rows(message.rows)
    return outcome.items[3]


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(0, 100))
def test_journal_and_snapshot_give_the_same_life(seed: int, place: int) -> None:
    life = Life(seed)
    for _ in range(place):
        life.step()
    while life.world.machine.is_dirty:
        life.land() if life.world.posts else life.pass_time()
    rules, settings_ = life.world.rules, build_settings(life.world.rules, LIMITS)
    snapshot = dump_machine(life.world.machine)
    restored = load_machine(snapshot, rules, settings_)
    assert dump_machine(restored) == snapshot
    assert restored.state.get_root() == life.world.machine.state.get_root()
    done = len(life.world.events)
    for _ in range(60):
        life.step()
    fresh = Machine(rules, settings_)
    for event in life.world.events:
        effects = fresh.apply(event)
        kept = [effect for effect in effects if isinstance(effect, Persist)]
        assert all(decode_event(effect.record) == event for effect in kept)
        life.records += [effect.record for effect in kept]
    replayed = Machine(rules, settings_)
    for record in life.records:
        event = decode_event(record)
        assert encode_event(event) == record
        replayed.apply(event)
    for event in life.world.events[done:]:
        restored.apply(event)
    for machine in (fresh, replayed, restored):
        assert machine.state.get_root() == life.world.machine.state.get_root()
        assert machine.book.get_depth(PLAIN, 0, 99) == life.world.machine.book.get_depth(PLAIN, 0, 99)
        assert machine.get_posts() == life.world.machine.get_posts()
        assert [entry.content for entry in machine.chain][-1:] == [entry.content for entry in life.world.machine.chain][-1:]
