"""What the challenger expects of its transactions, against the committed figures and against what the contracts take and pay."""

import json

import pytest

from challenger.costs import GAS, MAX_GAS_PRICE, TIP
from challenger.events import Descend, Finalize, PostClaim, Prove, Send, WithdrawStake, WithdrawWork
from l1.contracts import WorkCredited
from protocol.params import DEVNET
from sim.arena import Party, Villain, World, play
from sim.court import encode_address
from sim.villains.lies import LIES
from tests.conftest import ROOT

ALICE, CAROL, GWEI = 0xA11CE, 0xCA401, 10**9
SNAPSHOT = json.loads((ROOT / "contracts" / "snapshots" / "gas.json").read_text())


def set_base_fee(world: World, wei: int) -> None:
    """From the next block on; and what everybody pays is a tip more."""
    world.court.evm.basefee_wei, world.court.gas_price = wei, wei + TIP
    world.court.advance(1)


def make_dispute(name: str = "overfill", base_fee: int = GWEI) -> tuple[World, Villain]:
    world = World(LIES[name], DEVNET)
    set_base_fee(world, base_fee)
    return world, Villain(world, world.lie())


def win(world: World, villain: Villain, party: Party) -> None:
    """All but the end of the entry window."""
    play(world, [party], villain, turns=20)
    assert not world.court.call("Claims", "is_alive", villain.claim_id)


def finish(world: World, party: Party) -> None:
    world.court.set_time(world.court.get_position(world.court.genesis).close)
    play(world, [party], turns=8)


def list_credits(world: World, party: Party) -> list[tuple[Send, list[int]]]:
    """What each of its transactions was credited, in wei."""
    receipts = [receipt for receipt in world.court.receipts if receipt.sender == party.me]
    found = [
        [event.amount for event in world.court.blocks[receipt.block].events if isinstance(event, WorkCredited)] for receipt in receipts
    ]
    return list(zip(party.sent, found, strict=True))


def test_gas__of_every_call__is_what_was_measured() -> None:
    for name, gas in GAS.items():
        assert gas == pytest.approx(SNAPSHOT[name], rel=0.02), name
    for number in range(4, 7):
        assert GAS["descend 3"] == pytest.approx(SNAPSHOT[f"descend {number}"], rel=0.02)


def test_gain__of_the_claimant__is_near_what_it_is_credited() -> None:
    world, villain = make_dispute()
    alice = Party(world, ALICE)
    win(world, villain, alice)
    finish(world, alice)
    found = list_credits(world, alice)
    moves = [(send, amounts) for send, amounts in found if isinstance(send.action, Descend | Prove)]
    assert {type(send.action) for send, _ in moves} == {Descend, Prove}
    for send, (credit,) in moves:
        assert send.estimate.cost < min(credit, send.estimate.gain)  # half on top
        assert send.estimate.gain == pytest.approx(credit, rel=0.35)
    claim = next(send for send, _ in found if isinstance(send.action, PostClaim))
    wage, credit = next(amounts for send, amounts in found if isinstance(send.action, Finalize))
    assert claim.estimate.gain == pytest.approx(wage, rel=0.35)
    assert claim.estimate.gain > claim.estimate.cost
    assert credit > 0


def test_gain__of_a_stranger__is_below_its_cost() -> None:
    world, villain = make_dispute()
    world.court.claim(CAROL, world.court.genesis, world.epoch, world.truth)
    alice = Party(world, ALICE)
    win(world, villain, alice)
    moves = [(send, amounts) for send, amounts in list_credits(world, alice) if isinstance(send.action, Descend | Prove)]
    assert moves
    for send, (credit,) in moves:
        assert send.estimate.gain < send.estimate.cost
        assert send.estimate.gain == pytest.approx(credit, rel=0.35)


def test_gain__of_what_nobody_pays_back__is_none() -> None:
    """A claim that nobody contests, and making it final. A stake taken out is the stake."""
    world = World()
    set_base_fee(world, GWEI)
    alice = Party(world, ALICE, claim_if_missing=True)
    play(world, [alice], turns=2)
    finish(world, alice)
    leaver = Party(world, ALICE)
    assert [(type(send.action), send.estimate.gain) for send in alice.sent] == [(PostClaim, 0), (Finalize, 0)]
    (leave,) = leaver.sent
    assert isinstance(leave.action, WithdrawStake)
    assert leave.estimate.gain == world.court.params.stake_wei
    assert all(send.estimate.cost == send.estimate.gas * (GWEI + TIP) > 0 for send in alice.sent)


@pytest.mark.parametrize(("percent", "is_taken"), [(90, True), (110, False)])
def test_wages__around_the_gas_of_taking_them__are_taken_or_stay(percent: int, is_taken: bool) -> None:
    world, villain = make_dispute()
    alice = Party(world, ALICE)
    win(world, villain, alice)
    world.court.set_time(world.court.get_position(world.court.genesis).close)
    while not any(isinstance(send.action, Finalize) for send in alice.sent):
        alice.catch_up()
        world.court.advance(1)
    assert alice.land() == 1
    finalize = alice.sent[-1].action
    assert isinstance(finalize, Finalize)
    wage = world.court.call("Claims", "work", finalize.claim_id, encode_address(ALICE))
    set_base_fee(world, wage * percent // 100 // SNAPSHOT["withdraw_work"] - TIP)
    play(world, [alice], turns=8)
    assert any(isinstance(send.action, WithdrawWork) for send in alice.sent) == is_taken
    assert any(isinstance(send.action, WithdrawStake) for send in alice.sent)
    set_base_fee(world, GWEI)
    play(world, [alice], turns=8)
    assert [type(send.action) for send in alice.sent].count(WithdrawWork) == 1  # what stayed is taken when gas is cheap again


def test_moves__each_costs_more_than_it_brings__are_made_all_the_same() -> None:
    world, villain = make_dispute(base_fee=10 * MAX_GAS_PRICE)
    alice = Party(world, ALICE)
    win(world, villain, alice)
    finish(world, alice)
    moves = [send for send in alice.sent if not isinstance(send.action, WithdrawStake)]
    assert {PostClaim, Descend, Prove, Finalize} == {type(send.action) for send in moves}
    assert all(send.estimate.gain < send.estimate.cost for send in moves)
