"""The tournament of a position's claims: seeds, groups, rounds, who moves up and who has won. Twin: contracts/l1/parts/positions.vy.

Claims are seeded in order of entry. In round r those whose seeds agree above the lowest `group_bits * (r + 1)` bits stand in one group, if
they got that far. Rounds follow each other at fixed times; all pairs of a group duel at once. Whoever is left alone in a group moves up; a
group with several left when its round ends sends nobody.
"""

from dataclasses import dataclass, field, replace

from protocol.params import Params
from protocol.persistent import Map

Place = tuple[int, int]  # of a group: round, number


@dataclass(frozen=True, slots=True)
class Bracket:
    """The claims of one position that are not dead, by group. Those that were left behind stay where they were."""

    close: int  # entry ends, and the first round begins
    count: int = 0  # claims that entered
    groups: Map[Place, tuple[bytes, ...]] = field(default_factory=Map)

    def get_group(self, place: Place) -> tuple[bytes, ...]:
        """Who stands in it."""
        return self.groups.get(place, ())


def count_rounds(count: int, params: Params) -> int:
    """Until one group holds all, at least 1."""
    rounds = 1
    while count > 1 << params.group_bits * rounds:
        rounds += 1
    return rounds


def get_place(round_: int, seed: int, params: Params) -> Place:
    """The group in which a seed stands in a round."""
    return round_, seed >> params.group_bits * (round_ + 1)


def get_next_place(place: Place, params: Params) -> Place:
    """The group that the winner of a group moves up to."""
    round_, number = place
    return round_ + 1, number >> params.group_bits


def get_start(close: int, round_: int, params: Params) -> int:
    """When the clocks of a round begin. It ends when the next one begins: then no move, proof or timeout of it is taken any more."""
    return close + round_ * params.tournament_round_s


def enter(b: Bracket, claim_id: bytes, params: Params) -> Bracket:
    """One more claim; its seed is the count before."""
    return replace(_join(b, get_place(0, b.count, params), claim_id), count=b.count + 1)


def leave(b: Bracket, place: Place, claim_id: bytes) -> Bracket:
    """A claim of that group dies."""
    return replace(b, groups=b.groups.set(place, tuple(item for item in b.get_group(place) if item != claim_id)))


def move_up(b: Bracket, place: Place, claim_id: bytes, params: Params) -> Bracket:
    """A claim that is alone in its group; it stays in that group as its winner."""
    return _join(b, get_next_place(place, params), claim_id)


def find_rising(b: Bracket, place: Place, now: int, params: Params) -> bytes | None:
    """The claim that is alone in its group while the group's round runs, and has a round above it."""
    group = b.get_group(place)
    round_ = place[0]
    if len(group) != 1 or round_ + 1 >= count_rounds(b.count, params):
        return None
    return group[0] if get_start(b.close, round_, params) <= now < get_start(b.close, round_ + 1, params) else None


def find_winner(b: Bracket, now: int, params: Params) -> bytes | None:
    """Alone in the last round's group, once that round has begun: nobody can join it any more, and a duel takes two."""
    last = count_rounds(b.count, params) - 1
    group = b.get_group((last, 0))
    return group[0] if len(group) == 1 and now >= get_start(b.close, last, params) else None


def is_stuck(b: Bracket, now: int, params: Params) -> bool:
    """No claim of it can win any more."""
    last = count_rounds(b.count, params) - 1
    alive = len(b.get_group((last, 0)))
    return alive != 1 and now >= get_start(b.close, last + min(alive, 1), params)


def is_left_behind(b: Bracket, round_: int, claim_id: bytes, now: int, params: Params) -> bool:
    """Whoever stands in a round when it ends, and did not win the last one."""
    return now >= get_start(b.close, round_ + 1, params) and find_winner(b, now, params) != claim_id


def _join(b: Bracket, place: Place, claim_id: bytes) -> Bracket:
    return replace(b, groups=b.groups.set(place, (*b.get_group(place), claim_id)))
