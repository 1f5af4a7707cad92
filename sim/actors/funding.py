"""Opening accounts by deposits on L1: mint the devnet's token, approve the vault, deposit."""

from collections.abc import Sequence

import trio

from l1.abi import decode_reason
from l1.client import Client
from l1.contracts import encode_approve, encode_deposit, encode_mint, read
from l1.deploy import Deployment
from l1.keys import Key
from l1.sender import MemoryJournal, NotSent, Sender
from l1.sender_queue import Policy
from node.errors import NodeCode, NodeError

MINT_GAS = 120_000
APPROVE_GAS = 80_000
DEPOSIT_GAS = 400_000


async def find_account(client: Client, deployment: Deployment, owner: bytes) -> int | None:
    """By the vault's word; it may not be open on L2 yet."""
    is_open, index = await read(client, "Vault", deployment.get_address("Vault"), "get_account", (owner,))
    return int(index) if is_open else None


async def open_accounts(client: Client, deployment: Deployment, keys: Sequence[Key], amount: int, poll_s: float) -> list[int]:
    """Indices of the keys' accounts, in order; a key that has one already deposits nothing."""
    found = [await find_account(client, deployment, key.address) for key in keys]
    async with trio.open_nursery() as nursery:
        for key, index in zip(keys, found, strict=True):
            if index is None:
                nursery.start_soon(_deposit, client, deployment, key, amount, poll_s)
    indices = [await find_account(client, deployment, key.address) for key in keys]
    if None in indices:
        raise NodeError(NodeCode.CHAIN, "the vault knows nothing of a deposit that was mined")
    return [index for index in indices if index is not None]


async def _deposit(client: Client, deployment: Deployment, key: Key, amount: int, poll_s: float) -> None:
    sender = Sender(client, key, deployment.chain_id, MemoryJournal(), Policy(depth=1), poll_s=poll_s)
    token, vault = deployment.get_address("Token"), deployment.get_address("Vault")
    async with trio.open_nursery() as nursery:
        await nursery.start(sender.run)
        numbers = [
            await sender.submit(token, encode_mint(int.from_bytes(key.address, "big"), amount), gas=MINT_GAS),
            await sender.submit(token, encode_approve(deployment.addresses["Vault"], amount), gas=APPROVE_GAS),
            await sender.submit(vault, encode_deposit(amount), gas=DEPOSIT_GAS),
        ]
        for number in numbers:
            try:
                receipt = await sender.wait(number)
            except NotSent as error:
                raise NodeError(NodeCode.CHAIN, f"the deposit of 0x{key.address.hex()} was not sent: {error}") from error
            if not receipt.ok:
                raise NodeError(NodeCode.CHAIN, f"the deposit of 0x{key.address.hex()} reverted: {decode_reason(receipt.reason)}")
        nursery.cancel_scope.cancel()
