"""A development chain for tests: the real process over a real socket, mined by hand."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from contracts import load_artifact
from l1.abi import encode_constructor
from l1.client import Client, encode_hex
from l1.contracts import encode_mint
from l1.keys import Key, derive_dev_keys
from l1.provider import Provider
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from tests.l1.child import Child, run_child

CHAIN_ID = 31337
KEYS = derive_dev_keys(8)
TRANSFER_GAS = 21_000
BURNER = bytes.fromhex("5b5f56")  # creation code that loops until its gas is gone


@contextmanager
def run_devnet(log: Path, *options: str) -> Iterator[Child]:
    """`python -m l1.devnet` on a free port, which stops cleanly in the end."""
    command = [sys.executable, "-m", "l1.devnet", "--port", "0", "--with-parent", "--chain-id", str(CHAIN_ID), *options]
    with run_child(command, log) as child:
        yield child
        child.stop()


@dataclass
class Dev:
    """One test's view of the chain: reads, and the controls."""

    url: str
    provider: Provider
    client: Client

    async def rpc(self, method: str, *params: Any) -> Any:
        return await self.provider.request(method, params)

    async def mine(self, count: int = 1) -> None:
        for _ in range(count):
            await self.rpc("evm_mine")

    async def reorg(self, depth: int, *, keep: bool) -> None:
        """`keep` puts the lost transactions back in the pool."""
        await self.rpc("anvil_reorg", depth, [], keep)

    async def get_number(self) -> int:
        return (await self.client.get_head()).number

    def sign(self, key: Key, nonce: int, **fields: Any) -> tuple[bytes, bytes]:
        """Raw transaction and hash; a transfer of nothing to the second key unless told otherwise."""
        base: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "to": KEYS[1].address,
            "value": 0,
            "gas": TRANSFER_GAS,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
        tx = {name: value for name, value in (base | fields).items() if value is not None}
        signed = key.account.sign_transaction(tx)
        return bytes(signed.raw_transaction), bytes(signed.hash)

    async def send(self, key: Key, nonce: int, **fields: Any) -> bytes:
        return await self.client.send_raw(self.sign(key, nonce, **fields)[0])

    async def deploy_token(self, key: Key) -> bytes:
        """The devnet token, mined. Its address."""
        code = encode_constructor(load_artifact("Token"), ())
        tx_hash = await self.send(key, await self.client.get_nonce(key.address), to=None, data=code, gas=2_000_000)
        await self.mine()
        receipt = await self.client.get_receipt(tx_hash)
        assert receipt is not None
        assert receipt.ok
        assert receipt.contract is not None
        return receipt.contract

    async def mint(self, key: Key, token: bytes, nonce: int, amount: int = 5) -> bytes:
        """A transaction that logs one Transfer."""
        return await self.send(key, nonce, to=token, data=encode_mint(7, amount), gas=100_000)


def open_sender(dev: Dev, key: Key, **options: Any) -> Sender:
    """Quick, and confirmed at depth 2."""
    policy = options.pop("policy", Policy(depth=2, patience=2))
    return Sender(dev.client, key, CHAIN_ID, options.pop("journal", MemoryJournal()), policy, poll_s=0.02, **options)


async def wait_until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Polls; the test fails when it takes too long."""
    with trio.fail_after(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await trio.sleep(0.01)


__all__ = ["BURNER", "CHAIN_ID", "KEYS", "Dev", "encode_hex", "open_sender", "run_devnet", "wait_until"]
