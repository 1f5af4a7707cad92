"""The game of `play.py` and the contract, action for action: what is accepted, who lives, who moved up, who won, and when it is over."""

import random
from collections.abc import Generator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import permutations
from operator import xor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import load_artifact
from protocol.duel import A, B, find_difference, is_out
from protocol.keccak import ZERO
from protocol.params import Params
from sim.evm import Result, Reverted
from tests.contracts.play import (
    DEAD,
    Action,
    Game,
    Play,
    Tree,
    apply,
    find_duel,
    get_alive,
    get_winner,
    grow,
    list_turns,
    make_params,
    prune,
)
from tests.contracts.world import GENESIS_ROOT, Claim, Times, World, deploy_toy

KINDS = ("reveal", "descend", "prove", "timeout")
LIES = (5, 3, 9, 2, 7)  # where the claims of a free table go wrong
SHARE = 50  # states of a game of four or five that the fast tests compare
Events = list[tuple[str, dict[str, Any]]]


@dataclass
class Table:
    """One position with the claims of `ats`: where each goes wrong, 99 for the right one. They enter a second before the close."""

    params: Params
    ats: tuple[int, ...]
    is_free: bool = False  # only the first claim enters, and a proof ends as its action says, not as the steps do

    def __post_init__(self) -> None:
        params = self.params
        times = Times(entry_s=1, censorship_s=params.censorship_s, grace_s=params.grace_s)
        self.world = World(height=params.history_height, steps=12, group_bits=params.group_bits, times=times)
        if self.is_free:
            self._replace_judge(times)
        self.who = self.world.evm.create_account()
        epoch = self.world.run_epoch()
        honest = self.world.compute_honest(epoch)
        self.headers = self.world.compute_headers(epoch)
        self.claims = [honest if at == 99 else self.world.compute_lie(honest, at, seed) for seed, at in enumerate(self.ats)]
        self.play = Play(-1)
        self.close = self.world.evm.timestamp + 1
        for _ in self.claims[: 1 if self.is_free else None]:
            self.check(Action("claim"))
        self.compare()

    def _replace_judge(self, times: Times) -> None:
        world = self.world
        judge = deploy_toy(world.evm, world.deployer, "ToyJudge")
        addresses, clocks = (world.inbox.address, judge.address), (times.entry_s, times.censorship_s, times.grace_s)
        deployment = (*addresses, GENESIS_ROOT, world.height, world.group_bits, *clocks, world.stake_wei)
        world.claims = world.evm.deploy(world.deployer, load_artifact("Claims"), *deployment)

    def name(self, kind: str, a: int, b: int) -> Action:
        """With what the step says of the two: the first leaf in which they differ is right in whoever goes wrong later."""
        first = min(self.ats[a], self.ats[b])
        return Action(kind, a, b, self.ats[a] == first, self.ats[b] == first)

    def list_actions(self) -> list[Action]:
        """All there are."""
        seeds = range(len(self.ats))
        pairs = [(a, b) for a in seeds for b in seeds if a != b]
        doubles = [self.name(kind, a, b) for a, b in pairs for kind in KINDS if a < b or kind in ("reveal", "descend")]
        return [Action("tick"), Action("reopen"), *(Action("promote", seed) for seed in seeds), *doubles]

    def check(self, action: Action) -> bool:
        """The same action on both: whether it was accepted, and what it logged."""
        before, after = self.play, apply(self.play, action, self.params)
        try:
            result = self.send(action)
        except Reverted:
            assert after is None, action
            return False
        assert after is not None, action
        self.play = after
        expected = self.list_events(before, action)
        found = result.events if result else ()
        assert [event.name for event in found] == [name for name, _ in expected], action
        for event, (_, fields) in zip(found, expected, strict=True):
            assert fields.items() <= event.fields.items(), action
        return True

    def send(self, action: Action) -> Result | None:
        """Time gives nothing. Raises Reverted."""
        world, who = self.world, self.who
        match action.kind:
            case "tick":
                world.evm.advance(1)
                return None
            case "claim":
                return world.enter(self.claims[len(self.entered)], who)
            case "promote":
                return world.promote(self.claims[action.a])
            case "reopen":
                return world.reopen(world.genesis)
            case "timeout":
                return world.timeout(who, self.claims[action.a], self.claims[action.b])
            case "prove":
                return self._prove(action)
        return self._move(action)

    def _prove(self, action: Action) -> Result:
        a, b = self.claims[action.a], self.claims[action.b]
        index = self.world.get_duel(a, b)["index"]
        if not self.is_free or index == 0:  # none of them goes wrong at leaf 0: no proof is due
            return self.world.prove(self.who, a, b, self.headers)
        before, leaf_a, leaf_b = a.history.get_node(0, index - 1), a.history.get_node(0, index), b.history.get_node(0, index)
        right = {(True, False): leaf_b, (False, True): leaf_a, (True, True): before}[action.dies_a, action.dies_b]
        return self.world.prove(self.who, a, b, self.headers, args=before + right)

    def _move(self, action: Action) -> Result:
        world, mine, other = self.world, self.claims[action.a], self.claims[action.b]
        duel = world.get_duel(mine, other)
        round_, index = duel["round"], duel["index"]
        if round_ == self.params.rounds:  # the last ones again
            round_, index = round_ - 1, index >> 4
        reveals = [claim.history.get_reveal(round_, index) for claim in (mine, other)]
        if action.kind == "reveal":
            return world.reveal(self.who, mine, other, other.history.get_node(world.height - 4 * round_, index), reveals[0])
        return world.descend(self.who, mine, other, find_difference(*reveals), [])

    def list_events(self, before: Play, action: Action) -> Events:
        """What the contract has to log, by what the action made of the model: names, and the fields that the model knows."""
        ids, after = [claim.id for claim in self.claims], self.play
        mine, other = ids[action.a], ids[action.b]
        duel = find_duel(before, action.a, action.b, self.params)
        credit = [("WorkCredited", {"claim_id": mine})]
        match action.kind:
            case "tick":
                return []
            case "claim":
                return [("Claimed", {"claim_id": ids[len(before.rounds)], "close": self.close})]
            case "reopen":
                return [("PositionReopened", {"generation": 1})]
            case "promote":
                return [("ClaimPromoted", {"claim_id": mine, "round": after.rounds[action.a]}), *credit]
            case "reveal" if duel:
                return [("Revealed", {"mine": mine, "other": other, "round": duel.round}), *credit]
            case "descend" if duel:
                return [("Descended", {"low": min(mine, other), "high": max(mine, other), "round": duel.round}), *credit]
        is_proof = action.kind == "prove" and duel and not any(is_out(duel, side, before.now, self.params) for side in (A, B))
        return [*([("StepProven", {})] if is_proof else []), *self.list_ends(before, action)]

    def list_ends(self, before: Play, action: Action) -> Events:
        """Of a duel's end: who died, who moved up or won or whether the position is open anew, and whose work it was."""
        ids, after = [claim.id for claim in self.claims], self.play
        changed = [(seed, new) for seed, (old, new) in enumerate(zip(before.rounds, after.rounds, strict=True)) if old != new]
        events: Events = [("ClaimDied", {"claim_id": ids[seed]}) for seed, round_ in changed if round_ == DEAD]
        rising = [(seed, round_) for seed, round_ in changed if round_ != DEAD]
        winner = get_winner(after, self.params)
        if rising:
            events += [("ClaimPromoted", {"claim_id": ids[seed], "round": round_}) for seed, round_ in rising]
        elif winner is not None:
            events.append(("ClaimWon", {"claim_id": ids[winner]}))
        elif after.is_reopened:
            events.append(("PositionReopened", {"generation": 1}))
        alive = [seed for seed in (action.a, action.b) if after.rounds[seed] != DEAD]
        return [*events, *(("WorkCredited", {"claim_id": ids[seed]}) for seed in alive)]

    def compare(self) -> None:
        """All that can be seen."""
        world, play, params = self.world, self.play, self.params
        assert world.evm.timestamp - self.close == play.now
        assert [world.is_alive(claim) for claim in self.entered] == list(get_alive(play, params))
        for claim, round_ in zip(self.entered, play.rounds, strict=True):
            assert round_ in (DEAD, world.get_round(claim))
        position = world.get_position(world.genesis)
        assert position["generation"] == play.is_reopened
        if play.is_reopened:
            assert (position["count"], position["winner"]) == (0, ZERO)
        else:
            winner = get_winner(play, params)
            assert position["winner"] == (ZERO if winner is None else self.claims[winner].id)
        for place, members in play.groups:
            survivors = reduce(xor, (int.from_bytes(self.claims[member[0]].id) for member in members))
            assert world.get_group(world.genesis, *place) == (len(members), survivors.to_bytes(32))
        for a, b in permutations(range(len(play.rounds)), 2):
            self.compare_duel(a, b)

    @property
    def entered(self) -> list[Claim]:
        """By seed."""
        return self.claims[: len(self.play.rounds)]

    def compare_duel(self, a: int, b: int) -> None:
        duel = find_duel(self.play, a, b, self.params)
        if duel is None:
            return
        found = self.world.get_duel(self.claims[a], self.claims[b])
        left = self.params.censorship_s - duel.used_a, self.params.censorship_s - duel.used_b
        assert (found["round"], found["revealed"], (found["left_a"], found["left_b"])) == (duel.round, duel.revealed, left)
        assert found["since"] - self.close == duel.since
        assert [found["is_out_a"], found["is_out_b"]] == [is_out(duel, side, self.play.now, self.params) for side in (A, B)]

    def explore(self, depth: int) -> int:
        """Every play of at most so many accepted actions from here, time's among them; each state once. How many there were."""
        seen: dict[Play, int] = {}
        self._explore(depth, seen)
        return len(seen)

    def _explore(self, depth: int, seen: dict[Play, int]) -> None:
        if seen.get(self.play, -1) >= depth:
            return
        seen[self.play] = depth
        if not depth or self.play.is_reopened:
            return
        for action in self.list_actions():
            with self.undoing():
                if self.check(action):
                    self.compare()
                    self._explore(depth - 1, seen)

    @contextmanager
    def undoing(self) -> Generator[None]:
        """Back to where both stand now, afterwards."""
        evm, play = self.world.evm, self.play
        snapshot, timestamp = evm.take_snapshot(), evm.timestamp
        yield
        evm.restore(snapshot)
        evm.timestamp = timestamp
        evm.set_time(timestamp)
        self.play = play

    def walk(self, tree: Tree, chosen: Set[Play], game: Game) -> int:
        """Down the tree's branches, each once, from where both stand now; all actions at the chosen states. How many were accepted."""
        branches = tree[self.play]
        count = 0
        for action in list_turns(self.play, game) if self.play in chosen else branches:
            with self.undoing():
                if self.check(action):
                    count += 1
                    self.compare()
                    if action in branches:
                        count += self.walk(tree, chosen, game)
        return count


@pytest.mark.parametrize(
    ("rounds", "ats"), [(1, (5, 99)), (1, (99, 3, 8)), (1, (5, 5, 99)), (2, (99, 7)), (2, (4, 4, 99)), (1, (9, 99, 5, 5, 7))]
)
def test_short_plays(rounds: int, ats: tuple[int, ...]) -> None:
    """All of them, from the last second of entry."""
    table = Table(make_params(1, rounds, 1, 1), ats)
    assert table.explore(12 if len(ats) < 4 else 6) > 40


def compare_game(params: Params, count: int, share: int | None = None, seed: int = 0) -> tuple[int, int]:
    """All actions in all states of the game of at most so many claims, symmetric ones once; or in so many drawn by the seed and on the way.

    How many were accepted, by both; and how many the model alone counts.
    """
    game = Game(params, count)
    tree = grow(game)
    states = set(tree if share is None else random.Random(seed).sample(list(tree), share))
    kept = prune(tree, states)
    actions = Table(params, LIES[:count], is_free=True).walk(kept, states, game)
    print(f"{len(states)} of {len(tree)} states, {actions} accepted actions")
    accepted = sum(apply(play, action, params) is not None for play in states for action in list_turns(play, game))
    return actions, accepted + sum(len(branches) for play, branches in kept.items() if play not in states)


@pytest.mark.parametrize(("rounds", "count"), [(1, 1), (1, 2), (2, 2), (1, 3), (2, 3)])
def test_the_contract__every_action_in_every_state_of_up_to_three_claims__agrees_with_the_model(rounds: int, count: int) -> None:
    """To the end of the last round, with every outcome of every proof."""
    compared, expected = compare_game(make_params(1, rounds, 1, 1), count)
    assert compared == expected


@pytest.mark.parametrize(
    ("group_bits", "rounds", "censorship_s", "grace_s", "count"),
    [(1, 1, 1, 1, 4), (1, 2, 1, 1, 4), (1, 2, 2, 2, 4), (2, 1, 1, 1, 4), (1, 1, 1, 1, 5), (1, 2, 1, 1, 5)],
)
def test_the_contract__every_action_in_some_states_of_four_and_five_claims__agrees_with_the_model(
    group_bits: int, rounds: int, censorship_s: int, grace_s: int, count: int, seed: int
) -> None:
    """A share of what the slow test compares whole."""
    compared, expected = compare_game(make_params(group_bits, rounds, censorship_s, grace_s), count, SHARE, seed)
    assert compared == expected


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, 5])
@pytest.mark.parametrize(("censorship_s", "grace_s"), [(0, 1), (1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize(("group_bits", "rounds"), [(1, 1), (1, 2), (2, 1)])
def test_the_contract__every_action_in_every_state_of_four_and_five_claims__agrees_with_the_model(
    group_bits: int, rounds: int, censorship_s: int, grace_s: int, count: int
) -> None:
    """About 20 minutes in all on a core; the longest, five claims with C = G = 2 and two rounds of a duel, takes 5."""
    compared, expected = compare_game(make_params(group_bits, rounds, censorship_s, grace_s), count)
    assert compared == expected


@given(st.data())
@settings(max_examples=50)
def test_long_plays_at_random(data: st.DataObject) -> None:
    rounds, group_bits = data.draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (2, 2)]))
    params = make_params(group_bits, rounds, data.draw(st.integers(0, 4)), data.draw(st.integers(1, 3)))
    ats = data.draw(st.lists(st.sampled_from([2, 2, 5, 9]), min_size=1, max_size=4))
    honest = data.draw(st.integers(0, len(ats)))
    table = Table(params, (*ats[:honest], 99, *ats[honest:]))
    for _ in range(40):
        if table.play.is_reopened:
            break
        actions = table.list_actions()
        likely = [action for action in actions if apply(table.play, action, params) is not None]
        if table.check(data.draw(st.sampled_from(likely if data.draw(st.integers(0, 4)) else actions))):
            table.compare()
