"""Runs a world from its first block to its end: what the demo and a replay have in common.

`Play` owns the ledger and asks of it, after every block, whether what the run is for has happened. Nothing is believed but L1.
"""

import json
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from rich.console import Console

from l1.abi import decode_reason
from l1.client import Client
from l1.contracts import encode_withdraw, encode_withdraw_stake, get_claim, read
from l1.deploy import Deployment
from l1.follower import Follower, FollowerEvent
from l1.provider import RpcError
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from node.instruments import encode_expiry
from node.steps import load_steps
from protocol.types import UNDERLYINGS
from sim.cast import CHALLENGERS
from sim.finding import Finding, find_step, format_usd
from sim.ledger import ClaimEntry, Dispute, Ledger
from sim.process import Family
from sim.story import Narrator, Story
from sim.villains.lies import LIES, Bait
from sim.villains.steps import get_table_name
from sim.world import SHOCK, Setting, World, connect, create_world

WITHDRAW_GAS = 400_000
POLL_S = 0.25
EXIT_DONE = 0
EXIT_FAILED = 1


@dataclass
class Outcome:
    """What was found on L1 so far."""

    paid: int = 0  # 1e-6 USD, the saver's
    finding: Finding | None = None
    liar: ClaimEntry | None = None
    dispute: Dispute | None = None
    is_stake_gone: bool = False
    is_right_final: bool = False
    missing: list[str] = field(default_factory=list)


class Play:
    """One run. `story` is told everything; `is_done` decides after each block."""

    def __init__(self, world: World, client: Client, deployment: Deployment, story: Story) -> None:
        self.world = world
        self.client = client
        self.deployment = deployment
        self.story = story
        self.ledger = Ledger(client, deployment)
        self.outcome = Outcome()
        self._narrator = Narrator(story, self.ledger, world.cast)
        self._claims = deployment.get_address("Claims")

    async def watch(self, is_done: Callable[["Play"], bool]) -> None:
        """Until it is done. The lie is looked for, and the saver is paid."""

        async def look() -> bool:
            await self._check_dispute()
            await self._pay_saver()
            return is_done(self)

        await self.follow(look)

    async def follow(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Tells the ledger and the story of every block, and then asks `look` whether that is enough."""
        send, receive = trio.open_memory_channel[FollowerEvent](64)
        follower = Follower(self.client, list(self.deployment.followed), self.deployment.block, poll_s=POLL_S)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follower.run, send)
            async for event in receive:
                seen = await self.ledger.apply(event)
                if seen is not None:
                    self._narrator.tell(seen)
                if await look():
                    break
            nursery.cancel_scope.cancel()

    # -- the lie

    async def _check_dispute(self) -> None:
        outcome = self.outcome
        if self.world.setting.lie is None:
            return
        if outcome.liar is None:
            outcome.liar = next(self._find_lies(), None)
        liar = outcome.liar
        if liar is None:
            return
        outcome.dispute = self.ledger.disputes.get(liar.event.position)
        if liar.event.claim_id in self.ledger.dead and not outcome.is_stake_gone:
            await self._check_death(liar)
        outcome.is_right_final = any(
            final.epoch == liar.event.epoch and self._is_honest(final.claim_id) for final in self.ledger.final.values()
        )

    def _find_lies(self) -> Iterator[ClaimEntry]:
        """Wrong claims on top of right ones."""
        for entry in self.ledger.claims.values():
            if not self.ledger.is_right(entry.event) and all(
                self.ledger.is_right(other.event) for other in self.ledger.get_chain(entry.event.parent)
            ):
                yield entry

    def _is_honest(self, claim_id: bytes) -> bool:
        return all(self.ledger.is_right(entry.event) for entry in self.ledger.get_chain(claim_id))

    async def _check_death(self, liar: ClaimEntry) -> None:
        """The claim is dead, its stake cannot be had back, and the step that gave it away is run again here."""
        claim = await get_claim(self.client, self._claims, liar.event.claim_id)
        self.outcome.is_stake_gone = not claim.is_alive and not await self._can_withdraw(liar)
        dispute = self.ledger.disputes[liar.event.position]
        if dispute.proof_tx and self.outcome.finding is None:
            epoch = liar.event.epoch
            table = load_steps(get_table_name(self.world.setting.lie or ""))
            batches = await self.ledger.read_epoch(epoch)
            before, rules = self.ledger.get_before(epoch), self.ledger.rules
            found = await trio.to_thread.run_sync(find_step, before, batches, rules, dispute.index, table)
            if {found.leaf, found.lying_leaf} != set(dispute.leaves) or found.leaf != dispute.leaf_after:
                raise AssertionError("the step that L1 has run is not the one that the batches give")
            self.outcome.finding = found
            self.story.say(f"what gave it away: {describe_finding(found)}", "bold")

    async def _can_withdraw(self, liar: ClaimEntry) -> bool:
        owner = liar.claimer.to_bytes(20, "big")
        try:
            await self.client.call(self._claims, encode_withdraw_stake(liar.event.stake_id), sender=owner)
        except RpcError:
            return False
        return True

    # -- the withdrawal

    async def _pay_saver(self) -> None:
        """As soon as a final claim's state owes the saver something, anyone may have the vault pay it. Here the teller does."""
        if self.outcome.paid or not self.ledger.final:
            return
        owner = self.world.cast.get_address("taker-0")
        newest = max(self.ledger.final.values(), key=lambda final: final.epoch)
        state = self.ledger.get_after(newest.epoch)
        found = next((at for at, (payee, _) in enumerate(state.outbox) if payee == owner), None)
        if found is None or not self._is_honest(newest.claim_id):
            return
        amount = state.outbox[found][1]
        data = encode_withdraw(newest.claim_id, found, owner, amount, state.prove_withdrawal(found))
        before = await self._get_balance(owner)
        await self._send("teller", data)
        if await self._get_balance(owner) - before == amount:
            self.outcome.paid = amount

    async def _get_balance(self, owner: int) -> int:
        token = self.deployment.get_address("Token")
        (balance,) = await read(self.client, "Token", token, "balanceOf", (owner,))
        return int(balance)

    async def _send(self, role: str, data: bytes) -> None:
        """To the vault, from a role's key."""
        sender = Sender(self.client, self.world.cast.keys[role], self.deployment.chain_id, MemoryJournal(), Policy(depth=1), poll_s=POLL_S)
        async with trio.open_nursery() as nursery:
            await nursery.start(sender.run)
            receipt = await sender.send(self.deployment.get_address("Vault"), data, gas=WITHDRAW_GAS)
            if not receipt.ok:
                raise AssertionError(f"the vault refuses what a final state owes: {decode_reason(receipt.reason)}")
            nursery.cancel_scope.cancel()

    # -- numbers

    async def measure(self) -> dict[str, Any]:
        """What L1's receipts say."""
        trades, pages = max(self.ledger.trades, 1), sum(entry.sheets for entry in self.ledger.batches)
        batch_txs = [entry.posted.tx_hash for entry in self.ledger.batches]
        numbers: dict[str, Any] = {
            "trades": self.ledger.trades,
            "batches": len(self.ledger.batches),
            "pages": pages,
            "trades_per_page": round(trades / max(pages, 1), 1),
            "settled": [describe_settlement(items) for items in self.ledger.settled],
            "bytes_per_trade": round(sum(entry.size for entry in self.ledger.batches) / trades, 1),
            "l1_gas_per_trade": round(sum(await self._get_gas(batch_txs)) / trades),
            "withdrawal_paid": self.outcome.paid / 1_000_000,
        }
        dispute, finding = self.outcome.dispute, self.outcome.finding
        if dispute is not None and finding is not None:
            numbers |= {
                "fraud_batch": finding.batch,
                "caught_by": self.get_catchers(),
                "proven_by": self.world.cast.find_role(dispute.prover),
                "operation": finding.operation,
                "account": finding.account,
                "amount": finding.amount / 1_000_000 if finding.amount >= 0 else None,
                "reason": finding.reason,
                "dispute_txs": len(dispute.txs),
                "dispute_gas": sum(await self._get_gas(list(dispute.txs))),
                "step_gas": sum(await self._get_gas([dispute.proof_tx])),
            }
        return numbers

    async def _get_gas(self, tx_hashes: list[bytes]) -> list[int]:
        return [receipt.gas_used for receipt in await self.client.get_receipts(tx_hashes) if receipt is not None]

    def get_catchers(self) -> list[str]:
        """Challengers that have acted against the lie on L1, or judged it and came too late to act: of several, the fastest moves."""
        dispute, liar = self.outcome.dispute, self.outcome.liar
        if dispute is None or liar is None:
            return []
        workers = {worker for claim_id, found in dispute.workers.items() if claim_id != liar.event.claim_id for worker in found}
        rivals = {entry.claimer for entry in self.ledger.get_rivals(liar.event.epoch) if self._is_honest(entry.event.claim_id)}
        acted = {self.world.cast.find_role(address) for address in workers | rivals}
        return [role for role in CHALLENGERS if role in acted or has_judged(self.world.folder / "data" / role, liar.event.claim_id)]


def has_judged(folder: Path, claim_id: bytes) -> bool:
    """Whether a challenger's own report says that the claim is wrong."""
    path = folder / "reports.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    reports = [json.loads(line) for line in lines if line.endswith("}")]
    wanted = "0x" + claim_id.hex()
    return any(report.get("claim_id") == wanted and report.get("judgement") == "invalid" for report in reports)


def describe_settlement(items: tuple[int, ...]) -> str:
    """Listing and price; a fallback's price is not in its row."""
    _, underlying, expiry, price = items
    return f"{UNDERLYINGS[underlying]}-{encode_expiry(expiry)} at {format_usd(price) if price else 'the fallback'}"


def describe_finding(finding: Finding) -> str:
    """Operation, account, amount, reason."""
    who = f" of account {finding.account}" if finding.account >= 0 else ""
    money = f" over {format_usd(finding.amount)}" if finding.amount >= 0 else ""
    return f"{finding.operation}{who}{money} in batch {finding.batch}: {finding.reason}"


Script = Callable[[Play], Awaitable[int]]


async def run_play(setting: Setting, console: Console, title: str, script: Script) -> int:
    """The exit code. Every process is gone when this returns or raises."""
    story = Story(console)
    story.say(title, "bold")
    code = EXIT_FAILED
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_on_signal, nursery.cancel_scope)
        async with Family(nursery, setting.out / "logs") as family:
            world = create_world(setting, family)
            await world.start_chain()
            async with connect(world) as provider:
                client = Client(provider)
                deployment = await world.deploy(client)
                story.say(f"an Ethereum chain of our own, with Straddle's {len(deployment.addresses)} contracts on it")
                code = await script(await _start(world, client, deployment, story, nursery))
        nursery.cancel_scope.cancel()
    return code


async def _start(world: World, client: Client, deployment: Deployment, story: Story, nursery: trio.Nursery) -> Play:
    """Daemons and actors; the challengers come up while the market does."""
    nursery.start_soon(world.start_challengers)
    await world.start_sequencer()
    lie = world.setting.lie
    story.say("the sequencer listens" + ("" if lie is None else f"; in one of its claims it will lie: {LIES[lie].story}"))
    if lie is not None and LIES[lie].bait == Bait.WEAK:
        story.say(f"that takes a poor account: all prices will jump by {SHOCK:.0%} at once, which is made up", "dim")
    nursery.start_soon(world.start_market)
    return Play(world, client, deployment, story)


async def _stop_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return
