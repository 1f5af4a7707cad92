"""The numbered attacks on the dispute that no other test plays, and the tables of all of them and of what was found elsewhere."""

import ast
import json
from functools import cache, partial
from pathlib import Path

import pytest

from challenger.calls import PROVE_GAS
from challenger.events import PostClaim, Prove
from challenger.evidence import Alert, Evidence, Judgement, Verdict
from contracts import load_artifact
from l1.contracts import StakeWithdrawn
from protocol.keccak import ZERO, keccak
from protocol.params import MAINNET
from protocol.tournament import count_rounds
from sim.arena import VILLAIN, Party, World
from sim.court import encode_address
from sim.evm import Reverted
from sim.villains.attacks import ATTACKS
from sim.villains.checks import Fate, find_faults
from sim.villains.dispute import DISPUTE_VILLAINS
from sim.villains.findings import DISPUTE_FINDINGS, Finding
from sim.villains.findings_elsewhere import OTHER_FINDINGS
from sim.villains.stage import HONEST, Stage, act_late, act_never
from tests.l1.opcodes import find_reachable

ROOT = Path(__file__).parents[2]
STEP = frozenset({Fate.STEP})
FINDINGS = (*DISPUTE_FINDINGS, *OTHER_FINDINGS)
NUMBERS = [str(number) for number in range(1, 13)]


@cache
def list_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_table__every_number__has_its_villains_and_tests() -> None:
    assert [attack.number for attack in ATTACKS] == NUMBERS
    for attack in ATTACKS:
        assert attack.villains, attack.number
        assert attack.tests, attack.number
        assert set(attack.villains) <= DISPUTE_VILLAINS.keys(), attack.number
        for test in attack.tests:
            path, _, name = test.partition("::")
            assert name in list_tests(path), test


def test_findings__names__are_there_once_and_none_is_left_out() -> None:
    """Numbers of the audits that have them, without what is told by a word alone."""
    names = [name for finding in FINDINGS for name in finding.name.split(", ")]
    assert len(names) == len(set(names))
    assert {*(f"OP H-0{n}" for n in range(1, 6)), "OP M-05", "OP M-06", "OP M-08", "OP M-09", "OP M-11"} <= set(names)
    assert {f"Sherlock OP M-{n}" for n in range(1, 5)} <= set(names)
    assert {f"Spearbit 5.{n}" for n in ("1.1", "1.2", "1.3", "1.4", "2.1", "2.2", "2.6", "4.3")} <= set(names)
    assert {
        "BoLD H-01",
        "BoLD H-02",
        "BoLD M-01",
        "ToB-2",
        "ToB-16",
        "ToB-17",
        "ToB-18",
        "ToB-19..21",
        "ToB-26",
        "ToB-28",
        "ToB-32",
    } <= set(names)
    assert {*(f"DRV-0{n}" for n in range(1, 8)), "DRV2-01", "DRV2-02", "DRV3-01", "DRV3-04", "AMV-01", "AMV-02"} <= set(names)
    assert {f"OWASP API{n}" for n in range(1, 11)} <= set(names)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_findings__villains_and_tests__are_there(finding: Finding) -> None:
    assert finding.story
    assert finding.tests
    assert set(finding.villains) <= DISPUTE_VILLAINS.keys()
    for test in finding.tests:
        path, _, name = test.partition("::")
        assert name in list_tests(f"tests/{path}"), test


def test_attack_01__entry__closes_when_the_first_claim_said() -> None:
    """However many enter after it, and whenever: nothing moves the close."""
    stage = Stage(World())
    court = stage.court
    start = court.now
    stage.enter(stage.forge(1), act_never)
    close = court.get_position(court.genesis).close
    assert close == start + stage.params.entry_s
    for seconds in (1, 10, 18):
        court.advance(seconds)
        stage.enter(stage.forge(1), act_never)
        assert court.get_position(court.genesis).close == close


def test_attack_02_03__a_liar_in_every_position__decided_side_by_side_on_one_stake() -> None:
    """Five epochs, each with a liar who plays to its last second: all are final when the last one's round could have ended, not five rounds
    later; the honest party has staked once, and laid out nothing in the end."""
    stage = Stage(World(), claims=True)
    stage.enter(stage.forge(stage.pick_step()), act_late)
    for index in range(1, 5):
        stage.run(until=partial(stage.has_right, index - 1))
        parent = stage.get_right(index - 1)
        epoch = stage.add_epoch()
        stage.enter(stage.forge(stage.pick_step(index), epoch=index), act_late, parent=parent, epoch=epoch.number)
    stage.run(until=partial(stage.has_right, 4))
    last = stage.court.get_position(stage.get_right(3)).close
    stage.run(until=stage.is_final)
    assert stage.court.now <= last + stage.params.tournament_round_s
    stage.run()
    (player,) = stage.players
    assert isinstance(player, Party)
    claims = [send.action for send in player.sent if isinstance(send.action, PostClaim)]
    assert [claim.stake_from == ZERO for claim in claims] == [True] + [False] * 4
    assert find_faults(stage, STEP) == []


def test_attack_07__gas_repriced_by_half__every_step_still_fits_one_transaction() -> None:
    """Nothing that a proof needs may become too dear for L1: EIP-7825 gives a transaction 2**24 gas."""
    gas = json.loads((ROOT / "contracts" / "snapshots" / "gas.json").read_text())
    dearest = max(used for name, used in gas.items() if name.startswith("step: "))
    assert 3 * (dearest + gas["prove, without the step"]) <= 2 * PROVE_GAS
    assert PROVE_GAS == 1 << 24


@pytest.mark.parametrize("name", ["Inbox", "Claims", "Judge", "Vault"])
def test_attack_09__batches__are_calldata_and_no_contract_reads_a_blob(name: str) -> None:
    """A transaction's input is there as long as L1 is; what lies in a blob is gone after 18 days, before the longest tournament ends."""
    blobhash, blobbasefee = 0x49, 0x4A
    assert not {blobhash, blobbasefee} & set(find_reachable(load_artifact(name).bytecode))


def test_attack_09__newcomer_after_the_longest_tournament__judges_and_goes_on() -> None:
    """It needs nothing but L1 and the batches: three rounds later it tells who was right, and plays the next dispute."""
    stage = Stage(World(), claims=True)
    DISPUTE_VILLAINS["kings-of-three-rounds"].act(stage)
    stage.run()
    stage.players.clear()
    newcomer = stage.hire(0xCA401)
    assert isinstance(newcomer, Party)
    judged = [verdict.judgement for verdict in newcomer.get_reports(Verdict)]
    assert (judged.count(Judgement.VALID), judged.count(Judgement.INVALID)) == (1, 19)
    assert not newcomer.get_reports(Alert)
    parent = stage.get_right()
    epoch = stage.add_epoch()
    stage.enter(stage.forge(stage.pick_step(1), epoch=1), act_late, parent=parent, epoch=epoch.number)
    stage.run()
    assert stage.is_final()
    assert len(newcomer.get_reports(Evidence)) == 1


@pytest.mark.parametrize(("sybils", "rounds"), [(31, 1), (32, 2), (1_023, 2), (1_024, 3), (10**6, 4)])
def test_attack_10__a_million_sybils__four_rounds_and_124_duels(sybils: int, rounds: int) -> None:
    """The honest claim meets at most a full group each round, and all of a round's duels run at once."""
    assert count_rounds(sybils + 1, MAINNET) == rounds
    assert rounds * ((1 << MAINNET.group_bits) - 1) <= 124
    assert MAINNET.entry_s + rounds * MAINNET.tournament_round_s <= 37 * 86_400


@pytest.mark.parametrize("name", ["silent", "last-second-mover", "deserter"])
def test_attack_11__one_stake__delays_by_a_round_at_most_and_is_lost(name: str) -> None:
    stage = Stage(World())
    DISPUTE_VILLAINS[name].act(stage)
    close = stage.court.get_position(stage.court.genesis).close
    stage.run(until=stage.is_final)
    assert stage.court.now <= close + stage.params.tournament_round_s
    stage.run()
    assert find_faults(stage, DISPUTE_VILLAINS[name].fates) == []
    assert stage.court.evm.get_balance(encode_address(VILLAIN)) == 10**24 - stage.params.stake_wei
    assert MAINNET.stake_wei == 10 * 10**18


def test_attack_12__liars_alone__never_win_by_being_first() -> None:
    """Three claims, nobody plays: none of them stands, whatever the order; entry begins anew, and the truth may come in then."""
    stage = Stage(World(), claims=True)
    court = stage.court
    liars = [stage.enter(stage.forge(1), act_never) for _ in range(3)]
    court.set_time(court.get_position(court.genesis).close + stage.params.tournament_round_s)
    for liar in liars:
        stage.refuse("not the winner", stage.try_call("finalize", liar.claim_id))
        assert not court.call("Claims", "is_alive", liar.claim_id)
    stage.restart()
    stage.run()
    assert find_faults(stage, frozenset({Fate.BRANCH, Fate.L1})) == []
    assert court.get_position(court.genesis).generation == 1


def test_bold_h02__clock_that_a_liar_used_up__is_not_its_sisters() -> None:
    """Time that ran in one duel is nobody's in another: not the rival's, not a sister's, and not that of a claim below."""
    stage = Stage(World())
    court, params = stage.court, stage.params
    first = stage.enter(stage.forge(stage.truth.steps), act_late)
    second = stage.enter(stage.forge(stage.truth.steps), act_never)
    stage.run(until=stage.has_right)
    right = stage.get_right()
    stage.run(until=lambda: court.call("Claims", "get_duel", first.claim_id, right)[3] < params.censorship_s)
    fresh = court.call("Claims", "get_duel", second.claim_id, first.claim_id)
    close = court.get_position(court.genesis).close
    assert (fresh[2], fresh[3], fresh[4]) == (close, params.censorship_s, params.censorship_s)
    assert court.call("Claims", "get_duel", right, first.claim_id)[3] == params.censorship_s, "nor did the honest side pay for it"
    stage.run()
    assert find_faults(stage, frozenset({Fate.STEP, Fate.CLOCK})) == []


@pytest.mark.parametrize("claim_id", [ZERO, keccak(b"nobody's")])
def test_op_h05__claims_that_are_not_there__pass_no_check(claim_id: bytes) -> None:
    """What was never entered has a close of zero, long ago: it is no winner, not out of time, not stuck and not alone."""
    stage = Stage(World())
    liar = stage.enter(stage.forge(1))
    calls: dict[str, tuple[object, ...]] = {
        "promote": (claim_id,),
        "finalize": (claim_id,),
        "reopen": (claim_id,),
        "timeout": (claim_id, liar.claim_id),
        "prove": (claim_id, liar.claim_id, ZERO, ZERO, b"", []),
        "advance_stake": (claim_id, liar.claim_id),
        "withdraw_stake": (claim_id,),
        "withdraw_work": (claim_id,),
    }
    for function, arguments in calls.items():
        stage.refuse("claims: ", stage.try_call(function, *arguments))
    assert stage.broken == []
    assert not stage.court.call("Claims", "is_alive", claim_id)
    assert stage.court.get_position(claim_id).winner == ZERO


@pytest.mark.parametrize("name", ["kingmakers", "stake-recycler", "griefer", "reopeners"])
def test_op_bonds__after_every_dispute__honest_money_is_out_and_the_rest_is_burned(name: str) -> None:
    """What is left in the contract is exactly the dead stakes less the wages; every stake on a final claim can be taken."""
    villain = DISPUTE_VILLAINS[name]
    stage = Stage(World(), claims=villain.claims)
    villain.act(stage)
    stage.run()
    assert find_faults(stage, villain.fates) == []
    court, board = stage.court, stage.look()
    right = stage.list_right(board)
    out = [event for block in court.blocks for event in block.events if isinstance(event, StakeWithdrawn)]
    for stake, tip in board.tips.items():
        if tip in right:
            court.transact(board.get_owner(stake), "Claims", "withdraw_stake", stake)
        else:
            with pytest.raises(Reverted, match="not final"):
                court.transact(board.get_owner(stake), "Claims", "withdraw_stake", stake)
    dead = sum(tip not in right for tip in board.tips.values())
    assert dead == len({claim.id for claim in stage.list_wrong(board)} & board.tips.keys())
    wages = sum(court.call("Claims", "paid", claim_id) for claim_id in right)
    assert court.evm.get_balance(court.contracts["Claims"].address) == dead * stage.params.stake_wei - wages
    assert all(event.amount == stage.params.stake_wei for event in out)


def test_op_m11__claim_made_before__binds_all_that_it_says() -> None:
    """Whoever makes the honest claim first, or one like it, takes nobody's place: an id is position, epoch, state and history."""
    stage = Stage(World())
    like_it = stage.enter(stage.forge(stage.pick_step(), post_root=stage.truth.post_root))
    right = stage.court.claim(VILLAIN, stage.court.genesis, stage.world.epoch, stage.truth).value
    assert like_it.claim_id != right
    stage.run()
    (player,) = stage.players
    assert isinstance(player, Party)
    kinds = [type(send.action) for send in player.sent]
    assert PostClaim not in kinds
    assert Prove in kinds, "it plays for the claim that is there"
    assert player.me == HONEST
    assert find_faults(stage, STEP) == []
