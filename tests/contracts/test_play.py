"""Every play of small tournaments: breadth first over all actions of all sides at all times, symmetric states merged.

The honest player acts within its grace of when it owes something. What counts is that no sequence of actions by the others, at any times,
keeps it from winning, and that nothing else ever comes out twice, too late, or not at all.
"""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from protocol.duel import A, B, get_expiry, is_out, is_owing
from protocol.params import Params
from protocol.tournament import count_rounds, find_rising, get_place, get_start
from tests.contracts.play import (
    Action,
    Game,
    Play,
    apply,
    find_duel,
    get_alive,
    get_bracket,
    get_id,
    get_winner,
    is_over,
    list_actions,
    make_params,
    merge,
)

ENTRY_S = 1  # P


def is_overdue(play: Play, game: Game) -> bool:
    """Time may not go on: the honest player would have acted by now, if nobody held it back."""
    me, params = game.honest, game.params
    if me < 0:
        return False
    if me >= len(play.rounds):
        return False
    round_ = play.rounds[me]
    if find_rising(get_bracket(play), get_place(round_, me, params), play.now, params) == get_id(me):
        return play.now >= get_start(0, round_, params) + game.lag_s
    for other in range(len(play.rounds)):
        duel = find_duel(play, me, other, params)
        if duel is None:
            continue
        if is_owing(duel, A) and play.now >= duel.since + params.grace_s:
            return True
        if is_out(duel, B, play.now, params) and play.now > get_expiry(duel, B, params) + game.lag_s:
            return True
    return False


@dataclass
class Report:
    """Of an exploration."""

    states: int = 0
    longest_s: int = 0  # from the start of a round until the honest claim was alone in its group
    ends: Counter[int | None] = field(default_factory=Counter)  # winners; None: reopened


def explore(game: Game) -> Report:
    """All plays. AssertionError as soon as one breaks a rule."""
    params, report = game.params, Report()
    first = apply(Play(-ENTRY_S), Action("claim"), params)
    assert first is not None
    level = {(first, game.censored_s)}
    while level:
        seen, queue, later = set(level), list(level), set()
        while queue:
            play, budget = queue.pop()
            report.states += 1
            for action in list_actions(play, game):
                after = apply(play, action, params)
                if after is None:
                    continue
                check(play, after, game, report)
                after = merge(after, game)
                if not after.is_reopened and (after, budget) not in seen:
                    seen.add((after, budget))
                    queue.append((after, budget))
                if after.is_reopened:
                    report.ends[None] += 1
            if get_winner(play, params) is not None:
                report.ends[get_winner(play, params)] += 1
                continue
            left = budget - is_overdue(play, game)
            if left < 0 or is_over(play, params) or (play.now == -1 and game.honest >= len(play.rounds)):  # it enters, if late
                continue
            after = play._replace(now=play.now + 1)
            check(play, after, game, report)
            later.add((merge(after, game), left))
        level = later
    return report


def check(play: Play, after: Play, game: Game, report: Report) -> None:
    """What holds of every action, time's too."""
    params, me = game.params, game.honest
    end = get_start(0, count_rounds(len(after.rounds), params), params)
    winner = get_winner(play, params)
    assert winner is None or (after == play._replace(now=after.now) and get_winner(after, params) == winner)
    assert not is_over(play, params) or (after.is_reopened and after.rounds == play.rounds)
    # D after the last round's start at the latest, it has been decided
    assert after.now < end or is_over(after, params) or get_winner(after, params) is not None
    assert not (is_over(after, params) and get_winner(after, params) is not None)
    before = get_alive(play, params)
    assert all(old or not new for old, new in zip(before, get_alive(after, params), strict=False))
    if me < 0 or me >= len(play.rounds):
        return
    assert not after.is_reopened
    assert get_alive(after, params)[me]
    assert get_winner(after, params) in (None, me)
    round_ = play.rounds[me]
    place = get_place(round_, me, params)
    if len(get_bracket(play).get_group(place)) > 1 and len(get_bracket(after).get_group(place)) == 1:
        report.longest_s = max(report.longest_s, after.now - get_start(0, round_, params))


def get_longest(params: Params, lag_s: int = 0) -> int:
    """The longest that an honest claim needs: each side's clock in a round of its own, each round's grace, and the proof's.

    A rival that stops is out a second after its time, one round before.
    """
    if params.rounds == 1:  # one proof, for which both clocks run at once
        return params.censorship_s + params.grace_s
    both = 2 * params.censorship_s
    return both + max(params.rounds * params.grace_s, (params.rounds - 1) * params.grace_s + 1 + lag_s)


@pytest.mark.parametrize("is_censored", [False, True])
@pytest.mark.parametrize(("count", "honest"), [(2, 0), (3, 0), (3, 1), (3, 2), (4, 1), (5, 4)])
def test_whoever_acts_within_its_grace_wins_every_play(count: int, honest: int, is_censored: bool) -> None:
    """Also if it is held back for C in all, at any moments. Three rounds of the tournament at five claims."""
    params = make_params(1, 2, 1, 1)
    report = explore(Game(params, count, honest, params.censorship_s * is_censored))
    assert report.ends.keys() == {honest}
    assert report.longest_s <= get_longest(params) < params.tournament_round_s


@pytest.mark.parametrize(("rounds", "censorship_s", "grace_s"), [(1, 3, 2), (2, 0, 1), (2, 1, 1), (2, 3, 2), (3, 3, 2), (4, 2, 1)])
def test_the_longest_that_an_honest_claim_needs(rounds: int, censorship_s: int, grace_s: int) -> None:
    """Exactly 2C + KG of a group's D = 2C + (K + 2)G, but for a single reveal."""
    params = make_params(1, rounds, censorship_s, grace_s)
    report = explore(Game(params, 2, 0, censorship_s))
    assert report.longest_s == get_longest(params) <= params.tournament_round_s - 2 * grace_s


@pytest.mark.parametrize(("censorship_s", "grace_s"), [(3, 2), (2, 1), (1, 3)])
def test_a_timeout_may_come_three_graces_late(censorship_s: int, grace_s: int) -> None:
    """That is what D leaves for the calls that no clock asks for; a second more, and a rival saves itself."""
    params = make_params(1, 2, censorship_s, grace_s)
    lag_s = 3 * grace_s - 2
    report = explore(Game(params, 2, 0, censorship_s, lag_s))
    assert report.longest_s == get_longest(params, lag_s) == params.tournament_round_s - 1
    with pytest.raises(AssertionError):
        explore(Game(params, 2, 0, censorship_s, lag_s + 1))


def test_whoever_is_held_back_for_longer_may_lose() -> None:
    params = make_params(1, 2, 2, 1)
    with pytest.raises(AssertionError):
        explore(Game(params, 2, 0, params.censorship_s + 1))


def test_without_a_grace_a_round_is_too_short() -> None:
    """The contract refuses such times."""
    with pytest.raises(AssertionError):
        explore(Game(make_params(1, 2, 1, 0), 2, 0, 1))


@pytest.mark.parametrize(("count", "rounds", "censorship_s", "grace_s"), [(1, 1, 1, 1), (2, 2, 3, 2), (3, 2, 1, 1), (4, 1, 1, 1)])
def test_without_an_honest_player_everything_ends_all_the_same(count: int, rounds: int, censorship_s: int, grace_s: int) -> None:
    """By P + R D: with one winner for ever, or open to new claims. `check` holds at every step: no second winner, no way back."""
    report = explore(Game(make_params(1, rounds, censorship_s, grace_s), count))
    assert report.ends[None] > 0 or count == 1
    assert len(report.ends) > 1 or count == 1


def test_three_of_one_group_fight_three_duels_at_once() -> None:
    params = make_params(2, 2, 1, 1)
    for censored_s in (0, 1):
        assert explore(Game(params, 3, 0, censored_s)).ends.keys() == {0}


@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("grace_s", [1, 2])
@pytest.mark.parametrize("censorship_s", range(4))
@pytest.mark.parametrize("rounds", [1, 2])
def test_every_small_tournament(rounds: int, censorship_s: int, grace_s: int, count: int) -> None:
    """All that the fast tests sample, and with nobody honest too."""
    params = make_params(1, rounds, censorship_s, grace_s)
    for honest in range(count):
        for censored_s in {0, censorship_s}:
            report = explore(Game(params, count, honest, censored_s))
            assert report.ends.keys() == {honest}
            assert report.longest_s <= get_longest(params)
    explore(Game(params, count))
