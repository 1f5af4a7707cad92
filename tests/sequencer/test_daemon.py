"""The whole daemon: a development chain, the sequencer's processes, real sockets, a claim on L1, and a restart after kill -9."""

import functools
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from coincurve import PrivateKey
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from l1.client import Client
from l1.contracts import encode_approve, encode_deposit, encode_mint, get_claim, get_epoch, get_position, read
from l1.deploy import Deployment, Plan, deploy, save_deployment
from l1.devnet_process import run_devnet
from l1.keys import Key, derive_dev_keys, save_dev_key
from l1.provider import Provider
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from node.instruments import encode_instrument
from node.store import Store
from protocol.keccak import keccak
from protocol.margin import compute_mark
from protocol.operations import MAX_FEE_CAP, build_mark
from protocol.params import DEVNET
from protocol.series import decode_series, encode_series
from protocol.signing import compute_mark_digest, compute_order_digest
from protocol.types import Market, Slice

KEYS = derive_dev_keys(8)
DEPLOYER, SEQUENCER, ALICE, BOB = KEYS[:4]
ORACLES = KEYS[4:7]
USD = 10**6
FORWARD = 50_000 * USD
pytestmark = pytest.mark.slow


def sign(key: Key, digest: bytes) -> str:
    raw = PrivateKey(key.secret).sign_recoverable(digest, hasher=None)
    return (raw[:64] + bytes([raw[64] + 27])).hex()


@dataclass
class Stage:
    """A chain with the contracts, and where the sequencer keeps its things."""

    client: Client
    deployment: Deployment
    path: Path
    url: str


class Peer:
    """One WebSocket connection."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self.socket = socket
        self.notices: list[Any] = []

    async def ask(self, message: Any) -> Any:
        await self.socket.send_message(message if isinstance(message, (str, bytes)) else json.dumps(message))
        while True:
            with trio.fail_after(20):
                reply = json.loads(await self.socket.get_message())
            if isinstance(reply, dict) and reply.get("method") == "subscription":
                self.notices.append(reply["params"])
                continue
            return reply

    async def call(self, method: str, **params: Any) -> Any:
        reply = await self.ask({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
        assert reply["id"] == 7
        return reply.get("result", reply.get("error"))


async def send_all(stage_client: Client, key: Key, calls: list[tuple[bytes, bytes]]) -> None:
    async with trio.open_nursery() as nursery:
        sender = Sender(stage_client, key, 31337, MemoryJournal(), Policy(depth=1), poll_s=0.1)
        await nursery.start(sender.run)
        numbers = [await sender.submit(to, data, 0, 400_000) for to, data in calls]
        for number in numbers:
            assert (await sender.wait(number)).ok
        nursery.cancel_scope.cancel()


async def deploy_all(client: Client) -> Deployment:
    async with trio.open_nursery() as nursery:
        sender = Sender(client, DEPLOYER, 31337, MemoryJournal(), Policy(depth=1), poll_s=0.1)
        await nursery.start(sender.run)
        oracles = tuple(int.from_bytes(key.address, "big") for key in ORACLES)
        with trio.fail_after(100):
            deployment = await deploy(client, sender, Plan("devnet", 1, int.from_bytes(SEQUENCER.address, "big"), oracles))
        nursery.cancel_scope.cancel()
    return deployment


@asynccontextmanager
async def open_stage(path: Path) -> AsyncIterator[Stage]:
    async with run_devnet("--block-time", "0.5") as chain, Provider(chain.url) as provider:
        client = Client(provider)
        deployment = await deploy_all(client)
        save_deployment(path / "deployment.json", deployment)
        save_dev_key(path / "key.json", SEQUENCER)
        (path / "sequencer.toml").write_text(
            f'[l1]\nurl = "{chain.url}"\nconfirmations = 1\npoll_s = 0.2\n[server]\nport = 0\n[batches]\ninterval_s = 2\n'
        )
        stage = Stage(client, deployment, path, chain.url)
        for key in (ALICE, BOB):
            await fund(stage, key)
        yield stage


async def fund(stage: Stage, key: Key) -> None:
    token, vault = stage.deployment.get_address("Token"), stage.deployment.get_address("Vault")
    amount = 100_000 * USD
    calls = [
        (token, encode_mint(int.from_bytes(key.address, "big"), amount)),
        (token, encode_approve(stage.deployment.addresses["Vault"], amount)),
        (vault, encode_deposit(amount)),
    ]
    await send_all(stage.client, key, calls)


@asynccontextmanager
async def run_sequencer(stage: Stage) -> AsyncIterator[tuple[trio.Process, str]]:
    command = [sys.executable, "-m", "sequencer", "--config", str(stage.path / "sequencer.toml"), "--with-parent"]
    with (stage.path / "log.jsonl").open("ab") as log:
        process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        line = b""
        with trio.fail_after(60):
            while not line.endswith(b"\n"):
                piece = await process.stdout.receive_some()
                assert piece, (stage.path / "log.jsonl").read_text()[-3_000:]
                line += piece
        yield process, json.loads(line)["url"]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 20):
            await process.wait()


class Trader:
    """Builds what a client sends."""

    def __init__(self, stage: Stage, now: int) -> None:
        self.domain = stage.deployment.rules.domain
        self.expiry = now - now % 86_400 + 10 * 86_400 + 8 * 3_600
        self.series = encode_series(0, self.expiry, 51_000 * USD, 1)
        self.market = Market(FORWARD, now, (Slice(self.expiry, FORWARD, 4_000_000, 10_000_000, -100_000_000, 0, 100_000_000),))
        mark = compute_mark(self.series, self.market)
        assert mark is not None
        self.price = mark // 100
        self.until = now + 3_600

    def build_mark(self) -> dict[str, Any]:
        row = build_mark(0, 0, self.market)
        digest = compute_mark_digest(self.domain, 0, 0, self.market.mark_time, FORWARD, row[5:])
        return {"items": [str(item) for item in row], "signatures": "0x" + sign(ORACLES[0], digest) + sign(ORACLES[1], digest)}

    def build_order(self, key: Key, account: int, is_buy: int, lots: int, nonce: int, **extra: Any) -> dict[str, Any]:
        terms = (account, *decode_series(self.series), is_buy, self.price, lots, 0, 0, 0, MAX_FEE_CAP, nonce, 0, self.until)
        order: Mapping[str, Any] = {
            "account": account,
            "instrument_name": encode_instrument(self.series),
            "amount": lots,
            "price": self.price,
            "nonce": nonce,
            "generation": 0,
            "valid_until": self.until,
            "signature": sign(key, compute_order_digest(self.domain, terms)),
        }
        return {**order, **extra}


async def login(stage: Stage, peer: Peer, key: Key) -> int:
    account = (await peer.call("public/get_account", owner="0x" + key.address.hex()))["account"]
    challenge = (await peer.call("public/get_challenge"))["challenge"]
    head = f"Straddle login\nchain 31337\nvault 0x{stage.deployment.addresses['Vault']:040x}\n"
    text = f"{head}account {account}\nchallenge {challenge}".encode()
    digest = keccak(b"\x19Ethereum Signed Message:\n%d" % len(text) + text)
    wrong = await peer.call("public/auth", account=account, signature=sign(DEPLOYER, digest))
    assert wrong["code"] == -32014
    assert await peer.call("public/auth", account=account, signature=sign(key, digest)) == {"account": account}
    return int(account)


async def refuse_nonsense(peer: Peer) -> None:
    cases: list[tuple[Any, int]] = [
        ("{", -32700),
        ('{"jsonrpc": "1.0", "id": 1, "method": "public/get_time"}', -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "public/nothing"}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "private/buy", "params": {"account": -1}}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "private/get_positions", "params": {"account": 0}}, -32014),
        ({"jsonrpc": "2.0", "id": 1, "method": "public/ticker", "params": {"instrument_name": "BTC-1"}}, -32016),
        ([], -32600),
    ]
    for message, code in cases:
        reply = await peer.ask(message)
        assert reply["error"]["code"] == code, reply
        assert reply["error"]["message"]


async def trade(stage: Stage, peer: Peer, trader: Trader) -> None:
    applied = await peer.call("straddle/submit_mark", **trader.build_mark())
    assert applied["name"] == "OK"
    assert (await peer.call("public/subscribe", channels=["trades.all", "batches"])) == ["trades.all", "batches"]
    resting = await peer.call("private/sell", **trader.build_order(ALICE, 0, 0, 100, 1))
    assert resting["order"]["order_state"] == "open"
    buys = [
        {"jsonrpc": "2.0", "id": nonce, "method": "private/buy", "params": trader.build_order(BOB, 1, 1, 10, nonce)} for nonce in (1, 2)
    ]
    forged = {"jsonrpc": "2.0", "id": 3, "method": "private/buy", "params": trader.build_order(ALICE, 1, 1, 10, 3)}
    replies = await peer.ask([*buys, forged])
    assert [reply["result"]["order"]["order_state"] for reply in replies[:2]] == ["filled", "filled"]
    assert replies[2]["error"]["code"] == 4
    many = await peer.call("straddle/place_orders", orders=[trader.build_order(BOB, 1, 1, 5, nonce, direction="buy") for nonce in (4, 5)])
    assert [answer["trades"][0]["amount"] for answer in many] == [5, 5]
    name = encode_instrument(trader.series)
    assert (await peer.call("public/get_order_book", instrument_name=name))["asks"] == [[trader.price, 70]]
    ticker = await peer.call("public/ticker", instrument_name=name)
    assert (ticker["mark_price"], ticker["best_ask_amount"]) == (trader.price, 70)
    assert 0.3 < ticker["greeks"]["delta"] < 0.6
    assert any(item["instrument_name"] == name for item in await peer.call("public/get_instruments", currency="BTC"))
    assert len([notice for notice in peer.notices if notice["channel"] == "trades.all"]) == 4


async def wait_for(read_it: Any, seconds: float = 60) -> Any:
    with trio.fail_after(seconds):
        while True:
            found = await read_it()
            if found:
                return found
            await trio.sleep(0.3)


# trio-websocket leaves the socket to the garbage collector when the peer dies without a goodbye
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_day_in_the_life(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        trader = Trader(stage, (await stage.client.get_head()).time)
        async with run_sequencer(stage) as (process, url), open_websocket_url(url) as socket:
            peer = Peer(socket)
            await refuse_nonsense(peer)
            account = await login(stage, peer, BOB)
            await trade(stage, peer, trader)
            (position,) = await peer.call("private/get_positions", account=account)
            assert position["size"] == 30
            before = await peer.call("private/get_account_summary", account=account)
            assert before["equity"] <= 100_000 * USD
            process.kill()
            with pytest.raises(ConnectionClosed):
                await peer.ask("{}")
        async with run_sequencer(stage) as (process, url), open_websocket_url(url) as socket:
            peer = Peer(socket)
            account = await login(stage, peer, BOB)
            assert await peer.call("private/get_account_summary", account=account) == before
            book = await peer.call("public/get_order_book", instrument_name=encode_instrument(trader.series))
            assert book["asks"] == [[trader.price, 70]]
            cancelled = await peer.call("private/cancel", order_id="0-1")
            assert cancelled["code"] == -32014
            await check_l1(stage, peer)
            landed = (await peer.call("public/status"))["landed_batches"]
        assert process.returncode == 0
        store = Store(tmp_path / "data" / "sequencer.sqlite")
        assert store.load_snapshot() is not None  # the clean stop left one, and the next start is from it
        store.close()
        async with run_sequencer(stage) as (process, url), open_websocket_url(url) as socket:
            peer = Peer(socket)
            account = await login(stage, peer, BOB)
            assert await peer.call("private/get_account_summary", account=account) == before
            assert (await peer.call("public/status"))["landed_batches"] >= landed
            book = await peer.call("public/get_order_book", instrument_name=encode_instrument(trader.series))
            assert book["asks"] == [[trader.price, 70]]
        problems = [line for line in (tmp_path / "log.jsonl").read_text().splitlines() if "batch.lost" in line or "reverted" in line]
        assert problems == []


async def check_l1(stage: Stage, peer: Peer) -> None:
    """Everything lands, and the epochs are claimed on top of each other with one stake."""
    inbox, claims = stage.deployment.get_address("Inbox"), stage.deployment.get_address("Claims")

    async def is_landed() -> bool:
        status = await peer.call("public/status")
        return bool(status["landed_batches"] and not status["pending_batches"])

    await wait_for(is_landed)
    (first,) = await read(stage.client, "Inbox", inbox, "next_epoch", (0,))
    assert (await get_epoch(stage.client, inbox, first))[1] >= 1
    (genesis,) = await read(stage.client, "Claims", claims, "GENESIS")

    async def find_position() -> Any:
        position = await get_position(stage.client, claims, genesis)
        return position if position.count else None

    position = await wait_for(find_position)
    assert (position.epoch, position.count) == (first, 1)
    (claimed,) = await wait_for(functools.partial(read_claims, stage, 1))
    claim = await get_claim(stage.client, claims, bytes.fromhex(claimed["claim"].removeprefix("0x")))
    assert claim.is_alive
    assert claimed["paid"] == DEVNET.stake_wei
    await fund(stage, ALICE)  # something for another epoch
    _, second = await wait_for(functools.partial(read_claims, stage, 2))
    assert second["paid"] == 0
    child = await get_claim(stage.client, claims, bytes.fromhex(second["claim"].removeprefix("0x")))
    assert child.parent.hex() == claimed["claim"].removeprefix("0x")


async def read_claims(stage: Stage, count: int) -> list[Any]:
    logs = [json.loads(line) for line in (stage.path / "log.jsonl").read_text().splitlines()]
    found = [entry for entry in logs if entry["event"] == "claims.claimed"]
    return found if len(found) >= count else []
