"""What happens to the challenger (events, past tense) and what it wants done (effects, imperative)."""

from dataclasses import dataclass
from typing import NamedTuple

from challenger.evidence import Alert, Evidence, StepProof, Truth, Verdict
from l1.contracts import Event as L1Event
from l1.shapes import Header
from protocol.duel import Difference

# -- events


@dataclass(frozen=True, slots=True)
class BlockSeen:
    """A block joined the chain; `events` are those of our contracts, in order. `is_newest`: none is known that follows it."""

    header: Header
    events: tuple[L1Event, ...]
    is_newest: bool = True


@dataclass(frozen=True, slots=True)
class BlockUndone:
    """The newest block that was seen is no longer on the chain."""

    header: Header


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What was seen is the present: from now on it is answered."""


@dataclass(frozen=True, slots=True)
class EpochTraced:
    """`key` names the whole inbox up to the epoch's end."""

    key: bytes
    truth: Truth


@dataclass(frozen=True, slots=True)
class EpochUnavailable:
    """Its data cannot be had now, or does not fit what L1 recorded. It is tried again."""

    key: bytes
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class RevealTraced:
    """The 16 nodes below a node of the truth's history."""

    key: bytes
    height: int
    index: int
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StepTraced:
    """The proof of the step that leads to leaf `index`."""

    key: bytes
    index: int
    proof: StepProof


@dataclass(frozen=True, slots=True)
class ClockElapsed:
    """Chain time by our own clock."""

    now: int


@dataclass(frozen=True, slots=True)
class MoveConfirmed:
    """The transaction is deep enough, in block `number`."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class MoveFailed:
    """It reverted in block `number`, most often because somebody was faster; or it was never sent (`number` is then the head)."""

    name: str
    number: int
    reason: str


Event = (
    BlockSeen
    | BlockUndone
    | CaughtUp
    | EpochTraced
    | EpochUnavailable
    | RevealTraced
    | StepTraced
    | ClockElapsed
    | MoveConfirmed
    | MoveFailed
)

# -- actions: one L1 transaction each


@dataclass(frozen=True, slots=True)
class PostClaim:
    """`stake_from` zero: pay a stake."""

    parent: bytes
    epoch: int
    truth: Truth
    stake_from: bytes


@dataclass(frozen=True, slots=True)
class Reveal:
    """First in a round. `node_other` is the rival's disputed node."""

    mine: bytes
    other: bytes
    node_other: bytes
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Descend:
    """Completes a round, and reveals in the next one unless it was the last."""

    mine: bytes
    other: bytes
    difference: Difference
    next_nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Prove:
    """`arguments` may be the 32 bytes of a leaf whose step is proven already."""

    mine: bytes
    other: bytes
    leaf_mine: bytes  # the disputed leaves
    leaf_other: bytes
    arguments: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Timeout:
    mine: bytes
    other: bytes


@dataclass(frozen=True, slots=True)
class Promote:
    """A claim that is alone in its group goes to the next round."""

    claim_id: bytes


@dataclass(frozen=True, slots=True)
class Reopen:
    parent: bytes


@dataclass(frozen=True, slots=True)
class Finalize:
    claim_id: bytes


@dataclass(frozen=True, slots=True)
class AdvanceStake:
    """Onto `child`, a right claim of somebody else on the claim that our stake sits on."""

    stake_id: bytes
    child: bytes


@dataclass(frozen=True, slots=True)
class WithdrawStake:
    stake_id: bytes


@dataclass(frozen=True, slots=True)
class WithdrawWork:
    claim_id: bytes


@dataclass(frozen=True, slots=True)
class PostQueue:
    """The forced messages that wait, as a batch."""


Action = (
    PostClaim | Reveal | Descend | Prove | Timeout | Promote | Reopen | Finalize | AdvanceStake | WithdrawStake | WithdrawWork | PostQueue
)

# -- effects


class Estimate(NamedTuple):
    """Of one transaction: its gas, its cost in wei, and the wei that it brings in, now or when its claim is final (`challenger.costs`)."""

    gas: int
    cost: int
    gain: int


@dataclass(frozen=True, slots=True)
class Send:
    """`name` says what is done in answer to which state; `attempt` counts the times that it was tried before."""

    name: str
    attempt: int
    action: Action
    deadline: int  # chain seconds
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class TraceEpoch:
    """Run `epoch` after the one that `parent` names; `records` are the hashes of its batches' records."""

    key: bytes
    parent: bytes
    epoch: int
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TraceReveal:
    key: bytes
    height: int
    index: int


@dataclass(frozen=True, slots=True)
class TraceStep:
    key: bytes
    index: int


@dataclass(frozen=True, slots=True)
class ForgetEpoch:
    """No dispute can ask for it any more."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Report:
    item: Verdict | Evidence | Alert


Effect = Send | TraceEpoch | TraceReveal | TraceStep | ForgetEpoch | Report
