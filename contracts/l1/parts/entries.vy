# pragma version 0.4.3
"""
@title Claims as they were entered, and what became of them
"""

# ---- structs

struct Entry:
    parent: bytes32  # zero: genesis, or no claim
    post_root: bytes32  # zero: no claim
    claimant: address
    generation: uint256  # of its position
    seed: uint256  # place in the position's order of entry
    round: uint256  # of the tournament that it stands in
    is_staked: bool  # a stake was paid with it, and not paid back yet
    status: uint256

struct StoredEntry:
    parent: bytes32
    post_root: bytes32
    standing: uint256  # claimant 160 | generation 16 | wage 24 | seed 40 | round 8 | is_staked 1 | status 7 bits

# ---- constants

PENDING: constant(uint256) = 0
DEAD: constant(uint256) = 1
FINAL: constant(uint256) = 2
WAGE_UNIT: constant(uint256) = 2**32  # wei; rounded down
MASK_40: constant(uint256) = 2**40 - 1
MASK_24: constant(uint256) = 2**24 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_8: constant(uint256) = 2**8 - 1
MASK_7: constant(uint256) = 2**7 - 1
STAKED: constant(uint256) = 2**7

# ---- storage

entries: HashMap[bytes32, StoredEntry]


# ---- internal

@internal
@pure
def _compute_claim_id(position_id: bytes32, epoch: uint256, post_root: bytes32, history: bytes32) -> bytes32:
    """
    @notice It binds the history, which is not stored.
    """
    return keccak256(abi_encode(position_id, epoch, post_root, history))


@internal
@view
def _get_entry(claim_id: bytes32) -> Entry:
    stored: StoredEntry = self.entries[claim_id]
    return Entry(
        parent=stored.parent,
        post_root=stored.post_root,
        claimant=convert(stored.standing >> 96, address),
        generation=(stored.standing >> 80) & MASK_16,
        seed=(stored.standing >> 16) & MASK_40,
        round=(stored.standing >> 8) & MASK_8,
        is_staked=stored.standing & STAKED != 0,
        status=stored.standing & MASK_7,
    )


@internal
def _set_entry(claim_id: bytes32, e: Entry, wage: uint256):
    """
    @param wage In wei, for having claimed. It is rounded down to units of 2**32, and to what 24 bits hold.
    """
    place: uint256 = e.generation << 80 | min(wage // WAGE_UNIT, MASK_24) << 56 | e.seed << 16 | e.round << 8
    standing: uint256 = convert(e.claimant, uint256) << 96 | place | e.status
    if e.is_staked:
        standing |= STAKED
    self.entries[claim_id] = StoredEntry(parent=e.parent, post_root=e.post_root, standing=standing)


@internal
@view
def _get_status(claim_id: bytes32) -> uint256:
    return self.entries[claim_id].standing & MASK_7


@internal
@view
def _get_claimant(claim_id: bytes32) -> address:
    return convert(self.entries[claim_id].standing >> 96, address)


@internal
@view
def _get_stake_owner(stake_id: bytes32) -> address:
    """
    @notice A stake has the id of the claim that it was paid with. Zero: there is none, or it is paid back.
    """
    standing: uint256 = self.entries[stake_id].standing
    if standing & STAKED == 0:
        return empty(address)
    return convert(standing >> 96, address)


@internal
def _release_stake(stake_id: bytes32):
    self.entries[stake_id].standing -= STAKED


@internal
@view
def _get_wage(claim_id: bytes32) -> uint256:
    """
    @notice Wei for having claimed.
    """
    return (self.entries[claim_id].standing >> 56 & MASK_24) * WAGE_UNIT


@internal
def _set_status(claim_id: bytes32, status: uint256):
    """
    @notice Of a pending claim.
    """
    self.entries[claim_id].standing |= status


@internal
def _move_up(claim_id: bytes32):
    """
    @notice To the next round.
    """
    self.entries[claim_id].standing += 1 << 8
