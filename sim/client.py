"""A client of the sequencer's JSON-RPC API over one WebSocket."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, connect_websocket_url

CALL_S = 20.0
CONNECT_S = 10.0
NOTES = 4_096  # notifications that wait to be read; the newest are dropped beyond
MAX_MESSAGE_BYTES = 4 << 20
MAX_CALLS = 256  # in one message

Json = Any


class CallRefused(Exception):
    """The sequencer's answer is an error. Positive codes are the rules', negative ones the API's."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code
        self.message = message


class Disconnected(Exception):
    """The connection is gone; whether a call that was on its way has been done is unknown."""


class Session:
    """Calls may run at once; answers are matched by id. `notes` yields (channel, data) of subscriptions."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self._waiting: dict[int, trio.Event] = {}
        self._answers: dict[int, list[Mapping[str, Json]]] = {}
        self._is_open = True
        self._notes_in, self.notes = trio.open_memory_channel[tuple[str, Json]](NOTES)
        self.dropped = 0

    async def call(self, method: str, params: Mapping[str, Json] | None = None, timeout_s: float = CALL_S) -> Json:
        """The result. Raises `CallRefused`, `Disconnected`, or `trio.TooSlowError`."""
        (result,) = await self.call_many([(method, params or {})], timeout_s)
        if isinstance(result, CallRefused):
            raise result
        return result

    async def call_many(self, calls: Sequence[tuple[str, Mapping[str, Json]]], timeout_s: float = CALL_S) -> list[Json]:
        """In one message, applied in order; a refusal stands in its call's place. At most `MAX_CALLS`."""
        if not self._is_open:
            raise Disconnected(calls[0][0])
        numbers = [next(self._ids) for _ in calls]
        event = self._waiting[numbers[0]] = trio.Event()
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)}
            for number, (method, params) in zip(numbers, calls, strict=True)
        ]
        try:
            with trio.fail_after(timeout_s):
                await self._send(requests[0] if len(requests) == 1 else requests)
                await event.wait()
        finally:
            del self._waiting[numbers[0]]
            answers = self._answers.pop(numbers[0], [])
        if len(answers) != len(calls):
            raise Disconnected(calls[0][0])
        return [_get_result(method, answer) for (method, _), answer in zip(calls, answers, strict=True)]

    async def close(self) -> None:
        """Says goodbye; calls that wait fail."""
        await self._connection.aclose()

    async def _send(self, message: Json) -> None:
        try:
            await self._connection.send_message(json.dumps(message))
        except ConnectionClosed as error:
            raise Disconnected(str(error)) from error

    async def receive(self) -> None:
        """Until the connection closes; then every call that waits fails with `Disconnected`."""
        try:
            while True:
                self._take(await self._connection.get_message())
        except ConnectionClosed:
            return
        finally:
            self._is_open = False
            self._notes_in.close()
            for event in self._waiting.values():
                event.set()

    def _take(self, text: str | bytes) -> None:
        message = json.loads(text)
        if isinstance(message, dict) and "method" in message:
            params = message.get("params") or {}
            try:
                self._notes_in.send_nowait((str(params.get("channel", "")), params.get("data")))
            except trio.WouldBlock:
                self.dropped += 1
            return
        answers = message if isinstance(message, list) else [message]
        event = self._waiting.get(answers[0].get("id"))
        if event is not None:
            self._answers[answers[0]["id"]] = answers
            event.set()


def _get_result(method: str, answer: Mapping[str, Json]) -> Json:
    error = answer.get("error")
    return answer.get("result") if error is None else CallRefused(method, int(error["code"]), str(error["message"]))


async def open_session(nursery: trio.Nursery, url: str) -> Session:
    """Lives as long as `nursery`, or until `close`. Raises `Disconnected` if there is nobody."""
    try:
        with trio.fail_after(CONNECT_S):
            connection = await connect_websocket_url(nursery, url, max_message_size=MAX_MESSAGE_BYTES)
    except (OSError, HandshakeError, trio.TooSlowError, ValueError) as error:
        raise Disconnected(f"cannot connect to {url}: {error}") from error
    session = Session(connection)
    nursery.start_soon(session.receive)
    return session
