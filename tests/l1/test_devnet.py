"""The development chain: what clients rely on, through its socket."""

import itertools
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import trio
from hexbytes import HexBytes
from web3 import AsyncWeb3
from web3.exceptions import Web3RPCError

from l1.abi import decode_reason, encode_call
from l1.client import Client, encode_hex
from l1.contracts import encode_mint
from l1.devnet_process import run_devnet
from l1.provider import Provider, RpcError
from tests.l1.devchain import BURNER, CHAIN_ID, KEYS, Dev, wait_until

ALICE, BOB, CAROL = KEYS[0], KEYS[1], KEYS[2]


async def test_transactions_of_one_sender_run_in_order_of_nonce_whatever_their_order_of_arrival(dev: Dev) -> None:
    hashes = {nonce: await dev.send(ALICE, nonce) for nonce in (2, 0, 3, 1)}
    assert await dev.client.get_nonce(ALICE.address, "pending") == 4
    assert await dev.client.get_nonce(ALICE.address) == 0
    await dev.mine()
    receipts = [await dev.client.get_receipt(hashes[nonce]) for nonce in range(4)]
    assert {receipt.block_number for receipt in receipts if receipt} == {await dev.get_number()}
    assert await dev.client.get_nonce(ALICE.address) == 4


async def test_a_gap_of_nonces_holds_back_what_follows(dev: Dev) -> None:
    late = await dev.send(ALICE, 1)
    await dev.mine()
    assert await dev.client.get_receipt(late) is None
    await dev.send(ALICE, 0)
    await dev.mine()
    assert await dev.client.get_receipt(late) is not None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nonce": 0}, "nonce too low"),
        ({"gas": 20_999}, "intrinsic gas too low"),
        ({"gas": 50_000, "data": b"\x01" * 1000}, "intrinsic gas too low"),  # EIP-7623's floor is 61,000
        ({"gas": 40_000_000}, "exceeds block gas limit"),
        ({"value": 10**30}, "insufficient funds"),
        ({"chainId": 5}, "chain id"),
        ({"gas": 10_000_000, "data": b"\x01" * 140_000}, "oversized data"),
    ],
)
async def test_refusals_are_in_the_words_of_geth(dev: Dev, fields: dict[str, int], message: str) -> None:
    await dev.send(ALICE, 0)
    await dev.mine()
    with pytest.raises(RpcError, match=message):
        await dev.send(ALICE, fields.pop("nonce", 1), **fields)


async def test_a_replacement_pays_ten_percent_more_on_both_fees(dev: Dev) -> None:
    cheap = await dev.send(ALICE, 0, maxFeePerGas=10**10)
    with pytest.raises(RpcError, match="already known"):
        await dev.send(ALICE, 0, maxFeePerGas=10**10)
    with pytest.raises(RpcError, match="replacement transaction underpriced"):
        await dev.send(ALICE, 0, maxFeePerGas=10**10 * 109 // 100, maxPriorityFeePerGas=2 * 10**9)
    with pytest.raises(RpcError, match="replacement transaction underpriced"):
        await dev.send(ALICE, 0, maxFeePerGas=2 * 10**10)
    dear = await dev.send(ALICE, 0, maxFeePerGas=10**10 * 11 // 10, maxPriorityFeePerGas=11 * 10**8)
    assert await dev.client.get_transaction(cheap) is None
    await dev.mine()
    assert await dev.client.get_receipt(dear) is not None
    assert await dev.client.get_receipt(cheap) is None


async def test_the_best_tip_comes_first_and_too_low_a_cap_waits(dev: Dev) -> None:
    low = await dev.send(ALICE, 0, maxPriorityFeePerGas=10**9)
    high = await dev.send(BOB, 0, maxPriorityFeePerGas=2 * 10**9)
    poor = await dev.send(CAROL, 0, maxFeePerGas=1, maxPriorityFeePerGas=1)
    await dev.mine()
    block = await dev.rpc("eth_getBlockByNumber", "latest", False)
    assert block["transactions"] == [encode_hex(high), encode_hex(low)]
    assert await dev.client.get_receipt(poor) is None
    assert await dev.client.get_transaction(poor) is not None


async def test_block_times_strictly_increase_and_can_be_set(dev: Dev) -> None:
    await dev.mine(5)
    headers = await dev.client.get_headers(0, await dev.get_number())
    assert all(b.time > a.time for a, b in itertools.pairwise(headers))
    goal = headers[-1].time + 10_000
    await dev.rpc("evm_setNextBlockTimestamp", goal)
    await dev.mine()
    assert (await dev.client.get_head()).time == goal
    await dev.rpc("evm_increaseTime", 500)
    await dev.mine()
    assert goal + 500 <= (await dev.client.get_head()).time <= goal + 520
    with pytest.raises(RpcError):
        await dev.rpc("evm_setNextBlockTimestamp", goal)


async def test_a_reorg_makes_other_blocks_and_its_transactions_vanish_or_return(dev: Dev) -> None:
    lost = await dev.send(ALICE, 0)
    await dev.mine(2)
    before = await dev.client.get_headers(0, await dev.get_number())
    await dev.reorg(2, keep=False)
    after = await dev.client.get_headers(0, await dev.get_number())
    assert [h.hash for h in after[:-2]] == [h.hash for h in before[:-2]]
    assert all(a.hash != b.hash and a.time == b.time for a, b in zip(after[-2:], before[-2:], strict=True))
    assert await dev.client.get_receipt(lost) is None
    assert await dev.client.get_transaction(lost) is None
    assert await dev.client.get_header(before[-1].hash) is None
    assert await dev.client.get_nonce(ALICE.address) == 0

    again = await dev.send(ALICE, 0, value=1)
    await dev.mine()
    await dev.reorg(1, keep=True)
    assert await dev.client.get_receipt(again) is None
    assert await dev.client.get_transaction(again) is not None
    await dev.mine()
    assert await dev.client.get_receipt(again) is not None


async def test_a_reorg_can_put_other_transactions_in_their_place(dev: Dev) -> None:
    old = await dev.send(ALICE, 0)
    await dev.mine(2)
    raw, new = dev.sign(ALICE, 0, value=9)
    await dev.rpc("anvil_reorg", 2, [[encode_hex(raw), 1]])
    receipt = await dev.client.get_receipt(new)
    assert receipt is not None
    assert receipt.block_number == await dev.get_number()
    assert await dev.client.get_receipt(old) is None


async def test_a_dropped_transaction_is_gone(dev: Dev) -> None:
    tx_hash = await dev.send(ALICE, 0)
    assert await dev.rpc("anvil_dropTransaction", encode_hex(tx_hash)) == encode_hex(tx_hash)
    assert await dev.client.get_transaction(tx_hash) is None
    assert await dev.rpc("anvil_dropTransaction", encode_hex(tx_hash)) is None


async def test_a_snapshot_brings_back_state_pool_and_time(dev: Dev) -> None:
    waiting = await dev.send(ALICE, 0)
    head = await dev.client.get_head()
    snapshot = await dev.rpc("evm_snapshot")
    await dev.rpc("evm_increaseTime", 10**6)
    await dev.mine(3)
    assert await dev.rpc("evm_revert", snapshot)
    assert await dev.client.get_head() == head
    assert await dev.client.get_transaction(waiting) is not None
    assert await dev.client.get_receipt(waiting) is None
    assert not await dev.rpc("evm_revert", snapshot)
    await dev.mine()
    assert (await dev.client.get_head()).time < head.time + 10**6


async def test_logs_by_block_hash_and_by_range_agree(dev: Dev) -> None:
    token = await dev.deploy_token(ALICE)
    first = await dev.get_number() + 1
    for nonce in range(1, 7):
        await dev.mint(ALICE, token, nonce, amount=nonce)
        if nonce % 2 == 0:
            await dev.mine()
    headers = await dev.client.get_headers(first, await dev.get_number())
    by_range = await dev.client.get_logs_of(headers, [token])
    by_hash = [log for header in headers for log in await dev.client.get_logs(header, [token])]
    assert list(by_range) == by_hash
    assert [int.from_bytes(log.data, "big") for log in by_range] == [1, 2, 3, 4, 5, 6]
    assert await dev.client.get_logs_of(headers, [ALICE.address]) == ()
    topics = [None, None, encode_hex((7).to_bytes(32, "big"))]
    query = {"fromBlock": hex(first), "toBlock": "latest", "topics": topics}
    assert len(await dev.rpc("eth_getLogs", query)) == 6
    assert await dev.rpc("eth_getLogs", query | {"topics": [topics[2]]}) == []
    await dev.reorg(1, keep=False)
    with pytest.raises(RpcError, match="unknown block"):
        await dev.client.get_logs(headers[-1], [token])
    assert len(await dev.rpc("eth_getLogs", query)) == 4


async def test_the_reason_of_a_revert_comes_through_calls_and_receipts(dev: Dev) -> None:
    token = await dev.deploy_token(ALICE)
    data = encode_call("Token", "transfer", (7, 10**9))
    with pytest.raises(RpcError, match="execution reverted") as caught:
        await dev.client.call(token, data, sender=ALICE.address)
    assert caught.value.code == 3
    tx_hash = await dev.send(ALICE, 1, to=token, data=data, gas=100_000)
    await dev.mine()
    receipt = await dev.client.get_receipt(tx_hash)
    assert receipt is not None
    assert not receipt.ok
    assert receipt.reason == caught.value.data


async def test_calls_see_the_state_of_the_block_that_they_name(dev: Dev) -> None:
    token = await dev.deploy_token(ALICE)
    await dev.mint(ALICE, token, 1, amount=4)
    await dev.mine()
    number = await dev.get_number()
    await dev.mint(ALICE, token, 2, amount=6)
    await dev.mine()
    data = encode_call("Token", "balanceOf", (7,))
    head = await dev.client.get_head()
    for ref, amount in ((number, 4), (number - 1, 0), ("latest", 10), (head.hash, 10)):
        assert int.from_bytes(await dev.client.call(token, data, ref), "big") == amount
    with pytest.raises(RpcError, match="header not found"):
        await dev.client.call(token, data, head.number + 1)


async def test_it_answers_while_a_heavy_block_is_mined(dev: Dev) -> None:
    """A transaction that burns 3M gas takes about a second of EVM time; reads must not wait for it."""
    token = await dev.deploy_token(ALICE)
    await dev.send(ALICE, 1, to=None, data=BURNER, gas=3_000_000)
    worst = 0.0
    mined = trio.Event()

    async def mine() -> None:
        await dev.mine()
        mined.set()

    async with trio.open_nursery() as nursery:
        number = await dev.get_number()
        began = time.perf_counter()
        nursery.start_soon(mine)
        while not mined.is_set():
            start = time.perf_counter()
            assert await dev.get_number() >= number
            await dev.client.get_balance(ALICE.address)
            await dev.client.call(token, encode_call("Token", "balanceOf", (7,)))
            worst = max(worst, time.perf_counter() - start)
    took = time.perf_counter() - began
    assert await dev.get_number() == number + 1
    assert worst < took / 2, f"a read took {worst:.2f} s of a block's {took:.2f} s"


async def test_automine_and_interval_mining(dev: Dev) -> None:
    async def is_mined() -> bool:
        return await dev.client.get_receipt(tx_hash) is not None

    await dev.rpc("evm_setAutomine", True)
    tx_hash = await dev.send(ALICE, 0)
    await wait_until(is_mined)
    await dev.rpc("evm_setAutomine", False)
    number = await dev.get_number()
    tx_hash = await dev.send(ALICE, 1)
    await trio.sleep(0.1)
    assert await dev.get_number() == number
    await dev.rpc("evm_setIntervalMining", 0.05)
    await wait_until(is_mined)
    assert await dev.get_number() > number


async def test_an_estimate_is_enough_and_not_absurd(dev: Dev) -> None:
    token = await dev.deploy_token(ALICE)
    data = encode_mint(7, 5)
    item = {"from": encode_hex(ALICE.address), "to": encode_hex(token), "data": encode_hex(data)}
    gas = int(await dev.rpc("eth_estimateGas", item), 16)
    tx_hash = await dev.send(ALICE, 1, to=token, data=data, gas=gas)
    await dev.mine()
    receipt = await dev.client.get_receipt(tx_hash)
    assert receipt is not None
    assert receipt.ok
    assert receipt.gas_used <= gas <= 2 * receipt.gas_used


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b"3", -32600),
        (b'{"id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_nonsense"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance"}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{"a":1}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x12","latest"]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0xzz",false]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[[]]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02c0"]}', -32000),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x"]}', -32000),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[7]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"anvil_reorg","params":[9999]}', -32602),
    ],
)
async def test_bad_requests_are_told_apart_and_do_no_harm(dev: Dev, body: bytes, code: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = (await http.post(dev.url, content=body)).json()
        assert reply["error"]["code"] == code, reply
    assert await dev.get_number() == 0


async def test_it_speaks_http_properly(dev: Dev) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(dev.url)).status_code == 405
        batch: list[dict[str, Any]] = [{"jsonrpc": "2.0", "id": n, "method": "eth_chainId", "params": []} for n in (7, 8)]
        replies = (await http.post(dev.url, content=json.dumps(batch))).json()
        assert [(reply["id"], reply["result"]) for reply in replies] == [(7, hex(CHAIN_ID)), (8, hex(CHAIN_ID))]


async def test_chain_time_runs_at_its_own_speed_from_its_own_start() -> None:
    options = ("--block-time", "0.2", "--genesis-time", "1700000000", "--speed", "50", "--chain-id", "77")
    async with run_devnet(*options) as announced:
        assert (announced.genesis_time, announced.chain_id) == (1_700_000_000, 77)
        async with Provider(announced.url) as provider:
            client = Client(provider)
            await trio.sleep(0.7)
            first, began = await client.get_head(), time.monotonic()
            assert first.number >= 2
            assert first.time >= 1_700_000_000 + 20
            await trio.sleep(1)
            last, took = await client.get_head(), time.monotonic() - began
            assert abs(last.time - first.time - 50 * took) <= 30  # a block time is 10 s of chain time


async def test_a_devnet_that_cannot_start_says_so() -> None:
    with pytest.RaisesGroup(RuntimeError):
        async with run_devnet("--block-time", "never"):
            raise AssertionError("it cannot serve")


async def test_what_async_web3_assumes(dev: Dev) -> None:
    """The parts of web3.py that tools may use over our provider; a new version of web3 that changes them fails here."""
    w3 = AsyncWeb3(dev.provider)
    assert await w3.is_connected()
    assert await w3.eth.chain_id == CHAIN_ID
    raw, tx_hash = dev.sign(ALICE, 0, value=3)
    assert bytes(await w3.eth.send_raw_transaction(raw)) == tx_hash
    await dev.mine()
    receipt = await w3.eth.get_transaction_receipt(HexBytes(tx_hash))
    assert receipt["status"] == 1
    assert bytes(receipt["transactionHash"]) == tx_hash
    block = await w3.eth.get_block("latest", full_transactions=True)
    assert isinstance(block["transactions"][0], Mapping)
    assert block["transactions"][0]["value"] == 3
    history = await w3.eth.fee_history(1, "latest", [50.0])
    assert len(history["baseFeePerGas"]) == 2
    with pytest.raises(Web3RPCError, match="nonce too low"):
        await w3.eth.send_raw_transaction(raw)
    token = await dev.deploy_token(ALICE)
    assert decode_reason(b"") == ""
    assert await w3.eth.get_code(w3.to_checksum_address(token))
