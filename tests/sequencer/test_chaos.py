"""Random lives of the machine: whatever users, L1 and accidents do, what landed leads to its state, and its journal to itself."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.codec.frames import Message
from protocol.codec.rows import encode_row
from protocol.leap import Leap
from protocol.operations import build_deposit, build_withdraw
from protocol.state import State
from protocol.types import MAX_CASH, VAULT_AUTHORITY
from sequencer.engine import Limits
from sequencer.events import BatchLost, CancelReceived, ClockElapsed, L1Undone, Persist, PostBatch, RowReceived
from sequencer.journal import decode_event, encode_event
from sequencer.machine import Machine, build_settings
from sequencer.snapshot import dump_machine, load_machine
from tests.sequencer.test_machine import MARK, replay_on_l1
from tests.sequencer.world import (
    ADDRESSES,
    PARAMS,
    PLAIN,
    START,
    USD,
    World,
    build_cancel_event,
    build_mark_event,
    build_order_event,
    build_withdraw_event,
)

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
        self.world.open(ACCOUNTS, 3_000 * USD)

    def step(self) -> None:
        action = self.random.choices(
            [self.order, self.mark, self.pass_time, self.see, self.land, self.lose, self.deposit, self.cancel, self.withdraw, self.lie,
             self.take_queue, self.undo],
            [30, 3, 8, 8, 8, 1, 2, 2, 2, 1, 1, 1],
        )[0]  # fmt: skip
        action()

    def order(self) -> None:
        account = self.random.randrange(ACCOUNTS)
        self.nonces[account] += self.random.choice((1, 1, 1, 255))
        generation = self.world.machine.state.get_account(account).generation
        price = MARK + self.random.randrange(-40, 40) * 1_000
        lots = self.random.choice((1, 5, 300))
        valid = self.random.choice((3, 20, 5_000))
        event = build_order_event(
            self.now, account, self.random.randrange(2), price, lots, self.nonces[account],
            generation=generation, valid_s=valid, options=self.random.choice((0, 0, 0, 1, 2)),
        )  # fmt: skip
        self.world.apply(event)

    def mark(self) -> None:
        market = self.world.machine.state.markets[0]
        forward = 50_000 * USD + self.random.randrange(-3_000, 3_000) * USD
        self.world.apply(build_mark_event(self.now, self.now, market.mark_time, forward))

    def pass_time(self) -> None:
        self.now += self.random.choice((0, 1, 1, 2, 5, 5, 700))
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
            (last and post.first < last.last)
            or post.message_count > waiting
            or not self.now - window <= post.first <= post.last <= self.now
        ):
            world.posts.pop(0)
            world.apply(BatchLost(self.now, post.entry, True))
        else:
            world.land(self.now, post)

    def lose(self) -> None:
        if self.world.posts:
            post = self.world.posts.pop(self.random.randrange(len(self.world.posts)))
            self.world.apply(BatchLost(self.now, post.entry, bool(self.random.randrange(2))))

    def take_queue(self) -> None:
        """Somebody else posts the queue alone."""
        world = self.world
        last = world.landed[-1].record if world.landed else None
        waiting = len(world.messages) - (last.message_start + last.message_count if last else 0)
        if waiting:
            time = last.last if last else 0
            world.apply(world.build_landing(self.now, time, time, waiting, ()))

    def undo(self) -> None:
        """The last batch is reorganised away; its transaction does not come back by itself."""
        world = self.world
        if world.landed and len(world.landed) > world.machine.base.batches and not world.posts:
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
        build_amount(message) for message in life.world.messages
    )
    for market_series in {series for account in state.accounts.values() for series, _ in account.positions}:
        held = [lots for account in state.accounts.values() for series, lots in account.positions if series == market_series]
        assert sum(held) == 0
    numbers = [batch.record.number for batch in life.world.landed]
    assert numbers == list(range(len(numbers)))


def build_amount(message: Message) -> int:
    leap = Leap(State(PARAMS), World().rules)
    leap.open_message(message.time, message.authority, b"")
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
