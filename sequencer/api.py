"""The WebSocket server: sessions, limits, and what is told to subscribers.

Everything that a connection may hold is bounded: the size of a message, requests in one, requests that wait, channels, and what waits to
be sent. A reader that is too slow is dropped, with that as the reason of the close.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
MAX_ANSWER_BYTES = 4 << 20  # what is read in one message; more is refused: one message must not hold up everybody's orders
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
        self.reason = ""
        self.scope = trio.CancelScope()
        self._send, self._receive = trio.open_memory_channel[bytes](limits.queue)

    def push(self, message: bytes) -> None:
        """To be sent; drops the connection if too much waits."""
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            self.drop("too slow: what it subscribed to was not read")

    def drop(self, reason: str) -> None:
        """Ends the session."""
        self.reason = self.reason or reason
        self.scope.cancel()

    async def write(self) -> None:
        """Sends what waits."""
        async for message in self._receive:
            await self.socket.send_message(message.decode())


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
                await nursery.start(server.run)
                task_status.started(server.port)
        except* OSError as errors:
            raise NodeError(NodeCode.LISTEN, f"cannot listen on {host}:{port}: {errors.exceptions[0]}") from None

    async def _handle(self, request: WebSocketRequest) -> None:
        """A peer may be gone at any time, also in the middle of its handshake: that concerns nobody else."""
        try:
            if len(self._sessions) >= self._limits.connections:
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
            await session.slots.acquire()
            nursery.start_soon(self._answer, session, message)

    async def _answer(self, session: Session, message: str | bytes) -> None:
        try:
            replies = await self.process(session.identity, message)
            if replies is not None:
                session.push(msgspec.json.encode(replies))
        finally:
            session.slots.release()

    # -- messages

    async def process(self, identity: Identity, message: str | bytes) -> object:
        """The reply to one message, in its form. All signatures of a message are recovered together, and all its operations applied in
        order.
        """
        try:
            raws = rpc.decode_message(message)
        except ApiError as error:
            return rpc.encode_error(None, error)
        ids: list[int | str | None] = []
        values: list[Any] = []
        size = 0
        for raw in raws:
            request_id, value = self._call(raw, identity, is_full=size > MAX_ANSWER_BYTES)
            if not isinstance(value, ApiError | Submission):
                value = msgspec.Raw(msgspec.json.encode(value))
                size += len(memoryview(value))
            ids.append(request_id)
            values.append(value)
        await self._submit(values)
        replies = [
            rpc.encode_error(request_id, value) if isinstance(value, ApiError) else rpc.encode_result(request_id, value)
            for request_id, value in zip(ids, values, strict=True)
        ]
        return replies if rpc.is_batch(message) else replies[0]

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

    async def _submit(self, values: list[Any]) -> None:
        """Replaces each submission by its answer or its error."""
        places = [at for at, value in enumerate(values) if isinstance(value, Submission)]
        if not places:
            return
        if self.desk.is_busy:
            for at in places:
                values[at] = ApiError(Refusal.UNAVAILABLE, "the sequencer is at its limit: try again")
            return
        submissions: list[Submission] = [values[at] for at in places]
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

    async def _wait_until(self, time: int) -> None:
        while (ahead := time - self.desk.clock.now()) > 0:
            await self.desk.clock.sleep(ahead)

    # -- news

    def tell(self, news: News) -> None:
        """To everyone who subscribed."""
        for channel, data in self._render(news):
            message = None
            account = int(channel[5:]) if channel.startswith("user.") else None
            for session in tuple(self._sessions):
                if channel in session.identity.channels:
                    if account is not None and not self._methods.is_owner(account, session.identity):
                        continue
                    message = message or _encode_notice(channel, data)
                    session.push(message)

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
                return [("marks", mark | {"halted_until": market.halted_until}), *self._render_tickers(news.underlying)]
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

    def _render_tickers(self, underlying: int) -> list[tuple[str, Any]]:
        wanted = {channel for session in self._sessions for channel in session.identity.channels if channel.startswith("ticker.")}
        found = []
        for channel in sorted(wanted):
            legs = self._methods.get_legs_of(channel)
            if underlying in [leg >> 32 >> UNDERLYING_SHIFT for leg in legs]:
                found.append((channel, views.view_ticker(self.desk.machine, legs)))
        return found

    def stop(self) -> None:
        """Tells every session why."""
        for session in tuple(self._sessions):
            session.drop("the sequencer stops")


def _encode_notice(channel: str, data: Any) -> bytes:
    params: Mapping[str, Any] = {"channel": channel, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "subscription", "params": params})
