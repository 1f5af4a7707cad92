"""The exit drill: the sequencer is killed for good in the middle of trading, and everybody gets all of their money out by L1 alone.

Two halves. While the exchange is still open: a forced withdrawal, a forced trade between two, a queue that a stranger posts, a claim that
a challenger makes. Then the end: shutdown for silence, last marks, settlement, and the last cent of everybody. Nothing is believed but L1.
Only where nothing would happen for long the chain's clock is put on, and the story says so.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio
from coincurve import PrivateKey
from rich.console import Console

from l1.abi import decode_reason
from l1.contracts import ClaimFinal, encode_post_queue, encode_send, encode_shutdown, encode_withdraw, read
from l1.sender import MemoryJournal, Sender
from l1.sender_queue import Policy
from protocol.codec.frames import Message
from protocol.state import State
from sim.actors.config import MarketSection
from sim.cast import CHALLENGERS, ORACLES
from sim.finding import format_usd
from sim.forced import ALL, compute_left, open_scribe, write_last_marks, write_settlement, write_trade, write_withdrawal
from sim.play import EXIT_DONE, EXIT_FAILED, POLL_S, Play, run_play
from sim.scribe import Scribe
from sim.world import Setting

USD = 1_000_000
LIMIT_S = 420.0  # the whole drill; half of it is what a quiet machine needs
FORCED = 5_000 * USD  # the first withdrawal
QUEUE_GAS, SEND_GAS, PAY_GAS = 3_000_000, 1_000_000, 400_000
QUIET_S = 4.0  # after the kill, until nothing that the sequencer sent can still land
STRANGER = "teller"  # no trader, and runs no daemon
STAGES = (
    "trading",
    "sequencer killed",
    "withdrawal and trade forced in",
    "queue posted without a sequencer",
    "claimed by a challenger",
    "forced withdrawal paid",
    "shut down",
    "settled",
    "everybody paid",
    "vault holds what is left to others",
)


@dataclass(frozen=True)
class ExitDrill:
    """What the command line says."""

    seed: int = 1
    rate: float = 10.0
    trades: int = 50
    out: Path = Path(".out")


@dataclass
class Drill:
    """One run. `stages` says when each was reached, seconds from the start; `numbers` goes into the report."""

    play: Play
    settings: ExitDrill
    stages: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> None:
        """To the end, or for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.play.follow, self._look)
            await self._trade_until_killed()
            await self._get_out_while_open()
            await self._shut_down()
            await self._get_everybody_out()
            nursery.cancel_scope.cancel()

    # -- the story

    async def _trade_until_killed(self) -> None:
        ledger = self.play.ledger
        await self._until(lambda: ledger.trades >= self.settings.trades and bool(ledger.final))
        self._reach("trading", trades=ledger.trades)
        await self.play.world.kill_sequencer()
        self._reach("sequencer killed")
        self._say("SIGKILL: the sequencer is gone and never comes back. From here on there is only Ethereum", "bold red")
        await trio.sleep(QUIET_S)
        claimed = ", ".join(self._find_role(index) for index in range(ledger.state.globals.accounts))
        self._say(f"open accounts: {claimed}")

    async def _get_out_while_open(self) -> None:
        """One withdraws, two trade: without being asked by anybody, and before anybody has shut anything down."""
        ledger, state = self.play.ledger, self.play.ledger.state
        await self._force("taker-1", write_trade(self._open_scribe(), state))
        queued, owner = await self._read("message_count"), self.play.world.cast.get_address("taker-0")
        before, tokens = ledger.trades, await self._get_tokens(owner)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._withdraw, "taker-0")
            await self._until(lambda: len(ledger.index.messages) > queued)
            self._reach("withdrawal and trade forced in")
            self._say(f"taker-0 forces a withdrawal of {format_usd(FORCED)} in, taker-1 a trade that two have signed")
            epoch = await self._post_queue()
            self._reach("queue posted without a sequencer", forced_trades=ledger.trades - before, forced_batch_epoch=epoch)
            await self._wait_final(epoch)
        paid = await self._get_tokens(owner) - tokens
        self.numbers["forced_paid"] = paid / USD
        if paid == FORCED and self.numbers["forced_trades"] == 1:
            self._reach("forced withdrawal paid")

    async def _shut_down(self) -> None:
        """After the silence anybody may; then the oracles' last word, and a day later the settlement."""
        params = self.play.deployment.params
        last_post = await self._read("last_post")
        await self._put_clock_on(last_post + params.silence_s, f"the sequencer has posted nothing for {params.silence_s} s")
        await self._transact(STRANGER, "Inbox", encode_shutdown(), gas=SEND_GAS)
        shut_at = await self._read("message_times", await self._read("message_count") - 1)
        self._reach("shut down")
        self._say("a stranger shuts the exchange down: nobody trades any more, and the sequencer could not come back", "bold red")
        scribe = self._open_scribe()
        await self._force("oracle-0", write_last_marks(scribe, self.play.ledger.state, shut_at))
        await self._put_clock_on(shut_at + params.shutdown_s + 1, f"{params.shutdown_s} s for the oracles' last marks")
        await self._force(STRANGER, write_settlement(scribe))

    async def _get_everybody_out(self) -> None:
        """All withdrawals wait behind the settlement, in the same queue."""
        ledger = self.play.ledger
        owners = {index: self._find_role(index) for index in range(ledger.state.globals.accounts)}
        scribe = self._open_scribe()
        messages = {role: write_withdrawal(scribe, index, ALL) for index, role in owners.items()}
        async with trio.open_nursery() as nursery:
            for role, message in messages.items():
                nursery.start_soon(self._force, role, message)
        epoch = await self._post_queue()
        state = ledger.state
        if state.globals.is_settled and not any(account.positions for account in state.accounts.values()):
            self._reach("settled", messages=len(messages))
            self._say("every position is cash now, and everybody's withdrawal is in", "bold")
        paid = await self._pay_all(await self._wait_final(epoch))
        self.numbers["paid"] = {role: amount / USD for role, amount in sorted(paid.items())}
        if set(paid) == set(owners.values()) and not any(account.cash for account in state.accounts.values()):
            self._reach("everybody paid")
        await self._check_vault(state)

    async def _check_vault(self, state: State) -> None:
        """To the unit."""
        deployment, left = self.play.deployment, compute_left(state)
        vault = deployment.get_address("Vault")
        (held,) = await read(self.play.client, "Vault", vault, "held")
        (balance,) = await read(self.play.client, "Token", deployment.get_address("Token"), "balanceOf", (deployment.addresses["Vault"],))
        self.numbers |= {"left_in_vault": held / USD, "of_which": {name: amount / USD for name, amount in left.items()}}
        if held == balance == sum(left.values()) and left["users"] == 0:
            self._reach("vault holds what is left to others")
            self._say(f"left in the vault: {format_usd(held)}, fees {format_usd(left['fees'])} and fund {format_usd(left['fund'])}", "bold")

    # -- moves

    async def _withdraw(self, role: str) -> None:
        """The command that a user has for it, as a process of its own: until the vault has paid."""
        world = self.play.world
        words = [
            "--url",
            world.url,
            "--deployment",
            str(world.deployment_path),
            "--key",
            world.cast.get_path(role),
            "--amount",
            str(FORCED // USD),
        ]
        command = [sys.executable, "-m", "straddle", "withdraw", "--with-parent", *words]
        with (world.setting.out / "logs" / "withdraw.log").open("wb") as log:
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=log, stderr=log))

    async def _force(self, role: str, message: Message) -> None:
        """Through the inbox, from the role's own key."""
        fee = await self._read("fee") * (len(self.play.world.cast.keys) if role != STRANGER else 1)  # several may send at once
        await self._transact(role, "Inbox", encode_send(message.rows, message.signatures), fee, SEND_GAS)

    async def _post_queue(self) -> int:
        """As soon as its oldest message is overdue, unless somebody else is faster; the epoch of the batch."""
        ledger, params, count = self.play.ledger, self.play.deployment.params, await self._read("batch_count")
        oldest = await self._read("message_times", await self._read("messages_consumed"))
        await self._until(lambda: ledger.head is not None and ledger.head.time > oldest + params.inclusion_delay_s)
        reason = await self._transact(STRANGER, "Inbox", encode_post_queue(), gas=QUEUE_GAS)
        who = "somebody who wants to get out" if reason == "inbox: no message is overdue" else "a stranger"
        await self._until(lambda: len(ledger.batches) > count)
        self.numbers.setdefault("queues_posted_by", []).append(who)
        self._say(f"{who} posts the queue, which nobody has taken in for {params.inclusion_delay_s} s")
        return ledger.batches[count].posted.epoch

    async def _wait_final(self, epoch: int) -> ClaimFinal:
        """The right claim of that epoch, or a later one."""
        ledger = self.play.ledger
        await self._until(lambda: any(entry.event.epoch == epoch for entry in ledger.claims.values()))
        entry = next(entry for entry in ledger.claims.values() if entry.event.epoch == epoch)
        role = self.play.world.cast.find_role(entry.claimer)
        if role in CHALLENGERS and ledger.is_right(entry.event):
            self._reach("claimed by a challenger", claimed_by=role)
        await self._until(lambda: any(final.epoch == epoch for final in ledger.final.values()))
        return next(final for final in ledger.final.values() if final.epoch == epoch)

    async def _pay_all(self, final: ClaimFinal) -> dict[str, int]:
        """A stranger has the vault pay whatever the final state owes; what each role has received by that, 1e-6 USD."""
        state, deployment, paid = self.play.ledger.get_after(final.epoch), self.play.deployment, {}
        for at, (owner, amount) in enumerate(state.outbox):
            (is_paid,) = await read(self.play.client, "Vault", deployment.get_address("Vault"), "is_paid", (at,))
            if is_paid:
                continue
            before = await self._get_tokens(owner)
            data = encode_withdraw(final.claim_id, at, owner, amount, state.prove_withdrawal(at))
            await self._transact(STRANGER, "Vault", data, gas=PAY_GAS)
            paid[self.play.world.cast.find_role(owner)] = await self._get_tokens(owner) - before
        return paid

    async def _put_clock_on(self, moment: int, why: str) -> None:
        """To chain time `moment`, unless that is past."""
        head = await self.play.client.get_head()
        if head.time < moment:
            self._say(f"the chain's clock is put on by {moment - head.time} s: {why}", "dim")
            await self.play.client.provider.request("evm_increaseTime", [hex(moment - head.time)])
        while (await self.play.client.get_head()).time < moment:  # noqa: ASYNC110 - what changes is in another process
            await trio.sleep(POLL_S)

    async def _transact(self, role: str, name: str, data: bytes, value: int = 0, gas: int = SEND_GAS) -> str:
        """From the role's key; empty, or why it was refused. Whatever should have followed is looked for on L1."""
        play = self.play
        key = play.world.cast.keys[role]
        sender = Sender(play.client, key, play.deployment.chain_id, MemoryJournal(), Policy(depth=1), poll_s=POLL_S)
        async with trio.open_nursery() as nursery:
            await nursery.start(sender.run)
            receipt = await sender.send(play.deployment.get_address(name), data, value, gas)
            nursery.cancel_scope.cancel()
        reason = "" if receipt.ok else decode_reason(receipt.reason) or "reverted"
        if reason:
            self._say(f"{role}'s transaction was refused: {reason}", "dim")
        return reason

    # -- questions

    def _open_scribe(self) -> Scribe:
        play, cast = self.play, self.play.world.cast
        count = play.ledger.state.globals.accounts
        keys = [PrivateKey(cast.keys[self._find_role(index)].secret) for index in range(count)]
        oracles = [PrivateKey(cast.keys[f"oracle-{at}"].secret) for at in range(ORACLES)]
        now = play.ledger.head.time if play.ledger.head else 0
        return open_scribe(play.ledger.rules, play.ledger.state, keys, oracles, now)

    def _find_role(self, index: int) -> str:
        return self.play.world.cast.find_role(self.play.ledger.state.get_account(index).owner)

    async def _read(self, view: str, *arguments: int) -> int:
        (value,) = await read(self.play.client, "Inbox", self.play.deployment.get_address("Inbox"), view, arguments)
        return int(value)

    async def _get_tokens(self, owner: int) -> int:
        (balance,) = await read(self.play.client, "Token", self.play.deployment.get_address("Token"), "balanceOf", (owner,))
        return int(balance)

    async def _look(self) -> bool:
        return False

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - the ledger has no bell, and blocks are seconds apart
            await trio.sleep(POLL_S)

    def _reach(self, stage: str, **numbers: Any) -> None:
        self.stages.setdefault(stage, round(self.play.story.seconds, 1))
        self.numbers |= numbers

    def _say(self, text: str, style: str = "") -> None:
        self.play.story.say(text, style)


async def run_exit_drill(settings: ExitDrill) -> int:
    """The exit code."""
    console = Console()
    setting = Setting(settings.out, MarketSection(kind="walk", seed=settings.seed), rate=settings.rate, seed=settings.seed, withdraw=0)

    async def script(play: Play) -> int:
        drill = Drill(play, settings)
        with trio.move_on_after(LIMIT_S - play.story.seconds):
            await drill.run()
        missing = [stage for stage in STAGES if stage not in drill.stages]
        report = drill.numbers | {
            "seed": settings.seed,
            "seconds": round(play.story.seconds, 1),
            "stages": drill.stages,
            "missing": missing,
        }
        settings.out.mkdir(parents=True, exist_ok=True)
        (settings.out / "exit.json").write_text(json.dumps(report, indent=1) + "\n")
        for stage in missing:
            console.print(f"[bold red]missing: {stage}[/]")
        if not missing:
            console.print("[bold green]everybody is out, by L1's own word[/]")
        return EXIT_FAILED if missing else EXIT_DONE

    return await run_play(setting, console, "Straddle without its sequencer: everybody gets out by Ethereum alone.", script)
