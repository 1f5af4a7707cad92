"""The game of `play.py` and the contract, action for action: what is accepted, who lives, who moved up, who won, and when it is over."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.duel import find_difference
from protocol.keccak import ZERO
from protocol.params import Params
from sim.evm import Reverted
from tests.contracts.play import DEAD, Action, Play, apply, find_duel, get_alive, get_winner, make_params
from tests.contracts.world import Times, World

KINDS = ("reveal", "descend", "prove", "timeout")


@dataclass
class Table:
    """One position with the claims of `ats`: where each goes wrong, 99 for the right one. They enter a second before the close."""

    params: Params
    ats: tuple[int, ...]

    def __post_init__(self) -> None:
        params = self.params
        times = Times(entry_s=1, censorship_s=params.censorship_s, grace_s=params.grace_s)
        self.world = World(height=params.history_height, steps=12, group_bits=params.group_bits, times=times)
        self.who = self.world.evm.create_account()
        epoch = self.world.run_epoch()
        honest = self.world.compute_honest(epoch)
        self.headers = self.world.compute_headers(epoch)
        self.claims = [honest if at == 99 else self.world.compute_lie(honest, at, seed) for seed, at in enumerate(self.ats)]
        self.play = Play(-1)
        for claim in self.claims:
            self.world.enter(claim, self.who)
            self.act(Action("claim"))
        self.close = self.world.get_position(self.world.genesis)["close"]
        self.compare()

    def act(self, action: Action) -> bool:
        """Lets the model act."""
        after = apply(self.play, action, self.params)
        self.play = after or self.play
        return after is not None

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
        """The same action on both; whether it was accepted."""
        took = self.act(action)
        try:
            self.send(action)
        except Reverted:
            assert not took, action
        else:
            assert took, action
        return took

    def send(self, action: Action) -> None:
        world, who = self.world, self.who
        match action.kind:
            case "tick":
                world.evm.advance(1)
                return
            case "promote":
                world.promote(self.claims[action.a])
                return
            case "reopen":
                world.reopen(world.genesis)
                return
        mine, other = self.claims[action.a], self.claims[action.b]
        duel = world.get_duel(mine, other)
        round_, index = duel["round"], duel["index"]
        if round_ == self.params.rounds and action.kind in ("reveal", "descend"):  # the last ones again
            round_, index = round_ - 1, index >> 4
        reveals = [claim.history.get_reveal(round_, index) for claim in (mine, other)]
        match action.kind:
            case "reveal":
                world.reveal(who, mine, other, other.history.get_node(world.height - 4 * round_, index), reveals[0])
            case "descend":
                world.descend(who, mine, other, find_difference(*reveals), [])
            case "prove":
                world.prove(who, mine, other, self.headers)
            case "timeout":
                world.timeout(who, mine, other)

    def compare(self) -> None:
        """All that can be seen."""
        world, play, params = self.world, self.play, self.params
        assert world.evm.timestamp - self.close == play.now
        assert [world.is_alive(claim) for claim in self.claims] == list(get_alive(play, params))
        for claim, round_ in zip(self.claims, play.rounds, strict=True):
            assert round_ in (DEAD, world.get_round(claim))
        position = world.get_position(world.genesis)
        assert position["generation"] == play.is_reopened
        if play.is_reopened:
            assert (position["count"], position["winner"]) == (0, ZERO)
        else:
            winner = get_winner(play, params)
            assert position["winner"] == (ZERO if winner is None else self.claims[winner].id)
        for a in range(len(self.claims)):
            for b in range(len(self.claims)):
                self.compare_duel(a, b)

    def compare_duel(self, a: int, b: int) -> None:
        duel = find_duel(self.play, a, b, self.params)
        if duel is None:
            return
        found = self.world.get_duel(self.claims[a], self.claims[b])
        left = self.params.censorship_s - duel.used_a, self.params.censorship_s - duel.used_b
        assert (found["round"], found["revealed"], (found["left_a"], found["left_b"])) == (duel.round, duel.revealed, left)
        assert found["since"] - self.close == duel.since

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
        evm, play = self.world.evm, self.play
        for action in self.list_actions():
            snapshot, timestamp = evm.take_snapshot(), evm.timestamp
            if self.check(action):
                self.compare()
                self._explore(depth - 1, seen)
            evm.restore(snapshot)
            evm.timestamp = timestamp
            evm.set_time(timestamp)
            self.play = play


@pytest.mark.parametrize(
    ("rounds", "ats"), [(1, (5, 99)), (1, (99, 3, 8)), (1, (5, 5, 99)), (2, (99, 7)), (2, (4, 4, 99)), (1, (9, 99, 5, 5, 7))]
)
def test_short_plays(rounds: int, ats: tuple[int, ...]) -> None:
    """All of them, from the last second of entry."""
    table = Table(make_params(1, rounds, 1, 1), ats)
    assert table.explore(12 if len(ats) < 4 else 6) > 40


@pytest.mark.slow
@pytest.mark.parametrize(("rounds", "ats"), [(1, (5, 99)), (1, (99, 3, 8)), (2, (99, 7)), (1, (5, 5, 99))])
def test_whole_plays(rounds: int, ats: tuple[int, ...]) -> None:
    """To the end, every one."""
    assert Table(make_params(1, rounds, 1, 1), ats).explore(1_000) > 400


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
