"""The sender's queue against an adversary: whatever is mined, dropped, refused, reorganised or killed, an intent happens at most once,
and in the end exactly once unless it was given up for a reason."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l1.sender_queue import (
    Attempt,
    Broadcast,
    CancelRequested,
    ChainObserved,
    Complete,
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
    decode_intent,
    encode_intent,
    find_by_key,
)
from l1.shapes import Receipt

POLICY = Policy(depth=3, patience=2, max_cap=10**13)
BASE_FEE = 10**9
Hash = tuple[int, Attempt]  # what a signed form is to the machine
FOREIGN = Attempt(0, 0)  # of another program that has the key


@dataclass
class World:
    """A chain with a pool, the journal, and what the caller was told."""

    queue: Queue = field(default_factory=lambda: Queue(POLICY))
    blocks: list[list[Hash]] = field(default_factory=lambda: [[] for _ in range(10)])
    pool: dict[int, Attempt] = field(default_factory=dict)
    journal: dict[int, bytes] = field(default_factory=dict)
    outbox: list[Intent] = field(default_factory=list)
    submitted: dict[str, int] = field(default_factory=dict)  # key -> nonce
    outcomes: dict[str, str] = field(default_factory=dict)
    refuse: Refusal | None = None

    def feed(self, event: Event) -> None:
        self.queue, effects = advance(self.queue, event)
        for effect in effects:
            match effect:
                case Persist(intent):
                    assert decode_intent(encode_intent(intent)) == intent
                    self.journal[intent.number] = encode_intent(intent)
                case Forget(number):
                    self.journal.pop(number)
                case Broadcast(intent):
                    written = decode_intent(self.journal[intent.number])
                    assert intent.attempts == written.attempts, "sent before it was written down"
                    self.outbox.append(intent)
                case Complete(intent, receipt):
                    assert self.outcomes.setdefault(intent.key, "done") == "done"
                    assert receipt.tx_hash == compute_hash(intent.nonce, next(a for a in intent.attempts if self.is_mined(intent.nonce, a)))
                case Fail(intent, reason):
                    assert self.outcomes.setdefault(intent.key, reason) == reason

    def is_mined(self, nonce: int, attempt: Attempt) -> bool:
        return any((nonce, attempt) in block for block in self.blocks)

    def get_nonce(self, height: int) -> int:
        return sum(len(block) for block in self.blocks[: height + 1])

    def start(self) -> None:
        """Also a restart after a kill: everything but chain, pool and journal is lost."""
        self.queue, self.outbox = Queue(POLICY), []
        head = len(self.blocks) - 1
        self.feed(Started(self.get_nonce(head), head, BASE_FEE, 10**9, tuple(self.journal.values())))

    def submit(self, key: str) -> None:
        if find_by_key(self.queue, key) is None:
            self.feed(IntentSubmitted(key, b"\x01" * 20, b"", 1, 21_000))
        found = find_by_key(self.queue, key)
        assert found is not None
        assert self.submitted.setdefault(key, found.nonce) == found.nonce, "one intent, two nonces"

    def send(self) -> None:
        for intent in self.outbox:
            attempt = intent.attempts[-1]
            if self.refuse is not None and not attempt.filler:
                self.feed(SendRefused(intent.nonce, self.refuse, "no"))
            elif intent.nonce >= self.get_nonce(len(self.blocks)):
                self.pool[intent.nonce] = attempt
        self.outbox = []

    def mine(self, limit: int) -> None:
        """Up to `limit` transactions, in order of nonces."""
        block: list[Hash] = []
        nonce = self.get_nonce(len(self.blocks))
        while len(block) < limit and nonce in self.pool:
            block.append((nonce, self.pool.pop(nonce)))
            nonce += 1
        self.blocks.append(block)

    def reorg(self, depth: int) -> None:
        """Shallower than what counts as final; the transactions vanish."""
        del self.blocks[-depth:]
        self.blocks += [[] for _ in range(depth)]

    def observe(self) -> None:
        head = len(self.blocks) - 1
        landed: dict[int, Receipt] = {}
        fillers = set()
        for height, block in enumerate(self.blocks):
            for nonce, attempt in block:
                if attempt == FOREIGN:
                    continue
                landed[nonce] = Receipt(compute_hash(nonce, attempt), height, bytes(32), True, 21_000, 1, None, ())
                fillers |= {nonce} if attempt.filler else set()
        known = {i.nonce for i in self.queue.pending if self.pool.get(i.nonce) == i.attempts[-1]}
        deep = self.get_nonce(max(0, head - POLICY.depth + 1 - POLICY.patience))
        event = ChainObserved(head, BASE_FEE, 10**9, self.get_nonce(head), deep, landed, frozenset(fillers), frozenset(known))
        self.feed(event)

    def check(self) -> None:
        nonces = [intent.nonce for intent in self.queue.pending]
        assert nonces == sorted(set(nonces)), "one nonce, two intents"
        records = {decode_intent(record).number for record in self.journal.values()}
        assert {intent.number for intent in self.queue.pending} <= records


def compute_hash(nonce: int, attempt: Attempt) -> bytes:
    return hash((nonce, attempt)).to_bytes(32, "big", signed=True)


ACTIONS = st.one_of(
    st.tuples(st.just("submit"), st.integers(0, 6)),
    st.tuples(st.just("cancel"), st.integers(1, 6)),
    st.tuples(st.just("send"), st.just(0)),
    st.tuples(st.just("mine"), st.integers(0, 3)),
    st.tuples(st.just("reorg"), st.integers(1, POLICY.depth - 1)),
    st.tuples(st.just("drop"), st.integers(0, 6)),
    st.tuples(st.just("refuse"), st.sampled_from([None, Refusal.UNDERPRICED, Refusal.FUNDS, Refusal.BUSY, Refusal.PERMANENT])),
    st.just(("foreign", 0)),
    st.just(("observe", 0)),
    st.just(("usual", 0)),
    st.tuples(st.just("kill"), st.just(0)),
)


@settings(max_examples=max(200, settings().max_examples))
@given(st.lists(ACTIONS, min_size=20, max_size=80))
def test_every_intent_happens_at_most_once_and_in_the_end_has_its_outcome(actions: list[tuple[str, int]]) -> None:
    world = World()
    world.start()
    for action, value in actions:
        match action:
            case "submit" if world.outcomes.get(str(value), "done") == "done":
                world.submit(str(value))
            case "cancel":
                world.feed(CancelRequested(value))
            case "send":
                world.send()
            case "mine":
                world.mine(value)
            case "reorg":
                world.reorg(value)
            case "drop":
                world.pool.pop(world.get_nonce(len(world.blocks)) + value, None)
            case "refuse":
                world.refuse = Refusal(str(value)) if value else None
            case "foreign":
                world.blocks.append([(world.get_nonce(len(world.blocks)), FOREIGN)])
            case "observe":
                world.observe()
            case "usual":  # what mostly happens, so that rare things meet a chain that moves
                world.send()
                world.mine(2)
                world.observe()
            case "kill":
                world.start()
        world.check()
    world.refuse = None
    for _ in range(3 * (POLICY.depth + POLICY.patience) + 4):
        world.observe()
        world.send()
        world.mine(100)
    assert world.queue.pending == ()
    assert set(world.submitted) <= set(world.outcomes)
    mined = [nonce for block in world.blocks for nonce, attempt in block if not attempt.filler and attempt != FOREIGN]
    assert len(mined) == len(set(mined))
    done = {nonce for key, nonce in world.submitted.items() if world.outcomes[key] == "done"}
    assert done == set(mined)


def test_fees_rise_by_an_eighth_and_stop_at_the_limit() -> None:
    queue, _ = advance(Queue(Policy(depth=1, patience=1, max_cap=4 * BASE_FEE)), Started(0, 10, BASE_FEE, 10**9, ()))
    queue, _ = advance(queue, IntentSubmitted("", b"", b"", 0, 1))
    for head in range(11, 30):
        queue, _ = advance(queue, ChainObserved(head, BASE_FEE, 10**9, 0, 0, {}, frozenset(), frozenset({0})))
    attempts = queue.pending[0].attempts
    assert len(attempts) == 3  # 3, 3.375 and 3.8 gwei; the next would be over 4
    for last, following in itertools.pairwise(attempts):
        assert following.cap * 8 >= last.cap * 9
        assert following.tip * 8 >= last.tip * 9


def test_a_rise_of_the_base_fee_is_followed() -> None:
    queue, _ = advance(Queue(Policy()), Started(0, 10, BASE_FEE, 10**9, ()))
    queue, _ = advance(queue, IntentSubmitted("", b"", b"", 0, 1))
    queue, effects = advance(queue, ChainObserved(11, 50 * BASE_FEE, 10**9, 0, 0, {}, frozenset(), frozenset()))
    assert queue.pending[0].attempts[-1].cap >= 50 * BASE_FEE
    assert isinstance(effects[-1], Broadcast)


@pytest.mark.parametrize("record", [b"", b"\x00", b"\xc1", b"\x9c" + b"\x00" * 12, encode_intent(Intent(1, "", 0, b"", b"", 0, 1, (), 0))])
def test_a_broken_journal_stops_everything(record: bytes) -> None:
    with pytest.raises(ValueError, match="journal record"):
        advance(Queue(POLICY), Started(0, 0, 1, 1, (record,)))


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ("already known", Refusal.KNOWN),
        ("nonce too low: next nonce 5, tx nonce 4", Refusal.NONCE),
        ("replacement transaction underpriced", Refusal.UNDERPRICED),
        ("max fee per gas less than block base fee: address 0x, maxFeePerGas: 1", Refusal.UNDERPRICED),
        ("insufficient funds for gas * price + value", Refusal.FUNDS),
        ("intrinsic gas too low: gas 1, minimum needed 21000", Refusal.PERMANENT),
        ("exceeds block gas limit", Refusal.PERMANENT),
        ("invalid chain id for signer: have 1 want 5", Refusal.PERMANENT),
        ("something new", Refusal.BUSY),
    ],
)
def test_refusals_are_classified_by_what_to_do(message: str, refusal: Refusal) -> None:
    assert classify_refusal(message) is refusal


GWEI, PROOF_GAS = 10**9, 1 << 24


def play_fees(fees: list[int], balance: int, intents: int = 1) -> tuple[Queue, list[int]]:
    """A node that takes only what the account can pay, and mines one transaction a block if its cap allows: caps in gwei."""
    held: dict[int, Attempt] = {}
    mined: list[int] = []
    queue, _ = advance(Queue(Policy()), Started(0, 10, fees[0], GWEI, ()))
    outbox: list[Intent] = []
    for number in range(intents):
        queue, effects = advance(queue, IntentSubmitted(str(number), b"\1" * 20, b"", 0, PROOF_GAS))
        outbox += [effect.intent for effect in effects if isinstance(effect, Broadcast)]
    receipts: dict[int, Receipt] = {}
    for head, fee in enumerate(fees, 11):
        for intent in outbox:
            attempt, others = intent.attempts[-1], [a for nonce, a in held.items() if nonce != intent.nonce]
            if intent.nonce < len(mined):
                continue
            if sum(a.cap for a in (attempt, *others)) * PROOF_GAS > balance:
                queue, _ = advance(queue, SendRefused(intent.nonce, Refusal.FUNDS, "insufficient funds"))
            else:
                held[intent.nonce] = attempt
        attempt_next = held.get(len(mined))
        if attempt_next is not None and attempt_next.cap >= fee:
            receipts[len(mined)] = Receipt(compute_hash(len(mined), attempt_next), head, bytes(32), True, 21_000, 1, None, ())
            mined.append(held.pop(len(mined)).cap // GWEI)
        known = frozenset(i.nonce for i in queue.pending if held.get(i.nonce) == i.attempts[-1])
        queue, effects = advance(queue, ChainObserved(head, fee, GWEI, len(mined), 0, receipts, frozenset(), known))
        outbox = [effect.intent for effect in effects if isinstance(effect, Broadcast)]
    return queue, mined


def test_fee_spike_that_the_account_cannot_pay__when_it_is_over__all_lands_at_the_new_price() -> None:
    """Nothing may stay at the price of the spike: the account could not pay that for ever, and the nonces behind would wait as long."""
    queue, mined = play_fees([200 * GWEI] * 40 + [5 * GWEI] * 40, 3 * 10**18, 3)
    assert queue.pending == ()
    assert len(mined) == 3
    assert max(mined) <= 12
    assert all(len(intent.attempts) < 12 for intent in queue.done)


def test_funds_that_are_a_little_short_of_a_doubling__still_pay_for_the_present_price() -> None:
    _, mined = play_fees([30 * GWEI] * 20, 10**18)
    assert len(mined) == 1


def test_what_waits_behind_another_nonce__does_not_outbid_itself() -> None:
    queue, _ = advance(Queue(Policy()), Started(0, 10, BASE_FEE, GWEI, ()))
    for key in ("first", "second"):
        queue, _ = advance(queue, IntentSubmitted(key, b"", b"", 0, 1))
    for head in range(11, 200):
        queue, _ = advance(queue, ChainObserved(head, BASE_FEE, GWEI, 0, 0, {}, frozenset(), frozenset({0, 1})))
    first, second = queue.pending
    assert len(first.attempts) > 20
    assert len(second.attempts) == 1


@given(st.lists(st.integers(1, 400), min_size=50, max_size=300), st.integers(1, 8 * 10**18))
def test_fees_that_go_up_and_down__few_forms_are_signed(fees: list[int], balance: int) -> None:
    queue, _ = play_fees([fee * GWEI for fee in fees], balance, 2)
    assert all(len(intent.attempts) <= 150 for intent in (*queue.pending, *queue.done))
