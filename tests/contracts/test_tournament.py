"""Rounds of groups: who moves up, who is left behind, who wins, and what a position is worth when nobody does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from protocol.keccak import ZERO
from protocol.types import Header
from sim.evm import Result, Reverted
from tests.contracts.world import Times, World

TIMES = Times(entry_s=600, censorship_s=30, grace_s=5)
TURN_GAS = 205  # of the loop that counts rounds


class Crowd:
    """`count` claims of one position, the honest one at seed `honest` if there is one; the others are wrong from leaf `ats` on."""

    def __init__(self, count: int, honest: int = 0, group_bits: int = 5, ats: Sequence[int] = ()) -> None:
        self.world = World(group_bits=group_bits, times=TIMES)
        self.who = self.world.evm.create_account()
        epoch = self.world.run_epoch()
        self.honest = self.world.compute_honest(epoch)
        self.headers: list[Header] = self.world.compute_headers(epoch)
        lies = [self.world.compute_lie(self.honest, ats[i] if ats else 17 + i % 100, i) for i in range(count)]
        self.claims = [self.honest if i == honest else lies[i] for i in range(count)]
        for claim in self.claims:
            self.world.enter(claim, self.who)
        self.position = self.world.genesis

    def start(self, round_: int, late: int = 0) -> None:
        """To the start of a round of the tournament, or so many seconds after it."""
        self.world.evm.set_time(self.world.get_start(self.world.genesis, round_) + late)

    def kill(self, loser: int, winner: int) -> Result:
        """By the step if the winner's is right there, played out at once."""
        a, b = self.claims[winner], self.claims[loser]
        self.world.play(a, b, self.who, self.who)
        return self.world.prove(self.who, a, b, self.headers)

    def outlast(self, loser: int, winner: int) -> Result:
        """By the clock: the winner reveals, and time passes."""
        a, b = self.claims[winner], self.claims[loser]
        self.world.move(self.who, a, b)
        self.world.evm.advance(TIMES.grace_s + TIMES.censorship_s + 1)
        return self.world.timeout(self.who, a, b)

    def get_rounds(self) -> list[int]:
        return [self.world.get_round(claim) for claim in self.claims]

    def get_alive(self) -> list[int]:
        return [i for i, claim in enumerate(self.claims) if self.world.is_alive(claim)]

    def get_winner(self) -> bytes:
        winner: bytes = self.world.get_position(self.world.genesis)["winner"]
        return winner


def test_33_claims_stand_in_two_groups_and_the_last_one_is_pushed_up() -> None:
    """Nobody stands against it, so somebody has to say so; its duel with the first group's winner is the last."""
    crowd = Crowd(33, honest=5)
    world, honest, last = crowd.world, crowd.honest, crowd.claims[32]
    assert world.get_position(world.genesis)["rounds"] == 2
    assert world.get_group(world.genesis, 0, 0)[0] == 32
    assert world.get_group(world.genesis, 0, 1) == (1, last.id)
    with pytest.raises(Reverted, match="not alone in its round"):  # others may still come
        world.promote(last)
    crowd.start(0)
    for claim in (honest, crowd.claims[31]):
        with pytest.raises(Reverted, match="not alone in its round"):
            world.promote(claim)
    event = world.promote(last).get_event("ClaimPromoted")
    assert event == {"claim_id": last.id, "position": world.genesis, "round": 1}
    with pytest.raises(Reverted, match="not alone in its round"):
        world.promote(last)
    assert crowd.get_winner() == ZERO  # alone there, but round 0 is not over
    for i in range(32):
        if i != 5:
            result = crowd.kill(i, 5)
    assert result.get_event("ClaimPromoted") == {"claim_id": honest.id, "position": world.genesis, "round": 1}
    assert (world.get_round(honest), world.get_round(last)) == (1, 1)
    assert world.get_group(world.genesis, 1, 0)[0] == 2
    assert crowd.get_alive() == [5, 32]
    result = crowd.kill(32, 5)  # before its round begins
    assert not [event for event in result.events if event.name == "ClaimWon"]
    assert crowd.get_winner() == ZERO
    with pytest.raises(Reverted, match="not the winner"):
        world.finalize(honest)
    crowd.start(1)
    assert crowd.get_winner() == honest.id
    world.finalize(honest)
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)


def test_claims_of_two_groups_do_not_duel() -> None:
    crowd = Crowd(3, group_bits=1)
    world = crowd.world
    for claim in (crowd.claims[0], crowd.claims[1]):
        with pytest.raises(Reverted, match="not of one group"):
            world.move(crowd.who, claim, crowd.claims[2])
        with pytest.raises(Reverted, match="not of one group"):
            world.timeout(crowd.who, claim, crowd.claims[2])
    crowd.start(0)
    world.promote(crowd.claims[2])
    with pytest.raises(Reverted, match="no such duel"):  # not of one round
        world.move(crowd.who, crowd.claims[0], crowd.claims[2])
    crowd.kill(1, 0)
    world.move(crowd.who, crowd.claims[0], crowd.claims[2])


def test_promote_too_early_and_too_late() -> None:
    """Within its round, to the second; whoever misses it is left behind, wins nothing and backs nothing."""
    crowd = Crowd(3, group_bits=1)
    world, alone = crowd.world, crowd.claims[2]
    close = world.get_start(world.genesis, 0)
    world.evm.set_time(close - 1)
    with pytest.raises(Reverted, match="not alone in its round"):
        world.promote(alone)
    world.evm.set_time(close)
    snapshot = world.evm.take_snapshot()
    world.promote(alone)
    world.evm.restore(snapshot)
    crowd.start(1, -1)
    snapshot = world.evm.take_snapshot()
    world.promote(alone)
    world.evm.restore(snapshot)
    assert world.is_alive(alone)
    crowd.start(1)
    assert not world.is_alive(alone)
    with pytest.raises(Reverted, match="not alone in its round"):
        world.promote(alone)
    with pytest.raises(Reverted, match="not the winner"):
        world.finalize(alone)
    child = world.compute_honest(world.run_epoch(), alone.id, alone.post_root)
    with pytest.raises(Reverted, match="no live parent"):
        world.enter(child, crowd.who)
    with pytest.raises(Reverted, match="no live parent"):
        world.enter(child, crowd.who, alone.id)


def test_a_stake_does_not_follow_what_was_left_behind() -> None:
    crowd = Crowd(1)
    world = crowd.world
    epoch = world.run_epoch()
    honest = crowd.honest
    rivals = [world.compute_lie(world.compute_honest(epoch, honest.id, honest.post_root), 9, seed) for seed in range(2)]
    mallory = world.evm.create_account()
    for rival in rivals:
        world.enter(rival, mallory)
    world.evm.set_time(world.get_start(honest.id, 1) - 1)
    snapshot = world.evm.take_snapshot()
    world.evm.transact(crowd.who, world.claims, "advance_stake", honest.id, rivals[0].id)
    world.evm.restore(snapshot)
    world.evm.set_time(world.get_start(honest.id, 1))
    for rival in rivals:
        with pytest.raises(Reverted, match="no live child"):
            world.evm.transact(crowd.who, world.claims, "advance_stake", honest.id, rival.id)


def test_a_full_group_that_is_stuck_sends_nobody() -> None:
    """32 that do nothing are left behind; the 33rd wins without a duel."""
    crowd = Crowd(33, honest=32)
    world = crowd.world
    crowd.start(0)
    world.promote(crowd.honest)
    crowd.start(1, -1)
    assert crowd.get_winner() == ZERO
    world.evm.advance(1)
    assert crowd.get_alive() == [32]
    assert crowd.get_winner() == crowd.honest.id
    a, b = crowd.claims[:2]
    for action in (world.move, world.timeout):
        with pytest.raises(Reverted, match="deadline has passed"):
            action(crowd.who, a, b)
    with pytest.raises(Reverted, match="not the winner"):
        world.finalize(crowd.claims[0])
    world.finalize(crowd.honest)


def test_both_die_and_a_third_rises() -> None:
    """The call that leaves one alone pushes it up, though it stood in another duel."""
    crowd = Crowd(5, honest=2, group_bits=2, ats=[40, 40, 99, 50, 60])
    crowd.start(0)
    crowd.kill(3, 2)
    result = crowd.kill(1, 0)
    assert [event.name for event in result.events if event.name == "ClaimDied"] == ["ClaimDied"] * 2
    assert result.get_event("ClaimPromoted")["claim_id"] == crowd.honest.id
    assert not [event for event in result.events if event.name == "WorkCredited"]
    assert crowd.get_rounds() == [0, 0, 1, 0, 0]
    assert crowd.get_alive() == [2, 4]


def test_early_deaths_neither_push_up_nor_reopen() -> None:
    """Before entry closes the group may still grow, and so may the number of rounds."""
    crowd = Crowd(3, honest=2, group_bits=1, ats=[40, 40, 0])
    world = crowd.world
    result = crowd.kill(1, 0)
    names = {event.name for event in result.events}
    assert "ClaimDied" in names
    assert not names & {"PositionReopened", "ClaimPromoted", "ClaimWon"}
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)
    late = world.compute_lie(crowd.honest, 3, 99)
    world.enter(late, crowd.who)  # with the honest one: seed 3
    crowd.claims.append(late)
    crowd.start(0)
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)
    assert crowd.kill(3, 2).get_event("ClaimPromoted")["claim_id"] == crowd.honest.id
    assert crowd.get_winner() == ZERO
    crowd.start(1)
    assert crowd.get_winner() == crowd.honest.id


def test_alone_by_early_deaths_still_has_to_be_pushed_up() -> None:
    crowd = Crowd(3, group_bits=1)
    world = crowd.world
    crowd.kill(1, 0)
    assert world.get_round(crowd.honest) == 0
    with pytest.raises(Reverted, match="not alone in its round"):
        world.promote(crowd.honest)
    crowd.start(0)
    world.promote(crowd.honest)
    assert world.get_round(crowd.honest) == 1


def test_a_position_whose_only_claims_die_early_reopens_when_entry_closes() -> None:
    crowd = Crowd(2, honest=9, ats=[40, 40])
    world = crowd.world
    crowd.kill(1, 0)
    crowd.start(0, -1)
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)
    crowd.start(0)
    world.reopen(world.genesis)


def test_the_clocks_of_a_later_round_run_from_its_start() -> None:
    """Both got there early and play early: that is free. Nobody is out before the round has begun."""
    crowd = Crowd(4, group_bits=1, ats=[0, 30, 40, 50])
    world, a, b = crowd.world, crowd.claims[0], crowd.claims[3]
    crowd.start(0)
    crowd.kill(1, 0)
    crowd.kill(2, 3)
    assert crowd.get_rounds() == [1, 0, 0, 1]
    start = world.get_start(world.genesis, 1)
    assert world.get_duel(a, b)["since"] == start
    crowd.start(1, -1)
    world.move(crowd.who, a, b)
    assert (world.get_duel(a, b)["since"], world.get_duel(a, b)["left_a"]) == (start, TIMES.censorship_s)
    world.evm.set_time(start + TIMES.grace_s + TIMES.censorship_s)
    with pytest.raises(Reverted, match="nobody is out"):
        world.timeout(crowd.who, a, b)
    world.evm.advance(1)
    result = world.timeout(crowd.who, a, b)
    assert result.get_event("ClaimWon")["claim_id"] == a.id
    assert crowd.get_winner() == a.id


def test_the_last_round_ends_too() -> None:
    """Two that never act in it are left behind, and only then may others come."""
    crowd = Crowd(3, honest=0, group_bits=1)
    world = crowd.world
    crowd.start(0)
    world.promote(crowd.claims[2])
    crowd.kill(1, 0)
    crowd.start(2, -1)
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)
    assert crowd.get_alive() == [0, 2]
    crowd.start(2)
    assert crowd.get_alive() == []
    assert world.reopen(world.genesis).get_event("PositionReopened") == {"parent": world.genesis, "generation": 1}
    again = replace(crowd.honest, id=ZERO)
    world.enter(again, crowd.who)
    position = world.get_position(world.genesis)
    assert (position["close"], position["count"], position["generation"]) == (world.evm.timestamp + TIMES.entry_s, 1, 1)
    assert again.id != crowd.honest.id
    assert (world.get_round(again), world.is_alive(again)) == (0, True)
    for old in crowd.claims:
        with pytest.raises(Reverted, match="not alone in its round"):
            world.promote(old)
        with pytest.raises(Reverted, match="no such duel"):
            world.move(crowd.who, again, old)
    rival = world.compute_lie(crowd.honest, 17, 0)  # the same lie as before
    rival.id = ZERO
    world.enter(rival, crowd.who)
    world.play(again, rival, crowd.who, crowd.who)
    world.prove(crowd.who, again, rival, crowd.headers)
    world.evm.set_time(position["close"])
    world.finalize(again)
    assert not any(world.is_alive(old) for old in crowd.claims)


def test_nobody_gets_to_the_last_round_and_the_position_reopens_by_itself() -> None:
    """All stand still in round 0: from its end on anybody may reopen, and no call comes before that one."""
    crowd = Crowd(4, group_bits=1)
    world = crowd.world
    crowd.start(1, -1)
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)
    world.evm.advance(1)
    assert crowd.get_alive() == []
    world.reopen(world.genesis)
    with pytest.raises(Reverted, match="not stuck"):  # the new one is empty
        world.reopen(world.genesis)


def test_both_out_in_the_last_round_reopen_by_that_call() -> None:
    crowd = Crowd(3, group_bits=1)
    world = crowd.world
    crowd.start(0)
    world.promote(crowd.claims[2])
    crowd.kill(1, 0)
    crowd.start(1, TIMES.grace_s + TIMES.censorship_s + 1)
    result = world.timeout(crowd.who, crowd.claims[0], crowd.claims[2])
    assert result.get_event("PositionReopened")["generation"] == 1
    assert crowd.get_alive() == []


def test_a_dead_claims_group_is_no_way_up() -> None:
    """It stays listed in the group that it won, where nobody stands any more."""
    crowd = Crowd(4, group_bits=1, ats=[0, 30, 40, 50])
    world = crowd.world
    crowd.start(0)
    crowd.kill(2, 3)
    crowd.kill(1, 0)
    crowd.kill(3, 0)  # in round 1, while round 0 still runs
    for claim in crowd.claims[1:]:
        with pytest.raises(Reverted, match="not alone in its round"):
            world.promote(claim)
    crowd.start(1)
    assert crowd.get_winner() == crowd.honest.id


def test_a_group_of_32_is_won_within_its_round_by_the_clock_alone() -> None:
    """All 31 duels of the honest claim run at once."""
    crowd = Crowd(33, honest=0)
    world = crowd.world
    crowd.start(0)
    for lie in crowd.claims[1:32]:
        world.move(crowd.who, crowd.honest, lie)
    world.evm.advance(TIMES.grace_s + TIMES.censorship_s + 1)
    for lie in crowd.claims[1:32]:
        result = world.timeout(crowd.who, crowd.honest, lie)
    assert result.get_event("ClaimPromoted")["claim_id"] == crowd.honest.id


def test_children_of_a_pending_claim_become_final_after_it_only() -> None:
    """Two tournaments in parallel, one below the other; the child's ends first."""
    crowd = Crowd(3, group_bits=1)
    world = crowd.world
    epoch = world.run_epoch()
    child = world.compute_honest(epoch, crowd.honest.id, crowd.honest.post_root)
    world.enter(child, crowd.who, crowd.honest.id)
    crowd.start(0)
    crowd.kill(1, 0)
    world.promote(crowd.claims[2])
    world.evm.set_time(world.get_start(crowd.honest.id, 0))
    assert world.get_position(crowd.honest.id)["winner"] == child.id
    with pytest.raises(Reverted, match="parent is not final"):
        world.finalize(child)
    crowd.start(1)
    crowd.kill(2, 0)
    with pytest.raises(Reverted, match="parent is not final"):
        world.finalize(child)
    world.finalize(crowd.honest)
    world.finalize(child)
    assert not world.is_alive(crowd.claims[2])


@pytest.mark.parametrize(("count", "rounds"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4)])
def test_rounds_until_one_group_holds_all(count: int, rounds: int) -> None:
    crowd = Crowd(count, group_bits=1)
    assert crowd.world.get_position(crowd.world.genesis)["rounds"] == rounds


class Meter(Crowd):
    """A crowd in groups of two. The honest claim is the first of its group; every call's gas without its transaction and calldata."""

    def __init__(self, count: int, honest: int) -> None:
        self.gas: dict[str, int] = {}
        super().__init__(count, honest, group_bits=1, ats=[17] * count)
        self.measure(honest)

    def count_gas(self, result: Result, function: str, *args: object) -> int:
        data = self.world.claims.encode(function, *args)
        return result.gas_used - 21_000 - sum(4 if byte == 0 else 16 for byte in data)

    def measure(self, seed: int) -> None:
        """Each call where it is first due: one more claim, the honest one against its rival, and those of the group before."""
        world, who, honest, rival = self.world, self.who, self.honest, self.claims[seed + 1]
        snapshot = world.evm.take_snapshot()
        late = world.compute_lie(honest, 17, 10**6)
        self.gas["claim"] = self.count_gas(world.enter(late, who), "claim", *late.args, ZERO)
        world.evm.restore(snapshot)
        world.play(honest, rival, who, who)
        leaves = honest.history.get_node(0, 17), rival.history.get_node(0, 17)
        args = honest.id, rival.id, *leaves, world.compute_args(self.headers[16]), honest.history.prove_leaf(16)
        self.gas["prove"] = self.count_gas(world.prove(who, honest, rival, self.headers), "prove", *args)
        self.start(0)
        self.gas["promote"] = self.count_gas(world.promote(honest), "promote", honest.id)
        snapshot = world.evm.take_snapshot()
        self.gas["timeout"] = self.count_gas(
            self.outlast(seed - 1, seed - 2), "timeout", self.claims[seed - 2].id, self.claims[seed - 1].id
        )
        world.evm.restore(snapshot)

    def finish(self) -> None:
        """Nobody else moves: the honest claim is pushed up to the last round, and wins it by being there."""
        rounds = self.world.get_position(self.world.genesis)["rounds"]
        for round_ in range(1, rounds):
            self.world.evm.set_time(max(self.world.evm.timestamp, self.world.get_start(self.world.genesis, round_)))
            if round_ < rounds - 1:
                self.world.promote(self.honest)
        self.gas["finalize"] = self.count_gas(self.world.finalize(self.honest), "finalize", self.honest.id)


def test_gas__third_or_99th_claim_of_a_position__is_the_same() -> None:
    """No call goes through an array that others can make longer. What grows is the number of rounds, with the logarithm: the loop that
    counts them takes four more turns here, and a call counts them three times at most. A look at every claim would be 94 more reads
    of 100 gas at least. Nothing is cold for one crowd and warm for the other: each call is the first there of its kind."""
    few, many = Meter(6, 2), Meter(100, 98)
    for crowd in (few, many):
        crowd.finish()
    more_rounds = 7 - 3
    assert few.gas["claim"] == many.gas["claim"]
    for call, gas in few.gas.items():
        assert 0 <= many.gas[call] - gas <= 3 * more_rounds * TURN_GAS < 94 * 100 // 2, call


def test_times_without_a_grace_are_refused() -> None:
    """D would be exactly what an honest claim may need."""
    with pytest.raises(Reverted, match="bad times"):
        World(times=replace(TIMES, grace_s=0))
