# pragma version 0.4.3
"""
@title Duels: their rounds and their clocks
@dev Who lives and who dies is decided in `Claims`. docs/dispute.md has the rules.
"""

from . import nodes

# ---- structs

struct Duel:  # of `a` and `b`, seen from `a`
    round: uint256
    index: uint256  # place of the disputed node in its level
    since: uint256  # the clocks run from here
    used_a: uint256  # seconds taken off so far
    used_b: uint256
    revealed: uint256  # bits A and B
    held_a: bytes32  # what a side is held to: its disputed node, or, once it has revealed below it, the hash of that reveal
    held_b: bytes32

struct StoredDuel:  # seen from the claim with the smaller id
    numbers: uint256  # round 16 | revealed 16 | index 32 | since 64 | used_a 64 | used_b 64 bits
    held_a: bytes32
    held_b: bytes32

# ---- constants

NODES: constant(uint256) = 16
A: constant(uint256) = 1
B: constant(uint256) = 2
MASK_64: constant(uint256) = 2**64 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_16: constant(uint256) = 2**16 - 1

# ---- immutables

ROUNDS: public(immutable(uint256))
CENSORSHIP_S: public(immutable(uint256))  # C
GRACE_S: public(immutable(uint256))  # G

# ---- storage

duels: HashMap[bytes32, StoredDuel]

# ---- events

event Revealed:
    mine: indexed(bytes32)
    other: indexed(bytes32)
    round: uint256
    nodes: DynArray[bytes32, NODES]

event Descended:
    low: indexed(bytes32)
    high: indexed(bytes32)
    round: uint256
    index: uint256
    node_low: bytes32
    node_high: bytes32


# ---- constructor

@deploy
def __init__(rounds: uint256, censorship_s: uint256, grace_s: uint256):
    ROUNDS = rounds
    CENSORSHIP_S = censorship_s
    GRACE_S = grace_s


# ---- internal

@internal
@pure
def _compute_duel_id(a: bytes32, b: bytes32) -> bytes32:
    if convert(a, uint256) < convert(b, uint256):
        return keccak256(concat(a, b))
    return keccak256(concat(b, a))


@internal
@view
def _get_duel(a: bytes32, b: bytes32, close: uint256) -> Duel:
    """
    @notice A duel exists as soon as its claims do: in round 0 both have revealed. Its clocks never start before entry closes.
    """
    stored: StoredDuel = self.duels[self._compute_duel_id(a, b)]
    numbers: uint256 = stored.numbers
    duel: Duel = Duel(
        round=numbers >> 240,
        index=(numbers >> 192) & MASK_32,
        since=max((numbers >> 128) & MASK_64, close),
        used_a=(numbers >> 64) & MASK_64,
        used_b=numbers & MASK_64,
        revealed=(numbers >> 224) & MASK_16,
        held_a=stored.held_a,
        held_b=stored.held_b,
    )
    if duel.round == 0:
        duel.revealed = A | B
    if convert(a, uint256) > convert(b, uint256):
        duel = self._flip(duel)
    return duel


@internal
def _set_duel(a: bytes32, b: bytes32, duel: Duel):
    d: Duel = duel
    if convert(a, uint256) > convert(b, uint256):
        d = self._flip(duel)
    numbers: uint256 = d.round << 240 | d.revealed << 224 | d.index << 192 | d.since << 128 | d.used_a << 64 | d.used_b
    self.duels[self._compute_duel_id(a, b)] = StoredDuel(numbers=numbers, held_a=d.held_a, held_b=d.held_b)


@internal
@pure
def _flip(d: Duel) -> Duel:
    return Duel(
        round=d.round,
        index=d.index,
        since=d.since,
        used_a=d.used_b,
        used_b=d.used_a,
        revealed=(d.revealed & A) << 1 | d.revealed >> 1,
        held_a=d.held_b,
        held_b=d.held_a,
    )


@internal
def _complete(
    mine: bytes32, other: bytes32, duel: Duel, nodes_mine: DynArray[bytes32, NODES], nodes_other: DynArray[bytes32, NODES]
) -> Duel:
    """
    @notice Complete the round with both reveals, of which mine's may be made here, and descend to the first node that differs.
    """
    d: Duel = duel
    # CHECK
    assert len(nodes_mine) == NODES and len(nodes_other) == NODES, "claims: wrong number of nodes"
    if d.round == 0:
        assert nodes._fold(nodes_mine) == d.held_a, "claims: mine revealed other nodes"
        assert nodes._fold(nodes_other) == d.held_b, "claims: the other revealed other nodes"
    else:
        assert d.revealed == B, "claims: the other has not revealed"
        assert keccak256(abi_encode(nodes_other)) == d.held_b, "claims: the other revealed other nodes"
        assert nodes._fold(nodes_mine) == d.held_a, "claims: the nodes are not the disputed one's"
        d.used_a += self._compute_charge(d)
        d.since = block.timestamp
    # COMPUTE
    first: uint256 = 0
    for i: uint256 in range(NODES):
        if nodes_mine[i] != nodes_other[i]:
            break
        first += 1
    d.held_a = nodes_mine[first]
    d.held_b = nodes_other[first]
    d.index = d.index << nodes.LEVELS | first
    d.revealed = 0
    if convert(mine, uint256) < convert(other, uint256):
        log Descended(low=mine, high=other, round=d.round, index=d.index, node_low=d.held_a, node_high=d.held_b)
    else:
        log Descended(low=other, high=mine, round=d.round, index=d.index, node_low=d.held_b, node_high=d.held_a)
    d.round += 1
    return d


@internal
def _reveal(mine: bytes32, other: bytes32, duel: Duel, revealed: DynArray[bytes32, NODES]) -> Duel:
    """
    @notice Reveal for `a` in a round that is not the first.
    """
    d: Duel = duel
    assert d.round < ROUNDS and d.round != 0 and d.revealed == 0, "claims: bring the nodes of this round"
    assert nodes._fold(revealed) == d.held_a, "claims: the nodes are not the disputed one's"
    d.used_a += self._compute_charge(d)
    d.held_a = keccak256(abi_encode(revealed))
    d.revealed = A
    log Revealed(mine=mine, other=other, round=d.round, nodes=revealed)
    return d


@internal
@view
def _compute_charge(d: Duel) -> uint256:
    """
    @notice What a reveal takes off its side's clock now. The grace is free, each time anew. Reverts if the side is out.
    """
    charge: uint256 = 0
    if block.timestamp > d.since + GRACE_S:
        charge = block.timestamp - d.since - GRACE_S
    assert charge <= CENSORSHIP_S - d.used_a, "claims: out of time"
    return charge


@internal
@view
def _is_out(d: Duel, side: uint256) -> bool:
    """
    @notice Owes a reveal or the proof, and has no time left for it. In round 0 both owe the reveal of round 1; in the end both owe the
        proof.
    """
    if d.round != 0 and d.revealed & side != 0:
        return False
    used: uint256 = d.used_a
    if side == B:
        used = d.used_b
    return block.timestamp > d.since + GRACE_S + CENSORSHIP_S - used
