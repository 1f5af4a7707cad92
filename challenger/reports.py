"""What is told, once each: a verdict on every claim, evidence on every wrong one that is out, and what a person must look at.

Whoever enters claims without end must not make every block dear: verdicts and evidence look at what is new on the board, not at all of it.
"""

from collections.abc import Iterator
from dataclasses import replace

from challenger.board import Board, Claim, Position, Status
from challenger.epochs import Link, compute_claim_id
from challenger.events import TraceStep
from challenger.evidence import Alert, AlertCode, Death, Evidence, Judgement, Verdict
from challenger.state import FAR, Challenger, Task
from protocol.duel import A, is_out, is_proof_due
from protocol.tournament import find_rising, get_place, is_stuck

MAX_ATTEMPTS = 3  # of one action, before somebody is told

# -- verdicts


def judge_claims(state: Challenger, board: Board, links: tuple[Link, ...]) -> tuple[Challenger, list[Verdict]]:
    """On claims without a verdict so far. A claim on a right one is right iff it says what the truth says."""
    known = {link.parent: link for link in links}
    unjudged, parents = state.unjudged, list(known)
    for number in range(state.judged, len(board.entered)):
        claim = board.claims[board.entered[number]]
        unjudged = unjudged.set(claim.parent, (*unjudged.get(claim.parent, ()), claim.id))
        parents.append(claim.parent)
    given, found = state.verdicts, []
    while parents:
        parent = parents.pop()
        if parent not in unjudged or (parent not in known and given.get(parent) != Judgement.INVALID):
            continue
        for claim_id in unjudged[parent]:
            claim_seen = board.claims.get(claim_id)
            if claim_seen is not None and claim_id not in given:
                verdict = _judge(claim_seen, known.get(parent))
                given = given.set(claim_id, verdict.judgement)
                found.append(verdict)
                parents.append(claim_id)
        unjudged = unjudged.discard(parent)
    return replace(state, verdicts=given, unjudged=unjudged, judged=len(board.entered)), found


def _judge(claim: Claim, link: Link | None) -> Verdict:
    """`link` is the path's on the claim's parent; None: the parent is wrong."""
    if link is None:
        return Verdict(claim.id, claim.epoch, Judgement.INVALID, "it stands on a wrong claim")
    if claim.id == compute_claim_id(claim.position, link.epoch, link.truth):
        return Verdict(claim.id, claim.epoch, Judgement.VALID, "state and history are the truth's")
    is_state_wrong = link.truth.post_root != claim.post_root
    reason = "its state is wrong" if is_state_wrong else "its state is right, its history is not"
    return Verdict(claim.id, claim.epoch, Judgement.INVALID, reason)


# -- evidence


def skip_past(state: Challenger, board: Board) -> Challenger:
    """What was decided before we came is not traced again only to be told."""
    fallen = (board.claims[board.fallen[number]] for number in range(len(board.fallen)))
    open_ = tuple(claim.id for claim in fallen if board.positions[claim.position].final is None)
    told = state.told
    for position in board.positions.values():
        if position.final is not None:
            told = told.set(("round", position.id), True)
    return replace(state, explained=len(board.fallen), unexplained=open_, told=told)


def collect_evidence(state: Challenger, board: Board, links: tuple[Link, ...]) -> tuple[Challenger, list[Evidence | Task]]:
    """Of rivals that are out; or the question for the step that refuted one."""
    by_position = {link.position.id: link for link in links if link.position is not None}
    waiting = (*state.unexplained, *(board.fallen[number] for number in range(state.explained, len(board.fallen))))
    found: list[Evidence | Task] = []
    unexplained = []
    for claim_id in waiting:
        claim = board.claims.get(claim_id)
        if claim is None or claim.status != Status.DEAD or _is_past(state, board, claim):
            continue
        link = by_position.get(claim.position)
        item = _explain(state, board, link, claim) if link is not None and link.claim_id != claim_id else None
        if not isinstance(item, Evidence):
            unexplained.append(claim_id)
        if item is not None:
            found.append(item)
    told = state.told
    for link in links:
        if link.status == Status.FINAL and link.position is not None and ("round", link.position.id) not in told:
            told = told.set(("round", link.position.id), True)
            found += _explain_round(board, link.position, link)
    return replace(state, explained=len(board.fallen), unexplained=tuple(unexplained), told=told), found


def _is_past(state: Challenger, board: Board, claim: Claim) -> bool:
    """Its position was reopened, or lies before all that we still look at."""
    return board.current.get(claim.parent, claim.parent) != claim.position or (state.base is not None and claim.epoch <= state.base.epoch)


def _explain(state: Challenger, board: Board, link: Link, claim: Claim) -> Evidence | Task:
    """The terminal rule, in the contract's order: the clock first, then the step."""
    right = board.claims.get(link.claim_id)
    place = board.get_place(claim)
    if right is None or right.round < claim.round or get_place(claim.round, right.seed, board.params) != place:
        return _make_evidence(link, claim, Death.RIVAL)  # the two never met
    duel = board.get_duel(claim.id, right.id)
    if is_out(duel, A, claim.died, board.params):
        return _make_evidence(link, claim, Death.CLOCK)
    if not is_proof_due(duel, board.params):
        return _make_evidence(link, claim, Death.RIVAL)
    proof = state.steps.get((link.key, duel.index))
    if proof is None:
        return Task(f"evidence:{claim.id.hex()}", FAR, TraceStep(link.key, duel.index))
    return replace(_make_evidence(link, claim, Death.STEP), step=duel.index, facts=proof.facts)


def _explain_round(board: Board, position: Position, link: Link) -> Iterator[Evidence]:
    """The right claim is final: whoever was not killed is out all the same."""
    return (_make_evidence(link, claim, Death.ROUND) for claim in board.list_claims(position) if claim.status == Status.PENDING)


def _make_evidence(link: Link, claim: Claim, death: Death) -> Evidence:
    return Evidence(
        epoch=claim.epoch,
        claim_id=claim.id,
        post_root=claim.post_root,
        right_claim_id=link.claim_id,
        right_post_root=link.truth.post_root,
        death=death,
        step=None,
        facts=None,
    )


# -- alerts


def collect_alerts(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Alert]:
    """Repeated ones are left out by the machine."""
    alerts: list[Alert] = []
    for link in links:
        position = link.position
        if position is None:
            continue
        if position.final is not None and position.final != link.claim_id:
            alerts.append(Alert(AlertCode.WRONG_FINAL, f"a wrong claim of epoch {link.epoch} is final", position.final))
        if is_stuck(position.bracket, now, board.params):
            message = f"no claim of epoch {link.epoch} can win any more: the position must be reopened"
            alerts.append(Alert(AlertCode.STALLED, message, position.id))
        alerts += _find_missing(state, position, link, now) if link.status is None else _find_danger(state, board, position, link, now)
    stuck = sorted(name for name, count in state.attempts.items() if count >= MAX_ATTEMPTS)
    alerts += [Alert(AlertCode.STUCK, f"{name}: it keeps failing") for name in stuck]
    lag = state.clock - state.board.now
    if state.is_live and 0 < state.settings.max_lag_s < lag:
        alerts.append(Alert(AlertCode.LAGGING, "the endpoint's head is older than it may be"))
    return alerts


def _find_missing(state: Challenger, position: Position, link: Link, now: int) -> list[Alert]:
    """There are wrong claims, and not the right one."""
    if now >= position.close:
        return [Alert(AlertCode.SHUT_OUT, f"the right claim of epoch {link.epoch} cannot enter any more", link.claim_id)]
    if state.settings.me is not None:
        return []
    message = f"epoch {link.epoch} has wrong claims and not the right one; entry closes at {position.close}"
    return [Alert(AlertCode.UNCONTESTED, message, position.claims[0])]


def _find_danger(state: Challenger, board: Board, position: Position, link: Link, now: int) -> list[Alert]:
    """The right claim is there, and it may not, or will not, win."""
    claim, params = board.claims[link.claim_id], board.params
    if link.status == Status.DEAD:
        if claim.status == Status.DEAD:
            return [Alert(AlertCode.OUT_OF_TIME, f"the right claim of epoch {link.epoch} is dead", claim.id)]
        return [Alert(AlertCode.LEFT_BEHIND, f"round {claim.round} ended without the right claim of epoch {link.epoch}", claim.id)]
    start = board.get_start(claim)
    end = start + params.tournament_round_s
    is_late = now >= end - max(params.grace_s, state.settings.urgent_s)
    if find_rising(position.bracket, board.get_place(claim), now, params) == claim.id and (is_late or state.settings.me is None):
        message = f"the right claim of epoch {link.epoch} must be promoted from round {claim.round} before {end}"
        return [Alert(AlertCode.UNPROMOTED, message, claim.id)]
    if link.status == Status.PENDING and link.rivals and is_late and now < end:
        message = f"round {claim.round} ends at {end}, and the right claim of epoch {link.epoch} is not alone in its group"
        return [Alert(AlertCode.FALLING_BEHIND, message, claim.id)]
    return []
