# pragma version 0.4.3
"""
@title Stakes: one backs one branch
@dev A stake has the id of the claim that it was paid with, and that claim's claimant owns it. It needs no mark when it dies: it sits on a
    claim that can never be final, because it or an ancestor of it is dead.
"""

# ---- immutables

STAKE: public(immutable(uint256))  # wei

# ---- storage

tips: HashMap[bytes32, bytes32]  # where it sits; zero: still on the claim that it was paid with

# ---- events

event StakeMoved:
    stake_id: indexed(bytes32)
    tip: indexed(bytes32)


# ---- constructor

@deploy
def __init__(stake: uint256):
    STAKE = stake


# ---- internal

@internal
def _move(stake_id: bytes32, owner: address, parent: bytes32, child: bytes32):
    """
    @notice The sender's stake, from `parent` to `child`. It only ever goes down the tree, so it never leaves a claim that it was on.
    """
    assert owner != empty(address) and owner == msg.sender, "claims: not your stake"
    assert self._get_tip(stake_id) == parent, "claims: the stake is not on the parent"
    self.tips[stake_id] = child
    log StakeMoved(stake_id=stake_id, tip=child)


@internal
@view
def _get_tip(stake_id: bytes32) -> bytes32:
    tip: bytes32 = self.tips[stake_id]
    if tip == empty(bytes32):
        return stake_id
    return tip
