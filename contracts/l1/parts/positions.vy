# pragma version 0.4.3
"""
@title Positions of the claim tree: the claims that share a parent, and the tournament between them
@dev Claims are seeded in order of entry. In every round they stand in groups of at most 2**GROUP_BITS; whoever is left alone in a group moves up to
    the next round's group. docs/dispute.md has the rules. Twin: protocol/tournament.py.
"""

# ---- structs

struct Position:  # the claims that share a parent, in one generation
    epoch: uint256
    close: uint256  # entry ends here and the first round begins
    count: uint256

struct Group:
    alive: uint256
    survivors: bytes32  # XOR of the ids of those alive; of the one that is left, its id

# ---- constants

MAX_ROUNDS: constant(uint256) = 64
MASK_64: constant(uint256) = 2**64 - 1

# ---- immutables

GROUP_BITS: public(immutable(uint256))  # a group holds 2**GROUP_BITS claims
ENTRY_S: public(immutable(uint256))  # P
ROUND_S: public(immutable(uint256))  # D

# ---- storage

positions: HashMap[bytes32, uint256]  # epoch 64 | close 64 | count 64 bits
groups: HashMap[bytes32, Group]
generations: public(HashMap[bytes32, uint256])  # by parent: how often its position was reopened

# ---- events

event ClaimPromoted:
    claim_id: indexed(bytes32)
    position: indexed(bytes32)
    round: uint256

event PositionReopened:
    parent: indexed(bytes32)
    generation: uint256


# ---- constructor

@deploy
def __init__(group_bits: uint256, entry_s: uint256, round_s: uint256):
    GROUP_BITS = group_bits
    ENTRY_S = entry_s
    ROUND_S = round_s


# ---- internal: positions

@internal
@pure
def _compute_position_id(parent: bytes32, generation: uint256) -> bytes32:
    """
    @notice The parent's id; after a reopening another, so that what was built on dead claims stays dead when they are claimed again.
    """
    if generation == 0:
        return parent
    return keccak256(abi_encode(parent, generation))


@internal
@view
def _get_position(position_id: bytes32) -> Position:
    numbers: uint256 = self.positions[position_id]
    return Position(epoch=numbers >> 128, close=(numbers >> 64) & MASK_64, count=numbers & MASK_64)


@internal
def _enter(position_id: bytes32, p: Position, claim_id: bytes32) -> uint256:
    """
    @return The claim's seed.
    """
    self.positions[position_id] = p.epoch << 128 | p.close << 64 | (p.count + 1)
    self._join(position_id, 0, p.count >> GROUP_BITS, claim_id)
    return p.count


@internal
def _reopen(parent: bytes32):
    generation: uint256 = self.generations[parent] + 1
    self.generations[parent] = generation
    log PositionReopened(parent=parent, generation=generation)


# ---- internal: rounds

@internal
@view
def _count_rounds(count: uint256) -> uint256:
    """
    @notice Until one group holds all, at least 1.
    """
    rounds: uint256 = 1
    for i: uint256 in range(MAX_ROUNDS):
        if count <= 1 << (GROUP_BITS * rounds):
            break
        rounds += 1
    return rounds


@internal
@view
def _get_number(round: uint256, seed: uint256) -> uint256:
    """
    @notice Of the group in which a seed stands in a round.
    """
    return seed >> (GROUP_BITS * (round + 1))


@internal
@view
def _get_start(p: Position, round: uint256) -> uint256:
    """
    @notice When the clocks of a round begin; it ends when the next one begins.
    """
    return p.close + round * ROUND_S


@internal
@view
def _get_winner(position_id: bytes32, p: Position) -> bytes32:
    """
    @notice Alone in the last round's group, once that round has begun: nobody can join it any more, and a duel takes two.
    """
    last: uint256 = self._count_rounds(p.count) - 1
    group: Group = self._get_group(position_id, last, 0)
    if group.alive == 1 and block.timestamp >= self._get_start(p, last):
        return group.survivors
    return empty(bytes32)


@internal
@view
def _is_stuck(position_id: bytes32, p: Position) -> bool:
    """
    @notice No claim of it can win any more.
    """
    last: uint256 = self._count_rounds(p.count) - 1
    alive: uint256 = self._get_group(position_id, last, 0).alive
    if p.close == 0 or alive == 1:
        return False
    return block.timestamp >= self._get_start(p, last + min(alive, 1))


# ---- internal: groups

@internal
@pure
def _compute_group_id(position_id: bytes32, round: uint256, number: uint256) -> bytes32:
    return keccak256(abi_encode(position_id, round, number))


@internal
@view
def _get_group(position_id: bytes32, round: uint256, number: uint256) -> Group:
    return self.groups[self._compute_group_id(position_id, round, number)]


@internal
def _join(position_id: bytes32, round: uint256, number: uint256, claim_id: bytes32):
    group_id: bytes32 = self._compute_group_id(position_id, round, number)
    group: Group = self.groups[group_id]
    self.groups[group_id] = Group(alive=group.alive + 1, survivors=group.survivors ^ claim_id)


@internal
def _leave(position_id: bytes32, round: uint256, number: uint256, claim_id: bytes32):
    group_id: bytes32 = self._compute_group_id(position_id, round, number)
    group: Group = self.groups[group_id]
    self.groups[group_id] = Group(alive=group.alive - 1, survivors=group.survivors ^ claim_id)


@internal
@view
def _find_rising(position_id: bytes32, p: Position, round: uint256, number: uint256) -> bytes32:
    """
    @notice The claim that is alone in its group while the group's round runs, and has a round above it; zero if there is none.
    """
    group: Group = self._get_group(position_id, round, number)
    if group.alive != 1 or round + 1 >= self._count_rounds(p.count):
        return empty(bytes32)
    if block.timestamp < self._get_start(p, round) or block.timestamp >= self._get_start(p, round + 1):
        return empty(bytes32)
    return group.survivors
