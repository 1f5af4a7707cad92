"""The API over real sockets, with a real store and real workers, without L1: orders, limits, slow readers, workers that die."""

import functools
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, HandshakeError, open_websocket_url

from node.clock import Clock
from node.instruments import encode_legs
from node.store import Store
from protocol.codes import Code
from protocol.keccak import keccak
from protocol.signing import get_signer
from protocol.types import FILL_OR_KILL, POST_ONLY, REDUCE_ONLY
from sequencer.api import Api, ApiLimits
from sequencer.desk import Desk
from sequencer.events import MessagesQueued, OrderReceived
from sequencer.machine import Machine, build_settings
from sequencer.methods import Methods
from sequencer.rpc import MAX_BATCH
from sequencer.submissions import Deployed
from sequencer.verify import Verifiers
from tests.sequencer.test_machine import MARK
from tests.sequencer.world import (
    ADDRESSES,
    CHAIN_ID,
    PLAIN,
    START,
    USD,
    VAULT,
    build_deposits,
    build_mark_event,
    build_order_event,
    build_rules,
    sign,
)

Log = list[tuple[str, dict[str, Any]]]
# trio-websocket leaves a client's socket to the garbage collector when the server closes first
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Venue:
    """A served desk. `elapsed` is what its clock has gone on by since `START + 1`, chain seconds."""

    def __init__(self, log: Log) -> None:
        self.url = ""
        self.desk: Desk
        self.log = log
        self.elapsed = 0


@asynccontextmanager
async def open_venue(path: Path, limits: ApiLimits | None = None, workers: int = 0) -> AsyncIterator[Venue]:
    rules = build_rules()
    store = Store(path / "store.sqlite")
    log: Log = []
    venue = Venue(log)

    def note(event: str, fields: dict[str, Any]) -> None:
        log.append((event, fields))

    try:
        async with trio.open_nursery() as nursery:
            clock = Clock(wall_start=0, chain_start=START + 1, wall=lambda: venue.elapsed)
            desk = venue.desk = Desk(Machine(rules, build_settings(rules)), store, clock)
            verifiers = Verifiers(workers, note)
            api = Api(desk, Methods(desk, Deployed(CHAIN_ID, VAULT, "devnet", 1)), verifiers, limits or ApiLimits(), note)
            desk.on_news = api.tell
            nursery.start_soon(store.run)
            nursery.start_soon(desk.run)
            nursery.start_soon(verifiers.run)
            port = await nursery.start(functools.partial(api.serve, "127.0.0.1", 0))
            deposits = MessagesQueued(START, 0, build_deposits(4, 1_000_000 * USD, START))
            await desk.submit([deposits, build_mark_event(START, START, 0, request=1)])
            venue.url = f"ws://127.0.0.1:{port}"
            yield venue
            nursery.cancel_scope.cancel()
    finally:
        store.close()


def encode_order(event: OrderReceived) -> dict[str, Any]:
    return {
        "account": event.account,
        "instrument_name": encode_legs(event.legs),
        "amount": event.lots,
        "price": event.price,
        "nonce": event.nonce,
        "generation": event.generation,
        "valid_until": event.valid_until,
        "signature": "0x" + event.signature.hex(),
        "time_in_force": "fill_or_kill" if event.flags & FILL_OR_KILL else "good_til_date",
        "post_only": bool(event.flags & POST_ONLY),
        "reduce_only": bool(event.flags & REDUCE_ONLY),
        "fee_cap": event.fee_cap,
        "rfq_id": event.rfq,
    }


def order(account: int, is_buy: int, nonce: int, lots: int = 10, price: int = MARK, **terms: Any) -> dict[str, Any]:
    return encode_order(build_order_event(START + 1, account, is_buy, price, lots, nonce, **terms))


def request(method: str, params: Any = None, number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}


async def ask(socket: Any, message: Any) -> Any:
    await socket.send_message(json.dumps(message))
    with trio.fail_after(20):
        return json.loads(await socket.get_message())


async def test_many_orders_in_one_message_are_applied_in_order(tmp_path: Path) -> None:
    async with open_venue(tmp_path, workers=2) as venue, open_websocket_url(venue.url) as socket:
        asks = [request("private/sell", order(0, 0, nonce), nonce) for nonce in range(1, 31)]
        bids = [request("private/buy", order(1, 1, nonce), 100 + nonce) for nonce in range(1, 31)]
        replies = await ask(socket, asks + bids)
        assert [reply["id"] for reply in replies] == [*range(1, 31), *range(101, 131)]
        assert [reply["result"]["order"]["order_state"] for reply in replies] == ["open"] * 30 + ["filled"] * 30
        matched = [reply["result"]["trades"][0]["maker_order_id"] for reply in replies[30:]]
        assert matched == [f"0-{nonce}" for nonce in range(1, 31)]
        tampered = order(2, 1, 1) | {"amount": 11}
        replies = await ask(socket, [request("private/buy", tampered), request("public/get_time"), {"id": 3}])
        assert [reply.get("error", {}).get("code") for reply in replies] == [Code.SIGNATURE, None, -32600]


async def test_terms_may_be_spelled_out(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket:
        params = order(0, 0, 1)
        name = params.pop("instrument_name")
        spelled = {"underlying": 0, "expiry": START + 7 * 86_400, "strike": 51_000 * USD, "option_type": "call"}
        reply = await ask(socket, request("private/sell", params | spelled))
        assert reply["result"]["order"]["instrument_name"] == name
        reply = await ask(socket, request("private/sell", params | spelled | {"instrument_name": name}))
        assert reply["error"]["code"] == -32602


async def login(socket: Any, account: int, key: int | None = None) -> None:
    """By the owner, or with another key."""
    challenge = (await ask(socket, request("public/get_challenge")))["result"]["challenge"]
    text = f"Straddle login\nchain {CHAIN_ID}\nvault 0x{VAULT:040x}\naccount {account}\nchallenge {challenge}".encode()
    signature = sign(account if key is None else key, keccak(b"\x19Ethereum Signed Message:\n%d" % len(text) + text))
    reply = await ask(socket, request("public/auth", {"account": account, "signature": signature.hex()}))
    assert reply["result"] == {"account": account}


async def test_private_channels_tell_of_fills_and_removals(tmp_path: Path) -> None:
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as maker, open_websocket_url(venue.url) as taker:
        reply = await ask(maker, request("public/subscribe", {"channels": ["user.0"]}))
        assert reply["error"]["code"] == -32014
        await login(maker, 0)
        await ask(maker, request("public/subscribe", {"channels": ["user.0", "marks"]}))
        await ask(maker, request("private/sell", order(0, 0, 1)))
        await ask(taker, request("private/buy", order(1, 1, 1, lots=4)))
        notice = json.loads(await maker.get_message())["params"]
        assert (notice["channel"], notice["data"]["trade"]["amount"]) == ("user.0", 4)
        summary = (await ask(maker, request("private/get_account_summary", {"account": 0})))["result"]
        assert (summary["open_orders"], summary["is_flagged"]) == (1, False)
        assert summary["greeks"]["BTC"]["delta"] < 0
        assert summary["initial_margin"] >= summary["maintenance_margin"] > 0
        reply = await ask(maker, request("private/cancel", {"order_id": "0-1"}))
        notices = [json.loads(await maker.get_message())]
        messages = [reply, *notices]
        assert {"cancelled": 1} in [message.get("result") for message in messages]
        assert any(message.get("params", {}).get("data", {}).get("removed", {}).get("left") == 6 for message in messages)


async def test_what_a_client_may_not_do(tmp_path: Path) -> None:
    limits = ApiLimits(connections=1, message_bytes=100_000)
    async with open_venue(tmp_path, limits) as venue:
        async with open_websocket_url(venue.url) as socket:
            with pytest.raises(HandshakeError):
                async with open_websocket_url(venue.url):
                    raise AssertionError("one connection too many")
            reply = await ask(socket, [request("public/get_time")] * (MAX_BATCH + 1))
            assert reply["error"]["code"] == -32600
            reply = await ask(socket, request("public/get_time", {"surplus": 1}))
            assert reply["error"]["code"] == -32602
            assert "surplus" in reply["error"]["message"]
            with pytest.raises(ConnectionClosed):
                await ask(socket, "x" * 200_000)
        async with open_websocket_url(venue.url) as socket:
            assert "result" in await ask(socket, request("public/status"))


async def test_rows_that_change_nothing_are_not_posted_on_request(tmp_path: Path) -> None:
    """Anyone could spend the sequencer's gas with them."""
    async with open_venue(tmp_path) as venue, open_websocket_url(venue.url) as socket:
        params = {"items": ["5", "0", "1", "1"], "signatures": "0x" + "00" * 65, "must_apply": False}
        refused = await ask(socket, request("straddle/submit_row", params))
        assert refused["error"]["code"] == -32602
        assert "changes nothing" in refused["error"]["message"]


async def test_a_slow_reader_is_dropped_with_a_reason(tmp_path: Path) -> None:
    async with open_venue(tmp_path, ApiLimits(queue=8)) as venue, open_websocket_url(venue.url) as slow:
        await ask(slow, request("public/subscribe", {"channels": ["trades.all"]}))
        with trio.fail_after(30):
            nonce = 0
            while not venue.log:
                events = []
                for _ in range(40):
                    nonce += 1
                    events += [build_order_event(START + 1, 0, 0, MARK, 1, nonce), build_order_event(START + 1, 1, 1, MARK, 1, nonce)]
                await venue.desk.submit(events)
        assert venue.log[0] == ("api.dropped", {"reason": "too slow: what it subscribed to was not read"})


async def test_workers_that_die_lose_nothing(tmp_path: Path) -> None:
    log: Log = []
    verifiers = Verifiers(1, lambda event, fields: log.append((event, fields)))
    digests = [keccak(i.to_bytes(2, "big")) for i in range(300)]
    pairs = [(digest, sign(i % 5, digest)) for i, digest in enumerate(digests)]
    expected = [ADDRESSES[i % 5] for i in range(300)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(verifiers.run)
        with trio.fail_after(60):
            assert await verifiers.recover(pairs) == expected
            assert await verifiers.recover([(digests[0], b"short"), (digests[1], bytes(65)), pairs[2]]) == [0, 0, expected[2]]
            children = find_children()
            assert len(children) == 1
            os.kill(children[0], signal.SIGKILL)
            assert await verifiers.recover(pairs) == expected
            while not log:
                assert await verifiers.recover(pairs[:1]) == expected[:1]
            assert await verifiers.recover(pairs) == expected
        nursery.cancel_scope.cancel()
    assert log[0][0] == "verify.worker_died"
    assert get_signer(*pairs[0]) == expected[0]


def find_children() -> list[int]:
    """Of this process, by what Linux says."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = (entry / "stat").read_text().rpartition(") ")[2].split()
            command = (entry / "cmdline").read_bytes()
            if int(stat[1]) == os.getpid() and b"sequencer.verify" in command:
                found.append(int(entry.name))
    return found


async def test_nothing_is_answered_before_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_venue(tmp_path) as venue:
        gate = trio.Event()
        append = Store.append

        async def wait_and_append(store: Store, records: Any) -> int:
            await gate.wait()
            return await append(store, records)

        monkeypatch.setattr(Store, "append", wait_and_append)
        answers: list[Any] = []

        async def place() -> None:
            answers.extend(await venue.desk.submit([build_order_event(START + 1, 0, 0, MARK, 1, 1)]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(place)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert answers == []
            assert venue.desk.machine.book.get_depth(PLAIN, 0, 1) == [(MARK, 1)]
            gate.set()
        assert len(answers) == 1
