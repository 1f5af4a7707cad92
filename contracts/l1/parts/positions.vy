# pragma version 0.4.3
"""
@title Positions of the claim tree: the claims that share a parent
"""

# ---- structs

struct Position:  # the claims that share a parent, in one generation
    epoch: uint256
    close: uint256  # entry ends here and the duels' clocks start
    count: uint256
    alive: uint256
    survivors: bytes32  # XOR of the ids of those alive; of the one that is left, its id

struct StoredPosition:
    numbers: uint256  # epoch 64 | close 64 | count 64 | alive 64 bits
    survivors: bytes32

# ---- constants

MASK_64: constant(uint256) = 2**64 - 1

# ---- storage

positions: HashMap[bytes32, StoredPosition]
generations: public(HashMap[bytes32, uint256])  # by parent: how often its position was reopened

# ---- events

event PositionReopened:
    parent: indexed(bytes32)
    generation: uint256


# ---- internal

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
    stored: StoredPosition = self.positions[position_id]
    return Position(
        epoch=stored.numbers >> 192,
        close=(stored.numbers >> 128) & MASK_64,
        count=(stored.numbers >> 64) & MASK_64,
        alive=stored.numbers & MASK_64,
        survivors=stored.survivors,
    )


@internal
def _set_position(position_id: bytes32, p: Position):
    self.positions[position_id] = StoredPosition(
        numbers=p.epoch << 192 | p.close << 128 | p.count << 64 | p.alive, survivors=p.survivors
    )


@internal
@view
def _get_close(position_id: bytes32) -> uint256:
    return (self.positions[position_id].numbers >> 128) & MASK_64


@internal
@view
def _get_winner(p: Position) -> bytes32:
    """
    @notice Alone once entry is over: nothing can change that any more, since a duel takes two.
    """
    if p.alive == 1 and block.timestamp >= p.close:
        return p.survivors
    return empty(bytes32)


@internal
def _reopen(parent: bytes32):
    generation: uint256 = self.generations[parent] + 1
    self.generations[parent] = generation
    log PositionReopened(parent=parent, generation=generation)
