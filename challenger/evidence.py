"""What the challenger knows and tells: the truth of an epoch, the proof of a step, verdicts, alerts, and why a claim died."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Truth:
    """Of one epoch: all that a claim needs."""

    post_root: bytes
    history: bytes
    nodes: tuple[bytes, ...]  # the first reveal
    siblings: tuple[bytes, ...]  # of the last leaf, bottom first
    steps: int


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One honest step in words. `batch` is its number over all epochs; -1 where there is none. Amounts in 1e-6 USD."""

    batch: int
    phase: str
    operation: str  # kind of the row, empty where the step belongs to none
    items: tuple[int, ...]
    code: str  # what the honest step said of the operation
    account: int | None
    amount: int | None


@dataclass(frozen=True, slots=True)
class StepProof:
    """What `Claims.prove` takes, and what the step was. `leaf_after` is the right leaf."""

    arguments: bytes
    path: tuple[bytes, ...]
    leaf_before: bytes
    leaf_after: bytes
    facts: StepFacts


class Judgement(StrEnum):
    """The third is never disputed."""

    VALID = "valid"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """On a claim, or with an empty id on an epoch that nobody can judge now."""

    claim_id: bytes
    epoch: int
    judgement: Judgement
    reason: str

    def to_json(self) -> str:
        """One line."""
        return _encode("verdict", asdict(self))


class AlertCode(StrEnum):
    """Stable: monitoring matches on these."""

    UNCONTESTED = "uncontested"  # a wrong claim without the right one beside it, and we do not claim
    SHUT_OUT = "shut-out"  # entry closed before the right claim was in
    WRONG_FINAL = "wrong-final"  # a wrong claim is final
    OUT_OF_TIME = "out-of-time"  # the right claim ran out of time in a duel
    UNPROMOTED = "unpromoted"  # the right claim is alone in its group and must be moved up before the round ends
    FALLING_BEHIND = "falling-behind"  # the right claim's group is not decided, and its round ends soon
    LEFT_BEHIND = "left-behind"  # the round ended without the right claim moving up or winning
    STALLED = "stalled"  # nobody can win a position any more: it must be reopened
    STUCK = "stuck"  # an action keeps failing
    LAGGING = "lagging"  # the endpoint's head is old
    HIDDEN = "hidden"  # the endpoint leaves out events: if it comes again, another endpoint is needed


@dataclass(frozen=True, slots=True)
class Alert:
    """A person must look."""

    code: AlertCode
    message: str
    claim_id: bytes = b""

    def to_json(self) -> str:
        """One line."""
        return _encode("alert", asdict(self))


class Death(StrEnum):
    """Why a claim cannot win any more."""

    STEP = "step"  # the duel with the right claim came to one step, and it has that wrong
    CLOCK = "clock"  # it owed the right claim a move and was out of time
    RIVAL = "rival"  # it fell to a claim that is not the right one either
    ROUND = "round"  # nobody refuted it: its round ended without it moving up


FATES = {
    Death.STEP: "is dead: a step refuted it",
    Death.CLOCK: "is dead: nobody answered for it in time",
    Death.RIVAL: "is dead: it fell to another claim than the right one",
    Death.ROUND: "is left behind: its round of the tournament ended without it moving up",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A wrong claim that is out. `step` is the leaf that it got wrong, and `facts` the honest step to it, if the duel came so far."""

    epoch: int
    claim_id: bytes
    post_root: bytes
    right_claim_id: bytes
    right_post_root: bytes
    death: Death
    step: int | None
    facts: StepFacts | None

    def to_json(self) -> str:
        """One line."""
        return _encode("evidence", asdict(self))

    def describe(self) -> str:
        """One sentence for people."""
        head = f"claim {self.claim_id.hex()[:8]} of epoch {self.epoch}"
        facts = self.facts
        if facts is None or self.step is None:
            return f"{head} {FATES[self.death]}"
        what = f"{facts.operation} {facts.phase}".strip().lower()
        who = "" if facts.account is None else f" of account {facts.account}"
        money = "" if facts.amount is None else f" over {facts.amount / 1_000_000:,.2f} USD"
        return f"{head} is dead: step {self.step}, {what}{who}{money} in batch {facts.batch}, where honest nodes say {facts.code}"


def _encode(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"type": kind} | fields, default=_encode_bytes)


def _encode_bytes(value: object) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"cannot encode {type(value).__name__}")
