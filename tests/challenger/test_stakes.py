"""A stake that was left behind, since somebody else made the next right claim: when it follows, and when another is paid."""

from typing import Any

from challenger.events import AdvanceStake, Finalize, PostClaim, WithdrawStake, WithdrawWork
from protocol.history import History
from protocol.keccak import ZERO
from protocol.trace import Machine
from sim.arena import VILLAIN, Party, World, play
from tests.contracts.world import Commitment

ALICE, CAROL, DAVE = 0xA11CE, 0xCA401, 0xDA7E


class Branch:
    """Alice's claim about the first epoch, Carol's right one about the second."""

    def __init__(self) -> None:
        self.world = world = World()
        self.first = world.court.claim(ALICE, world.court.genesis, world.epoch, world.truth).value
        number, history = self.add_epoch(world.truth)
        self.second = world.court.claim(CAROL, self.first, number, history).value
        self.second_history = history
        self.third: tuple[int, History] | None = None

    def add_epoch(self, before: History) -> tuple[int, History]:
        """An epoch in which little happens, and its truth."""
        world = self.world
        world.scribe.clock = world.court.now
        world.scribe.cancel(0)
        batch = world.scribe.close_batch()
        number = world.post([batch])
        return number, History(Machine(before.machine.state.copy(), [batch], world.court.rules))

    def lie_about_the_third(self, seed: int = 0) -> bytes:
        """The right end by a wrong way; its id."""
        court = self.world.court
        if self.third is None:
            self.third = self.add_epoch(self.second_history)
        number, truth = self.third
        leaves = [truth.get_leaf(i) for i in range(truth.steps + 1)]
        tree = Commitment([leaves[0], bytes([seed]) * 32, *leaves[2:]], court.params.history_height)
        body = truth.machine.header.state, tree.root, tree.get_reveal(0, 0), tree.prove_leaf((1 << tree.height) - 1)
        wrong: bytes = court.transact(VILLAIN, "Claims", "claim", self.second, number, *body, ZERO, value=court.params.stake_wei).value
        return wrong


def get_actions(party: Party) -> list[Any]:
    return [send.action for send in party.sent]


def get_claims(party: Party) -> list[PostClaim]:
    return [action for action in get_actions(party) if isinstance(action, PostClaim)]


def test_stake_behind__of_one_who_claims_every_epoch__follows_at_once() -> None:
    b = Branch()
    alice = Party(b.world, ALICE, claim_if_missing=True)
    assert get_actions(alice) == [AdvanceStake(b.first, b.second)]
    play(b.world, [alice], turns=3)
    assert b.world.court.call("Claims", "stakes", b.first)[1] == b.second
    b.add_epoch(b.second_history)
    play(b.world, [alice], turns=3)
    (_, claim) = get_actions(alice)
    assert isinstance(claim, PostClaim)
    assert (claim.parent, claim.stake_from) == (b.second, b.first)
    assert len(alice.state.board.tips) == 2


def test_stake_behind__next_epoch_is_missing__claim_waits_for_it() -> None:
    b = Branch()
    b.add_epoch(b.second_history)
    alice = Party(b.world, ALICE, claim_if_missing=True)
    assert get_actions(alice) == [AdvanceStake(b.first, b.second)]
    play(b.world, [alice], turns=3)
    (_, claim) = get_actions(alice)
    assert isinstance(claim, PostClaim)
    assert claim.stake_from == b.first


def test_stake_two_behind__goes_claim_by_claim() -> None:
    b = Branch()
    number, history = b.add_epoch(b.second_history)
    third = b.world.court.claim(CAROL, b.second, number, history, b.second).value
    alice = Party(b.world, ALICE, claim_if_missing=True)
    play(b.world, [alice], turns=4)
    assert get_actions(alice)[:2] == [AdvanceStake(b.first, b.second), AdvanceStake(b.first, third)]
    carol = Party(b.world, CAROL, claim_if_missing=True)
    assert not any(isinstance(action, AdvanceStake) for action in get_actions(carol))


def test_stake_behind__of_one_who_only_contests__follows_when_it_is_needed() -> None:
    b = Branch()
    alice = Party(b.world, ALICE)
    assert not alice.sent
    wrong = b.lie_about_the_third()
    play(b.world, [alice], turns=3)
    advance, claim = get_actions(alice)[:2]
    assert advance == AdvanceStake(b.first, b.second)
    assert isinstance(claim, PostClaim)
    assert (claim.parent, claim.stake_from) == (b.second, b.first)
    assert wrong in alice.state.board.claims


def test_stake_behind__entry_ends_soon__a_new_one_is_paid() -> None:
    """A claim in time is worth more than a stake."""
    b = Branch()
    b.lie_about_the_third()
    half = b.world.court.params.entry_s >> 1
    b.world.court.set_time(b.world.court.get_position(b.second).close - half - 1)
    early = Party(b.world, ALICE)
    assert AdvanceStake(b.first, b.second) in get_actions(early)
    assert not get_claims(early)
    b.world.court.advance(1)
    late = Party(b.world, ALICE)
    assert [claim.stake_from for claim in get_claims(late)] == [ZERO]
    play(b.world, [late], turns=3)
    assert b.world.court.get_position(b.second).count == 2
    assert len(late.state.board.tips) == 4


def test_stake_behind__many_enter__the_claim_still_waits_for_its_stake() -> None:
    """There is room for any number of claims: a crowd of rivals is no reason to pay twice."""
    b = Branch()
    for count in range(1 << 2 * b.world.court.params.group_bits):
        b.lie_about_the_third(count)
    alice = Party(b.world, ALICE)
    assert get_actions(alice) == [AdvanceStake(b.first, b.second)]
    play(b.world, [alice], turns=3)
    assert [claim.stake_from for claim in get_claims(alice)] == [b.first]


def test_stake_that_can_be_taken__is_taken_and_a_new_one_is_paid() -> None:
    b = Branch()
    court = b.world.court
    court.set_time(court.get_position(court.genesis).close)
    court.transact(CAROL, "Claims", "finalize", b.first)
    b.lie_about_the_third()
    alice = Party(b.world, ALICE)
    kinds = [type(action) for action in get_actions(alice)]
    assert AdvanceStake not in kinds
    assert WithdrawStake in kinds
    assert [claim.stake_from for claim in get_claims(alice)] == [ZERO]


def test_reorg__claim_undone__its_stake_goes_with_it() -> None:
    b = Branch()
    alice = Party(b.world, ALICE)
    assert alice.state.board.get_owner(b.second) == CAROL
    while b.second in alice.state.board.claims:
        alice.undo(1)
    assert set(alice.state.board.tips) == {b.first}
    assert alice.state.board.get_owner(b.first) == ALICE
    alice.catch_up()
    assert set(alice.state.board.tips) == {b.first, b.second}


def test_work_on_a_claim__parent_that_nobody_makes_final__is_made_final_first() -> None:
    """Whoever played for another's claim is paid when all before it are final, and those are nobody's business if not its own."""
    b = Branch()
    court = b.world.court
    number, history = b.add_epoch(b.second_history)
    b.third = number, history
    court.claim(CAROL, b.second, number, history, b.second)
    b.lie_about_the_third()
    dave = Party(b.world, DAVE)
    court.set_time(court.get_position(b.second).close)
    for _ in range(600):
        dave.catch_up()
        dave.land()
        court.advance(5)
    assert not dave.state.board.get_tips(DAVE)
    finals = [send.action.claim_id for send in dave.sent if isinstance(send.action, Finalize)]
    assert finals[:2] == [b.first, b.second]
    assert [type(send.action) for send in dave.sent][-1] is WithdrawWork
