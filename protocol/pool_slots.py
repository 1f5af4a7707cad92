"""The backstop pool's slots: accounts at the end of the tree that hold what the pool has taken over. Twin: contracts/lib/pool_slots.vy.

Slots are used in order; one that becomes empty goes on a list of free ones, each naming the one before as its nonce.
"""

from protocol.params import Params
from protocol.state import View, put_bit
from protocol.types import POOL_OWNER, Account, Bitmap, Globals, Position


def find_slot(g: Globals, params: Params) -> int | None:
    """Of the account tree: the slot that is next to be used, None where all are."""
    if g.free_slot:
        return g.free_slot - 1
    return params.max_accounts + g.slots if g.slots < params.pool_slots else None


def fill_slot(view: View, g: Globals, index: int, cash: int, positions: tuple[Position, ...]) -> Globals:
    """The slot has the positions; the next free one is what its nonce named."""
    before = view.get_account(index)
    view.put_account(index, Account(POOL_OWNER, cash, positions=positions))
    return g._replace(free_slot=before.nonce) if g.free_slot else g._replace(slots=g.slots + 1)


def set_slot_bits(view: View, index: int) -> None:
    """Every mark and every settlement visits a slot that is in use."""
    put_bit(view, Bitmap.RISKY, index, True)
    put_bit(view, Bitmap.HOLDER, index, True)
