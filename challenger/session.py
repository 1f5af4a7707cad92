"""One session: the machine's events from the follower, the worker and the sender, and its effects to them."""

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import trio

from challenger.audit import Hidden, audit, audit_queue
from challenger.calls import make_call
from challenger.config import ChallengerConfig
from challenger.epochs import compute_links, find_untraced
from challenger.events import (
    BlockSeen,
    BlockUndone,
    CaughtUp,
    ClockElapsed,
    Effect,
    EpochTraced,
    EpochUnavailable,
    Event,
    ForgetEpoch,
    MoveConfirmed,
    MoveFailed,
    Report,
    RevealTraced,
    Send,
    StepTraced,
    TraceEpoch,
    TraceReveal,
    TraceStep,
)
from challenger.evidence import Alert, AlertCode, Truth
from challenger.machine import advance
from challenger.sink import Sink
from challenger.state import Settings, create_challenger
from challenger.wire import LENGTH_BYTES, decode, decode_truth, encode, encode_truth
from challenger.worker import start_tracer
from l1 import follower
from l1.abi import decode_reason, encode_call
from l1.batches import BatchIndex, EpochReader
from l1.client import Client
from l1.contracts import decode_logs
from l1.deploy import Deployment
from l1.provider import RpcError, Unavailable
from l1.sender import NotSent, Sender
from l1.shapes import Header
from node.clock import Clock
from node.logs import LogFunction
from node.steps import HONEST_STEPS
from node.store import Items
from protocol.codec.frames import Batch
from protocol.types import compute_record_hash

TICK_S = 5.0
MAX_RETRY_S = 30.0
MAX_REASONS = 16  # that are told of one epoch: an endpoint chooses its words
QUEUE = 4_096
MAX_AT_ONCE = 64  # events that are handled before anything else runs
AUDITS = 4  # in a grace
TRUTH = "truth"
T = TypeVar("T")


@dataclass(frozen=True)
class Surroundings:
    """What outlives sessions."""

    config: ChallengerConfig
    deployment: Deployment
    settings: Settings
    client: Client
    sender: Sender | None
    items: Items
    sink: Sink
    log: LogFunction


class Session:
    """From the deployment's block to the present and on. `once`: until all that was there at the start is judged."""

    def __init__(self, around: Surroundings, *, once: bool = False) -> None:
        self.around = around
        self._once = once
        self._poll_s = around.config.l1.poll_s
        params = around.deployment.params
        self._index = BatchIndex(around.deployment.get_address("Inbox"), params.epoch_s)
        self._reader = EpochReader(around.client, self._index, params.batch_depth)
        self.state = create_challenger(around.settings)
        self._target: Header | None = None
        self._tracing: set[bytes] = set()
        self._events_in, self._events = trio.open_memory_channel[Event](QUEUE)
        self._sends_in, self._sends = trio.open_memory_channel[Send](math.inf)  # the machine bounds them; near a deadline it does not wait

    async def run(self) -> None:
        """Raises, in a group, `Malformed`, `Hidden` or `ReorgTooDeep` when the endpoint cannot be followed any further."""
        around = self.around
        tracer = await start_tracer(around.deployment.rules, around.config.dispute.steps)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._tracer = tracer
                self._target = await self._insist(around.client.get_head)
                blocks_in, blocks = trio.open_memory_channel[follower.FollowerEvent](16)
                addresses = list(around.deployment.followed)
                chain = follower.Follower(around.client, addresses, around.deployment.block, poll_s=self._poll_s, log=around.log)
                nursery.start_soon(chain.run, blocks_in)
                nursery.start_soon(self._forward, blocks)
                nursery.start_soon(self._submit_all)
                nursery.start_soon(self._tick)
                nursery.start_soon(self._audit)
                await self._loop()
                nursery.cancel_scope.cancel()
        finally:
            await tracer.close()

    async def _loop(self) -> None:
        """Events in order; effects start tasks and never wait."""
        while True:
            waiting = [await self._events.receive()]
            with suppress(trio.WouldBlock):
                while len(waiting) < MAX_AT_ONCE:
                    waiting.append(self._events.receive_nowait())
            newest = max((place for place, event in enumerate(waiting) if isinstance(event, BlockSeen)), default=-1)
            for place, event in enumerate(waiting):
                if isinstance(event, BlockSeen):
                    event = replace(event, is_newest=place == newest)
                self._handle(event)
                if isinstance(event, BlockSeen):
                    self._follow(event)
                if self.state.is_live and self._once and self._is_judged():
                    return

    def _handle(self, event: Event) -> None:
        self.state, effects = advance(self.state, event)
        for effect in effects:
            self._perform(effect)

    def _follow(self, event: BlockSeen) -> None:
        assert self._target is not None, "the head is read first"
        if not self.state.is_live and event.header.number >= self._target.number:
            self.around.log("caught-up", {"block": event.header.number})
            self._handle(CaughtUp())
        if self.state.is_live:
            self.around.sink.write_status(self.state)

    def _is_judged(self) -> bool:
        """Nothing is left to be traced; or it cannot be had."""
        board = self.state.board
        untraced = find_untraced(board, self.state.truths, board.now)
        if untraced is not None:
            return bool(self.around.sink.unavailable)
        return not any(isinstance(question, TraceStep) for question in self.state.asked)

    # -- events

    async def _forward(self, blocks: trio.MemoryReceiveChannel[follower.FollowerEvent]) -> None:
        """The batch index and the machine see the same chain, one block after the other."""
        names = self.around.deployment.followed
        async for event in blocks:
            self._index.apply(event)
            if isinstance(event, follower.BlockSeen):
                found = tuple(item for _, item in decode_logs(names, event.logs))
                await self._events_in.send(BlockSeen(event.header, found))
            else:
                await self._events_in.send(BlockUndone(event.header))

    async def _tick(self) -> None:
        """Only where the chain's clock is the wall's."""
        clock = Clock()
        while self.around.deployment.speed == 1:
            await self._events_in.send(ClockElapsed(clock.now()))
            await trio.sleep(TICK_S)

    async def _audit(self) -> None:
        """A few times in every grace."""
        around = self.around
        inbox, claims, wait_s = around.deployment.get_address("Inbox"), around.deployment.get_address("Claims"), self._poll_s
        while True:
            await trio.sleep(wait_s)
            if not self.state.is_live or len(self.state.boards) < 3:
                continue
            state, board = self.state, self.state.boards[-2]  # some nodes answer for the newest block with what they are mining
            try:
                await audit_queue(around.client, inbox, board)
                await audit(around.client, claims, board, compute_links(board, state.truths, board.now, state.base))
            except (Unavailable, RpcError) as error:
                around.log("l1.unavailable", {"error": str(error)})
            except Hidden as error:
                around.sink.tell(Alert(AlertCode.HIDDEN, str(error)))
                raise
            wait_s = around.deployment.params.grace_s / AUDITS / around.deployment.speed

    # -- effects

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Report(item):
                self.around.sink.tell(item)
            case Send():
                self._sends_in.send_nowait(effect)
            case TraceEpoch():
                if effect.key not in self._tracing:
                    self._tracing.add(effect.key)
                    self._nursery.start_soon(self._trace_epoch, effect)
            case TraceReveal():
                self._nursery.start_soon(self._trace_reveal, effect)
            case TraceStep():
                self._nursery.start_soon(self._trace_step, effect)
            case ForgetEpoch(key):
                self._nursery.start_soon(self._tracer.forget, key)

    async def _trace_epoch(self, effect: TraceEpoch) -> None:
        batches = await self._read_epoch(effect)
        truth = await self._recall(effect, batches)
        if truth is None:
            truth = await self._tracer.trace(effect.key, effect.parent, batches)
            self.around.items.put(TRUTH, effect.key, encode(encode_truth(truth)))
        self.around.log(
            "epoch.traced", {"epoch": effect.epoch, "steps": truth.steps, "post_root": truth.post_root, "history": truth.history}
        )
        self._tracing.discard(effect.key)
        await self._events_in.send(EpochTraced(effect.key, truth))

    async def _read_epoch(self, effect: TraceEpoch) -> tuple[Batch, ...]:
        """Tried until it can be had. What was asked for may have been reorganised away: then it waits until it comes back, or for ever."""
        reasons: set[str] = set()
        wait_s = self._poll_s
        while True:
            try:
                batches = await self._reader.read_epoch(effect.epoch)
                if tuple(compute_record_hash(batch.record) for batch in batches) == effect.records:
                    self.around.sink.unavailable.discard(effect.epoch)
                    return batches
            except (Unavailable, RpcError) as error:
                if str(error) not in reasons and len(reasons) < MAX_REASONS:
                    reasons.add(str(error))
                    await self._events_in.send(EpochUnavailable(effect.key, effect.epoch, str(error)))
            await trio.sleep(wait_s)
            wait_s = min(wait_s * 2, MAX_RETRY_S)

    async def _recall(self, effect: TraceEpoch, batches: tuple[Batch, ...]) -> Truth | None:
        """What an earlier run traced, if a leap leads to the same state. Histories are made again when a duel asks."""
        kept = self.around.items.get(TRUTH, effect.key)
        if kept is None or self.around.config.dispute.steps != HONEST_STEPS:
            return None
        truth = decode_truth(decode(kept[LENGTH_BYTES:]))
        root = await self._tracer.leap(effect.key, effect.parent, batches)
        return truth if root == truth.post_root else None

    async def _trace_reveal(self, effect: TraceReveal) -> None:
        nodes = await self._tracer.get_reveal(effect.key, effect.height, effect.index)
        await self._events_in.send(RevealTraced(effect.key, effect.height, effect.index, nodes))

    async def _trace_step(self, effect: TraceStep) -> None:
        proof = await self._tracer.prove_step(effect.key, effect.index)
        await self._events_in.send(StepTraced(effect.key, effect.index, proof))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Until the endpoint answers."""
        wait_s = self._poll_s
        while True:
            try:
                return await call()
            except (Unavailable, RpcError) as error:
                self.around.log("l1.unavailable", {"error": str(error)})
            await trio.sleep(wait_s)
            wait_s = min(wait_s * 2, MAX_RETRY_S)

    # -- transactions

    async def _submit_all(self) -> None:
        """In the order in which the machine wants them: nonces are given out here."""
        sender, deployment = self.around.sender, self.around.deployment
        async for send in self._sends:
            assert sender is not None, "nothing is sent without a key"
            if self.state.board.now > send.deadline:  # it waited for an endpoint
                await self._events_in.send(MoveFailed(send.name, self.state.board.header.number, "too late"))
                continue
            call = make_call(send.action, deployment.params.stake_wei)
            to, data = deployment.get_address(call.contract), encode_call(call.contract, call.function, call.arguments)
            try:
                number = await sender.submit(to, data, call.value, call.gas, f"{send.name}#{send.attempt}")
            except NotSent as error:
                self.around.log("action.not-sent", {"name": send.name, "attempt": send.attempt, "reason": str(error)})
                await self._events_in.send(MoveFailed(send.name, self.state.board.header.number, str(error)))
                continue
            fields: dict[str, Any] = {"name": send.name, "attempt": send.attempt, "deadline": send.deadline, "number": number}
            self.around.log("action.sent", fields | {f"expected_{name}": value for name, value in send.estimate._asdict().items()})
            self._nursery.start_soon(self._wait, sender, send, number)

    async def _wait(self, sender: Sender, send: Send, number: int) -> None:
        try:
            receipt = await sender.wait(number)
        except NotSent as error:
            await self._events_in.send(MoveFailed(send.name, self.state.board.header.number, str(error)))
            return
        cost = receipt.gas_used * receipt.gas_price
        self.around.sink.add_cost(f"{send.name}#{send.attempt}", cost)
        fields = {"name": send.name, "ok": receipt.ok, "block": receipt.block_number, "gas": receipt.gas_used, "cost": cost}
        self.around.log("action.settled", fields | {"reason": decode_reason(receipt.reason)})
        if receipt.ok:
            await self._events_in.send(MoveConfirmed(send.name, receipt.block_number))
        else:
            await self._events_in.send(MoveFailed(send.name, receipt.block_number, decode_reason(receipt.reason)))
