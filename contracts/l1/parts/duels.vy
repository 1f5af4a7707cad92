# pragma version 0.4.3
"""
@title Duels: their rounds and their clocks
@dev Who lives and who dies is decided in `Claims`. docs/dispute.md has the rules. Twin: protocol/duel.py.
"""

from . import nodes

# ---- structs

struct Duel:  # of `a` and `b`, seen from `a`
    start: uint256  # when the clocks begin
    round: uint256
    index: uint256  # place of the disputed node in its level
    since: uint256  # the clocks run from here
    used_a: uint256  # seconds taken off so far
    used_b: uint256
    revealed: uint256  # bits A and B
    pair: bytes32  # hash of the two disputed nodes, that of the smaller id first; nothing in round 0

struct StoredDuel:  # seen from the claim with the smaller id
    numbers: uint256  # start 48 | since 48 | used_a 48 | used_b 48 | index 32 | round 16 | revealed 16 bits
    pair: bytes32

# ---- constants

NODES: constant(uint256) = 16
A: constant(uint256) = 1
B: constant(uint256) = 2
MASK_48: constant(uint256) = 2**48 - 1
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
def _is_low(a: bytes32, b: bytes32) -> bool:
    return convert(a, uint256) < convert(b, uint256)


@internal
@pure
def _compute_pair(a: bytes32, b: bytes32, node_a: bytes32, node_b: bytes32) -> bytes32:
    if self._is_low(a, b):
        return keccak256(concat(node_a, node_b))
    return keccak256(concat(node_b, node_a))


@internal
@view
def _get_duel(a: bytes32, b: bytes32) -> Duel:
    """
    @notice One in which something was done; else its start is 0.
    """
    stored: StoredDuel = self.duels[self._compute_pair(a, b, a, b)]
    numbers: uint256 = stored.numbers
    duel: Duel = Duel(
        start=numbers >> 208,
        round=(numbers >> 16) & MASK_16,
        index=(numbers >> 32) & MASK_32,
        since=(numbers >> 160) & MASK_48,
        used_a=(numbers >> 112) & MASK_48,
        used_b=(numbers >> 64) & MASK_48,
        revealed=numbers & MASK_16,
        pair=stored.pair,
    )
    if not self._is_low(a, b):
        duel = self._flip(duel)
    return duel


@internal
@pure
def _open_duel(start: uint256) -> Duel:
    """
    @notice A duel exists as soon as its claims are in one group: in round 0 both have revealed. `start` is when the group's round begins.
    """
    return Duel(start=start, round=0, index=0, since=start, used_a=0, used_b=0, revealed=A | B, pair=empty(bytes32))


@internal
def _set_duel(a: bytes32, b: bytes32, duel: Duel):
    d: Duel = duel
    if not self._is_low(a, b):
        d = self._flip(duel)
    clocks: uint256 = d.start << 208 | d.since << 160 | d.used_a << 112 | d.used_b << 64
    numbers: uint256 = clocks | d.index << 32 | d.round << 16 | d.revealed
    self.duels[self._compute_pair(a, b, a, b)] = StoredDuel(numbers=numbers, pair=d.pair)


@internal
@pure
def _flip(d: Duel) -> Duel:
    return Duel(
        start=d.start,
        round=d.round,
        index=d.index,
        since=d.since,
        used_a=d.used_b,
        used_b=d.used_a,
        revealed=(d.revealed & A) << 1 | d.revealed >> 1,
        pair=d.pair,
    )


@internal
def _descend(mine: bytes32, other: bytes32, duel: Duel, difference: nodes.Difference) -> Duel:
    """
    @notice Complete a round that the other side has revealed in, with the first difference; its two nodes are the disputed ones now.
    """
    d: Duel = duel
    if d.round != 0:
        assert d.revealed == B, "claims: the other has not revealed"
        d.used_a += self._compute_charge(d)
        d.since = max(d.since, block.timestamp)
    d.pair = self._compute_pair(mine, other, difference.node_mine, difference.node_other)
    d.index = d.index << nodes.LEVELS | difference.place
    d.revealed = 0
    if self._is_low(mine, other):
        log Descended(
            low=mine, high=other, round=d.round, index=d.index, node_low=difference.node_mine, node_high=difference.node_other
        )
    else:
        log Descended(
            low=other, high=mine, round=d.round, index=d.index, node_low=difference.node_other, node_high=difference.node_mine
        )
    d.round += 1
    return d


@internal
def _reveal(mine: bytes32, other: bytes32, duel: Duel, node_other: bytes32, revealed: DynArray[bytes32, NODES]) -> Duel:
    """
    @notice Reveal for `a` in a round that is not the first, in which nobody has revealed yet.
    """
    d: Duel = duel
    assert d.round != 0 and d.round < ROUNDS and d.revealed == 0, "claims: no reveal is due"
    assert self._compute_pair(mine, other, nodes._fold(revealed), node_other) == d.pair, "claims: not the disputed nodes"
    d.used_a += self._compute_charge(d)
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
