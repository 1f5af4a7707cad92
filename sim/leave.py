"""Takes an account's money out by L1 alone, whether there is a sequencer or not: `straddle withdraw`.

It forces a withdrawal in, posts the queue if nobody has taken it in for too long, waits until a claim that says so is final, and has the
vault pay. Everything is read from L1 and executed here, so that nobody's word is needed for the proof. What an earlier run has begun is
finished first: whoever is stopped in between starts it again.
"""

from collections.abc import Callable
from pathlib import Path

import trio

from l1.abi import decode_reason
from l1.client import Client
from l1.contracts import encode_post_queue, encode_send, encode_withdraw, read
from l1.deploy import load_deployment
from l1.follower import Follower, FollowerEvent
from l1.keys import Key, load_key
from l1.provider import Provider
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from node.runtime import stop_with_stdin
from protocol.codec.frames import Message
from protocol.codec.rows import decode_row, encode_row
from protocol.operations import Kind, build_withdraw
from sim.finding import format_usd
from sim.forced import ALL
from sim.ledger import Ledger

POLL_S = 0.5
GAS = {"send": 300_000, "post_queue": 3_000_000, "withdraw": 400_000}
EXIT_PAID = 0
EXIT_NOTHING = 1
Say = Callable[[str], None]


class Leaver:
    """One account's way out. `paid` is what the vault has paid since the start, 1e-6 USD."""

    def __init__(self, client: Client, sender: Sender, ledger: Ledger, amount: int, say: Say) -> None:
        self._client = client
        self._sender = sender
        self._ledger = ledger
        self._owner = int.from_bytes(sender.address, "big")
        self._amount = amount
        self._say = say
        self._seen: set[int] = set()  # places of the outbox that were found paid
        self._is_begun = False
        self._told = ""
        self.paid = 0

    async def step(self) -> bool:
        """What can be done now, at the newest block; whether that was all."""
        ledger = self._ledger
        is_waiting = any(self._is_mine(message) for message in ledger.index.messages[ledger.index.consumed :])
        unpaid = await self._list_unpaid()
        if not self._is_begun:
            self._is_begun = is_waiting or bool(unpaid) or await self._force()
            return False
        if is_waiting:
            await self._wait_for_batch("the withdrawal")
            return False
        for final in sorted(ledger.final.values(), key=lambda one: -one.epoch)[:1]:
            state = ledger.get_after(final.epoch)
            for at in [at for at in unpaid if at < len(state.outbox) and state.get_root() == final.post_root]:
                _, amount = state.outbox[at]
                data = encode_withdraw(final.claim_id, at, self._owner, amount, state.prove_withdrawal(at))
                await self._send("withdraw", "Vault", data)
        if unpaid:
            self._tell(f"{format_usd(sum(ledger.state.outbox[at][1] for at in unpaid))} on the way: waiting for a final claim that says so")
        return not unpaid

    def _is_mine(self, message: Message) -> bool:
        items, _ = decode_row(message.rows, 0)
        return message.authority == self._owner and items is not None and items[0] & 15 == Kind.WITHDRAW

    async def _force(self) -> bool:
        """Whether there is no more to it: a refused transaction is sent again with the next block."""
        ledger = self._ledger
        found = [index for index, account in ledger.state.accounts.items() if account.owner == self._owner]
        if not found:
            is_open, _ = await read(self._client, "Vault", ledger.deployment.get_address("Vault"), "get_account", (self._owner,))
            if is_open:
                await self._wait_for_batch("the deposit")
            else:
                self._say(f"0x{self._owner.to_bytes(20, 'big').hex()} has no account")
            return not is_open
        account = ledger.state.get_account(found[0])
        if account.cash <= 0 and not account.positions:
            return True
        rows = encode_row(build_withdraw(found[0], self._amount, account.nonce + 1, True))
        (fee,) = await read(self._client, "Inbox", ledger.deployment.get_address("Inbox"), "fee")
        is_sent = await self._send("send", "Inbox", encode_send(rows, b""), fee)
        if is_sent:
            self._say(f"a withdrawal from account {found[0]} is forced in")
        return is_sent

    async def _wait_for_batch(self, what: str) -> None:
        """Of the sequencer's; without one the queue itself becomes one."""
        ledger, head = self._ledger, self._ledger.head
        oldest = ledger.index.messages[ledger.index.consumed]
        self._tell(f"waiting for a batch that takes {what} in")
        if head is not None and head.time > oldest.time + ledger.deployment.params.inclusion_delay_s:
            await self._send("post_queue", "Inbox", encode_post_queue())

    async def _list_unpaid(self) -> list[int]:
        """Places of the outbox that the vault owes this owner; what it has paid is added up."""
        vault, unpaid = self._ledger.deployment.get_address("Vault"), []
        for at, (owner, amount) in enumerate(self._ledger.state.outbox):
            if owner == self._owner and at not in self._seen:
                (is_paid,) = await read(self._client, "Vault", vault, "is_paid", (at,))
                if not is_paid:
                    unpaid.append(at)
                    continue
                self._seen.add(at)
                self.paid += amount if self._is_begun else 0
        return unpaid

    async def _send(self, what: str, name: str, data: bytes, value: int = 0) -> bool:
        """Whether L1 took it. Somebody else may be faster: all is looked at again with the next block."""
        receipt = await self._sender.send(self._ledger.deployment.get_address(name), data, value, GAS[what])
        if not receipt.ok:
            self._say(f"{what} was refused: {decode_reason(receipt.reason)}")
        return receipt.ok

    def _tell(self, text: str) -> None:
        """Not the same again and again."""
        if text != self._told:
            self._told = text
            self._say(text)


async def leave(url: str, path: Path, key: Key, amount: int, say: Say, *, with_parent: bool = False) -> int:
    """The exit code. `amount` is the most that is withdrawn, 1e-6 USD."""
    deployment = load_deployment(path)
    async with Provider(url) as provider, trio.open_nursery() as nursery:
        if with_parent:
            nursery.start_soon(stop_with_stdin, nursery.cancel_scope)
        client = Client(provider)
        await client.check_chain(deployment.chain_id)
        sender = Sender(client, key, deployment.chain_id, MemoryJournal(), Policy(depth=1), poll_s=POLL_S)
        await nursery.start(sender.run)
        ledger = Ledger(client, deployment)
        leaver = Leaver(client, sender, ledger, amount, say)
        send, receive = trio.open_memory_channel[FollowerEvent](64)
        nursery.start_soon(Follower(client, list(deployment.followed), deployment.block, poll_s=POLL_S).run, send)
        async for event in receive:
            await ledger.apply(event)
            is_newest = not receive.statistics().current_buffer_used and event.header.number >= (await client.get_head()).number
            if is_newest and await leaver.step():
                break
        nursery.cancel_scope.cancel()
    say(f"the vault has paid {format_usd(leaver.paid)}" if leaver.paid else "nothing was paid")
    return EXIT_PAID if leaver.paid else EXIT_NOTHING


async def leave_from_file(
    url: str, path: Path, key: Path, password: Path | None, amount: int | None, say: Say, with_parent: bool = False
) -> int:
    """With the key in a file; without an amount all that is free."""
    return await leave(url, path, load_key(key, password), ALL if amount is None else amount, say, with_parent=with_parent)
