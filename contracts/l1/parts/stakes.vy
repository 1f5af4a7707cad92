# pragma version 0.4.3
"""
@title Stakes: one backs one branch
@dev A stake needs no mark when it dies: it sits on a claim that can never be final, because it or an ancestor of it is dead.
"""

# ---- structs

struct Stake:
    owner: address  # zero once it is paid back
    tip: bytes32  # where it sits; zero: still on the claim that it was paid for

# ---- immutables

STAKE: public(immutable(uint256))  # wei

# ---- storage

_stakes: HashMap[bytes32, Stake]  # by the claim that it was paid for

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
@payable
def _place(claim_id: bytes32, parent: bytes32, stake_from: bytes32) -> bytes32:
    if stake_from == empty(bytes32):
        assert msg.value == STAKE, "claims: not the stake"
        self._stakes[claim_id].owner = msg.sender
        return claim_id
    assert msg.value == 0, "claims: the stake is there already"
    self._move(stake_from, parent, claim_id)
    return stake_from


@internal
def _move(stake_id: bytes32, parent: bytes32, child: bytes32):
    """
    @notice The sender's stake, from `parent` to `child`. It only ever goes down the tree, so it never leaves a claim that it was on.
    """
    stake: Stake = self._get(stake_id)
    assert stake.owner == msg.sender, "claims: not your stake"
    assert stake.tip == parent, "claims: the stake is not on the parent"
    self._stakes[stake_id].tip = child
    log StakeMoved(stake_id=stake_id, tip=child)


@internal
@view
def _get(stake_id: bytes32) -> Stake:
    stake: Stake = self._stakes[stake_id]
    if stake.tip == empty(bytes32):
        stake.tip = stake_id
    return stake
