"""A position's whole tournament as a pure game: its states, and what every action makes of them.

`protocol.tournament` and `protocol.duel` are the rules; here is only what `Claims.vy` does around them (its `_decide`), so that the game
can be explored move by move and compared with the contract. Claims are named by their seeds, and entry ends at second 0.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from typing import NamedTuple

from protocol.duel import A, Duel, apply_descent, apply_reveal, compute_deaths, flip, is_proof_due, may_descend, may_reveal, open_duel
from protocol.keccak import ZERO
from protocol.params import DEVNET, Params
from protocol.persistent import Map
from protocol.tournament import (
    Bracket,
    Place,
    count_rounds,
    enter,
    find_rising,
    find_winner,
    get_place,
    get_start,
    is_left_behind,
    is_stuck,
    leave,
    move_up,
)

DEAD = -1
STEP = {1: (False, True), 2: (True, False), 3: (True, True)}  # what a step says of two
LEAVES = {(False, True): b"a's", (True, False): b"b's", (True, True): b"another"}  # to what the step leads, by who dies
Groups = tuple[tuple[Place, tuple[bytes, ...]], ...]


class Action(NamedTuple):
    """`kind`: claim, reveal, descend, prove, timeout, promote, reopen or tick. `a` acts; in a duel it stands against `b`."""

    kind: str
    a: int = 0
    b: int = 0
    dies_a: bool = False  # what the step says, of a proof
    dies_b: bool = False


class Play(NamedTuple):
    """One moment of one generation of a position."""

    now: int
    rounds: tuple[int, ...] = ()  # by seed: the round that it stands in, or DEAD
    groups: Groups = ()  # the bracket's, sorted
    duels: tuple[tuple[int, int, Duel], ...] = ()  # those with a move, seen from the smaller seed; sorted
    is_reopened: bool = False


Tree = dict[Play, dict[Action, Play]]  # of each state, the branches that lead on


@dataclass(frozen=True)
class Game:
    """Who plays. `honest` is the seed of the honest claim, -1 if there is none; `censored_s` how long it can be held back in all.

    `lag_s`: within how many seconds it makes what no clock asks for: a timeout, a promotion.
    """

    params: Params
    count: int
    honest: int = -1
    censored_s: int = 0
    lag_s: int = 0


def make_params(group_bits: int, rounds: int, censorship_s: int, grace_s: int) -> Params:
    """A tiny deployment."""
    return replace(DEVNET, group_bits=group_bits, history_height=4 * rounds, censorship_s=censorship_s, grace_s=grace_s)


def get_id(seed: int) -> bytes:
    """Of a claim, in the bracket."""
    return seed.to_bytes(1, "big")


@cache
def make_bracket(count: int, groups: Groups) -> Bracket:
    """As the rules take it."""
    found: Map[Place, tuple[bytes, ...]] = Map()
    for place, members in groups:
        found = found.set(place, members)
    return Bracket(0, count, found)


def get_bracket(play: Play) -> Bracket:
    """The play's."""
    return make_bracket(len(play.rounds), play.groups)


def freeze(groups: Mapping[Place, tuple[bytes, ...]]) -> Groups:
    """As a play keeps them."""
    return tuple(sorted((place, members) for place, members in groups.items() if members))


def get_winner(play: Play, params: Params) -> int | None:
    """Its seed."""
    winner = find_winner(get_bracket(play), play.now, params)
    return None if winner is None else winner[0]


def is_over(play: Play, params: Params) -> bool:
    """Nobody can win any more."""
    return is_stuck(get_bracket(play), play.now, params)


def get_alive(play: Play, params: Params) -> tuple[bool, ...]:
    """By seed: neither dead nor left behind."""
    bracket = get_bracket(play)
    rounds = enumerate(play.rounds)
    return tuple(round_ != DEAD and not is_left_behind(bracket, round_, get_id(seed), play.now, params) for seed, round_ in rounds)


def find_duel(play: Play, a: int, b: int, params: Params) -> Duel | None:
    """The duel of two that stand against each other, seen from `a`; none once their round is over."""
    rounds = play.rounds
    if a == b or max(a, b) >= len(rounds) or rounds[a] != rounds[b] or rounds[a] == DEAD:
        return None
    if get_place(rounds[a], a, params) != get_place(rounds[b], b, params) or play.now >= get_start(0, rounds[a] + 1, params):
        return None
    for low, high, duel in play.duels:
        if (low, high) == (min(a, b), max(a, b)):
            return duel if a < b else flip(duel)
    return open_duel(get_start(0, rounds[a], params))


def apply(play: Play, action: Action, params: Params) -> Play | None:
    """What follows, or none if the contract refuses it."""
    match action.kind:
        case "tick":
            return play._replace(now=play.now + 1)
        case "claim":
            bracket = enter(get_bracket(play), get_id(len(play.rounds)), params)
            return play._replace(rounds=(*play.rounds, 0), groups=freeze(bracket.groups)) if play.now < 0 else None
        case "promote":
            return _promote(play, action.a, params)
        case "reopen":
            return play._replace(is_reopened=True) if is_over(play, params) and not play.is_reopened else None
    duel = find_duel(play, action.a, action.b, params)
    if duel is None:
        return None
    match action.kind:
        case "reveal":
            return _put(play, action, apply_reveal(duel, A, (), play.now, params)) if may_reveal(duel, A, play.now, params) else None
        case "descend":
            descended = apply_descent(duel, 0, ZERO, ZERO, play.now, params) if may_descend(duel, A, play.now, params) else None
            return None if descended is None else _put(play, action, descended)
    is_proven = action.kind == "prove" and is_proof_due(duel, params)
    right = LEAVES[action.dies_a, action.dies_b] if is_proven else ZERO
    deaths = compute_deaths(replace(duel, node_a=LEAVES[False, True], node_b=LEAVES[True, False]), right, play.now, params)
    return _decide(play, action.a, action.b, deaths, params) if any(deaths) else None


def _put(play: Play, action: Action, duel: Duel) -> Play:
    low, high = min(action.a, action.b), max(action.a, action.b)
    others = [item for item in play.duels if item[:2] != (low, high)]
    return play._replace(duels=tuple(sorted([*others, (low, high, duel if action.a == low else flip(duel))], key=lambda item: item[:2])))


def _promote(play: Play, seed: int, params: Params) -> Play | None:
    if seed >= len(play.rounds) or play.rounds[seed] == DEAD:
        return None
    place = get_place(play.rounds[seed], seed, params)
    if find_rising(get_bracket(play), place, play.now, params) != get_id(seed):
        return None
    return _move_up(play, place, seed, params)


def _move_up(play: Play, place: Place, seed: int, params: Params) -> Play:
    bracket = move_up(get_bracket(play), place, get_id(seed), params)
    return play._replace(rounds=_set(play.rounds, seed, place[0] + 1), groups=freeze(bracket.groups))


def _set(rounds: tuple[int, ...], seed: int, round_: int) -> tuple[int, ...]:
    return (*rounds[:seed], round_, *rounds[seed + 1 :])


def _decide(play: Play, a: int, b: int, dies: tuple[bool, bool], params: Params) -> Play:
    """The end of a duel, as `Claims._decide` has it."""
    place = get_place(play.rounds[a], a, params)
    for seed, is_dead in zip((a, b), dies, strict=True):
        if is_dead:
            bracket = leave(get_bracket(play), place, get_id(seed))
            duels = tuple(item for item in play.duels if seed not in item[:2])  # nobody moves in them any more
            play = play._replace(rounds=_set(play.rounds, seed, DEAD), groups=freeze(bracket.groups), duels=duels)
    rising = find_rising(get_bracket(play), place, play.now, params)
    if rising is not None:
        return _move_up(play, place, rising[0], params)
    return play._replace(is_reopened=is_over(play, params))


def list_actions(play: Play, game: Game) -> Iterator[Action]:
    """Whatever anybody could try; time apart."""
    if len(play.rounds) < game.count:
        yield Action("claim")
    yield Action("reopen")
    for seed in range(len(play.rounds)):
        yield Action("promote", seed)
    for a, b in permutations(range(len(play.rounds)), 2):
        yield Action("reveal", a, b)
        yield Action("descend", a, b)
        if a > b:
            continue
        yield Action("timeout", a, b)
        for verdict, dies in STEP.items():
            if game.honest not in (a, b) or verdict == (1 if a == game.honest else 2):
                yield Action("prove", a, b, *dies)


def merge(play: Play, game: Game) -> Play:
    """Two liars of one pair may change places; a duel whose round is over is nothing."""
    if play.duels:
        live = tuple(item for item in play.duels if play.now < get_start(0, play.rounds[item[0]] + 1, game.params))
        play = play._replace(duels=live)
    for low in range(0, len(play.rounds) - 1, 2):
        if game.honest in (low, low + 1):
            continue
        left, right = play.rounds[low : low + 2]
        mine = [item[2] for item in play.duels if item[:2] == (low, low + 1)]
        if left < right or (mine and rank(mine[0]) > rank(flip(mine[0]))):
            play = swap(play, low)
    return play


def rank(duel: Duel) -> tuple[int, int, int]:
    """Of two mirror images, the smaller counts."""
    return duel.used_a, duel.used_b, duel.revealed


def swap(play: Play, low: int) -> Play:
    """The claims `low` and `low + 1` in each other's places."""
    names = {low: low + 1, low + 1: low}
    ids = {get_id(a): get_id(b) for a, b in names.items()}
    rounds = list(play.rounds)
    rounds[low], rounds[low + 1] = rounds[low + 1], rounds[low]
    groups = tuple((place, tuple(sorted(ids.get(item, item) for item in members))) for place, members in play.groups)
    duels = []
    for a, b, duel in play.duels:
        c, d = names.get(a, a), names.get(b, b)
        duels.append((c, d, duel) if c < d else (d, c, flip(duel)))
    return play._replace(rounds=tuple(rounds), groups=groups, duels=tuple(sorted(duels, key=lambda item: item[:2])))


def grow(game: Game) -> Tree:
    """Every state until the last round is over, symmetric ones once, each with the actions that found further ones. Breadth first.

    It begins a second before entry closes, with the first claim there.
    """
    first = apply(Play(-1), Action("claim"), game.params)
    assert first is not None
    seen, queue = {first}, [first]
    tree: Tree = {}
    for play in queue:
        tree[play] = {}
        for action in list_turns(play, game):
            after = apply(play, action, game.params)
            if after is not None and (merged := merge(after, game)) not in seen:
                seen.add(merged)
                queue.append(after)
                tree[play][action] = after
    return tree


def list_turns(play: Play, game: Game) -> list[Action]:
    """All actions with time's; none once the position is open anew, and no time after the last round."""
    if play.is_reopened:
        return []
    end = get_start(0, count_rounds(len(play.rounds), game.params), game.params)
    return [*list_actions(play, game), *([Action("tick")] if play.now < end else [])]


def prune(tree: Tree, chosen: Set[Play]) -> Tree:
    """Only what leads to the chosen states."""
    kept: Tree = {}
    for play, branches in reversed(tree.items()):  # whatever a state leads to comes after it
        left = {action: after for action, after in branches.items() if after in kept}
        if left or play in chosen:
            kept[play] = left
    return kept
