"""Villains of the dispute are caught as they must be; and the checks notice whoever lets them get away, or errs against them."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from challenger.events import PostClaim
from l1.contracts import WorkPaid
from protocol.keccak import ZERO
from sim.arena import VILLAIN, Party, World
from sim.court import GAS_PRICE, encode_address
from sim.villains.catalogue import CATALOGUE, run_villains, select_villains
from sim.villains.checks import SLACK_GAS, Fate, compute_gain, find_faults, list_fates
from sim.villains.dispute import DISPUTE_VILLAINS
from sim.villains.dispute.money import FREELOADER
from sim.villains.dispute.moves import THIEF
from sim.villains.page import PAGE, render
from sim.villains.stage import HONEST, Stage, act_never
from sim.villains.trial import run_trial

SECOND = 0xCA401  # another honest party
STEP, CLOCK, RIVAL, ROUND, BRANCH = Fate.STEP, Fate.CLOCK, Fate.RIVAL, Fate.ROUND, Fate.BRANCH


@pytest.mark.parametrize("name", DISPUTE_VILLAINS)
def test_villain__tried__is_caught(name: str, seed: int) -> None:
    verdict = run_trial(DISPUTE_VILLAINS[name], seed=seed)
    assert verdict.caught, verdict.faults


@pytest.mark.slow
@pytest.mark.parametrize("name", DISPUTE_VILLAINS)
def test_villain__tried_with_many_seeds__is_caught(name: str) -> None:
    for seed in range(2, 22):
        verdict = run_trial(DISPUTE_VILLAINS[name], seed=seed)
        assert verdict.caught, (seed, verdict.faults)


@pytest.mark.parametrize(
    ("name", "fates"),
    [
        ("late-sybils", 3 * [STEP] + 3 * [ROUND]),  # the first group is the honest claim's own
        ("builder-on-a-lie", [STEP, BRANCH, BRANCH]),
        ("stake-recycler", [STEP, BRANCH]),
        ("fratricide", [RIVAL, STEP]),
        ("group-stuffers", 3 * [STEP] + 8 * [ROUND]),
        ("idle-groups", 3 * [CLOCK] + 4 * [ROUND]),
        ("kingmakers", 3 * [STEP] + 3 * [STEP, RIVAL, RIVAL, RIVAL]),  # a king and its group
        ("kings-of-three-rounds", 3 * [STEP] + 4 * [STEP, RIVAL, RIVAL, RIVAL]),
        ("closed-doors", [STEP, RIVAL, RIVAL, RIVAL]),
        ("reopeners", 6 * [RIVAL] + [STEP]),
    ],
)
def test_villain_of_many_claims__each__meets_its_own_fate(name: str, fates: list[Fate], seed: int) -> None:
    villain = DISPUTE_VILLAINS[name]
    stage = Stage(World(), claims=villain.claims, seed=seed)
    villain.act(stage)
    stage.run()
    assert list_fates(stage) == fates


def test_catalogue__names__are_unique_and_told() -> None:
    villains = select_villains(None)
    assert len(villains) == sum(map(len, CATALOGUE.values()))
    assert len(villains) >= 40
    assert all(villain.story.endswith(".") for villain in villains)
    assert all(villain.source and villain.answer and villain.fates for villain in DISPUTE_VILLAINS.values())


def test_page__is_what_the_catalogue_says() -> None:
    assert PAGE.read_text() == render(), "run python -m sim.villains.page"


def play_with_two(name: str, **options: Any) -> list[str]:
    """The faults."""
    villain = DISPUTE_VILLAINS[name]
    stage = Stage(World(), partial(Party, takes_turns=True), claims=villain.claims, **options)
    stage.hire(SECOND)
    villain.act(stage)
    stage.run()
    return find_faults(stage, villain.fates)


@pytest.mark.parametrize("name", ["perfect-player", "last-second-mover", "kingmakers", "mutual-killers", "undead", "second-truth"])
def test_two_honest_parties__take_turns__and_nothing_is_done_twice_or_in_vain(name: str) -> None:
    assert play_with_two(name) == []


@pytest.mark.slow
@pytest.mark.parametrize("slow", [None, HONEST, SECOND])
@pytest.mark.parametrize("name", DISPUTE_VILLAINS)
def test_two_honest_parties__one_is_slow__villain_is_caught(name: str, slow: int | None) -> None:
    assert play_with_two(name, periods={slow: 8} if slow else {}) == []


def test_stage__slow_party__acts_only_when_it_is_its_turn() -> None:
    stage = Stage(World(), periods={HONEST: 8})
    stage.enter(stage.forge(1), act_never)
    for turn in range(1, 9):
        stage.step()
        assert stage.has_right() == (turn == 8)


def test_stage__reorganisation__board_forgets_what_did_not_stay() -> None:
    stage = Stage(World())
    point = stage.court.get_point()
    stage.enter(stage.forge(1))
    assert len(stage.list_wrong(stage.look())) == 1
    stage.reorganise(point)
    stage.court.advance(1)
    assert stage.list_wrong(stage.look()) == []


class Lazy(Party):
    """Sees everything and sends nothing."""

    def land(self) -> int:
        return 0


class Deserter(Party):
    """Claims the truth, and does not stand up for it."""

    def land(self) -> int:
        self.waiting = [send for send in self.waiting if isinstance(send.action, PostClaim)]
        return super().land()


@pytest.mark.parametrize(
    ("hire", "name", "fault"),
    [
        (Lazy, "perfect-player", "is not final"),
        (Lazy, "silent", "is alive"),
        (Deserter, "last-second-mover", "a right claim died"),
        (Deserter, "last-second-mover", "an honest stake is lost"),
        (Deserter, "silent", "beaten by"),
    ],
)
def test_checks__challenger_that_fails__is_told_at_what(hire: type[Party], name: str, fault: str) -> None:
    verdict = run_trial(DISPUTE_VILLAINS[name], hire=hire)
    assert not verdict.caught
    assert any(fault in item for item in verdict.faults), verdict.faults


def play(hire: Any = Party) -> Stage:
    stage = Stage(World(), hire)
    stage.enter(stage.forge(stage.pick_step()))
    stage.run()
    return stage


def test_checks__honest_transaction_that_reverts_or_repeats__is_told() -> None:
    stage = play()
    fates = frozenset({Fate.STEP})
    assert find_faults(stage, fates) == []
    stage.hire(SECOND)
    stage.court.receipts += [replace(receipt, sender=SECOND) for receipt in stage.court.receipts if receipt.function == "Claims.prove"]
    stage.refuse("decided already", stage.try_call("timeout", stage.get_right(), stage.liars[0].claim_id, who=HONEST))
    faults = find_faults(stage, fates | {Fate.L1})
    assert any("did a thing twice" in fault for fault in faults)
    assert any("an honest transaction failed" in fault for fault in faults)


def test_checks__honest_moves_for_the_wrong_claim__are_told() -> None:
    stage = Stage(World())
    liar = stage.enter(stage.forge(1), act_never)
    stage.run(until=stage.has_right)
    stage.censors = lambda: True
    stage.court.move(HONEST, liar.claim_id, liar.commitment, stage.get_right(), stage.truth)
    stage.censors = lambda: False
    stage.may_fail = True
    stage.run()
    assert any("moved for a wrong claim" in fault for fault in find_faults(stage, frozenset({Fate.STEP, Fate.CLOCK})))


def give(stage: Stage, who: int, gas: int) -> None:
    """As much at the price of the court that this is all it has gained."""
    wei = gas * GAS_PRICE - compute_gain(stage, stage.look(), who)
    address = encode_address(who)
    stage.court.evm.set_balance(address, stage.court.evm.get_balance(address) + wei)


@pytest.mark.parametrize(
    ("name", "who", "gas"),
    [
        ("silent", VILLAIN, 1),
        ("front-runner-of-moves", THIEF, 1),
        ("front-runner-of-the-proof", THIEF, 1),
        ("freeloader", FREELOADER, 1),  # whose claim had no rival
        ("front-runner-of-the-claim", THIEF, SLACK_GAS + 1),
        ("accomplice", FREELOADER, 200_000),  # half of the pay for its moves, and that slack
    ],
)
def test_checks__villain_that_gains__is_told(name: str, who: int, gas: int) -> None:
    villain = DISPUTE_VILLAINS[name]
    stage = Stage(World())
    villain.act(stage)
    stage.run()
    assert find_faults(stage, villain.fates) == []
    give(stage, who, gas)
    assert find_faults(stage, villain.fates) == [f"the villain {who:#x} gained {gas * GAS_PRICE} wei"]


def test_checks__honest_that_pays_for_a_dispute__is_told() -> None:
    stage = play()
    give(stage, HONEST, -1)
    assert find_faults(stage, frozenset({Fate.STEP})) == [f"the honest paid {GAS_PRICE} wei"]


def test_checks__honest_that_is_paid_nothing_while_gas_is_dear__is_told() -> None:
    """What is lost may be what gas costs above the price of wages, and not the wages."""
    villain = DISPUTE_VILLAINS["fee-spike"]
    stage = Stage(World())
    villain.act(stage)
    stage.run()
    assert find_faults(stage, villain.fates) == []
    events = [event for block in stage.court.blocks for event in block.events]
    wages = sum(event.amount for event in events if isinstance(event, WorkPaid) and event.worker == HONEST)
    gain = compute_gain(stage, stage.look(), HONEST)
    assert gain < -50 * wages  # it was dear
    give(stage, HONEST, (gain - wages) // GAS_PRICE)
    assert any("the honest paid" in fault for fault in find_faults(stage, villain.fates))


def test_checks__wrong_claim_that_wins__is_told_with_its_stake() -> None:
    stage = Stage(World(), Lazy)
    liar = stage.enter(stage.forge(1))
    stage.court.set_time(stage.court.get_position(stage.court.genesis).close)
    stage.court.transact(VILLAIN, "Claims", "finalize", liar.claim_id)
    faults = find_faults(stage, frozenset({Fate.ROUND}))  # which takes the stake out
    assert f"a wrong claim of epoch {stage.world.epoch} is final" in faults
    assert "a stake that entered with a wrong claim was paid back" in faults


def test_checks__honest_claim_that_is_wrong__is_told() -> None:
    stage = Stage(World())
    stage.enter(stage.forge(1), who=HONEST)
    stage.run()
    assert "an honest party claimed what is wrong" in find_faults(stage, frozenset({Fate.STEP}))


def test_fate__proof_of_somebody_who_is_out_of_time__is_the_clocks() -> None:
    stage = Stage(World())
    liar = stage.enter(stage.forge(1), act_never)
    stage.run(until=stage.has_right)
    stage.step()  # the honest reveal
    params, court = stage.params, stage.court
    court.set_time(court.get_position(court.genesis).close + params.grace_s + params.censorship_s + 1)
    court.transact(THIEF, "Claims", "prove", stage.get_right(), liar.claim_id, ZERO, ZERO, b"", [])
    stage.run()
    assert find_faults(stage, frozenset({Fate.CLOCK})) == []


def test_checks__what_l1_should_have_refused__is_told() -> None:
    stage = play()
    stage.refuse("claims: ", lambda: None)
    stage.refuse("another reason", stage.try_call("finalize", stage.get_right()))
    assert len(stage.broken) == 2
    assert find_faults(stage, frozenset({Fate.STEP, Fate.L1}))[:2] == stage.broken


def test_run_villains__one_of_the_dispute__is_tried(tmp_path: Any) -> None:
    assert run_villains("dispute", "silent", tmp_path) == 0
    with pytest.raises(KeyError):
        run_villains("dispute", "minted-root", tmp_path)
