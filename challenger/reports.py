"""What is told, once each: a verdict on every claim, evidence on every disproven one, and what a person must look at."""

from challenger.board import Board, Claim, Status
from challenger.epochs import Link
from challenger.events import TraceStep
from challenger.evidence import Alert, AlertCode, Death, Evidence, Judgement, StepFacts, Verdict
from challenger.state import FAR, Challenger, Task
from protocol.duel import is_proof_due

MAX_ATTEMPTS = 3  # of one action, before somebody is told


def judge_claims(state: Challenger, board: Board, links: tuple[Link, ...]) -> list[Verdict]:
    """On claims without a verdict so far. A claim is right iff it is on the path."""
    right = {link.claim_id for link in links} | {board.genesis}
    known = {link.parent for link in links}
    verdicts: list[Verdict] = []
    found: dict[bytes, Judgement] = {}
    for claim in board.claims.values():
        if claim.id in state.verdicts or claim.id == board.genesis:
            continue
        before = found.get(claim.parent, state.verdicts.get(claim.parent))
        if claim.id in right:
            found[claim.id] = Judgement.VALID
            verdicts.append(Verdict(claim.id, claim.epoch, Judgement.VALID, "state and history are the truth's"))
        elif before == Judgement.INVALID:
            found[claim.id] = Judgement.INVALID
            verdicts.append(Verdict(claim.id, claim.epoch, Judgement.INVALID, "it stands on a wrong claim"))
        elif claim.parent in known:
            found[claim.id] = Judgement.INVALID
            verdicts.append(Verdict(claim.id, claim.epoch, Judgement.INVALID, _describe_error(claim, links)))
    return verdicts


def _describe_error(claim: Claim, links: tuple[Link, ...]) -> str:
    truth = next(link.truth for link in links if link.parent == claim.parent)
    return "its state is wrong" if truth.post_root != claim.post_root else "its state is right, its history is not"


def get_refuted(board: Board, link: Link) -> list[bytes]:
    """Dead rivals of a right claim."""
    claims = link.position.claims if link.position and link.status is not None else ()
    return [claim_id for claim_id in claims if claim_id != link.claim_id and board.claims[claim_id].status == Status.DEAD]


def collect_evidence(state: Challenger, board: Board, links: tuple[Link, ...]) -> list[Evidence | Task]:
    """Of dead rivals; or the question for the step that refuted one."""
    found: list[Evidence | Task] = []
    for link in links:
        for claim_id in get_refuted(board, link):
            if ("evidence", claim_id) in state.told:
                continue
            claim, duel = board.claims[claim_id], board.get_duel(link.claim_id, claim_id)
            death, step, facts = Death.CLOCK, None, None
            if is_proof_due(duel, board.params):
                proof = state.steps.get((link.key, duel.index))
                if proof is None:
                    found.append(Task(f"evidence:{claim_id.hex()}", FAR, TraceStep(link.key, duel.index)))
                    continue
                death, step, facts = Death.STEP, duel.index, proof.facts
            found.append(_make_evidence(link, claim, death, step, facts))
    return found


def _make_evidence(link: Link, claim: Claim, death: Death, step: int | None, facts: StepFacts | None) -> Evidence:
    return Evidence(
        epoch=claim.epoch,
        claim_id=claim.id,
        post_root=claim.post_root,
        right_claim_id=link.claim_id,
        right_post_root=link.truth.post_root,
        death=death,
        step=step,
        facts=facts,
    )


def collect_alerts(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Alert]:
    """Repeated ones are left out by the machine."""
    alerts: list[Alert] = []
    for link in links:
        position = link.position
        if link.status == Status.DEAD:
            alerts.append(Alert(AlertCode.OUT_OF_TIME, f"the right claim of epoch {link.epoch} is dead", link.claim_id))
        for claim_id in position.claims if position else ():
            if claim_id != link.claim_id and board.claims[claim_id].status == Status.FINAL:
                alerts.append(Alert(AlertCode.WRONG_FINAL, f"a wrong claim of epoch {link.epoch} is final", claim_id))
        if link.status is None and position and link.rivals:
            if now >= position.close:
                alerts.append(Alert(AlertCode.SHUT_OUT, f"the right claim of epoch {link.epoch} cannot enter any more", link.claim_id))
            elif state.settings.me is None:
                message = f"epoch {link.epoch} has wrong claims and not the right one; entry closes at {position.close}"
                alerts.append(Alert(AlertCode.UNCONTESTED, message, link.rivals[0]))
    stuck = sorted(name for name, count in state.attempts.items() if count >= MAX_ATTEMPTS)
    alerts += [Alert(AlertCode.STUCK, f"{name}: it keeps failing") for name in stuck]
    lag = state.clock - state.board.now
    if state.is_live and 0 < state.settings.max_lag_s < lag:
        alerts.append(Alert(AlertCode.LAGGING, "the endpoint's head is older than it may be"))
    return alerts
