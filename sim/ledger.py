"""What L1 says happened: the world's own account of it, from blocks, batches and events alone.

Nothing here asks a daemon. Batches are read back from transactions and executed by the honest rules, so that the right root of every epoch
is known, and what a claim says can be held against it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from l1.batches import BatchIndex, EpochReader, Posted
from l1.client import Client
from l1.contracts import ClaimDied, Claimed, ClaimFinal, Descended, Event, Revealed, StepProven, WorkCredited, decode_logs, read
from l1.deploy import Deployment
from l1.follower import BlockSeen, BlockUndone, FollowerEvent
from l1.shapes import Header, Malformed
from protocol.codec.frames import HEAD_BYTES, Batch
from protocol.codes import Code
from protocol.leap import Leap
from protocol.operations import Kind
from protocol.state import State

POST_BYTES = 132  # selector and arguments of `post`


@dataclass(frozen=True)
class BatchEntry:
    """One batch, executed. `trades` and `sheets` (pages of quotes) are those that applied, `settled` and `taken` the items of SETTLEs and
    BIDs; `size` is calldata in bytes; `withdrawals` are (owner, amount)."""

    posted: Posted
    trades: int
    sheets: int
    size: int
    withdrawals: tuple[tuple[int, int], ...]
    settled: tuple[tuple[int, ...], ...] = ()
    taken: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class ClaimEntry:
    """A claim as it entered, and by whom."""

    event: Claimed
    claimer: int
    time: int


@dataclass
class Dispute:
    """What was done about the claims of one position. Transactions by hash, in order; reverted ones leave no event and are not here."""

    position: bytes
    txs: dict[bytes, None] = field(default_factory=dict)
    workers: dict[bytes, set[int]] = field(default_factory=dict)  # by claim: who moved for it
    index: int = 0  # of the node that the last descent led to
    round: int = -1
    leaves: tuple[bytes, bytes] = (b"", b"")  # of the two claims, after the last descent
    prover: int = 0
    proof_tx: bytes = b""
    leaf_after: bytes = b""
    dead: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """One block's news, for whoever tells the story."""

    header: Header
    batches: tuple[BatchEntry, ...]
    events: tuple[tuple[bytes, Event], ...]  # transaction, event


class ForkError(Exception):
    """The world's own chain was reorganised: a simulated world does that only on purpose, and then it has other observers."""


class Ledger:
    """Feed it a follower's events from the deployment's first block on. `apply` reads through the client what events only hash."""

    def __init__(self, client: Client, deployment: Deployment) -> None:
        self.client = client
        self.deployment = deployment
        self.rules = deployment.rules
        inbox = deployment.get_address("Inbox")
        self.index = BatchIndex(inbox, deployment.params.epoch_s)
        self.reader = EpochReader(client, self.index, deployment.params.batch_depth)
        self.batches: list[BatchEntry] = []
        self.claims: dict[bytes, ClaimEntry] = {}
        self.dead: set[bytes] = set()
        self.final: dict[bytes, ClaimFinal] = {}
        self.disputes: dict[bytes, Dispute] = {}
        self.head: Header | None = None
        self._leap = Leap(State(deployment.params), self.rules)
        self._before: dict[int, State] = {}  # the state before an epoch's first batch
        self._roots: dict[int, bytes] = {}
        self._owners: dict[bytes, int] = {}

    @property
    def state(self) -> State:
        """By the honest rules, after every batch on L1."""
        return self._leap.state

    @property
    def trades(self) -> int:
        """Applied, by the honest rules."""
        return sum(entry.trades for entry in self.batches)

    @property
    def settled(self) -> list[tuple[int, ...]]:
        """Items of all settlements that applied."""
        return [items for entry in self.batches for items in entry.settled]

    def get_before(self, epoch: int) -> State:
        """A copy of the state before an epoch's first batch."""
        return self._before[epoch].copy()

    def get_after(self, epoch: int) -> State:
        """A copy of the state after an epoch's last batch. The epoch must be over."""
        later = [other for other in sorted(self._before) if other > epoch]
        return (self._before[later[0]] if later else self.state).copy()

    def get_right_root(self, epoch: int) -> bytes:
        """What a claim of the epoch must say. The epoch must be over: it can be claimed only then, and never changes any more."""
        if epoch not in self._roots:
            self._roots[epoch] = self.get_after(epoch).get_root()
        return self._roots[epoch]

    async def apply(self, event: FollowerEvent) -> Seen | None:
        """News of a block; None for one that is undone before anything of it counted."""
        if isinstance(event, BlockUndone):
            raise ForkError(f"block {event.header.number} was undone")
        self.index.apply(event)
        self.head = event.header
        batches = []
        for posted in self.index.batches[len(self.batches) :]:
            entry = await self._execute(posted)
            self.batches.append(entry)
            batches.append(entry)
        decoded = [(log.tx_hash, found) for log, found in decode_logs(self.deployment.followed, event.logs)]
        for tx_hash, found in decoded:
            await self._take(tx_hash, found, event, [other for place, other in decoded if place == tx_hash])
        return Seen(event.header, tuple(batches), tuple(decoded))

    async def _execute(self, posted: Posted) -> BatchEntry:
        batch = await self.reader.read_batch(posted)
        if posted.epoch not in self._before:
            self._before[posted.epoch] = self.state.copy()
        outbox = len(self.state.outbox)
        outcomes = self._leap.apply_batch(batch)
        applied = [outcome.items for outcome in outcomes if outcome.code == Code.OK and outcome.items]
        kinds = Counter(items[0] & 15 for items in applied)
        settled, taken = (tuple(items for items in applied if items[0] & 15 == kind) for kind in (Kind.SETTLE, Kind.BID))
        withdrawals = tuple(self.state.outbox[outbox:])
        return BatchEntry(posted, kinds[Kind.TRADE], kinds[Kind.SHEET], compute_size(batch), withdrawals, settled, taken)

    async def _take(self, tx_hash: bytes, event: Event, block: BlockSeen, beside: Sequence[Event]) -> None:
        match event:
            case Claimed():
                self.claims[event.claim_id] = ClaimEntry(event, await self._get_owner(event.stake_id), block.header.time)
            case Revealed(mine=mine):
                self._open_dispute(mine).txs[tx_hash] = None
            case Descended(low=low):
                dispute = self._open_dispute(low)
                dispute.txs[tx_hash] = None
                dispute.round, dispute.index = event.round, event.index
                dispute.leaves = event.node_low, event.node_high
            case ClaimDied():
                dispute = self._open_dispute(event.claim_id)
                dispute.txs[tx_hash] = None
                dispute.dead.append(event.claim_id)
                self.dead.add(event.claim_id)
                proofs = [other for other in beside if isinstance(other, StepProven)]
                if proofs:
                    dispute.proof_tx, dispute.leaf_after = tx_hash, proofs[0].leaf_after
                    dispute.prover = next((other.worker for other in beside if isinstance(other, WorkCredited)), 0)
            case WorkCredited(claim_id=claim_id, worker=worker):
                self._open_dispute(claim_id).workers.setdefault(claim_id, set()).add(worker)
            case ClaimFinal():
                self.final[event.claim_id] = event
            case _:
                return

    def _open_dispute(self, claim_id: bytes) -> Dispute:
        claim = self.claims.get(claim_id)
        if claim is None:
            raise Malformed("an event of a claim that never entered")
        return self.disputes.setdefault(claim.event.position, Dispute(claim.event.position))

    async def _get_owner(self, stake_id: bytes) -> int:
        """Who paid a stake. It is asked for at once: the contract forgets a stake that was paid back."""
        if stake_id not in self._owners:
            owner, _ = await read(self.client, "Claims", self.deployment.get_address("Claims"), "stakes", (stake_id,))
            self._owners[stake_id] = int.from_bytes(owner, "big") if isinstance(owner, bytes) else int(owner)
        return self._owners[stake_id]

    # -- questions

    def get_rivals(self, epoch: int) -> list[ClaimEntry]:
        """All claims of an epoch, by entry."""
        return [entry for entry in self.claims.values() if entry.event.epoch == epoch]

    def is_right(self, claim: Claimed) -> bool:
        """Whether its post-state is the honest one."""
        return claim.post_root == self.get_right_root(claim.epoch)

    def get_chain(self, claim_id: bytes) -> list[ClaimEntry]:
        """The claim and its ancestors down to genesis, newest first."""
        chain = []
        while claim_id in self.claims:
            chain.append(self.claims[claim_id])
            claim_id = chain[-1].event.parent
        return chain

    async def read_epoch(self, epoch: int) -> tuple[Batch, ...]:
        """Its batches, checked against the inbox."""
        return await self.reader.read_epoch(epoch)


def compute_size(batch: Batch) -> int:
    """Bytes of calldata of the batch's transaction."""
    return POST_BYTES + sum(HEAD_BYTES + len(frame.data) + len(frame.signatures) for frame in batch.frames)
