"""The WebSocket server: sessions, limits, and what is told to subscribers.

Everything that a connection may hold is bounded: the size of a message, requests in one, requests that wait, channels, and what waits to
be sent. A reader that is too slow is dropped, with that as the reason of the close. Whatever takes long is done in turns, so that nobody's
questions hold up everybody's orders.
"""

import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer
from wsproto.utilities import ProtocolError

from node.errors import NodeCode, NodeError
from node.instruments import encode_legs
from protocol.series import UNDERLYING_SHIFT
from protocol.types import UNDERLYINGS
from sequencer import rpc, views
from sequencer.desk import Desk
from sequencer.events import (
    AuctionTaken,
    BatchClosed,
    BatchLanded,
    Fill,
    Lapsed,
    ListingSettled,
    MarkApplied,
    News,
    OrderRemoved,
    Refusal,
    RfqAnswered,
    RfqOpened,
    SheetRemoved,
)
from sequencer.methods import Methods
from sequencer.rpc import ApiError
from sequencer.submissions import Identity, Submission, render_fill, render_rfq, render_side
from sequencer.verify import Verifiers

CLOSE_POLICY = 1008  # RFC 6455
TOO_SLOW = "too slow: what it subscribed to was not read"
MAX_ANSWER_BYTES = 4 << 20  # what is read in one message; more is refused
MAX_UNSENT_BYTES = 8 << 20  # of one connection; more drops it
FULL_BYTES = 1 << 20  # while so much of a connection is unsent, none of its messages is answered
MAX_WORKING_BYTES = 32 << 20  # of all messages that are being worked on; others wait
SILENT_S = 10.0  # who has said nothing for so long, and is not logged in, makes room when all places are taken
TURN_S = 0.002  # of reads or tickers at a time
Log = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class ApiLimits:
    """Of the server and of each connection."""

    connections: int = 256
    message_bytes: int = 1 << 20
    outstanding: int = 32  # messages that are being worked on
    queue: int = 1_024  # messages that wait to be sent


class Session:
    """One connection."""

    def __init__(self, socket: WebSocketConnection, limits: ApiLimits) -> None:
        self.socket = socket
        self.identity = Identity(secrets.token_hex(16))
        self.slots = trio.Semaphore(limits.outstanding)
        self.reading = trio.Lock()  # one message at a time is read for
        self.heard = trio.current_time()
        self.reason = ""
        self.scope = trio.CancelScope()
        self.unsent = 0  # bytes
        self._sent = trio.Event()
        self._send, self._receive = trio.open_memory_channel[bytes](limits.queue)

    def push(self, message: bytes) -> None:
        """To be sent; drops the connection if too much waits."""
        self.unsent += len(message)
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            self.drop(TOO_SLOW)
        if self.unsent > MAX_UNSENT_BYTES:
            self.drop(TOO_SLOW)

    async def wait_for_room(self) -> None:
        """Until most of what was pushed is sent: who reads no answers gets no more of them."""
        while self.unsent > FULL_BYTES:
            await self._sent.wait()

    def drop(self, reason: str) -> None:
        """Ends the session."""
        self.reason = self.reason or reason
        self.scope.cancel()

    async def write(self) -> None:
        """Sends what waits."""
        async for message in self._receive:
            await self.socket.send_message(message.decode())
            self.unsent -= len(message)
            self._sent.set()
            self._sent = trio.Event()


class Turns:
    """Of work that is not urgent: the others come in between."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def pause(self) -> None:
        """If it is time."""
        if time.perf_counter() - self._began > TURN_S:
            await trio.lowlevel.checkpoint()
            self._began = time.perf_counter()


class _Server(WebSocketServer):
    """trio-websocket's, which lets a peer that is gone in the middle of its handshake end the whole server: what its reader raises then
    passes by the handler. Also bounds the connections that have not finished their handshake.
    """

    open = 0
    limit = 0
    log: Log

    async def _handle_connection(self, stream: trio.abc.Stream) -> None:
        if self.open >= self.limit:
            await stream.aclose()
            return
        self.open += 1
        try:
            await super()._handle_connection(stream)
        except* (ConnectionClosed, ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
            self.log("api.dropped", {"reason": "gone in its handshake"})
        finally:
            self.open -= 1


class Api:
    """Serves one desk. `tell` is the desk's `on_news`."""

    def __init__(self, desk: Desk, methods: Methods, verifiers: Verifiers, limits: ApiLimits, log: Log) -> None:
        self.desk = desk
        self._methods = methods
        self._verifiers = verifiers
        self._limits = limits
        self._log = log
        self._sessions: set[Session] = set()
        self._working = 0  # bytes of messages that are being worked on
        self._waiting = trio.lowlevel.ParkingLot()
        self._marked: set[int] = set()  # underlyings whose tickers are to be told
        self._wake = trio.Event()

    async def serve(self, host: str, port: int, *, task_status: trio.TaskStatus[int]) -> None:
        """Until cancelled; `task_status` gets the port."""
        try:
            async with trio.open_nursery() as nursery:
                listeners = await trio.open_tcp_listeners(port, host=host)
                server = _Server(
                    self._handle,
                    listeners,
                    handler_nursery=nursery,
                    max_message_size=self._limits.message_bytes,
                    connect_timeout=10,
                    disconnect_timeout=2,
                )
                server.limit, server.log = 2 * self._limits.connections, self._log
                nursery.start_soon(self._tell_tickers)
                await nursery.start(server.run)
                task_status.started(server.port)
        except* OSError as errors:
            raise NodeError(NodeCode.LISTEN, f"cannot listen on {host}:{port}: {errors.exceptions[0]}") from None

    async def _handle(self, request: WebSocketRequest) -> None:
        """A peer may be gone at any time, also in the middle of its handshake: that concerns nobody else."""
        try:
            if not self._find_place():
                await request.reject(503, body=b"too many connections")
                return
            socket = await request.accept()
        except ConnectionClosed:
            return
        session = Session(socket, self._limits)
        self._sessions.add(session)
        try:
            with session.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, session)
                    await self._read(session, nursery)
                    nursery.cancel_scope.cancel()
        finally:
            self._sessions.discard(session)
        if session.reason:
            self._log("api.dropped", {"reason": session.reason})
        with trio.move_on_after(1):
            await socket.aclose(CLOSE_POLICY, session.reason)

    def _find_place(self) -> bool:
        """Whether one more may come. Sockets that only stand there keep nobody out."""
        staying = [session for session in self._sessions if not session.reason]
        if len(staying) < self._limits.connections:
            return True
        silent = min((session for session in staying if not session.identity.accounts), key=lambda session: session.heard, default=None)
        if silent is None or trio.current_time() - silent.heard < SILENT_S:
            return False
        silent.drop("silent while others waited for a place")
        return True

    @staticmethod
    async def _write(session: Session) -> None:
        try:
            await session.write()
        except ConnectionClosed:
            session.scope.cancel()

    async def _read(self, session: Session, nursery: trio.Nursery) -> None:
        while True:
            try:
                message = await session.socket.get_message()
            except ConnectionClosed:
                return
            session.heard = trio.current_time()
            await session.slots.acquire()
            while self._working > MAX_WORKING_BYTES:
                await self._waiting.park()
            self._working += len(message)
            nursery.start_soon(self._answer, session, message)

    async def _answer(self, session: Session, message: str | bytes) -> None:
        try:
            await self._process(session, message)
        finally:
            session.slots.release()
            self._working -= len(message)
            self._waiting.unpark_all()

    # -- messages

    async def _process(self, session: Session, message: str | bytes) -> None:
        """Pushes the reply to one message, in its form. All signatures of a message are recovered together, and all its operations applied
        in order.
        """
        try:
            raws = rpc.decode_message(message)
        except ApiError as error:
            return session.push(msgspec.json.encode(rpc.encode_error(None, error)))
        async with session.reading:
            await session.wait_for_room()
            ids, values, size = await self._call_all(raws, session.identity)
            session.unsent += size  # from now on: they may wait for the disk
        try:
            await self._submit(values)
        finally:
            session.unsent -= size
        replies = [
            rpc.encode_error(request_id, value) if isinstance(value, ApiError) else rpc.encode_result(request_id, value)
            for request_id, value in zip(ids, values, strict=True)
        ]
        return session.push(msgspec.json.encode(replies if rpc.is_batch(message) else replies[0]))

    async def _call_all(self, raws: list[msgspec.Raw], identity: Identity) -> tuple[list[int | str | None], list[Any], int]:
        """Identifiers, values, and the bytes of those that are answers already."""
        ids: list[int | str | None] = []
        values: list[Any] = []
        size, turns = 0, Turns()
        for raw in raws:
            request_id, value = self._call(raw, identity, is_full=size > MAX_ANSWER_BYTES)
            if not isinstance(value, ApiError | Submission):
                value = msgspec.Raw(msgspec.json.encode(value))
                size += len(memoryview(value))
            ids.append(request_id)
            values.append(value)
            await turns.pause()
        return ids, values, size

    def _call(self, raw: msgspec.Raw, identity: Identity, *, is_full: bool) -> tuple[int | str | None, Any]:
        request_id = None
        try:
            request = rpc.decode_request(raw)
            request_id = request.id
            if is_full:
                raise ApiError(Refusal.TOO_MANY, "the answers to this message are too long: ask for less at once")
            return request_id, self._methods.call(request, identity)
        except ApiError as error:
            return request_id, error
        except Exception as error:  # noqa: BLE001 - one question's bug must not end the exchange; what changes the state is not called here
            return request_id, self._fail(error)

    def _fail(self, error: Exception) -> ApiError:
        self._log("api.failed", {"error": repr(error)[:200], "trace": traceback.format_tb(error.__traceback__)[-3:]})
        return ApiError(rpc.INTERNAL_ERROR, "a fault of the sequencer: whatever was asked for may have been done")

    async def _submit(self, values: list[Any]) -> None:
        """Replaces each submission by its answer or its error."""
        places = [at for at, value in enumerate(values) if isinstance(value, Submission)]
        if not places:
            return
        if self.desk.is_busy:
            for at in places:
                values[at] = ApiError(Refusal.UNAVAILABLE, "the sequencer is at its limit: try again")
            return
        if self.desk.is_behind:
            late = [at for at in places if not values[at].is_urgent]
            for at in late:
                values[at] = ApiError(Refusal.UNAVAILABLE, "the sequencer waits for L1: try again")
            places = [at for at in places if at not in late]
        submissions: list[Submission] = [values[at] for at in places]
        if not submissions:
            return
        signers = await self._verifiers.recover([pair for submission in submissions for pair in submission.pairs])
        await self._wait_until(max(submission.not_before for submission in submissions))
        now = self.desk.clock.now()
        events: list[Any] = []
        ranges: list[tuple[int, int, int]] = []
        for at, submission in zip(places, submissions, strict=True):
            own, signers = signers[: len(submission.pairs)], signers[len(submission.pairs) :]
            try:
                built = submission.build(own, now)
            except ApiError as error:
                values[at] = error
                continue
            ranges.append((at, len(events), len(events) + len(built)))
            events += built
        results = await self.desk.submit(events) if events else []
        for at, first, last in ranges:
            try:
                values[at] = values[at].render(results[first:last])
            except ApiError as error:
                values[at] = error
            except Exception as error:  # noqa: BLE001 - as above: this only writes the answer
                values[at] = self._fail(error)

    async def _wait_until(self, time: int) -> None:
        while (ahead := time - self.desk.clock.now()) > 0:
            await self.desk.clock.sleep(ahead)

    # -- news

    def tell(self, news: News) -> None:
        """To everyone who subscribed."""
        for channel, data in self._render(news):
            self._publish(channel, data)
        if isinstance(news, MarkApplied):
            self._marked.add(news.underlying)
            self._wake.set()

    def _publish(self, channel: str, data: Any) -> None:
        message = None
        account = int(channel[5:]) if channel.startswith("user.") else None
        for session in tuple(self._sessions):
            if channel in session.identity.channels:
                if account is not None and not self._methods.is_owner(account, session.identity):
                    continue
                message = message or _encode_notice(channel, data)
                session.push(message)

    async def _tell_tickers(self) -> None:
        """After a mark, in turns with everything else: all connections together may want tens of thousands. Marks that come meanwhile make
        one more round."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            marked, self._marked = self._marked, set()
            turns = Turns()
            for channel in self._list_tickers():
                legs = self._methods.get_legs_of(channel)
                if any(leg >> 32 >> UNDERLYING_SHIFT in marked for leg in legs):
                    self._publish(channel, views.view_ticker(self.desk.machine, legs))
                await turns.pause()

    def _list_tickers(self) -> Iterable[str]:
        """One of each connection, then another of each: none waits for all of another's."""
        wanted = [[name for name in session.identity.channels if name.startswith("ticker.")] for session in self._sessions]
        return dict.fromkeys(name for name in chain.from_iterable(zip_longest(*wanted)) if name is not None)

    def _render(self, news: News) -> list[tuple[str, Any]]:
        match news:
            case Fill():
                trade = render_fill(news)
                parties = [(f"user.{account}", {"trade": trade}) for account in (news.maker, news.taker)]
                return [("trades.all", trade), (f"trades.{trade['instrument_name']}", trade), *parties]
            case OrderRemoved():
                order_id = f"{news.account}-{news.nonce}"
                removed = {"order_id": order_id, "instrument_name": encode_legs(news.legs), "left": news.left}
                removed |= {"is_quote": news.place > 0, "reason_code": news.code, "reason": news.reason}
                return [(f"user.{news.account}", {"removed": removed})]
            case SheetRemoved(account, nonce, code, reason):
                return [(f"user.{account}", {"sheet_removed": {"nonce": nonce, "reason_code": code, "reason": reason}})]
            case RfqOpened():
                return [("rfqs", render_rfq(news))]
            case RfqAnswered():
                answer = {"rfq_id": news.number, "order_id": f"{news.account}-{news.nonce}", "direction": render_side(news.is_buy)}
                return [(f"user.{news.asker}", {"quote": answer | {"price": news.price, "amount": news.lots}})]
            case MarkApplied():
                market = self.desk.machine.state.markets[news.underlying]
                mark = {"currency": UNDERLYINGS[news.underlying], "timestamp": news.time, "index_price": market.index_price}
                return [("marks", mark | {"halted_until": market.halted_until})]
            case ListingSettled(underlying, expiry, price):
                settled = {"currency": UNDERLYINGS[underlying], "expiration_timestamp": expiry, "delivery_price": price}
                return [("settlements", settled)]
            case AuctionTaken(account, target, units):
                return [("auctions", {"account": account, "target": target, "amount": units})]
            case BatchClosed():
                return [("batches", {"state": "closed", **msgspec.to_builtins(news)})]
            case BatchLanded():
                number, count = news.record.number, news.record.message_count
                return [("batches", {"state": "landed", "number": number, "messages": count, "frames": news.record.frame_count})]
            case Lapsed():
                return [("batches", {"state": "lapsed", "items": [str(item) for item in news.items], "code": news.code})]

    def stop(self) -> None:
        """Tells every session why."""
        for session in tuple(self._sessions):
            session.drop("the sequencer stops")


def _encode_notice(channel: str, data: Any) -> bytes:
    params: Mapping[str, Any] = {"channel": channel, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "subscription", "params": params})
