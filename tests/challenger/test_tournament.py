"""Crowds of liars against honest challengers, over the rounds of the tournament."""

import random
from collections.abc import Sequence

import pytest

from challenger.board import Status
from challenger.events import PostClaim, Promote, Timeout, WithdrawStake
from challenger.evidence import Alert, AlertCode, Death, Evidence
from challenger.money import Balance, compute_balance
from sim.arena import Garbage, Party, Strategy, Villain, World, find_right, play
from sim.court import encode_address
from sim.villains.forgery import make_forgeries

ALICE, CAROL = 0xA11CE, 0xCA401
TICK_S = 5


class Crowd:
    """Wrong claims, in the order in which they are let in."""

    def __init__(self, seed: int = 0) -> None:
        self.world = World()
        self.villains: list[Villain] = []
        self.forgeries = iter(make_forgeries(self.world.truth, 40, random.Random(seed)))

    def enter(self, strategy: Strategy, *, victims: Sequence[Villain] = ()) -> Villain:
        forgery = next(self.forgeries)
        claim_id = self.world.enter(0xBAD + len(self.villains), forgery)
        return self._add(Villain(self.world, claim_id, forgery, strategy, victims=victims, slack_s=TICK_S))

    def enter_garbage(self) -> Villain:
        garbage = Garbage(self.world.truth, len(self.villains))
        return self._add(Villain(self.world, self.world.enter(0xBAD + len(self.villains), garbage), garbage))

    def _add(self, villain: Villain) -> Villain:
        self.villains.append(villain)
        return villain

    def enter_group(self) -> Villain:
        """Three who let the fourth win; which it does."""
        victims = [self.enter(Strategy.SILENT) for _ in range(3)]
        return self.enter(Strategy.PERFECT, victims=victims)


def play_to_the_end(crowd: Crowd, parties: Sequence[Party]) -> int:
    """Until the right claim is final; how long after the first claim that was."""
    world = crowd.world
    court, params = world.court, world.court.params
    opened = court.get_position(court.genesis).close - params.entry_s
    bound = params.entry_s + court.get_position(court.genesis).rounds * params.tournament_round_s
    while court.now <= opened + bound + TICK_S:
        play(world, parties, crowd.villains, turns=1, tick_s=TICK_S)
        right = find_right(parties)
        if right is not None and court.call("Claims", "is_final", right):
            break
    assert right is not None
    assert court.call("Claims", "is_final", right)
    assert court.now - opened <= bound + TICK_S
    for party in parties:
        party.catch_up()
    return court.now - opened


def check_thrift(party: Party) -> None:
    """Each move once, none in vain, and nobody had to look."""
    assert [send.attempt for send in party.sent if send.attempt] == []
    assert len({send.name for send in party.sent}) == len(party.sent)
    assert party.failures == []
    assert party.get_reports(Alert) == []


def test_crowd__of_every_kind_over_three_rounds__right_claim_is_final_in_time() -> None:
    crowd = Crowd()
    world, court = crowd.world, crowd.world.court
    crowd.enter(Strategy.PERFECT)
    crowd.enter_garbage()
    alice = Party(world, ALICE)
    alice.land()
    crowd.enter(Strategy.LAST_SECOND)
    champion = crowd.enter_group()
    deserter = crowd.enter(Strategy.DESERTER)
    undecided = [deserter, *(crowd.enter(Strategy.SILENT) for _ in range(7))]
    court.set_time(court.get_position(court.genesis).close - 1)
    last = crowd.enter(Strategy.PERFECT)
    assert court.get_position(court.genesis).rounds == 3
    wealth = court.evm.get_balance(encode_address(ALICE))
    play_to_the_end(crowd, [alice])
    owed = compute_balance(alice.state.board, ALICE)
    assert (owed.staked, owed.owed, owed.lost) == (court.params.stake_wei, 0, 0)
    assert owed.due == court.call("Claims", "work", find_right([alice]), encode_address(ALICE)) > 0
    play(world, [alice], turns=6)
    check_thrift(alice)
    assert compute_balance(alice.state.board, ALICE) == Balance(0, 0, 0, 0)
    assert WithdrawStake in [type(send.action) for send in alice.sent]
    assert court.evm.get_balance(encode_address(ALICE)) > wealth + court.params.stake_wei - 10**16
    assert not alice.state.board.get_tips(ALICE)
    rounds = {name: court.call("Claims", "get_claim", claim.claim_id)[6] for name, claim in (("champion", champion), ("last", last))}
    assert rounds == {"champion": 1, "last": 2}
    deaths = {item.claim_id: item.death for item in alice.get_reports(Evidence)}
    assert {claim.claim_id: deaths[claim.claim_id] for claim in undecided} == {claim.claim_id: Death.ROUND for claim in undecided}
    assert {deaths[victim.claim_id] for victim in champion.victims} == {Death.RIVAL}
    assert deaths[champion.claim_id] == deaths[last.claim_id] == deaths[crowd.villains[0].claim_id] == Death.STEP
    assert deaths[crowd.villains[1].claim_id] == Death.CLOCK
    assert len(deaths) == len(crowd.villains)
    sentences = {item.death: item.describe() for item in alice.get_reports(Evidence)}
    assert "left behind" in sentences[Death.ROUND]
    assert "another claim" in sentences[Death.RIVAL]
    assert "nobody answered" in sentences[Death.CLOCK]
    assert len(alice.get_reports(Evidence)) == len(crowd.villains)


def test_right_claim_in_a_group_of_its_own__is_promoted_up_to_the_last_round() -> None:
    crowd = Crowd()
    for _ in range(4):
        crowd.enter(Strategy.SILENT)
    alice = Party(crowd.world, ALICE)
    play_to_the_end(crowd, [alice])
    check_thrift(alice)
    kinds = [type(send.action) for send in alice.sent]
    assert kinds.count(Promote) == 1
    assert Timeout not in kinds
    assert {item.death for item in alice.get_reports(Evidence)} == {Death.ROUND}


def test_two_honest__the_first_is_slow__the_second_steps_in_and_neither_moves_in_vain() -> None:
    crowd = Crowd()
    for strategy in (Strategy.PERFECT, Strategy.LAST_SECOND):
        crowd.enter(strategy)
    slow = Party(crowd.world, ALICE, takes_turns=True, period=8)
    quick = Party(crowd.world, CAROL, takes_turns=True)
    crowd.world.court.advance(crowd.world.court.params.grace_s)
    play(crowd.world, [slow], turns=8)
    slow.catch_up()
    right = find_right([slow])
    assert right is not None
    assert crowd.world.court.call("Claims", "get_claim", right)[4] == encode_address(ALICE)
    play_to_the_end(crowd, [quick, slow])
    claims = [send for party in (slow, quick) for send in party.sent if isinstance(send.action, PostClaim)]
    assert [type(send.action) for send in claims] == [PostClaim]
    assert quick.sent
    assert len({send.name for send in quick.sent}) == len(quick.sent)
    assert quick.failures == []
    assert quick.get_reports(Alert) == []


def test_two_honest__both_awake__each_move_is_sent_once() -> None:
    crowd = Crowd()
    for _ in range(3):
        crowd.enter(Strategy.PERFECT)
    parties = [Party(crowd.world, who, takes_turns=True) for who in (ALICE, CAROL)]
    play(crowd.world, parties, crowd.villains, turns=40)
    play_to_the_end(crowd, parties)
    for party in parties:
        check_thrift(party)
    moves = [send.name for party in parties for send in party.sent if not send.name.startswith(("stake:", "work:"))]
    assert len(set(moves)) == len(moves)


def test_claimant_is_dead__all_rivals_use_up_their_clocks__a_patient_party_still_wins_in_time() -> None:
    crowd = Crowd()
    crowd.world.enter(CAROL, crowd.world.truth)
    for _ in range(3):
        crowd.enter(Strategy.LAST_SECOND)
    crowd.enter_group()
    alice = Party(crowd.world, ALICE, takes_turns=True, confirmations=2, urgent_s=TICK_S)
    play_to_the_end(crowd, [alice])
    check_thrift(alice)
    assert PostClaim not in [type(send.action) for send in alice.sent]


@pytest.mark.parametrize("seed", range(6))
def test_crowd__any_order_and_any_strategies__right_claim_is_final_in_time(seed: int) -> None:
    rng = random.Random(seed)
    crowd = Crowd(seed)
    entries = [*rng.choices(list(Strategy), k=rng.randint(1, 18)), None]
    place = rng.randint(1, len(entries))
    alice = Party(crowd.world, ALICE, takes_turns=rng.random() < 0.5, confirmations=rng.randint(1, 2))
    for number, strategy in enumerate(entries):
        if strategy is None:
            crowd.enter_garbage()
        else:
            group = crowd.villains[number // 4 * 4 :]  # a lie may as well live off its neighbours
            crowd.enter(strategy, victims=rng.sample(group, rng.randint(0, len(group))))
        if number + 1 == place:
            crowd.world.court.advance(crowd.world.court.params.grace_s)
            alice.catch_up()
            crowd.world.court.advance(1)
            alice.catch_up()
            assert alice.land() == 1
    play_to_the_end(crowd, [alice])
    assert alice.get_reports(Alert) == []
    assert len({send.name for send in alice.sent}) == len(alice.sent)


def test_restarts__all_along_a_tournament__a_fresh_party_goes_on_and_wins() -> None:
    crowd = Crowd()
    crowd.enter(Strategy.PERFECT)
    crowd.enter_garbage()
    Party(crowd.world, ALICE).land()
    crowd.enter(Strategy.LAST_SECOND)
    crowd.enter_group()
    court, params = crowd.world.court, crowd.world.court.params
    deadline = court.get_position(court.genesis).close + 2 * params.tournament_round_s
    names: list[str] = []
    while court.now <= deadline:
        alice = Party(crowd.world, ALICE)
        play(crowd.world, [alice], crowd.villains, turns=3, tick_s=TICK_S)
        assert alice.failures == []
        names += [send.name for send in alice.sent if send not in alice.waiting]
        right = find_right([alice])
        if right is not None and court.call("Claims", "is_final", right):
            break
    assert len(set(names)) == len(names)
    assert court.call("Claims", "is_final", find_right([alice]))


@pytest.mark.parametrize(("ahead", "expected"), [(1, {"move", "prove", "finalize"}), (4, {"promote", "finalize"})])
def test_reorg__of_every_kind_of_move_once__is_made_good(ahead: int, expected: set[str]) -> None:
    crowd = Crowd()
    for _ in range(ahead):
        crowd.enter(Strategy.PERFECT)
    alice = Party(crowd.world, ALICE)
    alice.land()
    for _ in range(4 - ahead):
        crowd.enter(Strategy.PERFECT)
    crowd.enter(Strategy.PERFECT)
    alice.catch_up()
    court, right = crowd.world.court, find_right([alice])
    undone: set[str] = set()
    while not court.call("Claims", "is_final", right):
        alice.catch_up()
        point = court.get_point()
        kinds = {send.name.partition(":")[0] for send in alice.waiting} - undone
        play(crowd.world, [alice], crowd.villains, turns=1)
        alice.catch_up()
        if kinds:
            undone |= kinds
            alice.undo(alice.seen - point.blocks)
            court.reorganise(point)
            court.advance(1)
            alice.catch_up()
        court.advance(TICK_S)
        assert court.now <= court.get_position(court.genesis).close + 2 * court.params.tournament_round_s
    assert undone >= expected
    alice.catch_up()
    assert alice.get_reports(Alert) == []
    for claim in alice.state.board.claims.values():
        is_out = claim.status == Status.DEAD
        assert is_out <= (not court.call("Claims", "is_alive", claim.id))


def test_watcher__is_told_that_the_right_claim_must_be_moved_up_and_that_it_was_not() -> None:
    crowd = Crowd()
    for _ in range(4):
        crowd.enter(Strategy.SILENT)
    right = crowd.world.enter(CAROL, crowd.world.truth)
    watcher = Party(crowd.world, None)
    court, params = crowd.world.court, crowd.world.court.params
    close = court.get_position(court.genesis).close
    codes = []
    for now in (close - 1, close, close + params.tournament_round_s, close + 2 * params.tournament_round_s):
        court.set_time(now)
        watcher.catch_up()
        codes.append([alert.code for alert in watcher.get_reports(Alert)])
    first, second, third, fourth = codes
    assert first == []
    assert second == [AlertCode.UNPROMOTED]
    assert third == [*second, AlertCode.STALLED, AlertCode.LEFT_BEHIND] == fourth
    assert not court.call("Claims", "is_alive", right)


def test_watcher__right_claims_group_is_undecided_when_the_round_ends__is_told_before_and_after() -> None:
    crowd = Crowd()
    crowd.enter(Strategy.SILENT)
    crowd.world.enter(CAROL, crowd.world.truth)
    watcher = Party(crowd.world, None)
    court, params = crowd.world.court, crowd.world.court.params
    end = court.get_position(court.genesis).close + params.tournament_round_s
    court.set_time(end - params.grace_s - 1)
    watcher.catch_up()
    assert watcher.get_reports(Alert) == []
    court.set_time(end - params.grace_s)
    watcher.catch_up()
    assert [alert.code for alert in watcher.get_reports(Alert)] == [AlertCode.FALLING_BEHIND]
    court.set_time(end)
    watcher.catch_up()
    assert {alert.code for alert in watcher.get_reports(Alert)} >= {AlertCode.LEFT_BEHIND, AlertCode.STALLED}
