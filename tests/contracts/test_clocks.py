"""The clocks of a duel against a model of thirty lines, second by second."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.duel import find_difference
from protocol.types import Header
from sim.evm import Reverted
from tests.contracts.world import Claim, Times, World

KINDS = ("reveal", "descend", "descend and reveal")
ACTIONS = [*(f"{name} {kind}" for name in ("honest", "lie") for kind in KINDS), "timeout", "prove"]
SMALL = Times(entry_s=4, censorship_s=5, grace_s=2)


@dataclass
class Model:
    """What docs/dispute.md says, in the order in which it says it. Side 0 is right, side 1 lies."""

    close: int
    rounds: int
    times: Times
    round: int = 0
    since: int = 0
    left: list[int] = field(default_factory=list)
    revealed: list[bool] = field(default_factory=lambda: [False, False])
    alive: list[bool] = field(default_factory=lambda: [True, True])

    def __post_init__(self) -> None:
        self.left = [self.times.censorship_s] * 2
        self.since = self.close

    @property
    def deadline(self) -> int:
        return self.close + 2 * self.times.censorship_s + (self.rounds + 2) * self.times.grace_s

    def is_over(self, now: int) -> bool:
        return not all(self.alive) or now >= self.deadline

    def is_out(self, side: int, now: int) -> bool:
        owes = self.round == 0 or not self.revealed[side]
        return owes and now > max(self.since, self.close) + self.times.grace_s + self.left[side]

    def reveal(self, side: int, now: int) -> bool:
        if self.is_over(now) or self.round in (0, self.rounds) or any(self.revealed) or self.is_out(side, now):
            return False
        self.charge(side, now)
        self.revealed[side] = True
        return True

    def descend(self, side: int, now: int, next_too: bool) -> bool:
        if self.is_over(now) or self.round == self.rounds:
            return False
        if self.round == 0:  # both have revealed, by their claims; the clocks run on
            if next_too and self.rounds > 1 and self.is_out(side, now):
                return False
        else:
            if not self.revealed[1 - side] or self.is_out(side, now):
                return False
            self.charge(side, now)
            self.since = max(self.since, now)
        self.round += 1
        self.revealed = [False, False]
        return not (next_too and self.round < self.rounds) or self.reveal(side, now)

    def charge(self, side: int, now: int) -> None:
        self.left[side] -= max(0, now - max(self.since, self.close) - self.times.grace_s)

    def end(self, now: int, is_proof: bool) -> bool:
        outs = [self.is_out(side, now) for side in (0, 1)]
        if self.is_over(now) or not (any(outs) or (is_proof and self.round == self.rounds)):
            return False
        self.alive = [not out for out in outs] if any(outs) else [True, False]
        return True


def start(height: int, times: Times = SMALL) -> tuple[World, Claim, Claim, str, list[Header], Model]:
    world = World(height=height, times=times)
    epoch = world.run_epoch()
    honest = world.compute_honest(epoch)
    lie = world.compute_lie(honest, 17)
    who = world.evm.create_account()
    world.enter(honest, who)
    world.enter(lie, who)
    model = Model(world.get_position(world.genesis)["close"], height // 4, times)
    return world, honest, lie, who, world.compute_headers(epoch), model


def act(world: World, who: str, mine: Claim, other: Claim, kind: str) -> None:
    """The move itself, whether it is due or not."""
    duel = world.get_duel(mine, other)
    round_, index = duel["round"], duel["index"]
    if kind == "reveal":
        above = world.height - 4 * round_
        nodes = mine.history.get_reveal(round_, index) if above else mine.history.get_reveal(0, 0)
        world.reveal(who, mine, other, other.history.get_node(above, index), nodes)
    elif round_ == 0 or duel["revealed"]:
        world.move(who, mine, other, next_too=kind == "descend and reveal")
    else:  # no reveal to answer, or no round left
        ours, theirs = mine.history.get_reveal(0, 0), other.history.get_reveal(0, 0)
        world.descend(who, mine, other, find_difference(ours, theirs), [])


def attempt(world: World, honest: Claim, lie: Claim, who: str, headers: list[Header], action: str) -> bool:
    try:
        if action == "prove":
            args = b"" if world.get_duel(honest, lie)["round"] < world.height // 4 else None
            world.prove(who, honest, lie, headers, args=args)
        elif action == "timeout":
            world.timeout(who, honest, lie)
        else:
            name, kind = action.split(" ", 1)
            mine, other = (honest, lie) if name == "honest" else (lie, honest)
            act(world, who, mine, other, kind)
    except Reverted:
        return False
    return True


@given(
    st.sampled_from([8, 12]),
    st.lists(st.tuples(st.integers(0, 5) | st.integers(0, 9), st.sampled_from(ACTIONS)), min_size=4, max_size=20),
)
@settings(max_examples=200)
def test_every_call_at_every_second_agrees_with_the_model(height: int, script: list[tuple[int, str]]) -> None:
    world, honest, lie, who, headers, model = start(height)
    assert world.get_start(world.genesis, 1) == model.deadline
    for delay, action in script:
        world.evm.advance(delay)
        now = world.evm.timestamp
        if action in ("timeout", "prove"):
            expected = model.end(now, action == "prove")
        else:
            name, kind = action.split(" ", 1)
            side = ("honest", "lie").index(name)
            expected = model.reveal(side, now) if kind == "reveal" else model.descend(side, now, kind != "descend")
        assert attempt(world, honest, lie, who, headers, action) == expected, (delay, action)
        alive = model.alive if now < model.deadline or sum(model.alive) == 1 else [False, False]  # several left: all behind
        assert [world.is_alive(honest), world.is_alive(lie)] == alive
        duel = world.get_duel(honest, lie)
        assert (duel["round"], duel["left_a"], duel["left_b"]) == (model.round, *model.left)
        assert [duel["is_out_a"], duel["is_out_b"]] == [model.is_out(side, now) for side in (0, 1)]


def test_moves_before_entry_closes_are_free() -> None:
    world, honest, lie, who, headers, model = start(8)
    world.evm.set_time(model.close - 1)
    world.play(honest, lie, who, who)
    duel = world.get_duel(honest, lie)
    assert (duel["left_a"], duel["left_b"], duel["since"]) == (5, 5, model.close)
    world.prove(who, honest, lie, headers)
    # alone, but others may still come
    assert not any(world.get_position(world.genesis)["winner"])
    world.evm.advance(1)
    assert world.get_position(world.genesis)["winner"] == honest.id


@pytest.mark.parametrize("late", [0, 1])
def test_the_last_second_of_a_move(late: int) -> None:
    """At `since + G + left` it is in time; a second later it reverts, and the timeout that reverted before is due."""
    world, honest, lie, who, _, model = start(8)
    world.move(who, honest, lie)
    last = model.close + SMALL.grace_s + SMALL.censorship_s
    world.evm.set_time(last + late)
    if late:
        with pytest.raises(Reverted, match="out of time"):
            world.move(who, lie, honest)
        world.timeout(who, lie, honest)
        assert (world.is_alive(honest), world.is_alive(lie)) == (True, False)
    else:
        with pytest.raises(Reverted, match="nobody is out of time"):
            world.timeout(who, honest, lie)
        world.move(who, lie, honest)
        assert world.get_duel(lie, honest)["left_a"] == 0


def test_completing_round_0_buys_no_time() -> None:
    """Else a liar would complete it at its last second, without revealing, and start the clocks anew."""
    world, honest, lie, who, _, model = start(8)
    last = model.close + SMALL.grace_s + SMALL.censorship_s
    world.evm.set_time(last)
    world.move(who, lie, honest, next_too=False)
    assert world.get_duel(honest, lie)["since"] == model.close
    world.evm.advance(1)
    for mine, other in ((honest, lie), (lie, honest)):
        with pytest.raises(Reverted, match="out of time"):
            world.move(who, mine, other)


def test_both_out_both_die() -> None:
    world, honest, lie, who, _, model = start(8)
    world.evm.set_time(model.close + SMALL.grace_s + SMALL.censorship_s + 1)
    result = world.timeout(who, honest, lie)
    assert not world.is_alive(honest)
    assert not world.is_alive(lie)
    assert result.get_event("PositionReopened")["generation"] == 1


def test_a_proof_after_time_is_decided_by_the_clock() -> None:
    """The proof is due by both; who has used up its clock cannot have it decided by the step any more."""
    world, honest, lie, who, headers, model = start(8)
    world.move(who, lie, honest)
    world.evm.set_time(model.close + SMALL.grace_s + SMALL.censorship_s)
    world.move(who, honest, lie)  # at its last second
    world.evm.advance(SMALL.grace_s)
    snapshot = world.evm.take_snapshot()
    world.prove(who, honest, lie, headers)
    assert (world.is_alive(honest), world.is_alive(lie)) == (True, False)
    world.evm.restore(snapshot)
    world.evm.advance(1)
    duel = world.get_duel(honest, lie)
    assert (duel["is_out_a"], duel["is_out_b"]) == (True, False)
    world.prove(who, honest, lie, headers)
    assert (world.is_alive(honest), world.is_alive(lie)) == (False, True)


@pytest.mark.parametrize("is_censored", [False, True])
def test_the_longest_duel_ends_before_the_deadline(is_censored: bool) -> None:
    """Attack 4: each side spends all its grace in each round and all of its clock once. That is 2C + KG, and 2G before D."""
    times = replace(SMALL, censorship_s=50, grace_s=7)
    world, honest, lie, who, headers, model = start(16, times)
    rounds = model.rounds
    # the liar spends its clock on its first reveal, the honest side its own on the proof
    world.evm.set_time(model.close + times.grace_s)
    world.move(who, honest, lie)
    world.evm.set_time(model.close + times.grace_s + times.censorship_s)
    world.move(who, lie, honest)
    for turn in range(rounds - 2):
        world.evm.advance(times.grace_s)
        world.move(who, *((honest, lie) if turn % 2 == 0 else (lie, honest)))
    assert world.get_duel(honest, lie)["round"] == rounds
    world.evm.advance(times.grace_s)
    if is_censored:
        world.evm.advance(times.censorship_s)
        assert world.evm.timestamp == model.close + 2 * times.censorship_s + rounds * times.grace_s == model.deadline - 2 * times.grace_s
    world.prove(who, honest, lie, headers)
    assert (world.is_alive(honest), world.is_alive(lie)) == (True, False)
    assert world.get_position(world.genesis)["winner"] == honest.id
