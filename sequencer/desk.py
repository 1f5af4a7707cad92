"""Between the sockets and the machine: events go in, effects are performed when their events are durable.

One pipeline for everything: what is taken while a commit is under way shares the next one, and effects are performed in the order of their
events.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import trio

from node.clock import Clock
from node.store import Store
from sequencer.events import Effect, Event, News, Persist, PostBatch, Publish, Reply, Result
from sequencer.machine import Machine
from sequencer.snapshot import dump_machine

MAX_WAITING = 10_000  # events that wait for their commit; more are refused
MAX_PENDING = 64  # batches that are not on L1: some minutes of its full capacity. More acknowledgements would be promises


class _Ticket:
    """Events of one caller, with their effects."""

    __slots__ = ("count", "done", "effects")

    def __init__(self, count: int, effects: list[Effect]) -> None:
        self.count = count
        self.effects = effects
        self.done = trio.Event()


class Desk:
    """Owns the machine at run time. `on_news` and `on_post` must not block."""

    def __init__(self, machine: Machine, store: Store, clock: Clock) -> None:
        self.machine = machine
        self.clock = clock
        self.on_news: Callable[[News], None] = lambda news: None
        self.on_post: Callable[[PostBatch], None] = lambda post: None
        self._store = store
        self._tickets: deque[_Ticket] = deque()
        self.waiting = 0
        self._wake = trio.Event()
        self._snapshot = 0
        self._is_committing = False
        self._is_applying = False
        self.snapshot_records = 20_000

    @property
    def is_busy(self) -> bool:
        """Too much waits for the disk: new orders are refused."""
        return self.waiting >= MAX_WAITING

    @property
    def is_behind(self) -> bool:
        """L1 does not take what there is already."""
        return self.machine.pending >= MAX_PENDING

    def take(self, events: Sequence[Event]) -> Callable[[], Awaitable[list[Result]]]:
        """Applies them now, in order; the returned call waits until they are durable and gives their replies."""
        effects: list[Effect] = []
        self._is_applying = True  # stays so if the machine fails: it may be half way, and must not be written down
        for event in events:
            effects += self.machine.apply(event)
        self._is_applying = False
        ticket = _Ticket(len(events), effects)
        self._tickets.append(ticket)
        self.waiting += len(events)
        self._wake.set()

        async def wait() -> list[Result]:
            await ticket.done.wait()
            return [effect.result for effect in effects if isinstance(effect, Reply)]

        return wait

    async def submit(self, events: Sequence[Event]) -> list[Result]:
        """Take and wait. What L1 tells is always taken; whoever brings orders asks `is_busy` first."""
        return await self.take(events)()

    async def run(self) -> None:
        """Commits and performs, for ever."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._tickets:
                tickets, self._tickets = self._tickets, deque()
                # the machine as of these tickets; while they are committed others come, under load always
                dump = self._dump() if self._store.last - self._snapshot >= self.snapshot_records else None
                records = [effect.record for ticket in tickets for effect in ticket.effects if isinstance(effect, Persist)]
                if records:
                    self._is_committing = True  # stays so if the append is cancelled: it may or may not have happened
                    await self._store.append(records)
                    self._is_committing = False
                for ticket in tickets:
                    self._perform(ticket.effects)
                    self.waiting -= ticket.count  # here, since the caller may have gone
                    ticket.done.set()
                if dump is not None:
                    await self._save(dump)

    async def save_snapshot(self) -> None:
        """If the machine is just now what the journal says."""
        if self._tickets or self._is_committing or self._store.last == self._snapshot:
            return
        dump = self._dump()
        if dump is not None:
            await self._save(dump)

    def _dump(self) -> bytes | None:
        """None while a rebuild is due, or after a failure within an event."""
        return None if self.machine.is_dirty or self._is_applying else dump_machine(self.machine)

    async def _save(self, dump: bytes) -> None:
        """Of the newest durable record."""
        self._snapshot = self._store.last
        await self._store.save_snapshot(self._snapshot, dump)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Publish):
                self.on_news(effect.news)
            elif isinstance(effect, PostBatch):
                self.on_post(effect)
