"""JSON-RPC over HTTP for trio: our own requests, and a provider for web3.py's AsyncWeb3.

Three outcomes are kept apart: a result, `RpcError` (the endpoint understood and refused), and `Unavailable` (down, too slow, limiting,
or answering nonsense), which says nothing about the chain and must never be taken for evidence. The result's content is still hostile:
`l1.client` checks it.
"""

import itertools
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, cast

import httpx
import trio

from l1.recursion import decode_json, keep_recursion_limit

with keep_recursion_limit():
    from web3.providers.async_base import AsyncJSONBaseProvider
    from web3.types import RPCEndpoint, RPCResponse

Call = tuple[str, Sequence[Any]]

# Safe to send twice. eth_sendRawTransaction is not here: whether it is sent again is its sender's decision.
READS = frozenset(
    {
        "web3_clientVersion",
        "net_version",
        "eth_chainId",
        "eth_blockNumber",
        "eth_gasPrice",
        "eth_maxPriorityFeePerGas",
        "eth_feeHistory",
        "eth_getBlockByNumber",
        "eth_getBlockByHash",
        "eth_getBlockReceipts",
        "eth_getTransactionByHash",
        "eth_getTransactionReceipt",
        "eth_getTransactionCount",
        "eth_getBalance",
        "eth_getCode",
        "eth_getStorageAt",
        "eth_getLogs",
        "eth_call",
        "eth_estimateGas",
        "txpool_status",
    }
)
LIMIT_EXCEEDED = -32005
MAX_ANSWER_BYTES = 64 << 20
MAX_CONNECTIONS = 16
SHOWN = 200  # characters of a foreign message that an error may quote


class Unavailable(Exception):
    """The endpoint is down, lags, limits us or answers nonsense. A verdict on nothing but the endpoint."""


class RpcError(Exception):
    """The endpoint's refusal. `data` is revert data where there is any."""

    def __init__(self, code: int, message: str, data: bytes | None = None) -> None:
        super().__init__(f"{message[:SHOWN]} ({code})")
        self.code = code
        self.message = message
        self.data = data


def _find_data(data: object) -> bytes | None:
    """Revert data: a hex string, or an object that holds one under `data`, as some nodes have it."""
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return None
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return None


def check_reply(reply: object, request_id: int) -> dict[str, Any]:
    """A well-formed answer to that request, or `Unavailable`."""
    if not isinstance(reply, dict) or reply.get("jsonrpc") != "2.0" or reply.get("id") != request_id:
        raise Unavailable("answer does not belong to the request")
    error = reply.get("error")
    if error is None:
        if "result" not in reply:
            raise Unavailable("answer has neither result nor error")
        return reply
    if not isinstance(error, dict) or not isinstance(error.get("code"), int) or not isinstance(error.get("message"), str):
        raise Unavailable("malformed error")
    if error["code"] == LIMIT_EXCEEDED:
        raise Unavailable(f"limited: {error['message'][:SHOWN]}")
    return reply


def get_result(reply: dict[str, Any]) -> Any:
    """Raises the error of a checked answer."""
    error = reply.get("error")
    if error is not None:
        raise RpcError(error["code"], error["message"], _find_data(error.get("data")))
    return reply["result"]


class _Body(httpx.AsyncByteStream):
    """A request's body as a plain iterator. httpx's own is an async generator, which is left hanging when a request is cancelled while
    it is sent, and trio warns of that."""

    def __init__(self, body: bytes) -> None:
        self._pieces = [body]

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


class Provider(AsyncJSONBaseProvider):
    """One endpoint. Owns a pool of connections: use it as an async context manager, or call `aclose`.

    `timeout_s` bounds each attempt. Reads are tried `attempts` times, with `backoff_s` before the second and double that before each
    further one. Nothing is cached.
    """

    def __init__(self, url: str, *, timeout_s: float = 20.0, attempts: int = 3, backoff_s: float = 0.1) -> None:
        super().__init__()
        self.url = url
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._ids = itertools.count(1)
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
        self._http = httpx.AsyncClient(timeout=None, limits=limits, follow_redirects=False, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await self._http.aclose()

    async def request(self, method: str, params: Sequence[Any] = (), *, timeout_s: float | None = None) -> Any:
        """The result. Raises `RpcError` or `Unavailable`."""
        return get_result(await self._request(method, params, timeout_s))

    async def batch(self, calls: Sequence[Call], *, timeout_s: float | None = None) -> list[Any]:
        """Results in the order of the calls, an `RpcError` object where one was refused. All of them must be reads."""
        replies = await self._batch(calls, timeout_s)
        return [_get_result_or_error(reply) for reply in replies]

    # -- for AsyncWeb3

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        return cast(RPCResponse, await self._request(method, params, None))

    async def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        return cast(list[RPCResponse], await self._batch([(method, params) for method, params in requests], None))

    async def is_connected(self, show_traceback: bool = False) -> bool:
        try:
            await self.request("web3_clientVersion")
        except (Unavailable, RpcError):
            if show_traceback:
                raise
            return False
        return True

    # -- transport

    def _form(self, method: str, params: Sequence[Any]) -> tuple[int, dict[str, Any]]:
        number = next(self._ids)
        return number, {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}

    async def _request(self, method: str, params: Sequence[Any], timeout_s: float | None) -> dict[str, Any]:
        number, request = self._form(method, params)
        for attempt in itertools.count(1):
            try:
                return check_reply(await self._post(request, timeout_s), number)
            except Unavailable as error:
                if method not in READS or attempt >= self._attempts:
                    raise Unavailable(f"{method}: {error}") from error
            await trio.sleep(self._backoff_s * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    async def _batch(self, calls: Sequence[Call], timeout_s: float | None) -> list[dict[str, Any]]:
        if not calls:
            return []
        assert all(method in READS for method, _ in calls), "only reads go in a batch"
        formed = [self._form(method, params) for method, params in calls]
        for attempt in itertools.count(1):
            try:
                replies = await self._post([request for _, request in formed], timeout_s)
                return _match(replies, [number for number, _ in formed])
            except Unavailable as error:
                if attempt >= self._attempts:
                    raise Unavailable(f"batch of {len(calls)}: {error}") from error
            await trio.sleep(self._backoff_s * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    async def _post(self, request: object, timeout_s: float | None) -> object:
        """Parsed JSON of a 200 answer of bounded size and time."""
        body = json.dumps(request, default=_encode_bytes).encode()
        answer, size = bytearray(), 0
        limit = self._timeout_s if timeout_s is None else timeout_s
        try:
            with trio.fail_after(limit):
                post = self._http.build_request("POST", self.url, content=body, headers={"content-type": "application/json"})
                post.stream = _Body(body)
                response = await self._http.send(post, stream=True)
                try:
                    async for piece in response.aiter_bytes():  # to the end, whatever comes: time bounds it
                        size += len(piece)
                        if size <= MAX_ANSWER_BYTES:
                            answer += piece
                finally:
                    await response.aclose()
        except trio.TooSlowError as error:
            raise Unavailable(f"no answer within {limit:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: {str(error)[:SHOWN]}") from error
        if response.status_code != 200:
            raise Unavailable(f"HTTP status {response.status_code}")
        if size > MAX_ANSWER_BYTES:
            raise Unavailable("answer is too large")
        try:
            return decode_json(answer)
        except ValueError as error:
            raise Unavailable("answer is not JSON") from error


def _encode_bytes(value: object) -> str:
    """AsyncWeb3 hands hashes and raw transactions over as bytes."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"cannot encode {type(value).__name__}")


def _match(replies: object, numbers: list[int]) -> list[dict[str, Any]]:
    """Answers of a batch may come in any order."""
    if not isinstance(replies, list) or len(replies) != len(numbers):
        raise Unavailable("malformed batch answer")
    found = {reply.get("id"): reply for reply in replies if isinstance(reply, dict) and isinstance(reply.get("id"), int)}
    return [check_reply(found.get(number), number) for number in numbers]


def _get_result_or_error(reply: dict[str, Any]) -> Any:
    try:
        return get_result(reply)
    except RpcError as error:
        return error
