"""The next move of every duel of a right claim against a wrong one."""

from challenger.board import Board, Claim, Status
from challenger.epochs import Link
from challenger.events import Move, Prove, Reopen, Timeout, TraceReveal, TraceStep
from challenger.state import FAR, Challenger, Task
from protocol.duel import (
    A,
    B,
    Duel,
    find_difference,
    get_deadline,
    get_expiry,
    get_reveal_height,
    is_out,
    is_proof_due,
)
from protocol.history import REVEAL_HEIGHT


def plan_duels(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Task]:
    """For every right claim that is there and undecided. Whose claim it is does not matter: anyone may move for it."""
    tasks: list[Task] = []
    if state.settings.me is None:
        return tasks
    for link in links:
        if link.status != Status.PENDING or link.position is None or not link.rivals:
            continue
        deadline = get_deadline(link.position.close, board.params)
        if now >= deadline:
            tasks.append(Task(f"reopen:{link.position.id.hex()}", FAR, Reopen(link.parent)))
            continue
        for rival in link.rivals:
            task = _plan_duel(state, board, link, board.claims[rival], now)
            if task is not None:
                tasks.append(task)
    return tasks


def _plan_duel(state: Challenger, board: Board, link: Link, rival: Claim, now: int) -> Task | None:
    """None: it is the rival's turn, or we are out of time."""
    params = board.params
    duel = board.get_duel(link.claim_id, rival.id)
    pair = f"{link.claim_id.hex()}:{rival.id.hex()}"
    if is_out(duel, A, now, params):
        return None
    if is_out(duel, B, now, params):
        assert link.position is not None, "a duel has a position"
        return Task(f"timeout:{pair}", get_deadline(link.position.close, params) - 1, Timeout(link.claim_id, rival.id))
    expiry = get_expiry(duel, A, params)
    if is_proof_due(duel, params):
        return _plan_proof(state, board, link, rival, duel, expiry)
    if duel.round != 0 and duel.revealed == A:
        return None
    name = f"move:{pair}:{duel.round}:{duel.revealed}"
    ours = _get_reveal(state, link, duel, duel.round, duel.index)
    if isinstance(ours, TraceReveal):
        return Task(name, expiry, ours)
    if duel.revealed == 0:
        return Task(name, expiry, Move(link.claim_id, rival.id, (), (), ours))
    theirs = rival.nodes if duel.round == 0 else duel.nodes
    following: tuple[bytes, ...] | TraceReveal = ()
    if duel.round + 1 < params.rounds:
        index = (duel.index << REVEAL_HEIGHT) + find_difference(ours, theirs)
        following = _get_reveal(state, link, duel, duel.round + 1, index)
    if isinstance(following, TraceReveal):
        return Task(name, expiry, following)
    return Task(name, expiry, Move(link.claim_id, rival.id, ours, theirs, following))


def _get_reveal(state: Challenger, link: Link, duel: Duel, number: int, index: int) -> tuple[bytes, ...] | TraceReveal:
    """The truth's nodes of a round, or the question for them."""
    if number == 0:
        return link.truth.nodes
    height = get_reveal_height(duel, state.settings.params) - REVEAL_HEIGHT * (number - duel.round)
    return state.reveals.get((link.key, height, index)) or TraceReveal(link.key, height, index)


def _plan_proof(state: Challenger, board: Board, link: Link, rival: Claim, duel: Duel, expiry: int) -> Task:
    name = f"prove:{link.claim_id.hex()}:{rival.id.hex()}"
    proof = state.steps.get((link.key, duel.index))
    if proof is None:
        return Task(name, expiry, TraceStep(link.key, duel.index))
    known = duel.index != 0 and proof.leaf_before in board.proven
    arguments = proof.leaf_before if known else proof.arguments
    return Task(name, expiry, Prove(link.claim_id, rival.id, arguments, proof.path))
