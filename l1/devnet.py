"""The embedded development chain as a process: `python -m l1.devnet --port 0 --block-time 1`.

py-evm (Prague) behind a small JSON-RPC server over HTTP/1.1. The first line on stdout is one JSON object with `port`, `url`, `chain_id` and
`genesis_time`. The funded accounts are those of the public test mnemonic (`l1.keys.DEV_MNEMONIC`), the same as anvil's: devnet only.
It stops on SIGINT or SIGTERM, and with --with-parent when its stdin closes. Everything is in memory.
"""

import argparse
import functools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import h11
import trio

from l1.devnet_node import Node, Settings
from l1.devnet_rpc import INTERNAL, MAX_BATCH, answer
from l1.recursion import decode_json

MAX_BODY_BYTES = 16 << 20
MAX_HEAD_BYTES = 32 << 10
READ_BYTES = 1 << 18
IDLE_S = 300
STACK_BYTES = 64 << 20  # py-evm recurses for every nested call, ten Python frames or so each
RECURSION_LIMIT = 20_000

Announce = Callable[[dict[str, Any]], None]


def _fail(code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}


async def handle_body(node: Node, body: bytes) -> object:
    """A request or a batch. A crash of ours is answered as such and told on stderr: other clients go on."""
    try:
        request = decode_json(body)
    except ValueError:
        return _fail(-32700, "parse error")
    if isinstance(request, list):
        if not 0 < len(request) <= MAX_BATCH:
            return _fail(-32600, "invalid batch")
        return [await _answer_or_report(node, item) for item in request]
    return await _answer_or_report(node, request)


async def _answer_or_report(node: Node, request: object) -> dict[str, Any]:
    try:
        return await answer(node, request)
    except Exception as error:  # noqa: BLE001 - one request's crash must not end the chain that others use
        method = request.get("method") if isinstance(request, dict) else None
        sys.stderr.write(f"devnet: {method} failed: {type(error).__name__}: {error}\n")
        reply = _fail(INTERNAL, f"{type(error).__name__}: {error}")
        return reply | {"id": request.get("id") if isinstance(request, dict) else None}


async def _respond(connection: h11.Connection, stream: trio.abc.Stream, status: int, body: bytes) -> None:
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    head = connection.send(h11.Response(status_code=status, headers=headers)) or b""
    await stream.send_all(head + (connection.send(h11.Data(data=body)) or b"") + (connection.send(h11.EndOfMessage()) or b""))


async def serve_connection(node: Node, stream: trio.abc.Stream) -> None:
    """Requests one after another until the peer leaves, errs or idles."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    body = bytearray()
    method = b""
    async with stream:
        try:
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    with trio.fail_after(IDLE_S):
                        connection.receive_data(bytes(await stream.receive_some(READ_BYTES)))
                elif isinstance(event, h11.Request):
                    body, method = bytearray(), event.method
                elif isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > MAX_BODY_BYTES:
                        return await _respond(connection, stream, 413, b"{}")
                elif isinstance(event, h11.EndOfMessage):
                    reply = _fail(-32600, "use POST") if method != b"POST" else await handle_body(node, bytes(body))
                    await _respond(connection, stream, 405 if method != b"POST" else 200, json.dumps(reply).encode())
                    if connection.our_state is h11.MUST_CLOSE:
                        return None
                    connection.start_next_cycle()
                else:
                    return None
        except (h11.RemoteProtocolError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return None  # the peer's doing; nothing to answer to


async def serve(
    settings: Settings,
    port: int = 0,
    host: str = "127.0.0.1",
    *,
    task_status: trio.TaskStatus[dict[str, Any]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. `task_status` gets the announcement: port, url, chain_id, genesis_time."""
    node = Node(settings, time.monotonic, time.time)
    listeners = await trio.open_tcp_listeners(port, host=host)
    bound = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.run_miner)
        nursery.start_soon(functools.partial(trio.serve_listeners, functools.partial(serve_connection, node), listeners))
        genesis_time = node.chain.blocks[0].header.timestamp
        task_status.started({"port": bound, "url": f"http://{host}:{bound}", "chain_id": settings.chain_id, "genesis_time": genesis_time})


async def _watch_stdin(scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(0) as stdin:
        while await stdin.receive_some(4096):
            pass
    scope.cancel()


async def run(settings: Settings, port: int, host: str, with_parent: bool) -> None:
    """The process: announce, serve, stop on a signal."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            announcement = await nursery.start(functools.partial(serve, settings, port, host))
            sys.stdout.write(json.dumps(announcement) + "\n")
            sys.stdout.flush()
            if with_parent:
                nursery.start_soon(_watch_stdin, nursery.cancel_scope)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Options of the process."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m l1.devnet", description="An Ethereum chain for development, in memory.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8545, help="0 picks a free one")
    parser.add_argument("--chain-id", type=int, default=defaults.chain_id)
    mining = parser.add_mutually_exclusive_group()
    mining.add_argument("--block-time", type=float, default=1.0, help="seconds of wall clock; 0 mines whenever a transaction comes")
    mining.add_argument("--manual", action="store_true", help="mine only on evm_mine")
    parser.add_argument("--genesis-time", type=int, help="chain time at the start, UNIX seconds; default now")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of chain time a second of wall clock")
    parser.add_argument("--gas-limit", type=int, default=defaults.gas_limit)
    parser.add_argument("--accounts", type=int, default=defaults.accounts, help="funded accounts of the public test mnemonic")
    parser.add_argument("--with-parent", action="store_true", help="stop when stdin closes")
    return parser.parse_args(args)


def main() -> None:
    args = parse_args()
    settings = Settings(
        chain_id=args.chain_id,
        block_time=None if args.manual else args.block_time,
        genesis_time=args.genesis_time,
        speed=args.speed,
        gas_limit=args.gas_limit,
        accounts=args.accounts,
    )
    threading.stack_size(STACK_BYTES)
    sys.setrecursionlimit(RECURSION_LIMIT)
    trio.run(run, settings, args.port, args.host, args.with_parent)


if __name__ == "__main__":
    main()
