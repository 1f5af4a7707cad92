"""A duel's arithmetic: who owes what, who is out of time, where two reveals differ, what is revealed next.

Twin: contracts/l1/parts/duels.vy. Two claims of one group, `a` and `b`. In every round one side reveals the 16 nodes four levels below the
node where they differ, and the other answers with the first of them in which it differs; after the last round they differ in one leaf, and
one step decides. All functions are total over what the contract lets happen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from protocol.history import REVEAL_HEIGHT
from protocol.keccak import ZERO, keccak
from protocol.params import Params

A, B = 1, 2  # sides, and bits of `revealed`


@dataclass(frozen=True, slots=True)
class Duel:
    """Seen from `a`. Times in seconds of L1."""

    round: int
    index: int  # place of the disputed node in its level
    since: int  # the clocks run from here
    used_a: int  # taken off so far
    used_b: int
    revealed: int  # bits A and B: who has revealed in this round
    nodes: tuple[bytes, ...]  # the one reveal of this round that is there
    node_a: bytes
    node_b: bytes


class Difference(NamedTuple):
    """The first of 16 nodes in which two sides differ, with what proves it: the nodes beside the two paths to it, bottom first."""

    place: int
    node_mine: bytes
    node_other: bytes
    siblings_mine: tuple[bytes, ...]
    siblings_other: tuple[bytes, ...]


def open_duel(start: int) -> Duel:
    """A duel exists as soon as its claims are in one group; the claims are both reveals of round 0. `start` is when their round begins."""
    return Duel(0, 0, start, 0, 0, A | B, (), ZERO, ZERO)


def flip(d: Duel) -> Duel:
    """Seen from the other side."""
    revealed = (d.revealed & A) << 1 | d.revealed >> 1
    return replace(d, used_a=d.used_b, used_b=d.used_a, revealed=revealed, node_a=d.node_b, node_b=d.node_a)


def get_used(d: Duel, side: int) -> int:
    """Seconds taken off a side's clock."""
    return d.used_a if side == A else d.used_b


def get_expiry(d: Duel, side: int, params: Params) -> int:
    """The last second at which a side that owes may move."""
    return d.since + params.grace_s + params.censorship_s - get_used(d, side)


def is_owing(d: Duel, side: int) -> bool:
    """In round 0 both owe the reveal of round 1; in the end both owe the proof."""
    return d.round == 0 or not d.revealed & side


def is_out(d: Duel, side: int, now: int, params: Params) -> bool:
    """Owes a reveal or the proof, and has no time left for it."""
    return is_owing(d, side) and now > get_expiry(d, side, params)


def is_proof_due(d: Duel, params: Params) -> bool:
    """All rounds are over: the two differ in leaf `index`."""
    return d.round == params.rounds


def may_reveal(d: Duel, side: int, now: int, params: Params) -> bool:
    """First in its round. The claim was the reveal of round 0."""
    return 0 < d.round < params.rounds and not d.revealed and not is_out(d, side, now, params)


def may_descend(d: Duel, side: int, now: int, params: Params) -> bool:
    """Answer the other's reveal. In round 0 it costs no time, so that even who has none left may."""
    if is_proof_due(d, params):
        return False
    return d.round == 0 or (d.revealed == (B if side == A else A) and not is_out(d, side, now, params))


def compute_charge(d: Duel, now: int, params: Params) -> int:
    """What a reveal takes off its side's clock. The grace is free, each time anew."""
    return max(0, now - d.since - params.grace_s)


def get_reveal_height(d: Duel, params: Params) -> int:
    """Of the node, number `index` of its level, below which this round's reveals lie."""
    return params.history_height - REVEAL_HEIGHT * d.round


def find_difference(mine: Sequence[bytes], other: Sequence[bytes]) -> Difference:
    """Of two different reveals. All to the left of it is the same in both, and so is every sibling on the left."""
    place = next(i for i, (left, right) in enumerate(zip(mine, other, strict=True)) if left != right)
    return Difference(place, mine[place], other[place], _get_siblings(mine, place), _get_siblings(other, place))


def _get_siblings(nodes: Sequence[bytes], place: int) -> tuple[bytes, ...]:
    siblings = []
    while len(nodes) > 1:
        siblings.append(nodes[place ^ 1])
        nodes = [keccak(nodes[i] + nodes[i + 1]) for i in range(0, len(nodes), 2)]
        place >>= 1
    return tuple(siblings)


def apply_reveal(d: Duel, side: int, nodes: Sequence[bytes], now: int, params: Params) -> Duel:
    """A side reveals first in its round."""
    d = _apply_charge(d, side, now, params)
    return replace(d, revealed=side, nodes=tuple(nodes))


def _apply_charge(d: Duel, side: int, now: int, params: Params) -> Duel:
    charge = compute_charge(d, now, params)
    return replace(d, used_a=d.used_a + charge) if side == A else replace(d, used_b=d.used_b + charge)


def apply_descent(d: Duel, index: int, node_a: bytes, node_b: bytes, now: int, params: Params) -> Duel:
    """The round is completed by whoever had not revealed; its clock pays. Completing round 0 costs nothing and leaves the clocks alone.

    `index` is the place of the difference in its whole level.
    """
    if d.round != 0:
        d = _apply_charge(d, B if d.revealed == A else A, now, params)
        d = replace(d, since=max(d.since, now))  # not before the round begins
    return replace(d, round=d.round + 1, index=index, revealed=0, nodes=(), node_a=node_a, node_b=node_b)


def compute_deaths(d: Duel, right: bytes, now: int, params: Params) -> tuple[bool, bool]:
    """The one terminal rule, for a and b: the clock decides first; else the step, if it is proven; else nothing does.

    `right` is the leaf that the step leads to, zero if it is not proven.
    """
    outs = is_out(d, A, now, params), is_out(d, B, now, params)
    if any(outs) or right == ZERO:
        return outs
    return d.node_a != right, d.node_b != right
