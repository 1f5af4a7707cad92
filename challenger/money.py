"""Bringing won claims to their end: final in order, then stakes and work are collected; and how much that is."""

from collections.abc import Set
from dataclasses import dataclass

from challenger.board import Board, Status
from challenger.costs import compute_wage, is_worth_taking
from challenger.epochs import Link
from challenger.events import Finalize, WithdrawStake, WithdrawWork
from challenger.state import FAR, Challenger, Task
from challenger.turns import compute_turn
from protocol.tournament import find_winner


def plan_money(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Task]:
    """Only for claims in which we have a stake or work, unless we are the ones who claim every epoch."""
    me = state.settings.me
    if me is None:
        return []
    tasks: list[Task] = []
    mine, work = board.get_tips(me), board.get_work(me)
    for link in links:
        has_interest = state.settings.claim_if_missing or _has_interest(link, links, mine.keys() | work.keys())
        if has_interest and _is_won(board, link, now):
            name = f"finalize:{link.claim_id.hex()}"
            turn = compute_turn(state.settings, name, board.claims[link.claim_id].claimant)
            tasks.append(Task(name, FAR, Finalize(link.claim_id), turn))
        if link.status == Status.FINAL and is_worth_taking(board, link.claim_id, me):
            tasks.append(Task(f"work:{link.claim_id.hex()}", FAR, WithdrawWork(link.claim_id)))
        stake = mine.get(link.claim_id)
        if link.status == Status.FINAL and stake is not None and not state.settings.keeps_stake:
            tasks.append(Task(f"stake:{stake.hex()}:{link.claim_id.hex()}", FAR, WithdrawStake(stake)))
    return tasks


@dataclass(frozen=True, slots=True)
class Balance:
    """Of one party, in wei. `owed` is for claims that are not decided, `due` could be withdrawn, `lost` was for claims that died."""

    staked: int
    owed: int
    due: int
    lost: int


def compute_balance(board: Board, me: int) -> Balance:
    """By what the contract says of stakes and work."""
    work = {Status.PENDING: 0, Status.FINAL: 0, Status.DEAD: 0}
    for claim_id, amount in board.get_work(me).items():
        status = board.claims[claim_id].status
        work[status] += compute_wage(board, claim_id, me) if status == Status.FINAL else amount
    staked = len(board.stakes.get(me, ())) * board.params.stake_wei
    return Balance(staked, work[Status.PENDING], work[Status.FINAL], work[Status.DEAD])


def _has_interest(link: Link, links: tuple[Link, ...], mine: Set[bytes]) -> bool:
    """A stake or work of ours is on the claim or further along the path: it is released when all before it are final."""
    return any(other.claim_id in mine for other in links if other.epoch >= link.epoch)


def _is_won(board: Board, link: Link, now: int) -> bool:
    if link.status != Status.PENDING or link.position is None:
        return False
    return board.claims[link.parent].status == Status.FINAL and find_winner(link.position.bracket, now, board.params) == link.claim_id
