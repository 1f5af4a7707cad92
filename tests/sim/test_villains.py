"""Villains of the dispute are caught as they must be; and the checks notice whoever lets them get away, or errs against them."""

from functools import partial
from typing import Any

import pytest

from challenger.events import PostClaim
from sim.arena import Party, World
from sim.villains.catalogue import CATALOGUE, run_villains, select_villains
from sim.villains.checks import Fate, find_faults
from sim.villains.dispute import DISPUTE_VILLAINS
from sim.villains.page import PAGE, render
from sim.villains.stage import HONEST, Stage, act_never
from sim.villains.trial import run_trial


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


def test_catalogue__names__are_unique_and_told() -> None:
    villains = select_villains(None)
    assert len(villains) == sum(map(len, CATALOGUE.values()))
    assert len(villains) >= 40
    assert all(villain.story.endswith(".") for villain in villains)
    assert all(villain.source and villain.answer and villain.fates for villain in DISPUTE_VILLAINS.values())


def test_page__is_what_the_catalogue_says() -> None:
    assert PAGE.read_text() == render(), "run python -m sim.villains.page"


@pytest.mark.parametrize("name", ["perfect-player", "last-second-mover", "kingmakers", "mutual-killers", "undead", "second-truth"])
def test_two_honest_parties__take_turns__and_nothing_is_done_twice_or_in_vain(name: str) -> None:
    villain = DISPUTE_VILLAINS[name]
    stage = Stage(World(), partial(Party, takes_turns=True))
    stage.hire(0xCA401)
    villain.act(stage)
    stage.run()
    assert find_faults(stage, villain.fates) == []


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
        (Lazy, "silent", "a wrong claim"),
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
    stage.court.receipts += [receipt for receipt in stage.court.receipts if receipt.function == "Claims.prove"]
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


def test_checks__villain_that_gains__is_told() -> None:
    stage = play()
    stage.court.evm.set_balance("0x" + (0xBAD).to_bytes(20, "big").hex(), 2 * 10**24)
    faults = find_faults(stage, frozenset({Fate.STEP}))
    assert any("villains gained together" in fault for fault in faults)


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
