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
    standing: uint256  # claimant 160 | generation 32 | seed 48 | round 8 | is_staked 1 | status 7 bits

# ---- constants

PENDING: constant(uint256) = 0
DEAD: constant(uint256) = 1
FINAL: constant(uint256) = 2
MASK_48: constant(uint256) = 2**48 - 1
MASK_32: constant(uint256) = 2**32 - 1
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
        generation=(stored.standing >> 64) & MASK_32,
        seed=(stored.standing >> 16) & MASK_48,
        round=(stored.standing >> 8) & MASK_8,
        is_staked=stored.standing & STAKED != 0,
        status=stored.standing & MASK_7,
    )


@internal
def _set_entry(claim_id: bytes32, e: Entry):
    standing: uint256 = convert(e.claimant, uint256) << 96 | e.generation << 64 | e.seed << 16 | e.round << 8 | e.status
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
