"""Posting the queue of forced messages when nobody else does, the sequencer first of all.

Whoever forces a message need not run anything that posts it.
"""

from challenger.board import Board
from challenger.events import PostQueue
from challenger.state import FAR, Challenger, Task
from challenger.turns import compute_turn

PATIENCE = 2  # inclusion delays: after one it is anyone's


def plan_queue(state: Challenger, board: Board, now: int) -> list[Task]:
    """Named after the first message that waits: once a batch has taken it in, the rest is another queue."""
    settings = state.settings
    if settings.me is None or not board.waiting:
        return []
    if now <= board.waiting[board.consumed] + PATIENCE * settings.params.inclusion_delay_s:
        return []
    name = f"queue:{board.consumed}"
    return [Task(name, FAR, PostQueue(), compute_turn(settings, name, 0))]
