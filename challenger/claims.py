"""Whether to claim: the truth beside a wrong claim, or first where nobody has claimed."""

from challenger.board import Board
from challenger.epochs import Link
from challenger.events import PostClaim
from challenger.state import FAR, Challenger, Settings, Task
from protocol.keccak import ZERO

GROUP = 32  # claims of a position


def find_stake(state: Challenger, board: Board, parent: bytes) -> bytes:
    """One of ours that sits on `parent`; zero if there is none."""
    mine = (stake for stake, tip in board.tips.items() if tip == parent and state.owners.get(stake) == state.settings.me)
    return min(mine, default=ZERO)


def plan_claims(state: Challenger, board: Board, links: tuple[Link, ...], now: int) -> list[Task]:
    """Only the end of the path can miss its right claim."""
    settings = state.settings
    if settings.me is None or not links or links[-1].status is not None:
        return []
    link = links[-1]
    if not _is_time(settings, link, now):
        return []
    stake = find_stake(state, board, link.parent)
    deadline = link.position.close - 1 if link.position else FAR
    return [Task(f"claim:{link.claim_id.hex()}", deadline, PostClaim(link.parent, link.epoch, link.truth, stake))]


def _is_time(settings: Settings, link: Link, now: int) -> bool:
    params, position = settings.params, link.position
    if position is None:
        return settings.claim_if_missing and now >= (link.epoch + 1) * params.epoch_s + settings.claim_delay_s
    if now >= position.close or len(position.claims) >= GROUP:
        return False
    return now >= position.close - settings.urgent_s or now >= position.close - params.entry_s + settings.claim_delay_s
