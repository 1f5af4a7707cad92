"""The next move of every duel of a right claim against a wrong one."""

from functools import lru_cache

from challenger.board import Board, Claim, Status
from challenger.epochs import Link
from challenger.events import Descend, Promote, Prove, Reopen, Reveal, Timeout, TraceReveal, TraceStep
from challenger.state import FAR, Challenger, Task
from challenger.turns import compute_turn
from protocol.duel import (
    A,
    B,
    Duel,
    find_difference,
    get_expiry,
    get_reveal_height,
    is_out,
    is_proof_due,
)
from protocol.history import REVEAL_HEIGHT
from protocol.tournament import find_rising, is_stuck

_find_difference = lru_cache(1024)(find_difference)  # a group's duels are planned anew with every block


def plan_duels(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Task]:
    """For every right claim that is there and undecided. Whose claim it is does not matter: anyone may move for it."""
    tasks: list[Task] = []
    if state.settings.me is None:
        return tasks
    for link in links:
        if link.position is None:
            continue
        bracket = link.position.bracket
        if is_stuck(bracket, now, board.params):
            name = f"reopen:{link.position.id.hex()}"
            tasks.append(Task(name, FAR, Reopen(link.parent), compute_turn(state.settings, name, 0)))
        if link.status != Status.PENDING:
            continue
        claim = board.claims[link.claim_id]
        end = board.get_start(claim) + board.params.tournament_round_s
        if find_rising(bracket, board.get_place(claim), now, board.params) == claim.id:
            name = f"promote:{claim.id.hex()}:{claim.round}"
            turn = compute_turn(state.settings, name, claim.claimant, board.get_start(claim))
            tasks.append(Task(name, end - 1, Promote(claim.id), turn))
        for rival in link.rivals if now < end else ():
            task = _plan_duel(state, board, link, board.claims[rival], end, now)
            if task is not None:
                tasks.append(task)
    return tasks


def _plan_duel(state: Challenger, board: Board, link: Link, rival: Claim, end: int, now: int) -> Task | None:
    """None: it is the rival's turn, or we are out of time. `end` is that of the round of the tournament."""
    params, claimant = board.params, board.claims[link.claim_id].claimant
    duel = board.get_duel(link.claim_id, rival.id)
    pair = f"{link.claim_id.hex()}:{rival.id.hex()}"
    if is_out(duel, A, now, params):
        return None
    if is_out(duel, B, now, params):
        name = f"timeout:{pair}"
        turn = compute_turn(state.settings, name, claimant, get_expiry(duel, B, params) + 1)
        return Task(name, end - 1, Timeout(link.claim_id, rival.id), turn)
    expiry = min(get_expiry(duel, A, params), end - 1)
    if is_proof_due(duel, params):
        name = f"prove:{pair}"
        return Task(name, expiry, _plan_proof(state, board, link, rival, duel), compute_turn(state.settings, name, claimant, duel.since))
    if duel.round != 0 and duel.revealed == A:
        return None
    name = f"move:{pair}:{duel.round}:{duel.revealed}"
    return Task(name, expiry, _plan_move(state, link, rival, duel), compute_turn(state.settings, name, claimant, duel.since))


def _plan_move(state: Challenger, link: Link, rival: Claim, duel: Duel) -> Reveal | Descend | TraceReveal:
    """Bound to the pair of nodes, or the histories, that L1 has: on another state it reverts."""
    ours = _get_reveal(state, link, duel, duel.round, duel.index)
    if isinstance(ours, TraceReveal):
        return ours
    if duel.revealed == 0:
        return Reveal(link.claim_id, rival.id, duel.node_b, ours)
    difference = _find_difference(ours, rival.nodes if duel.round == 0 else duel.nodes)
    following: tuple[bytes, ...] | TraceReveal = ()
    if duel.round + 1 < state.settings.params.rounds:
        index = (duel.index << REVEAL_HEIGHT) + difference.place
        following = _get_reveal(state, link, duel, duel.round + 1, index)
    if isinstance(following, TraceReveal):
        return following
    return Descend(link.claim_id, rival.id, difference, following)


def _get_reveal(state: Challenger, link: Link, duel: Duel, number: int, index: int) -> tuple[bytes, ...] | TraceReveal:
    """The truth's nodes of a round, or the question for them."""
    if number == 0:
        return link.truth.nodes
    height = get_reveal_height(duel, state.settings.params) - REVEAL_HEIGHT * (number - duel.round)
    return state.reveals.get((link.key, height, index)) or TraceReveal(link.key, height, index)


def _plan_proof(state: Challenger, board: Board, link: Link, rival: Claim, duel: Duel) -> Prove | TraceStep:
    proof = state.steps.get((link.key, duel.index))
    if proof is None:
        return TraceStep(link.key, duel.index)
    known = duel.index != 0 and proof.leaf_before in board.proven
    arguments = proof.leaf_before if known else proof.arguments
    return Prove(link.claim_id, rival.id, duel.node_a, duel.node_b, arguments, proof.path)
