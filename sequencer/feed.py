"""What L1 tells the machine: confirmed messages and batches, and what a reorganisation took back.

The index is read from the deployment's first block at every start, so what the store remembers is checked against the chain before it is
built on.
"""

from collections.abc import Callable
from typing import Any

import trio

from l1.batches import BatchIndex, EpochReader, Posted
from l1.client import Client, WrongChain
from l1.deploy import Deployment
from l1.follower import BlockSeen as L1BlockSeen
from l1.follower import BlockUndone, Follower, FollowerEvent, ReorgTooDeep
from l1.provider import RpcError, Unavailable
from l1.shapes import Malformed
from node.errors import NodeCode, NodeError
from protocol.keccak import ZERO
from protocol.types import Record
from sequencer.chain import Fault, extend_chain
from sequencer.desk import Desk
from sequencer.events import BatchLanded, BlockSeen, L1Undone, MessagesQueued

WAITING_BLOCKS = 16
RETRY_S = 1.0
Log = Callable[[str, dict[str, Any]], None]


class Feed:
    """Keeps the machine in step with L1. `on_block` is told after every block that the machine has taken."""

    def __init__(self, client: Client, deployment: Deployment, desk: Desk, confirmations: int, poll_s: float, log: Log) -> None:
        self._client = client
        self._deployment = deployment
        self._desk = desk
        self._confirmations = confirmations
        self._poll_s = poll_s
        self._log = log
        self.index = BatchIndex(deployment.get_address("Inbox"), deployment.params.epoch_s)
        self.reader = EpochReader(client, self.index, deployment.params.batch_depth)
        self.on_block: Callable[[], None] = lambda: None
        self._checked = 0  # batches of L1 that were compared with the machine's memory
        self._chain = ZERO
        self._target = 0
        self._is_at_tip = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever; started when the machine has all of L1 as it was at the start. An endpoint that answers what cannot be is asked all
        over again.
        """
        self._target = (await self._wait_for_head()) - self._confirmations + 1
        is_started = False

        def started() -> None:
            nonlocal is_started
            if not is_started:
                is_started = True
                task_status.started()

        while True:
            try:
                await self._follow(started)
            except* (Malformed, ReorgTooDeep) as errors:
                self._log("l1.refollow", {"error": "; ".join(str(error) for error in errors.exceptions)})
            self._target = (await self._wait_for_head()) - self._confirmations + 1
            self._restart()
            await trio.sleep(RETRY_S)

    async def _wait_for_head(self) -> int:
        while True:
            try:
                await self._client.check_chain(self._deployment.chain_id)
                return (await self._client.get_head()).number
            except (Unavailable, RpcError, WrongChain) as error:  # of several nodes behind one address one may be another chain's
                self._log("l1.unavailable", {"error": str(error)})
            await trio.sleep(self._poll_s)

    def _restart(self) -> None:
        self.index.clear()
        self._checked, self._chain = 0, ZERO
        self._is_at_tip = False

    async def _follow(self, started: Callable[[], None]) -> None:
        follower = Follower(
            self._client,
            [self.index.inbox],
            self._deployment.block,
            confirmations=self._confirmations,
            poll_s=self._poll_s,
            log=self._log,
        )
        if self._target < self._deployment.block:
            started()
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[FollowerEvent](WAITING_BLOCKS)
            nursery.start_soon(follower.run, send)
            async for event in receive:
                await self._apply(event)
                if self.index.head is not None and self.index.head.number >= self._target:
                    started()

    async def _apply(self, event: FollowerEvent) -> None:
        batches, messages = len(self.index.batches), len(self.index.messages)
        self.index.apply(event)
        machine = self._desk.machine
        try:
            if isinstance(event, BlockUndone):
                # on the way to the tip the index does not have all yet: what is missing is found there
                if self._is_at_tip and (len(self.index.batches) < batches or len(self.index.messages) < messages):
                    await self._undo(len(self.index.batches), len(self.index.messages))
                return
            assert isinstance(event, L1BlockSeen)
            await self._check_memory()
            if len(self.index.messages) > machine.queued:
                fresh = tuple(self.index.messages[machine.queued :])
                await self._desk.submit([MessagesQueued(self._desk.clock.now(), machine.queued, fresh)])
            for posted in self.index.batches[machine.landed :]:
                await self._land(posted)
            if event.header.number >= self._target:
                await self._catch_up(event)
        except Fault as fault:
            raise NodeError(NodeCode.RESTART, f"the store and the chain do not go together: {fault}") from fault

    async def _undo(self, batches: int, messages: int) -> None:
        machine = self._desk.machine
        self._checked = min(self._checked, batches)
        if batches < machine.landed or messages < machine.queued:
            self._log("l1.undone", {"batches": batches, "messages": messages})
            await self._desk.submit([L1Undone(self._desk.clock.now(), min(batches, machine.landed), min(messages, machine.queued))])

    async def _check_memory(self) -> None:
        """Batches that the machine has landed must be L1's. Below its base they are compared by one hash."""
        machine = self._desk.machine
        while self._checked < min(len(self.index.batches), machine.landed):
            record: Record = self.index.batches[self._checked].record
            if self._checked < machine.base.batches:
                self._chain = extend_chain(self._chain, record)
                if self._checked + 1 == machine.base.batches and self._chain != machine.base.chain:
                    raise Fault("another history of batches than the store's")
            elif machine.get_record(self._checked) != record:
                start = record.message_start
                return await self._undo_from(self._checked, start)
            self._checked += 1
        return None

    async def _check_queue(self) -> None:
        """Messages that a reorganisation replaced while we were down."""
        machine = self._desk.machine
        known = zip(range(len(self.index.messages)), self.index.messages, strict=True)
        changed = [number for number, message in known if machine.engine.queue.get(number, message) != message]
        if changed:
            await self._undo_from(machine.landed, changed[0])
            fresh = tuple(self.index.messages[changed[0] :])
            await self._desk.submit([MessagesQueued(self._desk.clock.now(), changed[0], fresh)])

    async def _undo_from(self, batches: int, messages: int) -> None:
        self._log("l1.undone", {"batches": batches, "messages": messages})
        await self._desk.submit([L1Undone(self._desk.clock.now(), batches, messages)])

    async def _land(self, posted: Posted) -> None:
        machine = self._desk.machine
        batch = None if machine.is_own(posted.record) else await self._read(posted)
        await self._desk.submit([BatchLanded(self._desk.clock.now(), posted.record, batch)])
        self._checked = machine.landed
        self._log("batch.landed", {"number": posted.record.number, "block": posted.block_number, "is_own": batch is None})

    async def _read(self, posted: Posted) -> Any:
        while True:
            try:
                return await self.reader.read_batch(posted)
            except (Unavailable, RpcError) as error:
                if isinstance(error, Malformed):
                    raise
                self._log("l1.unavailable", {"error": str(error)})
            await trio.sleep(self._poll_s)

    async def _catch_up(self, event: L1BlockSeen) -> None:
        """At the tip: what the store remembers and the chain does not have was lost while we were down."""
        machine = self._desk.machine
        if not self._is_at_tip:
            await self._check_queue()
        self._is_at_tip = True
        if len(self.index.batches) < machine.landed or len(self.index.messages) < machine.queued:
            await self._undo(len(self.index.batches), len(self.index.messages))
        await self._desk.submit([BlockSeen(self._desk.clock.now(), event.header.number, event.header.time)])
        self.on_block()
