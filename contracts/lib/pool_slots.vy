# pragma version ~=0.4.3
"""
@title The backstop pool's slots: accounts at the end of the tree that hold what the pool has taken over
@dev Twin of protocol/pool_slots.py. Slots are used in order; one that becomes empty goes on a list of free ones, each naming the one before
     as its nonce.
"""

from . import types

POOL_OWNER: constant(uint256) = 1

@internal
@pure
def _find_slot(g: types.Globals, max_accounts: uint256, pool_slots: uint256) -> (bool, uint256):
    """
    @notice Of the account tree: whether there is a slot to be used, and the next one.
    """
    if g.free_slot != 0:
        return True, g.free_slot - 1
    return g.slots < pool_slots, max_accounts + g.slots

@internal
@pure
def _fill_slot(
    globals: types.Globals, before: types.Account, cash: int256, positions: bytes32, empty_orders: bytes32
) -> (types.Globals, types.Account):
    """
    @notice The slot has the positions; the next free one is what its nonce named. Nobody ever places an order for it.
    """
    g: types.Globals = globals
    if g.free_slot != 0:
        g.free_slot = before.nonce
    else:
        g.slots += 1
    slot: types.Account = empty(types.Account)
    slot.owner = POOL_OWNER
    slot.cash = cash
    slot.positions = positions
    slot.orders = empty_orders
    return g, slot
