"""Sends L1 transactions of one key: the runtime around `l1.sender_queue`.

One `Sender` per key and chain, in one process. Intents are in the journal before they are sent, so after `kill -9` a new `Sender` on the
same journal goes on with the same nonces. A caller that must not submit twice across its own restarts gives a `key`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import trio

from l1.client import Client
from l1.keys import Key
from l1.provider import RpcError, Unavailable
from l1.sender_queue import (
    FILLER_GAS,
    Attempt,
    Broadcast,
    CancelRequested,
    ChainObserved,
    Complete,
    Effect,
    Event,
    Fail,
    Forget,
    Intent,
    IntentSubmitted,
    Persist,
    Policy,
    Queue,
    Refusal,
    SendRefused,
    Started,
    advance,
    classify_refusal,
    compute_fees,
    encode_intent,
    find_by_key,
)
from l1.shapes import Malformed, Receipt

MAX_BACKOFF_S = 10.0
Log = Callable[[str, dict[str, Any]], None]


class Journal(Protocol):
    """Where the queue survives. `save` and `delete` are durable when they return; `save` replaces."""

    def load(self) -> Sequence[bytes]: ...

    def save(self, number: int, record: bytes) -> None: ...

    def delete(self, number: int) -> None: ...


class MemoryJournal:
    """For tools that live only as long as their transactions."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}

    def load(self) -> Sequence[bytes]:
        return list(self.records.values())

    def save(self, number: int, record: bytes) -> None:
        self.records[number] = record

    def delete(self, number: int) -> None:
        self.records.pop(number, None)


class NotSent(Exception):
    """The intent did not happen and never will: cancelled, refused for good, or its nonce went to a transaction that is not ours."""


def ignore_log(event: str, fields: dict[str, Any]) -> None:
    """For callers that keep no log."""


class Sender:
    """Start `run` in a nursery; then `send` or `submit` from any task.

    Errors: an endpoint that is unavailable delays, and is never an error of an intent. `NotSent` is final.
    """

    def __init__(
        self,
        client: Client,
        key: Key,
        chain_id: int,
        journal: Journal,
        policy: Policy | None = None,
        *,
        poll_s: float = 1.0,
        log: Log = ignore_log,
    ) -> None:
        self.address = key.address
        self._client = client
        self._account = key.account
        self._chain_id = chain_id
        self._journal = journal
        self._poll_s = poll_s
        self._log = log
        self._queue = Queue(policy or Policy())
        self._started = trio.Event()
        self._wake = trio.Event()
        self._outbox: list[Intent] = []
        self._signed: dict[tuple[int, Attempt], tuple[bytes, bytes]] = {}  # nonce, attempt -> raw, hash
        self._outcomes: dict[int, Receipt | str] = {}
        self._waiting: dict[int, trio.Event] = {}

    @property
    def pending(self) -> tuple[Intent, ...]:
        """What is not finished, by nonce."""
        return self._queue.pending

    # -- for callers

    async def get_next_nonce(self) -> int:
        """Of the next intent."""
        await self._started.wait()
        return self._queue.next_nonce

    async def submit(self, to: bytes, data: bytes, value: int = 0, gas: int = FILLER_GAS, key: str = "") -> int:
        """Number of the intent, once it is in the journal. `to` empty creates a contract. The same `key` again gives the same number.

        What is paid along must be there: an intent that waits for money would hold up all nonces behind it, so it is `NotSent` at once.
        """
        await self._started.wait()
        known = find_by_key(self._queue, key)
        if known is None and value:
            await self._check_funds(value, gas)
            known = find_by_key(self._queue, key)  # another task may have been faster
        if known is not None:
            return known.number
        number = self._queue.next_number
        self._apply(IntentSubmitted(key, to, data, value, gas))
        self._wake.set()
        return number

    async def _check_funds(self, value: int, gas: int) -> None:
        """Beside what the pending ones may cost. Waits out an endpoint that does not say."""
        while True:
            try:
                balance = await self._client.get_balance(self.address)
                break
            except (Unavailable, RpcError) as error:
                self._log("l1.unavailable", {"error": str(error)})
            await trio.sleep(self._poll_s)
        pending = sum(intent.value + intent.gas * intent.attempts[-1].cap for intent in self._queue.pending)
        wanted = pending + value + gas * compute_fees(self._queue).cap
        if balance < wanted:
            raise NotSent(f"funds: {wanted} wei are needed, the account has {balance}")

    async def send(self, to: bytes, data: bytes, value: int = 0, gas: int = FILLER_GAS, key: str = "") -> Receipt:
        """Submit and wait. A reverted transaction is a receipt that is not `ok`, with the reason if it can be had. Raises `NotSent`."""
        return await self.wait(await self.submit(to, data, value, gas, key))

    async def wait(self, number: int) -> Receipt:
        """Until the intent is deep enough. Each outcome is told to those who waited before it came, and to one who comes later."""
        await self._started.wait()
        done = next((intent for intent in self._queue.done if intent.number == number), None)
        if number not in self._outcomes and done is not None:
            return await self._explain(done, await self._fetch_receipt(done))
        if number not in self._outcomes:
            if all(intent.number != number for intent in self._queue.pending):
                raise LookupError(f"no such intent: {number}")
            await self._waiting.setdefault(number, trio.Event()).wait()
        outcome = self._outcomes[number]
        if isinstance(outcome, str):
            raise NotSent(outcome)
        return outcome

    async def cancel(self, number: int) -> None:
        """Ask that it does not happen any more. It may have landed: `wait` tells."""
        await self._started.wait()
        self._apply(CancelRequested(number))
        self._wake.set()

    # -- runtime

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever. Journal records that cannot be read are a crash: nothing can be sent safely without them."""
        records = tuple(self._journal.load())
        backoff = self._poll_s
        while True:
            try:
                if self._started.is_set():
                    await self._flush()
                    await self._observe()
                else:
                    await self._start(records)
                    task_status.started()
                backoff = self._poll_s
            except (Unavailable, RpcError) as error:
                self._log("l1.unavailable", {"error": str(error)})
                backoff = min(backoff * 2, MAX_BACKOFF_S)
            with trio.move_on_after(backoff):
                await self._wake.wait()
            self._wake = trio.Event()

    async def _start(self, records: tuple[bytes, ...]) -> None:
        await self._client.check_chain(self._chain_id)
        head = await self._client.get_head()
        nonce = await self._client.get_nonce(self.address)
        self._apply(Started(nonce, head.number, head.base_fee, await self._client.get_tip(), records))
        self._started.set()
        self._wake.set()

    def _apply(self, event: Event) -> None:
        self._queue, effects = advance(self._queue, event)
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Persist(intent):
                self._journal.save(intent.number, encode_intent(intent))
            case Forget(number):
                self._journal.delete(number)
            case Broadcast(intent):
                self._outbox.append(intent)
            case Complete(intent, receipt):
                self._settle(intent, receipt)
            case Fail(intent, reason):
                self._settle(intent, reason)

    def _settle(self, intent: Intent, outcome: Receipt | str) -> None:
        self._outcomes[intent.number] = outcome
        if len(self._outcomes) > 4096:
            del self._outcomes[next(iter(self._outcomes))]
        self._signed = {place: signed for place, signed in self._signed.items() if place[0] != intent.nonce}
        fields = {"number": intent.number, "key": intent.key, "nonce": intent.nonce}
        result: dict[str, Any] = {"reason": outcome}
        if isinstance(outcome, Receipt):
            result = {"block": outcome.block_number, "ok": outcome.ok}
        self._log("l1.settled", fields | result)
        waiting = self._waiting.pop(intent.number, None)
        if waiting is not None:
            waiting.set()

    def sign(self, intent: Intent, attempt: Attempt) -> tuple[bytes, bytes]:
        """Raw transaction and hash; the same for the same attempt, always (RFC 6979)."""
        place = (intent.nonce, attempt)
        if place not in self._signed:
            to, data, value, gas = intent.to, intent.data, intent.value, intent.gas
            if attempt.filler:
                to, data, value, gas = self.address, b"", 0, FILLER_GAS
            fields: dict[str, Any] = {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": intent.nonce,
                "maxPriorityFeePerGas": attempt.tip,
                "maxFeePerGas": attempt.cap,
                "gas": gas,
                "value": value,
                "data": data,
            }
            if to:
                fields["to"] = to
            signed = self._account.sign_transaction(fields)
            self._signed[place] = bytes(signed.raw_transaction), bytes(signed.hash)
        return self._signed[place]

    async def _flush(self) -> None:
        """Send what is due, in order of nonces. What cannot be sent now is found missing by an observation, and sent then."""
        due, self._outbox = {intent.nonce: intent for intent in self._outbox}, []
        for _, intent in sorted(due.items()):
            raw, tx_hash = self.sign(intent, intent.attempts[-1])
            try:
                if await self._client.send_raw(raw) != tx_hash:
                    raise Malformed("the endpoint names another hash for our transaction")
            except RpcError as error:
                refusal = classify_refusal(error.message)
                if refusal is not Refusal.KNOWN:
                    self._log("l1.refused", {"number": intent.number, "nonce": intent.nonce, "refusal": refusal, "error": error.message})
                    self._apply(SendRefused(intent.nonce, refusal, error.message[:200]))
            else:
                attempt = intent.attempts[-1]
                fields = {"number": intent.number, "key": intent.key, "nonce": intent.nonce, "hash": tx_hash.hex()}
                self._log("l1.sent", fields | {"attempt": len(intent.attempts), "tip": attempt.tip, "cap": attempt.cap})

    async def _observe(self) -> None:
        pending = self._queue.pending
        if not pending:
            return
        head = await self._client.get_head()
        policy = self._queue.policy
        deep = head.number - policy.depth + 1 - policy.patience  # receipts may come later than the nonce that they explain
        hashes = {self.sign(intent, attempt)[1]: (intent.nonce, attempt) for intent in pending for attempt in intent.attempts}
        found = dict(zip(hashes, await self._client.get_receipts(list(hashes)), strict=True))
        landed: dict[int, Receipt] = {}
        fillers: set[int] = set()
        for tx_hash, receipt in found.items():
            if receipt is not None:
                nonce, attempt = hashes[tx_hash]
                landed[nonce] = receipt
                fillers |= {nonce} if attempt.filler else set()
        final = {nonce: r for nonce, r in landed.items() if head.number - r.block_number + 1 >= policy.depth}
        await self._check_canonical(final)
        last = {intent.nonce: self.sign(intent, intent.attempts[-1])[1] for intent in pending if intent.nonce not in landed}
        held = await self._client.has_transactions(list(last.values()))
        known = {nonce for nonce, holds in zip(last, held, strict=True) if holds}
        # nothing is deep on a young chain; anvil answers for its newest block with the state of the one that it is mining
        deep_nonce = await self._client.get_nonce(self.address, deep) if deep >= 0 else 0
        nonce = await self._client.get_nonce(self.address)
        tip = await self._client.get_tip()
        explained = landed | {number: await self._add_reason(pending, number, receipt) for number, receipt in final.items()}
        self._apply(ChainObserved(head.number, head.base_fee, tip, nonce, deep_nonce, explained, frozenset(fillers), frozenset(known)))
        if self._outbox:
            self._wake.set()

    async def _check_canonical(self, receipts: dict[int, Receipt]) -> None:
        """A receipt that is about to count must name the block that stands at its number."""
        for number in {receipt.block_number for receipt in receipts.values()}:
            header = await self._client.get_header(number)
            for receipt in receipts.values():
                if receipt.block_number == number and (header is None or header.hash != receipt.block_hash):
                    raise Unavailable("a receipt of a block that is not canonical")

    async def _add_reason(self, pending: tuple[Intent, ...], nonce: int, receipt: Receipt) -> Receipt:
        return await self._explain(next(intent for intent in pending if intent.nonce == nonce), receipt)

    async def _fetch_receipt(self, done: Intent) -> Receipt:
        """Of a transaction that was deep; waits out an endpoint that does not have it now. `NotSent` if a reorganisation took it away
        after all: the chain is well past it, and its nonce is free, or another's."""
        policy = self._queue.policy
        while True:
            try:
                receipt = await self._client.get_receipt(done.done)
                if receipt is not None:
                    return receipt
                deep = (await self._client.get_head()).number - policy.depth + 1 - policy.patience
                if deep > done.sent and await self._client.get_receipt(done.done) is None:
                    is_free = await self._client.get_nonce(self.address) <= done.nonce
                    if is_free or await self._client.get_nonce(self.address, deep) > done.nonce:
                        raise NotSent("undone: a reorganisation took the transaction away")
            except (Unavailable, RpcError) as error:
                self._log("l1.unavailable", {"error": str(error)})
            await trio.sleep(self._poll_s)

    async def _explain(self, intent: Intent, receipt: Receipt) -> Receipt:
        """With the revert data of a failed transaction: run again on the state before its block, which is right unless others in the
        block interfered. Best effort: the receipt stands either way."""
        if receipt.ok or receipt.reason is not None or not intent.to or not intent.data:
            return receipt
        reason = None
        try:
            block = receipt.block_number - 1
            await self._client.call(intent.to, intent.data, block, sender=self.address, value=intent.value, gas=intent.gas)
        except RpcError as error:
            reason = error.data
        except Unavailable as error:
            self._log("l1.unavailable", {"error": str(error)})
        fields = {name: getattr(receipt, name) for name in Receipt.__dataclass_fields__}
        return Receipt(**fields | {"reason": reason})
