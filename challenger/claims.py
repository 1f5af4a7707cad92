"""Whether to claim: the truth beside a wrong claim, or first where nobody has claimed; and which stake backs it."""

from challenger.board import Board, Status
from challenger.epochs import Link
from challenger.events import AdvanceStake, PostClaim
from challenger.state import FAR, Challenger, Settings, Task
from challenger.turns import compute_turn
from protocol.keccak import ZERO


def find_stake(state: Challenger, board: Board, parent: bytes) -> bytes:
    """One of ours that sits on `parent`; zero if there is none."""
    return board.get_tips(state.settings.me).get(parent, ZERO)


def find_advance(state: Challenger, board: Board, links: tuple[Link, ...]) -> AdvanceStake | None:
    """The next move of our stake that is furthest along the path; None if it is where the path ends, or if there is none.

    A stake is behind where somebody else made the next right claim: one of ours would have taken it along. Whoever takes stakes out
    leaves those alone that can be taken.
    """
    keeps, me = state.settings.keeps_stake, state.settings.me
    mine = {tip: stake for tip, stake in board.get_tips(me).items() if keeps or not _is_final(board, tip)}
    live = [link for link in links if link.status in (Status.PENDING, Status.FINAL)]
    if not live or live[-1].claim_id in mine:
        return None
    return next((AdvanceStake(mine[link.parent], link.claim_id) for link in reversed(live) if link.parent in mine), None)


def plan_claims(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Task]:
    """Only the end of the path can miss its right claim. It waits for a stake that is on its way, unless time runs short."""
    settings = state.settings
    if settings.me is None or not links:
        return []
    link, tasks = links[-1], []
    is_due = link.status is None and _is_time(settings, link, now)
    advance = find_advance(state, board, links)
    if advance is not None and (is_due or settings.keeps_stake):
        tasks.append(Task(f"advance:{advance.stake_id.hex()}:{advance.child.hex()}", FAR, advance))
    if is_due and (advance is None or _is_late(settings, link, now)):
        stake = find_stake(state, board, link.parent)
        name, action = f"claim:{link.claim_id.hex()}", PostClaim(link.parent, link.epoch, link.truth, stake)
        if link.position is None:
            tasks.append(Task(name, FAR, action, compute_turn(settings, name, 0)))
        else:
            opened = link.position.close - settings.params.entry_s
            tasks.append(Task(name, link.position.close - 1, action, compute_turn(settings, name, 0, opened + settings.claim_delay_s)))
    return tasks


def _is_final(board: Board, claim_id: bytes) -> bool:
    claim = board.claims.get(claim_id)
    return claim is not None and claim.status == Status.FINAL


def _is_late(settings: Settings, link: Link, now: int) -> bool:
    """From half of the entry window on a new stake is paid: a claim in time is worth more."""
    position = link.position
    return position is not None and now >= position.close - max(settings.urgent_s, settings.params.entry_s >> 1)


def _is_time(settings: Settings, link: Link, now: int) -> bool:
    params, position = settings.params, link.position
    if position is None:
        return settings.claim_if_missing and now >= (link.epoch + 1) * params.epoch_s + settings.claim_delay_s
    if now >= position.close:
        return False
    return now >= position.close - settings.urgent_s or now >= position.close - params.entry_s + settings.claim_delay_s
