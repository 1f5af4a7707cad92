"""The same code against anvil, another node than ours. Skipped where there is none: see CONTRIBUTING.md."""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from l1.abi import encode_call
from l1.batches import BatchIndex, EpochReader
from l1.client import Client
from l1.contracts import encode_approve, encode_deposit, encode_mint, encode_post, get_claim, get_epoch, read
from l1.deploy import Deployment, deploy, load_deployment, save_deployment
from l1.follower import Follower, FollowerEvent
from l1.provider import Provider, RpcError
from l1.sender_queue import Policy, Refusal, classify_refusal
from l1.verify import verify
from protocol.codec.frames import Frame
from protocol.params import PRESETS
from protocol.types import VAULT_AUTHORITY
from tests.l1.devchain import CHAIN_ID, KEYS, TRANSFER_GAS, Dev, encode_hex, open_sender, wait_until
from tests.l1.test_deploy import ALICE as TRADER
from tests.l1.test_deploy import DEPLOYER, SEQUENCER, SPEED, make_plan
from tests.l1.test_follower import Consumer, start_following, wait_on
from tests.l1.test_sender import Tracked

ROOT = Path(__file__).resolve().parents[2]
ALICE, BOB = KEYS[0], KEYS[1]
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_anvil() -> str | None:
    """STRADDLE_ANVIL must be right where it is set; then PATH, then what `npm install @foundry-rs/anvil` leaves in the checkout."""
    named = os.environ.get("STRADDLE_ANVIL")
    if named is not None:
        return named
    package = f"anvil-{platform.system().lower()}-{MACHINES.get(platform.machine(), platform.machine())}"
    binary = ROOT / "node_modules" / "@foundry-rs" / package / "bin" / "anvil"
    return shutil.which("anvil") or (str(binary) if binary.is_file() else None)


ANVIL = find_anvil()
pytestmark = pytest.mark.skipif(ANVIL is None, reason="no anvil: STRADDLE_ANVIL, PATH and node_modules have none")


class AnvilDev(Dev):
    """Mined by hand. Receipts come a little after their block, and what a reorganisation takes away does not return to the pool."""

    async def mine(self, count: int = 1) -> None:
        for _ in range(count):
            await self.rpc("evm_mine")
            head = await self.rpc("eth_getBlockByNumber", "latest", False)
            for tx_hash in head["transactions"]:
                await self._wait_receipt(tx_hash)

    async def _wait_receipt(self, tx_hash: str) -> None:
        async def is_there() -> bool:
            return await self.rpc("eth_getTransactionReceipt", tx_hash) is not None

        await wait_until(is_there)

    async def reorg(self, depth: int, *, keep: bool) -> None:
        assert not keep, "anvil cannot"
        await self.rpc("anvil_reorg", depth, [])


@contextmanager
def run_anvil(log: Path) -> Iterator[str]:
    """A fresh chain on a free port; yields its URL. What it prints goes to a file: on a pipe that nobody reads it would stop."""
    assert ANVIL is not None
    command = [ANVIL, "--port", "0", "--no-mining", "--chain-id", str(CHAIN_ID)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            for _ in range(1_000):
                found = re.search(rb"^Listening on (\S+)\n", log.read_bytes(), re.MULTILINE)
                if found or process.poll() is not None:
                    break
                time.sleep(0.01)
            assert found, f"anvil did not start: {log.read_text()}"
            yield f"http://{found[1].decode()}"
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[AnvilDev]:
    with run_anvil(tmp_path / "anvil.log") as url:
        async with Provider(url) as provider:
            yield AnvilDev(url, provider, Client(provider))


async def mine_for_ever(dev: Dev) -> None:
    while True:
        await trio.sleep(0.05)
        await dev.mine()


# -- provider and client


async def test_blocks_and_errors_are_read(dev: AnvilDev) -> None:
    await dev.mine(3)
    await dev.client.check_chain(CHAIN_ID)
    headers = await dev.client.get_headers(0, 3)
    assert [header.number for header in headers] == [0, 1, 2, 3]
    assert await dev.client.get_header(headers[2].hash) == headers[2]
    assert await dev.client.get_header(4) is None
    assert await dev.client.get_header(b"\x05" * 32) is None
    assert await dev.client.get_receipt(b"\x05" * 32) is None
    assert await dev.client.get_transaction(b"\x05" * 32) is None
    assert await dev.client.get_code(BOB.address, headers[1].hash) == b""
    with pytest.raises(RpcError):
        await dev.client.get_nonce(BOB.address, 99)
    with pytest.raises(RpcError):
        await dev.rpc("eth_nothingOfTheKind")
    answers = await dev.provider.batch([("eth_chainId", []), ("eth_getTransactionCount", [encode_hex(BOB.address), "0x99"])])
    assert answers[0] == hex(CHAIN_ID)
    assert isinstance(answers[1], RpcError)


@pytest.mark.parametrize("kind", [0, 1, 2])
async def test_transactions_of_every_type_prove_their_hash(dev: AnvilDev, kind: int) -> None:
    fields: dict[str, Any] = {"type": kind or None, "gas": 60_000, "data": b"\x01\x02"}
    if kind < 2:
        fields |= {"gasPrice": 10**11, "maxFeePerGas": None, "maxPriorityFeePerGas": None}
    if kind == 1:
        fields |= {"accessList": [{"address": encode_hex(BOB.address), "storageKeys": ["0x" + "11" * 32]}]}
    tx_hash = await dev.send(ALICE, 0, **fields)
    assert await dev.client.get_input(tx_hash) == b"\x01\x02"  # while it waits
    await dev.mine()
    transaction = await dev.client.get_transaction(tx_hash)
    assert transaction is not None
    assert (transaction.input, transaction.block_number) == (b"\x01\x02", 1)


async def test_a_refusal_says_what_it_means(dev: AnvilDev) -> None:
    """In anvil's own words."""
    raw, _ = dev.sign(ALICE, 0)
    await dev.client.send_raw(raw)
    cases = [
        (raw, Refusal.KNOWN),
        (dev.sign(ALICE, 0, value=1)[0], Refusal.UNDERPRICED),
        (dev.sign(ALICE, 1, gas=20_000)[0], Refusal.PERMANENT),
        (dev.sign(ALICE, 1, chainId=5)[0], Refusal.PERMANENT),
        (dev.sign(ALICE, 1, gas=2**40)[0], Refusal.PERMANENT),
        (dev.sign(ALICE, 1, value=10**30)[0], Refusal.FUNDS),
    ]
    for item, refusal in cases:
        with pytest.raises(RpcError) as caught:
            await dev.client.send_raw(item)
        assert classify_refusal(caught.value.message) is refusal, caught.value.message
    await dev.mine()
    with pytest.raises(RpcError) as caught:
        await dev.send(ALICE, 0, value=2)
    assert classify_refusal(caught.value.message) is Refusal.NONCE, caught.value.message


# -- sender


async def test_concurrent_sends_all_land_once_and_in_order(dev: AnvilDev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    hashes = set()

    async def send(value: int) -> None:
        hashes.add((await tracked.sender.send(BOB.address, b"", value, TRANSFER_GAS)).tx_hash)

    before = await dev.client.get_balance(BOB.address)
    with trio.fail_after(10):
        async with trio.open_nursery() as senders:
            for value in range(1, 21):
                senders.start_soon(send, value)
            await tracked.wait_sent(20)
            await dev.mine(2)
    assert len(hashes) == 20
    assert await dev.client.get_nonce(ALICE.address) == 20
    assert await dev.client.get_balance(BOB.address) == before + sum(range(1, 21))


async def test_a_dropped_transaction_is_sent_again(dev: AnvilDev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(BOB.address, b"", 7)
    (tx_hash,) = await tracked.wait_sent(1)
    await dev.rpc("anvil_dropTransaction", encode_hex(tx_hash))
    assert await tracked.wait_sent(2) == [tx_hash, tx_hash]
    await dev.mine(2)
    with trio.fail_after(5):
        assert (await tracked.sender.wait(number)).tx_hash == tx_hash


async def test_a_transaction_that_became_too_cheap_is_replaced_and_lands_once(dev: AnvilDev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    before = await dev.client.get_balance(BOB.address)
    number = await tracked.sender.submit(BOB.address, b"", 7)
    (first,) = await tracked.wait_sent(1)
    await dev.rpc("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    nursery.start_soon(mine_for_ever, dev)
    with trio.fail_after(10):
        receipt = await tracked.sender.wait(number)
    assert receipt.ok
    assert receipt.tx_hash != first
    assert receipt.tx_hash in tracked.get_hashes()
    assert await dev.client.get_balance(BOB.address) == before + 7
    assert await dev.client.get_nonce(ALICE.address) == 1
    nursery.cancel_scope.cancel()


async def test_a_reorganised_transaction_is_sent_again(dev: AnvilDev, nursery: trio.Nursery) -> None:
    tracked = Tracked(dev, ALICE, policy=Policy(depth=3, patience=3))
    await nursery.start(tracked.sender.run)
    numbers = [await tracked.sender.submit(BOB.address, b"", value) for value in (1, 2)]
    hashes = await tracked.wait_sent(2)
    await dev.mine(2)
    await dev.reorg(2, keep=False)
    assert set((await tracked.wait_sent(4))[2:]) == set(hashes)
    await dev.mine(3)
    with trio.fail_after(5):
        for number, tx_hash in zip(numbers, hashes, strict=True):
            receipt = await tracked.sender.wait(number)
            header = await dev.client.get_header(receipt.block_number)
            assert header is not None
            assert (receipt.tx_hash, receipt.block_hash) == (tx_hash, header.hash)
    assert await dev.client.get_nonce(ALICE.address) == 2


async def test_a_reverted_transaction_is_a_receipt_with_its_reason(dev: AnvilDev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(BOB)
    tracked = Tracked(dev, ALICE)
    await nursery.start(tracked.sender.run)
    number = await tracked.sender.submit(token, encode_call("Token", "transfer", (7, 10**9)), 0, 100_000)
    await tracked.wait_sent(1)
    await dev.mine(2)
    with trio.fail_after(5):
        receipt = await tracked.sender.wait(number)
    assert not receipt.ok
    assert receipt.reason is not None


# -- follower


async def test_it_follows_and_undoes_what_the_chain_undoes(dev: AnvilDev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(ALICE)
    consumer = Consumer()
    start_following(dev, nursery, consumer, token, 0)
    for nonce in (1, 2, 3):
        await dev.mint(ALICE, token, nonce)
        await dev.mine()
    await wait_on(dev, consumer)
    assert sum(consumer.logs.values()) == 3
    await dev.reorg(2, keep=False)
    await wait_on(dev, consumer)
    assert (consumer.undone, sum(consumer.logs.values())) == (2, 1)
    await dev.mint(ALICE, token, 2)
    await dev.mine()
    await wait_on(dev, consumer)
    assert (consumer.undone, sum(consumer.logs.values())) == (2, 2)


async def test_it_catches_up_by_ranges_and_undoes_what_happened_while_it_was_down(dev: AnvilDev, nursery: trio.Nursery) -> None:
    token = await dev.deploy_token(ALICE)
    for nonce in (1, 2, 3):
        await dev.mint(ALICE, token, nonce)
        await dev.rpc("anvil_mine", hex(150))
    await dev.mint(ALICE, token, 4)  # or what comes instead may be the same blocks: empty, with the old times and fees
    await dev.mine(5)
    known = await dev.client.get_headers(1, await dev.get_number())
    await dev.reorg(5, keep=False)
    consumer = Consumer()
    start_following(dev, nursery, consumer, token, 1)
    await wait_on(dev, consumer)
    assert len(consumer.headers) == await dev.get_number()
    assert [count for count in consumer.logs.values() if count] == [1, 1, 1]
    late = Consumer(known)
    start_following(dev, nursery, late, token, 1)
    await wait_on(dev, late)
    assert late.undone == 5


# -- the contracts


async def deploy_all(dev: Dev) -> Deployment:
    async with trio.open_nursery() as nursery:
        sender = open_sender(dev, DEPLOYER)
        await nursery.start(sender.run)
        nursery.start_soon(mine_for_ever, dev)
        with trio.fail_after(30):
            deployment = await deploy(dev.client, sender, make_plan("minimal"))
        nursery.cancel_scope.cancel()
    return deployment


async def test_deployment_deposit_and_batch(dev: AnvilDev, nursery: trio.Nursery, tmp_path: Path) -> None:
    """From an empty chain to an epoch whose batches are read back and proven by the inbox root."""
    deployment = await deploy_all(dev)
    save_deployment(tmp_path / "deployment.json", deployment)
    assert load_deployment(tmp_path / "deployment.json") == deployment
    await verify(dev.client, deployment)
    claims, inbox, vault = (deployment.get_address(name) for name in ("Claims", "Inbox", "Vault"))
    (genesis,) = await read(dev.client, "Claims", claims, "GENESIS")
    assert (await get_claim(dev.client, claims, genesis)).post_root == deployment.genesis_root
    with pytest.raises(RpcError, match="inbox: not the sequencer"):
        await dev.client.call(inbox, encode_post(0, 0, 0, 0, [Frame(0, b"x", b"")]), sender=TRADER.address)

    trader, sequencer = open_sender(dev, TRADER), open_sender(dev, SEQUENCER)
    await nursery.start(trader.run)
    await nursery.start(sequencer.run)
    nursery.start_soon(mine_for_ever, dev)
    owner = int.from_bytes(TRADER.address, "big")
    with trio.fail_after(20):
        token = deployment.get_address("Token")
        assert (await trader.send(token, encode_mint(owner, 50_000_000), 0, 200_000)).ok
        assert (await trader.send(token, encode_approve(deployment.addresses["Vault"], 50_000_000), 0, 200_000)).ok
        assert (await trader.send(vault, encode_deposit(20_000_000), 0, 1_000_000)).ok
        now = (await dev.client.get_head()).time
        frames = (Frame(now, b"\x03\x00", b"\x01" * 65), Frame(now, b"x" * 300, b""))
        posted = await sequencer.send(inbox, encode_post(0, now, now, 1, frames), 0, 1_000_000)
    assert posted.ok, posted.reason
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True), trio.fail_after(20):
        await check_epoch(dev, deployment, frames)


async def check_epoch(dev: AnvilDev, deployment: Deployment, frames: tuple[Frame, ...]) -> None:
    """The only epoch, once it is over: one batch with the deposit's message and those frames."""
    params = PRESETS["minimal"].at_speed(SPEED)
    inbox = deployment.get_address("Inbox")
    await dev.rpc("evm_increaseTime", params.epoch_s)
    await dev.mine()
    index = BatchIndex(inbox, params.epoch_s)
    sender, receiver = trio.open_memory_channel[FollowerEvent](10_000)
    follower = Follower(dev.client, list(deployment.followed), deployment.block)
    async with sender, receiver:
        while await follower.advance(sender):
            pass
        while receiver.statistics().current_buffer_used:
            index.apply(receiver.receive_nowait())
    (epoch,) = index.get_epochs()
    (batch,) = await EpochReader(dev.client, index, params.batch_depth).read_epoch(epoch)
    assert batch.frames == frames
    assert [message.authority for message in batch.messages] == [VAULT_AUTHORITY]
    assert await get_epoch(dev.client, inbox, epoch) == (index.compute_root(epoch, params.batch_depth), 1)
