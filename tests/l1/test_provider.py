"""Endpoints that are down, slow, limiting or lying: every one ends in the right kind of error, and never in a wrong answer."""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from l1.client import Client, encode_hex
from l1.provider import Provider, RpcError, Unavailable
from l1.shapes import Malformed, encode_transaction, parse_transaction
from protocol.keccak import keccak
from tests.l1.devchain import KEYS, Dev

HASH = "0x" + "11" * 32
OTHER = "0x" + "22" * 32
Answer = Callable[[Any], Awaitable[bytes]]


def reply(result: Any) -> Answer:
    """An honest envelope around any result."""

    async def answer(request: Any) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()

    return answer


def raw(body: bytes) -> Answer:
    async def answer(_: Any) -> bytes:
        return body

    return answer


async def hang(_: Any) -> bytes:
    await trio.sleep_forever()


@asynccontextmanager
async def serve(answer: Answer, status: str = "200 OK") -> AsyncIterator[tuple[str, list[Any]]]:
    """A minimal HTTP server; yields its URL and the list of requests that it gets."""
    seen: list[Any] = []

    async def handle(stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        (length,) = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        while len(body) < length:
            body += await stream.receive_some(65536)
        request = json.loads(body)
        seen.append(request)
        payload = await answer(request)
        await stream.send_all(f"HTTP/1.1 {status}\r\ncontent-length: {len(payload)}\r\nconnection: close\r\n\r\n".encode() + payload)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", seen
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'{"jsonrpc":"2.0","id":99,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"id":1,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":1,"error":"no"}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"no"}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}}',
        b"[" * 100_000,
    ],
)
async def test_nonsense_is_unavailable(body: bytes) -> None:
    async with serve(raw(body)) as (url, _), Provider(url, attempts=1) as provider:
        with pytest.raises(Unavailable):
            await provider.request("eth_chainId")


async def test_nested_nonsense_is_unavailable_though_others_raised_the_recursion_limit() -> None:
    """py-evm and py_ecc do, when something imports them after us: then the plain decoder overflows the C stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        async with serve(raw(b"[" * 1_000_000)) as (url, _), Provider(url, attempts=1) as provider:
            with pytest.raises(Unavailable):
                await provider.request("eth_chainId")
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("status", ["500 Oops", "429 Too Many Requests", "301 Moved", "404 Not Found"])
async def test_http_errors_are_unavailable(status: str) -> None:
    async with serve(reply("0x1"), status) as (url, _), Provider(url, attempts=1) as provider:
        with pytest.raises(Unavailable, match="HTTP status"):
            await provider.request("eth_chainId")


async def test_a_hanging_endpoint_is_unavailable_in_time() -> None:
    async with serve(hang) as (url, _), Provider(url, attempts=1, timeout_s=0.2) as provider:
        with trio.fail_after(2), pytest.raises(Unavailable, match="no answer"):
            await provider.request("eth_chainId")


async def test_nobody_there_is_unavailable() -> None:
    async with Provider("http://127.0.0.1:1", attempts=2, backoff_s=0.01) as provider:
        with pytest.raises(Unavailable):
            await provider.request("eth_chainId")
        assert not await provider.is_connected()


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l1.provider.MAX_ANSWER_BYTES", 10_000)
    async with serve(raw(b"x" * 20_000)) as (url, _), Provider(url, attempts=1) as provider:
        with pytest.raises(Unavailable, match="too large"):
            await provider.request("eth_chainId")


async def test_reads_are_tried_again_and_sends_are_not() -> None:
    count = 0

    async def flaky(request: Any) -> bytes:
        nonlocal count
        count += 1
        return b"" if count < 3 else await reply("0x7")(request)

    async with serve(flaky) as (url, seen), Provider(url, attempts=3, backoff_s=0.01) as provider:
        assert await provider.request("eth_chainId") == "0x7"
        assert len(seen) == 3
        count = 0
        with pytest.raises(Unavailable):
            await provider.request("eth_sendRawTransaction", ["0x02"])
        assert len(seen) == 4


async def test_an_error_of_the_node_is_an_error_with_its_data() -> None:
    error = {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()
    async with serve(raw(body)) as (url, seen), Provider(url) as provider:
        with pytest.raises(RpcError) as caught:
            await provider.request("eth_call", [{}, "latest"])
        assert (caught.value.code, caught.value.data) == (3, bytes.fromhex("08c379a0"))
        assert len(seen) == 1  # the endpoint has answered: asking again is of no use


async def test_a_batch_is_matched_by_id_and_checked_as_a_whole() -> None:
    async def shuffled(requests: Any) -> bytes:
        replies = [{"jsonrpc": "2.0", "id": r["id"], "result": r["params"][0]} for r in requests]
        return json.dumps(replies[::-1]).encode()

    async def short(requests: Any) -> bytes:
        return json.dumps([{"jsonrpc": "2.0", "id": requests[0]["id"], "result": 1}]).encode()

    calls = [("eth_getCode", [n]) for n in range(5)]
    async with serve(shuffled) as (url, _), Provider(url, attempts=1) as provider:
        assert await provider.batch(calls) == [0, 1, 2, 3, 4]
        assert await provider.batch([]) == []
    async with serve(short) as (url, _), Provider(url, attempts=1) as provider:
        with pytest.raises(Unavailable):
            await provider.batch(calls)


# -- answers of the right form with the wrong content

HEADER = {"number": "0x5", "hash": HASH, "parentHash": OTHER, "timestamp": "0x64", "baseFeePerGas": "0x7"}
LOG = {
    "address": "0x" + "aa" * 20,
    "topics": [HASH],
    "data": "0x",
    "blockNumber": "0x5",
    "blockHash": HASH,
    "transactionHash": OTHER,
    "transactionIndex": "0x0",
    "logIndex": "0x0",
}
RECEIPT: dict[str, Any] = {
    "transactionHash": HASH,
    "blockHash": HASH,
    "blockNumber": "0x5",
    "status": "0x1",
    "gasUsed": "0x1",
    "effectiveGasPrice": "0x1",
    "contractAddress": None,
    "logs": [],
}


@pytest.mark.parametrize(
    "lie",
    [
        None,
        [],
        {},
        HEADER | {"number": "0x6"},
        HEADER | {"number": 5},
        HEADER | {"number": "0x05"},
        HEADER | {"hash": "0x11"},
        HEADER | {"timestamp": None},
        HEADER | {"baseFeePerGas": "-0x1"},
    ],
)
async def test_lies_about_a_header(lie: Any) -> None:
    async with serve(reply(lie)) as (url, _), Provider(url, attempts=1) as provider:
        if lie is None:
            assert await Client(provider).get_header(5) is None
            with pytest.raises(Malformed):
                await Client(provider).get_head()
        else:
            with pytest.raises(Malformed):
                await Client(provider).get_header(5)


async def test_another_block_than_the_hash_asked_for_and_an_old_head() -> None:
    async with serve(reply(HEADER)) as (url, _), Provider(url, attempts=1) as provider:
        client = Client(provider)
        assert (await client.get_header(bytes.fromhex(HASH[2:]))) is not None
        with pytest.raises(Malformed):
            await client.get_header(bytes.fromhex(OTHER[2:]))
        assert (await client.get_head(not_before=100)).number == 5
        with pytest.raises(Unavailable, match="lags"):
            await client.get_head(not_before=101)


@pytest.mark.parametrize(
    "logs",
    [
        {},
        [1],
        [LOG | {"address": "0x" + "bb" * 20}],
        [LOG | {"blockHash": OTHER}],
        [LOG | {"blockNumber": "0x4"}],
        [LOG | {"topics": [HASH] * 5}],
        [LOG | {"data": "0x1"}],
        [LOG | {"removed": True}],
        [LOG, LOG],
        [LOG | {"logIndex": "0x1"}, LOG],
    ],
)
async def test_lies_about_logs(logs: Any) -> None:
    async with serve(reply(HEADER)) as (url, _), Provider(url) as provider:
        header = await Client(provider).get_header(5)
        assert header is not None
    async with serve(reply(logs)) as (url, _), Provider(url, attempts=1) as provider:
        with pytest.raises(Malformed):
            await Client(provider).get_logs(header, [bytes.fromhex("aa" * 20)])


@pytest.mark.parametrize(
    "lie",
    [
        RECEIPT | {"transactionHash": OTHER},
        RECEIPT | {"status": "0x2"},
        RECEIPT | {"blockHash": None},
        RECEIPT | {"contractAddress": "0x"},
        RECEIPT | {"logs": [LOG]},  # of another transaction
        RECEIPT | {"gasUsed": "1"},
        {"transactionHash": HASH},
    ],
)
async def test_lies_about_a_receipt(lie: Any) -> None:
    async with serve(reply(lie)) as (url, _), Provider(url, attempts=1) as provider:
        with pytest.raises(Malformed):
            await Client(provider).get_receipt(bytes.fromhex(HASH[2:]))


async def test_no_field_of_a_transaction_can_be_changed_unseen(dev: Dev) -> None:
    raw_tx, tx_hash = dev.sign(KEYS[0], 0, data=b"\x01\x02", gas=60_000)
    await dev.client.send_raw(raw_tx)
    item = await dev.rpc("eth_getTransactionByHash", encode_hex(tx_hash))
    assert encode_transaction(item) == raw_tx
    assert parse_transaction(item, tx_hash).input == b"\x01\x02"
    changes = {"input": "0x0103", "to": "0x" + "cc" * 20, "value": "0x1", "gas": "0x1", "nonce": "0x9", "s": "0x5", "type": "0x1"}
    for name, value in changes.items():
        with pytest.raises(Malformed):
            parse_transaction(item | {name: value}, tx_hash)
    async with serve(reply(item | {"input": "0x0103"})) as (url, _), Provider(url, attempts=1) as provider:
        with pytest.raises(Malformed):
            await Client(provider).get_input(tx_hash)


@pytest.mark.parametrize("kind", [0, 1, 2])
async def test_transactions_of_every_type_prove_their_hash(dev: Dev, kind: int) -> None:
    fields: dict[str, Any] = {"type": kind}
    if kind < 2:
        fields |= {"gasPrice": 10**11, "maxFeePerGas": None, "maxPriorityFeePerGas": None}
    if kind == 1:
        fields |= {"accessList": [{"address": encode_hex(KEYS[1].address), "storageKeys": [HASH]}], "gas": 40_000}
    if kind == 0:
        fields["type"] = None
    raw_tx, tx_hash = dev.sign(KEYS[0], 0, **fields)
    assert keccak(raw_tx) == tx_hash
    await dev.client.send_raw(raw_tx)
    await dev.mine()
    transaction = await dev.client.get_transaction(tx_hash)
    assert transaction is not None
    assert transaction.block_number == await dev.get_number()
