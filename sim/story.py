"""Tells what happens on L1 as it happens, in short sentences, each with the seconds since the beginning."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from l1.contracts import (
    BatchPosted,
    ClaimDied,
    Claimed,
    ClaimFinal,
    Deposited,
    Descended,
    Event,
    StepProven,
    Withdrawn,
    WorkCredited,
)
from node.instruments import encode_expiry
from protocol.params import Params
from protocol.types import UNDERLYINGS
from sim.cast import Cast
from sim.finding import format_usd
from sim.ledger import Ledger, Seen


class Story:
    """Owns the console. `say` is for whoever has news that L1 does not have."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._start = clock()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._start

    def say(self, text: str, style: str = "") -> None:
        """One line. `text` is plain."""
        body = f"[{style}]{escape(text)}[/]" if style else escape(text)
        self._console.print(f"[dim]{self.seconds:6.1f} s[/]  {body}", highlight=False, soft_wrap=True)


def shorten(value: bytes) -> str:
    """Of a hash, for people."""
    return value.hex()[:8]


class Narrator:
    """Turns blocks into sentences. What is a lie it knows from the ledger's own execution."""

    def __init__(self, story: Story, ledger: Ledger, cast: Cast) -> None:
        self._story = story
        self._ledger = ledger
        self._cast = cast
        self._params: Params = ledger.deployment.params

    def tell(self, seen: Seen) -> None:
        """A block's news, in order."""
        deposits = [event for _, event in seen.events if isinstance(event, Deposited)]
        if deposits:
            total = format_usd(sum(event.amount for event in deposits))
            accounts = ", ".join(str(event.index) for event in deposits)
            self._story.say(f"deposits on L1 open account{'s' * (len(deposits) > 1)} {accounts}: {total}")
        for entry in seen.batches:
            r = entry.posted.record
            extra = f", {r.message_count} forced messages" if r.message_count else ""
            self._story.say(
                f"batch {r.number} of epoch {entry.posted.epoch}: {entry.trades} trades in {entry.size:,} bytes of calldata{extra}", "dim"
            )
            for _, underlying, expiry, price in entry.settled:
                at = f" at {format_usd(price)}, the average of the index" if price else ", by the fallback"
                self._story.say(
                    f"the {UNDERLYINGS[underlying]} options of {encode_expiry(expiry)} have expired and are settled{at}", "green"
                )
            for _, bidder, target, units, *_ in entry.taken:
                self._story.say(
                    f"at auction, account {bidder} takes {units} unit{'s' * (units > 1)} of what account {target} can no longer hold",
                    "magenta",
                )
            for owner, amount in entry.withdrawals:
                self._story.say(f"{self._cast.find_role(owner)} withdraws {format_usd(amount)}: to be paid once a claim with it is final")
        works = [event for _, event in seen.events if isinstance(event, WorkCredited)]
        for _, event in seen.events:
            self._tell_event(event, works)

    def _tell_event(self, event: Event, works: list[WorkCredited]) -> None:
        match event:
            case BatchPosted() | Deposited():
                return
            case Claimed():
                self._tell_claim(event)
            case Descended(round=number, index=index) if number + 1 < self._params.rounds:
                self._story.say(
                    f"  round {number + 1} of {self._params.rounds}: both have shown 16 nodes; they part in node {index}", "cyan"
                )
            case Descended(index=index):
                self._story.say(
                    f"  round {self._params.rounds} of {self._params.rounds}: they part in step {index}. The proof is due", "cyan"
                )
            case StepProven():
                provers = ", ".join(sorted({self._cast.find_role(credit.worker) for credit in works}))
                self._story.say(f"L1 has run the disputed step again, on the word of {provers}", "bold cyan")
            case ClaimDied(claim_id=claim_id):
                self._story.say(f"claim {shorten(claim_id)} is dead, and its stake of {self._format_stake()} with it", "bold red")
            case ClaimFinal(claim_id=claim_id, epoch=epoch, post_root=root):
                self._story.say(f"claim {shorten(claim_id)} of epoch {epoch} is final: state root {shorten(root)}", "green")
            case Withdrawn(owner=owner, amount=amount):
                self._story.say(f"the vault has paid {format_usd(amount)} to {self._cast.find_role(owner)}", "bold green")
            case _:
                return

    def _tell_claim(self, event: Claimed) -> None:
        claimer = self._cast.find_role(self._ledger.claims[event.claim_id].claimer)
        rivals = [entry for entry in self._ledger.get_rivals(event.epoch) if entry.event.position == event.position]
        is_right = self._ledger.is_right(event)
        if any(not self._ledger.is_right(entry.event) for entry in self._ledger.get_chain(event.parent)):
            self._story.say(f"{claimer} claims epoch {event.epoch} on top of the lie", "dim")
            return
        head = f"{claimer} claims epoch {event.epoch}: state root {shorten(event.post_root)}"
        if is_right:
            self._story.say(head + (", beside the wrong one" if len(rivals) > 1 else ""), "green" if len(rivals) > 1 else "")
        else:
            right = shorten(self._ledger.get_right_root(event.epoch))
            self._story.say(f"{head}. That is a LIE: the batches lead to {right}", "bold red")

    def _format_stake(self) -> str:
        return f"{self._params.stake_wei / 10**18:g} ETH"
