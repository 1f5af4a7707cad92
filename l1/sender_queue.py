"""The queue of one sender of L1 transactions, as a pure machine: intents -> attempts -> confirmed at depth.

An *intent* is what the caller wants done once. It gets one nonce, for ever, and is written down before anything is sent; so however
often it is sent again, at whatever fees, it happens at most once. An *attempt* is one signed form of it, given by its fees alone:
signatures are deterministic, so its hash need not be kept. A nonce that must be used up without its intent (refused for good, or
cancelled) is filled by a transfer of nothing to ourselves; which of the attempts lands decides the outcome.

The machine judges by what a chain observation says, never by what a node answered to a send: refusals only steer the next attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import msgpack

from l1.shapes import Receipt

BUMP_NUMERATOR, BUMP_DENOMINATOR = 9, 8  # 12.5 %, more than any pool's 10 %
FILLER_GAS = 21_000
MAX_GAP = 16  # nonces that are filled at once
RECORD_VERSION = 1


class Refusal(StrEnum):
    """What a node's refusal of a transaction means for us."""

    KNOWN = "known"  # it has it already
    NONCE = "nonce"  # something with this nonce is mined: the next observation decides
    UNDERPRICED = "underpriced"  # too cheap for the pool or for what it would replace
    FUNDS = "funds"  # the account cannot pay now
    BUSY = "busy"  # pool full or an unknown reason: try again
    PERMANENT = "permanent"  # this transaction can never be valid


# In order: the first that occurs in the lower-cased message. Texts of geth, Reth, Erigon, Nethermind, Besu, anvil and the embedded devnet.
REFUSALS = (
    ("already known", Refusal.KNOWN),
    ("known transaction", Refusal.KNOWN),
    ("already imported", Refusal.KNOWN),
    ("alreadyknown", Refusal.KNOWN),
    ("nonce too low", Refusal.NONCE),
    ("nonce_too_low", Refusal.NONCE),
    ("oldnonce", Refusal.NONCE),
    ("underpriced", Refusal.UNDERPRICED),
    ("fee too low", Refusal.UNDERPRICED),
    ("feetoolow", Refusal.UNDERPRICED),
    ("less than block base fee", Refusal.UNDERPRICED),
    ("replacement", Refusal.UNDERPRICED),
    ("insufficient", Refusal.FUNDS),
    ("intrinsic gas", Refusal.PERMANENT),
    ("floor data gas", Refusal.PERMANENT),
    ("exceeds block gas limit", Refusal.PERMANENT),
    ("gas limit too high", Refusal.PERMANENT),
    ("gas limit exceed", Refusal.PERMANENT),
    ("oversized data", Refusal.PERMANENT),
    ("initcode size", Refusal.PERMANENT),
    ("invalid sender", Refusal.PERMANENT),
    ("chain id", Refusal.PERMANENT),
    ("chainid", Refusal.PERMANENT),
)


def classify_refusal(message: str) -> Refusal:
    """Unknown texts are `BUSY`: giving up wrongly loses an intent, trying again costs nothing."""
    text = message.lower()
    return next((refusal for part, refusal in REFUSALS if part in text), Refusal.BUSY)


@dataclass(frozen=True, slots=True)
class Policy:
    """`depth` 1 is included in the head; `patience` in blocks before fees rise; fees in wei a gas."""

    depth: int = 2
    patience: int = 3
    min_tip: int = 10**9
    max_cap: int = 500 * 10**9


@dataclass(frozen=True, slots=True)
class Attempt:
    """Fees of one signed form; a filler carries nothing of the intent but its nonce."""

    tip: int
    cap: int
    filler: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """`to` is empty for a creation. `reason` says why it is being filled. `sent` is the head when the last attempt was made."""

    number: int
    key: str
    nonce: int
    to: bytes
    data: bytes
    value: int
    gas: int
    attempts: tuple[Attempt, ...]
    sent: int
    reason: str = ""
    done: bytes = b""  # hash of what landed, once it is deep
    is_short: bool = field(default=False, compare=False)  # the account could not pay for the last attempt; not written down

    @property
    def is_filling(self) -> bool:
        return self.reason != ""


@dataclass(frozen=True, slots=True)
class Queue:
    """`pending` ascends by nonce. `done` are finished intents that had a key, oldest first."""

    policy: Policy
    next_nonce: int = -1  # unknown before `Started`
    next_number: int = 1
    head: int = 0
    base_fee: int = 0
    tip: int = 0
    pending: tuple[Intent, ...] = ()
    done: tuple[Intent, ...] = ()


# -- events


@dataclass(frozen=True, slots=True)
class Started:
    """`nonce` is the account's at the head; `records` are the journal's."""

    nonce: int
    head: int
    base_fee: int
    tip: int
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class IntentSubmitted:
    key: str
    to: bytes
    data: bytes
    value: int
    gas: int


@dataclass(frozen=True, slots=True)
class CancelRequested:
    number: int


@dataclass(frozen=True, slots=True)
class ChainObserved:
    """One look at the chain. `landed`: receipts of our attempts by nonce; `known`: nonces whose last attempt the node has;
    `nonce` and `deep_nonce`: the account's at the head, and at a block deep enough that receipts cannot be merely late."""

    head: int
    base_fee: int
    tip: int
    nonce: int
    deep_nonce: int
    landed: Mapping[int, Receipt]
    fillers: frozenset[int]  # nonces whose receipt is a filler's
    known: frozenset[int]


@dataclass(frozen=True, slots=True)
class SendRefused:
    nonce: int
    refusal: Refusal
    message: str


Event = Started | IntentSubmitted | CancelRequested | ChainObserved | SendRefused

# -- effects


@dataclass(frozen=True, slots=True)
class Persist:
    """Durably, before any later effect of the same list."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Forget:
    number: int


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Sign and send the last attempt."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Complete:
    intent: Intent
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Fail:
    """The intent did not happen and never will."""

    intent: Intent
    reason: str


Effect = Persist | Forget | Broadcast | Complete | Fail
KEEP_DONE = 256
NONCE_TAKEN = "nonce_taken: another transaction of this key used the nonce"


def encode_intent(intent: Intent) -> bytes:
    """A journal record."""
    attempts = [[a.tip.to_bytes(32, "big"), a.cap.to_bytes(32, "big"), a.filler] for a in intent.attempts]
    value = intent.value.to_bytes(32, "big")
    head = [RECORD_VERSION, intent.number, intent.key, intent.nonce, intent.to, intent.data, value, intent.gas]
    return bytes(msgpack.packb([*head, attempts, intent.sent, intent.reason, intent.done]))


def decode_intent(record: bytes) -> Intent:
    """Raises ValueError for anything that `encode_intent` did not write."""
    try:
        version, number, key, nonce, to, data, value, gas, attempts, sent, reason, done = msgpack.unpackb(record)
        forms = tuple(Attempt(int.from_bytes(tip, "big"), int.from_bytes(cap, "big"), filler) for tip, cap, filler in attempts)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ValueError("malformed journal record") from error
    if version != RECORD_VERSION or not forms:
        raise ValueError("journal record of another version")
    return Intent(number, key, nonce, to, data, int.from_bytes(value, "big"), gas, forms, sent, reason, done)


def advance(queue: Queue, event: Event) -> tuple[Queue, list[Effect]]:
    """The one door of the machine."""
    match event:
        case Started():
            return _start(queue, event)
        case IntentSubmitted():
            return _submit(queue, event)
        case CancelRequested():
            return _cancel(queue, event.number)
        case ChainObserved():
            return _observe(queue, event)
        case SendRefused():
            return _refuse(queue, event)


def find_by_key(queue: Queue, key: str) -> Intent | None:
    """Pending or done; an empty key names nothing."""
    return next((intent for intent in (*queue.pending, *queue.done) if key and intent.key == key), None)


def compute_fees(queue: Queue) -> Attempt:
    """What a new attempt pays: room for the base fee to double."""
    tip = min(max(queue.tip, queue.policy.min_tip), queue.policy.max_cap)
    return Attempt(tip, min(2 * queue.base_fee + tip, queue.policy.max_cap))


def compute_bump(queue: Queue, last: Attempt) -> Attempt | None:
    """12.5 % more on both fees, or the market's if that is more; None at the limit."""
    market = compute_fees(queue)
    cap = max(market.cap, last.cap * BUMP_NUMERATOR // BUMP_DENOMINATOR + 1)
    tip = max(market.tip, last.tip * BUMP_NUMERATOR // BUMP_DENOMINATOR + 1)
    return None if cap > queue.policy.max_cap else Attempt(min(tip, cap), cap, last.filler)


def compute_least(queue: Queue, last: Attempt) -> Attempt:
    """The cheapest form that can be mined in the next block."""
    tip = compute_fees(queue).tip
    return Attempt(tip, min(queue.base_fee * BUMP_NUMERATOR // BUMP_DENOMINATOR + tip, queue.policy.max_cap), last.filler)


def _replace(queue: Queue, intent: Intent) -> Queue:
    return replace(queue, pending=tuple(intent if other.nonce == intent.nonce else other for other in queue.pending))


def _start(queue: Queue, event: Started) -> tuple[Queue, list[Effect]]:
    intents = sorted((decode_intent(record) for record in event.records), key=lambda intent: intent.nonce)
    pending = tuple(intent for intent in intents if not intent.done)
    done = tuple(sorted((intent for intent in intents if intent.done), key=lambda intent: intent.number))
    queue = replace(
        queue,
        next_nonce=max([event.nonce, *(intent.nonce + 1 for intent in intents)]),
        next_number=max([1, *(intent.number + 1 for intent in intents)]),
        head=event.head,
        base_fee=event.base_fee,
        tip=event.tip,
        pending=pending,
        done=done,
    )
    return queue, []  # the first observation decides what has to be sent again


def _submit(queue: Queue, event: IntentSubmitted) -> tuple[Queue, list[Effect]]:
    assert queue.next_nonce >= 0, "not started"
    assert find_by_key(queue, event.key) is None, "the key is in use"
    fees = (compute_fees(queue),)
    intent = Intent(queue.next_number, event.key, queue.next_nonce, event.to, event.data, event.value, event.gas, fees, queue.head)
    queue = replace(queue, next_nonce=queue.next_nonce + 1, next_number=queue.next_number + 1, pending=(*queue.pending, intent))
    return queue, [Persist(intent), Broadcast(intent)]


def _fill(queue: Queue, intent: Intent, reason: str) -> tuple[Queue, list[Effect]]:
    """Try to use the nonce up with nothing; what lands decides."""
    if intent.is_filling:
        return queue, []
    bump = compute_bump(queue, intent.attempts[-1]) or intent.attempts[-1]
    return _offer(queue, replace(intent, reason=reason), replace(bump, filler=True))


def _cancel(queue: Queue, number: int) -> tuple[Queue, list[Effect]]:
    intent = next((intent for intent in queue.pending if intent.number == number), None)
    return (queue, []) if intent is None else _fill(queue, intent, "cancelled")


def _refuse(queue: Queue, event: SendRefused) -> tuple[Queue, list[Effect]]:
    intent = next((intent for intent in queue.pending if intent.nonce == event.nonce), None)
    if intent is None:
        return queue, []
    if event.refusal is Refusal.PERMANENT:
        return _fill(queue, intent, f"refused: {event.message}")
    if event.refusal is Refusal.UNDERPRICED:
        # due for a bump at the next observation, not now: a node that always says so must not drive us in circles
        return _replace(queue, replace(intent, sent=queue.head - queue.policy.patience, is_short=False)), []
    if event.refusal is Refusal.FUNDS:
        return _replace(queue, replace(intent, is_short=True)), []
    return queue, []


def _observe(queue: Queue, event: ChainObserved) -> tuple[Queue, list[Effect]]:
    queue = replace(queue, head=event.head, base_fee=event.base_fee, tip=event.tip)
    effects: list[Effect] = []
    for intent in queue.pending:
        receipt = event.landed.get(intent.nonce)
        if receipt is not None:
            if event.head - receipt.block_number + 1 >= queue.policy.depth:
                queue, more = _finish(queue, intent, receipt, intent.nonce in event.fillers)
                effects += more
        elif event.deep_nonce > intent.nonce:
            queue = replace(queue, pending=tuple(other for other in queue.pending if other.nonce != intent.nonce))
            effects += [Forget(intent.number), Fail(intent, NONCE_TAKEN)]
        elif event.nonce <= intent.nonce:
            queue, more = _press(queue, intent, intent.nonce in event.known, intent.nonce == event.nonce)
            effects += more
    queue, more = _close_gap(queue, event.nonce)
    return queue, effects + more


def _finish(queue: Queue, intent: Intent, receipt: Receipt, filler: bool) -> tuple[Queue, list[Effect]]:
    done = replace(intent, done=receipt.tx_hash, data=b"")
    pending = tuple(other for other in queue.pending if other.nonce != intent.nonce)
    effects: list[Effect] = [Fail(intent, intent.reason) if filler else Complete(intent, receipt)]
    if filler or not intent.key:
        return replace(queue, pending=pending), [Forget(intent.number), *effects]
    kept = (*queue.done, done)
    old = [Forget(other.number) for other in kept[:-KEEP_DONE]]
    return replace(queue, pending=pending, done=kept[-KEEP_DONE:]), [Persist(done), *old, *effects]


def _press(queue: Queue, intent: Intent, known: bool, is_next: bool) -> tuple[Queue, list[Effect]]:
    """Not mined: send again what the node lost, pay more for what is stuck. What only waits for the nonce before it is not stuck."""
    if intent.is_short and not known:
        return _cheapen(queue, intent)
    last = intent.attempts[-1]
    is_old = queue.head - intent.sent >= queue.policy.patience
    is_stuck = is_old and (is_next or not known or last.cap < queue.base_fee + last.tip)
    if is_stuck or (not known and last.cap < queue.base_fee):
        bump = compute_bump(queue, last)
        if bump is not None:
            return _offer(queue, intent, bump)
    return queue, [] if known else [Broadcast(intent)]


def _cheapen(queue: Queue, intent: Intent) -> tuple[Queue, list[Effect]]:
    """The account cannot pay: what was offered while fees were higher would stand in front of all later nonces for ever. So the cheapest
    form that can be mined now goes out, a new one only if it is cheaper by a bump: there are never many.
    """
    least = compute_least(queue, intent.attempts[-1])
    minable = [form for form in intent.attempts if form.filler == least.filler and form.cap >= queue.base_fee + least.tip]
    best = min(minable, key=lambda form: form.cap, default=None)
    if best is None or least.cap * BUMP_NUMERATOR < best.cap * BUMP_DENOMINATOR:
        best = least
    return (queue, [Broadcast(intent)]) if best == intent.attempts[-1] else _offer(queue, intent, best)


def _offer(queue: Queue, intent: Intent, attempt: Attempt) -> tuple[Queue, list[Effect]]:
    """The last attempt is the one that is sent; each of the others may still land."""
    others = (other for other in intent.attempts if other != attempt)
    intent = replace(intent, attempts=(*others, attempt), sent=queue.head)
    return _replace(queue, intent), [Persist(intent), Broadcast(intent)]


def _close_gap(queue: Queue, nonce: int) -> tuple[Queue, list[Effect]]:
    """A reorganisation deeper than `depth` can take finished transactions away; what waits behind their nonces would wait for ever."""
    if not queue.pending:
        return queue, []
    lowest = queue.pending[0]
    if not nonce < lowest.nonce <= nonce + MAX_GAP or queue.head - lowest.sent < queue.policy.patience - 1:
        return queue, []
    effects: list[Effect] = []
    fillers = []
    fees = replace(compute_fees(queue), filler=True)
    for missing in range(nonce, lowest.nonce):
        filler = Intent(queue.next_number, "", missing, b"", b"", 0, FILLER_GAS, (fees,), queue.head, "gap")
        queue = replace(queue, next_number=queue.next_number + 1)
        fillers.append(filler)
        effects += [Persist(filler), Broadcast(filler)]
    return replace(queue, pending=(*fillers, *queue.pending)), effects
