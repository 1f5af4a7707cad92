"""The feed behind an endpoint that serves another chain for a while."""

import json
from pathlib import Path
from typing import Any

import trio

from l1.client import Client
from l1.deploy import Deployment
from l1.provider import Provider
from node.clock import Clock
from node.store import Store
from sequencer.desk import Desk
from sequencer.feed import Feed
from sequencer.machine import Machine, build_settings
from tests.l1.test_provider import serve
from tests.sequencer.world import START, build_rules

HEAD = {"number": "0x5", "hash": "0x" + "11" * 32, "parentHash": "0x" + "22" * 32, "timestamp": hex(START), "baseFeePerGas": "0x7"}


async def test_another_chain_is_not_followed(tmp_path: Path) -> None:
    """Whatever it says would undo all that has landed."""
    chains = ["0x1", "0x1", "0x7a69"]
    asked: list[str] = []

    async def answer(body: Any) -> bytes:
        asked.append(body["method"])
        result: Any = HEAD
        if body["method"] == "eth_chainId":
            result = chains.pop(0) if len(chains) > 1 else chains[0]
        return json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": result}).encode()

    rules, store = build_rules(), Store(tmp_path / "store.sqlite")
    desk = Desk(Machine(rules, build_settings(rules)), store, Clock(wall_start=0, chain_start=START, wall=lambda: 0))
    deployment = Deployment(31337, "devnet", 1, 1, (2, 3, 4), bytes(32), 100, {"Inbox": 9})
    log: list[str] = []
    async with serve(answer) as (url, _), Provider(url) as provider, trio.open_nursery() as nursery:
        feed = Feed(Client(provider), deployment, desk, 2, 0.02, lambda _, fields: log.append(str(fields["error"])))
        with trio.fail_after(10):
            await nursery.start(feed.run)
        nursery.cancel_scope.cancel()
    store.close()
    assert log == ["the endpoint serves chain 1, not 31337"] * 2
    assert asked[:4] == ["eth_chainId", "eth_chainId", "eth_chainId", "eth_getBlockByNumber"]
