"""Bringing won claims to their end: final in order, then stakes and work are collected."""

from challenger.board import Board, Status
from challenger.epochs import Link
from challenger.events import Finalize, WithdrawStake, WithdrawWork
from challenger.state import FAR, Challenger, Task
from protocol.tournament import find_winner


def plan_money(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Task]:
    """Only for claims in which we have a stake or work, unless we are the ones who claim every epoch."""
    me = state.settings.me
    if me is None:
        return []
    tasks: list[Task] = []
    mine = {tip: stake for stake, tip in board.tips.items() if board.get_owner(stake) == me}
    for link in links:
        has_interest = state.settings.claim_if_missing or _has_interest(link, links, mine) or (link.claim_id, me) in board.work
        if has_interest and _is_won(board, link, now):
            tasks.append(Task(f"finalize:{link.claim_id.hex()}", FAR, Finalize(link.claim_id)))
        if link.status == Status.FINAL and board.work.get((link.claim_id, me), 0) > 0:
            tasks.append(Task(f"work:{link.claim_id.hex()}", FAR, WithdrawWork(link.claim_id)))
        stake = mine.get(link.claim_id)
        if link.status == Status.FINAL and stake is not None and not state.settings.keeps_stake:
            tasks.append(Task(f"stake:{stake.hex()}:{link.claim_id.hex()}", FAR, WithdrawStake(stake)))
    return tasks


def _has_interest(link: Link, links: tuple[Link, ...], mine: dict[bytes, bytes]) -> bool:
    """A stake of ours sits on the claim or further along the path: it is released when all before it are final."""
    return any(other.claim_id in mine for other in links if other.epoch >= link.epoch)


def _is_won(board: Board, link: Link, now: int) -> bool:
    if link.status != Status.PENDING or link.position is None:
        return False
    return board.claims[link.parent].status == Status.FINAL and find_winner(link.position.bracket, now, board.params) == link.claim_id
