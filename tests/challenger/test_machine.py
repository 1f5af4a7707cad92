"""The challenger's machine against the real contracts, block by block."""

import pytest

from challenger.board import Status
from challenger.events import Descend, Finalize, PostClaim, Prove, Reopen, Timeout, WithdrawWork
from challenger.evidence import Alert, AlertCode, Death, Evidence, Judgement, Verdict
from protocol.duel import find_difference
from protocol.keccak import ZERO
from sim.arena import Party, Villain, World, play
from sim.villains.lies import LIES
from tests.contracts.world import Commitment

ALICE, CAROL = 0xA11CE, 0xCA401


def pass_close(world: World) -> None:
    world.court.set_time(max(world.court.now, world.court.get_position(world.court.genesis).close))


def get_winner(world: World) -> bytes:
    winner: bytes = world.court.get_position(world.court.genesis).winner
    return winner


def test_dispute__against_a_lie__plays_to_final_and_collects() -> None:
    world = World()
    wrong = world.lie()
    alice = Party(world, ALICE)
    play(world, [alice], Villain(world, wrong), turns=12)
    assert not world.court.call("Claims", "is_alive", wrong)
    pass_close(world)
    play(world, [alice], turns=6)
    kinds = [type(send.action) for send in alice.sent]
    assert kinds[:5] == [PostClaim, Descend, Descend, Prove, Finalize]
    assert sorted(kind.__name__ for kind in kinds[5:]) == ["WithdrawStake", "WithdrawWork"]
    assert world.court.call("Claims", "is_final", get_winner(world))
    assert len({(send.name, send.attempt) for send in alice.sent}) == len(alice.sent)
    assert all(send.attempt == 0 for send in alice.sent)


@pytest.mark.parametrize("name", LIES)
def test_evidence__of_every_lie__names_step_batch_and_code(name: str) -> None:
    world = World(LIES[name])
    wrong = world.lie()
    alice = Party(world, ALICE)
    play(world, [alice], Villain(world, wrong), turns=12)
    (evidence,) = alice.get_reports(Evidence)
    assert (evidence.claim_id, evidence.epoch, evidence.death) == (wrong, world.epoch, Death.STEP)
    phases = {LIES[name].phase.name} | ({"TAKER"} if LIES[name].phase.name == "MAKER" else set())
    assert evidence.facts.phase in phases
    assert evidence.facts.batch in (0, 1)
    expected = {
        "forged-signature": ("SIGNATURE", 1, None),
        "overfill": ("OVERFILL", 0, None),
        "waived-margin": ("MARGIN", 2, None),
        "overpaid-withdrawal": ("OK", 1, 900_000_000_000),
        "spared-account": ("OK", None, None),
        "forged-mark": ("QUORUM", None, None),
        "invented-deposit": ("AUTHORITY", 0, 77_000_000_000),
    }
    if name in expected:
        code, account, amount = expected[name]
        assert evidence.facts.code == code
        assert account is None or evidence.facts.account == account
        assert amount is None or evidence.facts.amount == amount
    assert '"type": "evidence"' in evidence.to_json()
    assert str(evidence.step) in evidence.describe()


def test_silent_rival__out_of_time__is_timed_out() -> None:
    world = World()
    wrong = world.lie()
    alice = Party(world, ALICE)
    play(world, [alice], turns=5)
    p = world.court.params
    world.court.set_time(world.court.get_position(world.court.genesis).close + p.grace_s + p.censorship_s)
    play(world, [alice], turns=1, tick_s=0)
    assert world.court.call("Claims", "is_alive", wrong)
    world.court.advance(1)
    play(world, [alice], turns=6)
    assert Timeout in [type(send.action) for send in alice.sent]
    assert not world.court.call("Claims", "is_alive", wrong)
    assert world.court.call("Claims", "is_final", get_winner(world))
    (evidence,) = alice.get_reports(Evidence)
    assert (evidence.death, evidence.step) == (Death.CLOCK, None)


def test_two_honest__one_claims__the_other_joins_and_nobody_errs() -> None:
    world = World()
    wrong = world.lie()
    alice, carol = Party(world, ALICE), Party(world, CAROL)
    play(world, [alice, carol], Villain(world, wrong), turns=14)
    assert not world.court.call("Claims", "is_alive", wrong)
    pass_close(world)
    play(world, [alice, carol], turns=6)
    assert world.court.get_position(world.court.genesis).count == 2
    assert world.court.call("Claims", "is_final", get_winner(world))
    assert not alice.get_reports(Alert)
    assert not carol.get_reports(Alert)


def test_right_claim_there__newcomer__plays_for_it_without_a_stake() -> None:
    world = World()
    wrong = world.lie()
    right = world.court.claim(CAROL, world.court.genesis, world.epoch, world.truth).value
    alice = Party(world, ALICE)
    play(world, [alice], Villain(world, wrong), turns=12)
    pass_close(world)
    play(world, [alice], turns=6)
    assert PostClaim not in [type(send.action) for send in alice.sent]
    assert world.court.call("Claims", "is_final", right)
    assert WithdrawWork in [type(send.action) for send in alice.sent]


def test_right_root_with_wrong_history__is_a_wrong_claim() -> None:
    world = World()
    world.false.machine.header = world.truth.machine.header
    court = world.court
    alice = Party(world, None)
    other = World(LIES["misinflated-frame"])
    # the same root, another trace: L1 takes it since its last leaf is the right halted header
    leaves = [world.truth.get_leaf(i) for i in range(world.truth.steps + 1)]
    leaves[5] = other.false.get_leaf(7)
    forged = Forged(leaves, world)
    wrong = court.transact(0xBAD, "Claims", "claim", court.genesis, world.epoch, *forged.args, ZERO, value=court.params.stake_wei).value
    alice.catch_up()
    (verdict,) = alice.get_reports(Verdict)
    assert (verdict.claim_id, verdict.judgement) == (wrong, Judgement.INVALID)
    assert "history" in verdict.reason
    (alert,) = alice.get_reports(Alert)
    assert alert.code == AlertCode.UNCONTESTED


@pytest.mark.parametrize("place", ["first", "beyond the halt"])
def test_divergence__at_the_edges__is_proven(place: str) -> None:
    world = World()
    court = world.court
    leaves = [world.truth.get_leaf(i) for i in range(world.truth.steps + 1)]
    if place == "first":
        leaves[0] = world.false.get_leaf(world.false.steps)
    else:
        leaves += [leaves[-1]] * 7 + [leaves[3]] * 5 + [leaves[-1]]
    forged = Forged(leaves, world)
    wrong = court.transact(0xBAD, "Claims", "claim", court.genesis, world.epoch, *forged.args, ZERO, value=court.params.stake_wei).value
    alice = Party(world, ALICE)
    for _ in range(14):
        play(world, [alice], turns=1)
        right = next((c.id for c in alice.state.board.claims.values() if c.history == world.truth.root), None)
        if right is not None and court.call("Claims", "is_alive", wrong):
            forged.answer(wrong, right)
    assert not court.call("Claims", "is_alive", wrong)
    assert court.call("Claims", "is_alive", right)
    (evidence,) = alice.get_reports(Evidence)
    assert evidence.step == (0 if place == "first" else world.truth.steps + 8)


class Forged:
    """A history of any leaves at all."""

    def __init__(self, leaves: list[bytes], world: World, post_root: bytes | None = None) -> None:
        self.world = world
        self.tree = Commitment(leaves, world.court.params.history_height)
        last = (1 << self.tree.height) - 1
        root = post_root or world.truth.machine.header.state
        self.args = (root, self.tree.root, self.tree.get_reveal(0, 0), self.tree.prove_leaf(last))

    def answer(self, mine: bytes, other: bytes) -> None:
        court = self.world.court
        round_, index, _, _, _, revealed, *_ = court.call("Claims", "get_duel", mine, other)
        if round_ == court.params.rounds or revealed == 1:
            return
        nodes = self.tree.get_reveal(round_, index)
        height = court.params.history_height - 4 * round_
        if revealed == 0:
            court.transact(0xBAD, "Claims", "reveal", mine, other, self.world.truth.get_node(height, index), nodes)
            return
        difference = find_difference(nodes, self.world.truth.get_reveal(height, index))
        following = self.tree.get_reveal(round_ + 1, 16 * index + difference.place) if round_ + 1 < court.params.rounds else []
        court.transact(0xBAD, "Claims", "descend", mine, other, tuple(difference), following)


def test_restart__after_every_block__proposes_what_the_first_would() -> None:
    world = World()
    wrong = world.lie()
    villain = Villain(world, wrong)
    for turn in range(10):
        first = Party(world, ALICE)
        second = Party(world, ALICE)
        assert [(s.name, s.action) for s in first.sent] == [(s.name, s.action) for s in second.sent], turn
        assert len(first.sent) <= 1
        play(world, [first], villain, turns=1)
    assert not world.court.call("Claims", "is_alive", wrong)


def test_confirmations__young_block__is_answered_when_it_is_deep_or_time_is_short() -> None:
    world = World()
    world.lie()
    alice = Party(world, ALICE, confirmations=3)
    assert not alice.sent
    world.court.advance(1)
    alice.catch_up()
    assert not alice.sent
    world.court.advance(1)
    alice.catch_up()
    assert [type(send.action) for send in alice.sent] == [PostClaim]
    hasty = Party(world, CAROL, confirmations=1_000, urgent_s=20)
    assert not hasty.sent
    world.court.set_time(world.court.get_position(world.court.genesis).close - 20)
    hasty.catch_up()
    assert [type(send.action) for send in hasty.sent] == [PostClaim]


def test_reorg__undone_and_seen_again__acts_anew_only_when_the_first_is_over() -> None:
    world = World()
    world.lie()
    alice = Party(world, ALICE)
    assert [type(send.action) for send in alice.sent] == [PostClaim]
    alice.undo(2)
    alice.catch_up()
    assert len(alice.sent) == 1
    alice.land()
    alice.catch_up()
    assert [type(send.action) for send in alice.sent] == [PostClaim, Descend]
    alice.undo(1)
    position = alice.state.board.get_position(world.court.genesis)
    assert position is not None
    assert len(position.claims) == 1
    alice.catch_up()
    assert [type(send.action) for send in alice.sent] == [PostClaim, Descend]


def test_watch_only__wrong_claim__is_told_and_nothing_sent() -> None:
    world = World()
    wrong = world.lie()
    watcher = Party(world, None)
    assert not watcher.sent
    (verdict,) = watcher.get_reports(Verdict)
    assert (verdict.claim_id, verdict.judgement) == (wrong, Judgement.INVALID)
    assert [alert.code for alert in watcher.get_reports(Alert)] == [AlertCode.UNCONTESTED]
    pass_close(world)
    watcher.catch_up()
    assert [alert.code for alert in watcher.get_reports(Alert)] == [AlertCode.UNCONTESTED, AlertCode.SHUT_OUT]
    world.court.transact(0xBAD, "Claims", "finalize", wrong)
    watcher.catch_up()
    assert AlertCode.WRONG_FINAL in [alert.code for alert in watcher.get_reports(Alert)]


def test_nobody_claims__claims_if_told_to_and_keeps_its_stake_moving() -> None:
    world = World()
    watcher = Party(world, ALICE)
    assert not watcher.sent
    alice = Party(world, CAROL, claim_if_missing=True, claim_delay_s=3)
    assert not alice.sent
    world.court.advance(3)
    play(world, [alice], turns=2)
    assert [type(send.action) for send in alice.sent] == [PostClaim]
    world.scribe.clock = world.court.now
    world.scribe.cancel(0)
    world.post([world.scribe.close_batch()])
    world.court.advance(3)
    play(world, [alice], turns=3)
    first, second = (send.action for send in alice.sent)
    assert isinstance(first, PostClaim)
    assert isinstance(second, PostClaim)
    assert (first.stake_from, second.parent) == (ZERO, second.stake_from)
    world.court.advance(world.court.params.entry_s)
    play(world, [alice], turns=5)
    assert [type(send.action) for send in alice.sent[2:]] == [Finalize, Finalize]
    assert not watcher.sent


def test_stuck_position__deadline_passes__is_reopened_and_claimed_again() -> None:
    world = World()
    wrong = world.lie()
    right = world.court.claim(CAROL, world.court.genesis, world.epoch, world.truth).value
    position = world.court.get_position(world.court.genesis)
    world.court.set_time(position.close + world.court.params.tournament_round_s)
    alice = Party(world, ALICE, claim_if_missing=True)
    play(world, [alice], turns=4)
    assert [type(send.action) for send in alice.sent][:2] == [Reopen, PostClaim]
    again = world.court.get_position(world.court.genesis)
    assert (again.generation, again.count) == (1, 1)
    verdicts = {item.claim_id: item.judgement for item in alice.get_reports(Verdict)}
    assert (verdicts[right], verdicts[wrong]) == (Judgement.VALID, Judgement.INVALID)  # what is dead may have been right
    assert {alert.code for alert in alice.get_reports(Alert)} <= {AlertCode.STALLED, AlertCode.LEFT_BEHIND}
    for claim in alice.state.board.claims.values():
        if claim.id != alice.state.board.genesis:
            assert (claim.status == Status.DEAD) == (not world.court.call("Claims", "is_alive", claim.id))


def test_data_unavailable__wrong_claim_or_not__nothing_is_sent() -> None:
    world = World()
    world.lie()
    batches, world.batches = world.batches, {}
    alice = Party(world, ALICE)
    verdicts = alice.get_reports(Verdict)
    assert [(item.epoch, item.judgement) for item in verdicts] == [(world.epoch, Judgement.UNAVAILABLE)]
    assert not alice.sent
    world.batches = batches
    alice.retry()
    assert [type(send.action) for send in alice.sent] == [PostClaim]
    assert alice.get_reports(Verdict)[-1].judgement == Judgement.INVALID


def test_two_liars__one_step__is_proven_once_and_cited_after() -> None:
    world = World()
    first = world.lie()
    leaves = [world.false.get_leaf(i) for i in range(world.false.steps + 1)]
    forged = Forged([*leaves, leaves[3], leaves[-1]], world, world.false.machine.header.state)
    court = world.court
    second = court.transact(0xBAD, "Claims", "claim", court.genesis, world.epoch, *forged.args, ZERO, value=court.params.stake_wei).value
    alice = Party(world, ALICE)
    villain = Villain(world, first)
    for _ in range(20):
        play(world, [alice], villain, turns=1)
        right = next((c.id for c in alice.state.board.claims.values() if c.history == world.truth.root), None)
        if right is not None and court.call("Claims", "is_alive", second) and not court.call("Claims", "is_alive", first):
            forged.answer(second, right)
    proofs = [send.action for send in alice.sent if isinstance(send.action, Prove)]
    assert not court.call("Claims", "is_alive", first)
    assert not court.call("Claims", "is_alive", second)
    assert [len(proof.arguments) == 32 for proof in proofs] == [False, True]
    assert len({item.claim_id for item in alice.get_reports(Evidence)}) == 2
    pass_close(world)
    play(world, [alice], turns=6)
    assert court.call("Claims", "is_final", get_winner(world))


def test_many_epochs__final_and_paid__are_forgotten() -> None:
    world = World()
    alice = Party(world, ALICE, claim_if_missing=True)
    for _ in range(4):
        play(world, [alice], turns=2)
        world.scribe.clock = world.court.now
        world.scribe.cancel(0)
        world.post([world.scribe.close_batch()])
    play(world, [alice], turns=60)
    assert sum(isinstance(send.action, PostClaim) for send in alice.sent) == 5
    assert sum(isinstance(send.action, Finalize) for send in alice.sent) == 5
    assert alice.state.base is not None
    assert len(alice.forgotten) == 4
    late = Party(world, CAROL)
    assert late.state.base == alice.state.base
    assert len(late.forgotten) == 4
    assert len(late.get_reports(Verdict)) == 5
    assert all(isinstance(send.action, PostClaim) and send.action.stake_from != ZERO for send in alice.sent[1:2])


def test_catch_up__old_dispute__is_judged_without_being_fought_again() -> None:
    world = World()
    wrong = world.lie()
    alice = Party(world, ALICE)
    play(world, [alice], Villain(world, wrong), turns=12)
    pass_close(world)
    play(world, [alice], turns=6)
    late = Party(world, CAROL, claim_if_missing=True)
    assert not late.sent
    assert {item.judgement for item in late.get_reports(Verdict)} == {Judgement.VALID, Judgement.INVALID}
    assert not late.get_reports(Evidence)
    assert not late.get_reports(Alert)
