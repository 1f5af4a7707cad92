"""The claimer on a real chain: what L1 refuses, what a reorganisation takes back, and what somebody else has claimed before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from l1.abi import encode_call
from l1.batches import BatchIndex, EpochReader
from l1.client import Client
from l1.contracts import encode_claim, encode_post, get_claim, get_position, read
from l1.deploy import Deployment, Plan, deploy
from l1.follower import Follower, FollowerEvent
from l1.keys import derive_dev_keys
from l1.provider import Provider
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from l1.shapes import Receipt
from node.steps import HONEST_STEPS
from node.store import Items
from protocol.history import Commitment, History
from protocol.keccak import ZERO, encode_word, keccak
from protocol.params import DEVNET
from protocol.state import State
from protocol.trace import Machine
from sequencer import claimer as claimer_module
from sequencer.claimer import Claimer
from sim.court import get_oracles
from sim.scribe import Scribe
from sim.villains.forgery import Forgery
from tests.l1.devchain import CHAIN_ID, run_devnet

DEPLOYER, SEQUENCER, RIVAL = derive_dev_keys(3)
GAS = 1_500_000
POLL_S = 0.05
LIMIT_S = 40.0


class ClumsySender(Sender):
    """Spoils the first claim that it is given: L1 refuses it."""

    is_clumsy = True

    async def send(self, to: bytes, data: bytes, value: int = 0, gas: int = 0, key: str = "") -> Receipt:
        if self.is_clumsy and key.startswith("claim:"):
            self.is_clumsy = False
            data = data[:-1] + bytes((data[-1] ^ 1,))
        return await super().send(to, data, value, gas, key)


@dataclass
class Scene:
    """A chain with the contracts, whoever posts and claims, and what the claimer has logged."""

    client: Client
    deployment: Deployment
    sequencer: Sender
    rival: Sender
    logs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = State(self.deployment.params)
        self.scribe: Scribe | None = None

    async def post_epoch(self) -> tuple[int, History]:
        """One batch; returns when its epoch is over, with its number and the truth about it."""
        now = (await self.client.get_head()).time
        if self.scribe is None:
            self.scribe = Scribe(self.deployment.params, now, domain=self.deployment.rules.domain)
        self.scribe.clock = now
        self.scribe.cancel(0)  # of nobody: it changes nothing, and is a row all the same
        batch = self.scribe.close_batch()
        data = encode_post(batch.record.number, batch.record.first, batch.record.last, 0, batch.frames)
        receipt = await self.sequencer.send(self.deployment.get_address("Inbox"), data, gas=GAS)
        assert receipt.ok, receipt.reason
        (epoch,) = await read(self.client, "Inbox", self.deployment.get_address("Inbox"), "last_epoch")
        history = History(Machine(self.state.copy(), [batch], self.deployment.rules))
        self.state = history.machine.state
        await self.wait_until((epoch + 1) * self.deployment.params.epoch_s)
        return epoch, history

    async def wait_until(self, moment: int) -> None:
        """Chain time."""
        while (await self.client.get_head()).time < moment:  # noqa: ASYNC110 - the chain's clock
            await trio.sleep(0.05)

    async def claim(self, parent: bytes, epoch: int, history: Commitment) -> None:
        """By the rival."""
        nodes, siblings = history.get_reveal(history.height, 0), history.prove_leaf((1 << history.height) - 1)
        data = encode_claim(parent, epoch, history.post_root, history.root, nodes, siblings, ZERO)
        receipt = await self.rival.send(self.claims, data, self.deployment.params.stake_wei, GAS)
        assert receipt.ok, receipt.reason

    @property
    def claims(self) -> bytes:
        return self.deployment.get_address("Claims")

    async def compute_id(self, parent: bytes, epoch: int, history: Commitment) -> bytes:
        position = await get_position(self.client, self.claims, parent)
        return keccak(position.position + encode_word(epoch) + history.post_root + history.root)

    async def get_tip(self, stake: bytes) -> tuple[int, bytes]:
        """Of a stake: its owner, and the claim that it sits on."""
        owner, tip = await read(self.client, "Claims", self.claims, "stakes", (stake,))
        return owner, tip

    async def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """The claimer's log lines of that name, once there are so many."""
        try:
            with trio.fail_after(LIMIT_S):
                while len(found := [fields for name, fields in self.logs if name == event]) < count:  # noqa: ASYNC110 - a log has no bell
                    await trio.sleep(0.05)
                return found
        except trio.TooSlowError:
            raise AssertionError(f"no {event}: {self.logs}") from None

    @asynccontextmanager
    async def run_claimer(self, path: Path) -> AsyncIterator[None]:
        """As the daemon does it, with a follower that feeds its index; it stops with the block."""
        index = BatchIndex(self.deployment.get_address("Inbox"), self.deployment.params.epoch_s)
        reader = EpochReader(self.client, index, self.deployment.params.batch_depth)
        items = Items(path / "items.db")
        claimer = Claimer(self.client, self.deployment, self.sequencer, reader, items, HONEST_STEPS, lambda *log: self.logs.append(log))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._feed, index, claimer)
                nursery.start_soon(claimer.run)
                yield
                nursery.cancel_scope.cancel()
        finally:
            items.close()

    async def _feed(self, index: BatchIndex, claimer: Claimer) -> None:
        send, receive = trio.open_memory_channel[FollowerEvent](16)
        async with trio.open_nursery() as nursery:
            follower = Follower(self.client, [index.inbox], self.deployment.block, poll_s=POLL_S)
            nursery.start_soon(follower.run, send)
            async for event in receive:
                index.apply(event)
                claimer.wake()


@asynccontextmanager
async def open_scene(folder: Path) -> AsyncIterator[Scene]:
    with run_devnet(folder / "devnet.log", "--block-time", "0.2", "--speed", "4") as chain:
        async with Provider(chain.ready["url"]) as provider, trio.open_nursery() as nursery:
            client, policy = Client(provider), Policy(depth=1)
            deployer = Sender(client, DEPLOYER, CHAIN_ID, MemoryJournal(), policy, poll_s=POLL_S)
            sequencer = ClumsySender(client, SEQUENCER, CHAIN_ID, MemoryJournal(), policy, poll_s=POLL_S)
            rival = Sender(client, RIVAL, CHAIN_ID, MemoryJournal(), policy, poll_s=POLL_S)
            for sender in (deployer, sequencer, rival):
                await nursery.start(sender.run)
            plan = Plan("devnet", 1, int.from_bytes(SEQUENCER.address, "big"), get_oracles(DEVNET))
            yield Scene(client, await deploy(client, deployer, plan), sequencer, rival)
            nursery.cancel_scope.cancel()


async def test_claimer__refused_reorganised_and_overtaken__goes_on_with_one_stake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claimer_module, "RETRY_S", 0.2)
    monkeypatch.setattr(claimer_module, "MAX_RETRY_S", 0.5)
    async with open_scene(tmp_path) as scene:
        (genesis,) = await read(scene.client, "Claims", scene.claims, "GENESIS")
        me = int.from_bytes(SEQUENCER.address, "big")
        first_epoch, first = await scene.post_epoch()
        claim = await scene.compute_id(genesis, first_epoch, first)
        async with scene.run_claimer(tmp_path):
            # its first claim is spoilt: L1 says why, and it claims again
            (refused,) = await scene.wait_for("claims.refused")
            assert "claims: " in refused["error"]
            (claimed,) = await scene.wait_for("claims.claimed")
            assert (claimed["claim"], claimed["paid"]) == (claim, DEVNET.stake_wei)
            # a reorganisation takes it back when it was thought to be settled
            await scene.client.provider.request("anvil_reorg", [3, [], False])
            await scene.wait_for("claims.claimed", 2)
            assert (await get_claim(scene.client, scene.claims, claim)).claimant == me
        second_epoch, second = await scene.post_epoch()
        child = await scene.compute_id(claim, second_epoch, second)
        await scene.claim(claim, second_epoch, second)
        async with scene.run_claimer(tmp_path):
            # somebody else has made the next claim: our stake goes along, and none is paid for the one after
            (joined,) = await scene.wait_for("claims.joined")
            assert joined["claim"] == child
            await scene.wait_for("claims.advanced")
            assert await scene.get_tip(claim) == (me, child)
            third_epoch, third = await scene.post_epoch()
            last = (await scene.wait_for("claims.claimed", 3))[-1]
            grandchild = await scene.compute_id(child, third_epoch, third)
            assert (last["claim"], last["paid"]) == (grandchild, 0)
            assert await scene.get_tip(claim) == (me, grandchild)
            # both stand still until their clocks have run out: both die, and the position opens anew
            lie = Forgery(third, keccak(b"a lie"), {1: keccak(b"a wrong step")})
            wrong = await scene.compute_id(child, third_epoch, lie)
            await scene.claim(child, third_epoch, lie)
            over = (await get_position(scene.client, scene.claims, child)).close + DEVNET.censorship_s + DEVNET.grace_s + 1
            await scene.client.provider.request("evm_increaseTime", [hex(over - (await scene.client.get_head()).time)])
            await scene.wait_until(over)
            receipt = await scene.rival.send(scene.claims, encode_call("Claims", "timeout", (grandchild, wrong)), gas=GAS)
            assert receipt.ok, receipt.reason
            await scene.wait_for("claims.stopped")
            again = (await scene.wait_for("claims.claimed", 4))[-1]
            assert (again["epoch"], again["paid"]) == (third_epoch, DEVNET.stake_wei)
            assert again["claim"] == await scene.compute_id(child, third_epoch, third) != grandchild
            assert sum(1 for event, _ in scene.logs if event == "claims.traced") < 9, "what stands is not traced again"
