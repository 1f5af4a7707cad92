"""A claimant that is a contract: its stake and its wages are its own, whatever its key, its code or its caller does."""

from typing import Any

import pytest

from protocol.keccak import ZERO
from sim.evm import Result, Reverted
from tests.contracts.world import GAS_PRICE, Claim, World, deploy_toy


class Wallet:
    """Of a contract in this folder, which passes on what its key sends it. It has claimed the truth, and so has nobody else."""

    def __init__(self, name: str) -> None:
        self.world = World()
        self.key, self.mallory, self.worker = (self.world.evm.create_account() for _ in range(3))
        self.contract = deploy_toy(self.world.evm, self.world.deployer, name)
        self.honest = self.world.compute_honest(self.world.run_epoch())
        self.child_epoch = self.world.run_epoch()
        self.do("claim", *self.honest.args, ZERO, value=self.world.stake_wei)
        self.honest.id = self.world.evm.call(self.world.claims, "get_group", self.world.genesis, 0, 0)[1]

    def do(self, function: str, *args: Any, value: int = 0) -> Result:
        data = self.world.claims.encode(function, *args)
        return self.world.evm.transact(
            self.key, self.contract, "forward", self.world.claims.address, data, value=value, gas_price=GAS_PRICE
        )

    def act(self, who: str, function: str, *args: Any) -> Result:
        return self.world.evm.transact(who, self.world.claims, function, *args, gas_price=GAS_PRICE)

    def get_balance(self) -> int:
        return self.world.evm.get_balance(self.contract.address)

    def get_work(self) -> int:
        return int(self.world.evm.call(self.world.claims, "work", self.honest.id, self.contract.address))

    def win(self) -> None:
        """A rival is refuted by a stranger, the wallet makes its claim final."""
        lie = self.world.compute_lie(self.honest, 17)
        self.world.enter(lie, self.mallory)
        self.world.play(self.honest, lie, self.worker, self.mallory)
        self.world.prove(self.worker, self.honest, lie, self.world.compute_headers(self.honest.epoch))
        self.world.pass_close(self.world.genesis)
        self.do("finalize", self.honest.id)

    def make_child(self) -> Claim:
        return self.world.compute_honest(self.child_epoch, self.honest.id, self.honest.post_root)


def test_wallet__its_own_key_beside_it__does_not_move_its_stake() -> None:
    """Who sends the transaction is not who calls: a page that the key visits could else have it moved."""
    wallet = Wallet("Forwarder")
    world = wallet.world
    child = wallet.make_child()
    for who in (wallet.key, wallet.mallory, world.deployer, world.sequencer):
        with pytest.raises(Reverted, match="not your stake"):
            world.enter(child, who, wallet.honest.id)
    world.enter(child, wallet.mallory)
    for who in (wallet.key, wallet.mallory, world.deployer, world.sequencer):
        with pytest.raises(Reverted, match="not your stake"):
            wallet.act(who, "advance_stake", wallet.honest.id, child.id)
    wallet.do("advance_stake", wallet.honest.id, child.id)
    assert world.evm.call(world.claims, "stakes", wallet.honest.id) == (wallet.contract.address, child.id)


@pytest.mark.parametrize("caller", ["key", "mallory", "worker"])
def test_wallet__anybody_asks_for_its_stake__it_is_paid_to_the_wallet(caller: str) -> None:
    wallet = Wallet("Forwarder")
    world = wallet.world
    wallet.win()
    wallet.world.evm.transact(wallet.key, wallet.contract, "set_accepts", True)
    who = getattr(wallet, caller)
    before = world.evm.get_balance(who)
    wallet.act(who, "withdraw_stake", wallet.honest.id)
    assert (wallet.get_balance(), world.evm.get_balance(who)) == (world.stake_wei, before)
    with pytest.raises(Reverted, match="no such stake"):
        wallet.act(who, "withdraw_stake", wallet.honest.id)


@pytest.mark.parametrize("caller", ["key", "mallory"])
def test_wallet__its_wages__are_for_its_own_call_alone(caller: str) -> None:
    wallet = Wallet("Forwarder")
    wallet.win()
    owed = wallet.get_work()
    assert owed > 0
    with pytest.raises(Reverted, match="no work to pay"):
        wallet.act(getattr(wallet, caller), "withdraw_work", wallet.honest.id)
    wallet.world.evm.transact(wallet.key, wallet.contract, "set_accepts", True)
    wallet.do("withdraw_work", wallet.honest.id)
    assert (wallet.get_balance(), wallet.get_work()) == (owed, 0)


@pytest.mark.parametrize("name", ["Forwarder", "Reenter"])
def test_wallet__that_refuses_or_calls_back__holds_up_nobody_else(name: str) -> None:
    """A stranger's wages, and the stake of another claim on the same branch, are paid before it, between and after."""
    wallet = Wallet(name)
    world, evm = wallet.world, wallet.world.evm
    wallet.win()
    child = wallet.make_child()
    world.enter(child, wallet.mallory)
    world.pass_close(wallet.honest.id)
    world.finalize(child)
    owed = int(evm.call(world.claims, "work", wallet.honest.id, wallet.worker))
    if name == "Forwarder":  # takes nothing: all is undone, and still owed
        for function in ("withdraw_stake", "withdraw_work"):
            with pytest.raises(Reverted):
                wallet.do(function, wallet.honest.id)
        assert (wallet.get_balance(), wallet.get_work() > 0) == (0, True)
        assert evm.call(world.claims, "stakes", wallet.honest.id) == (wallet.contract.address, wallet.honest.id)
    else:  # takes somebody else's payout from inside its own
        evm.transact(wallet.key, wallet.contract, "set_attack", world.claims.address, world.claims.encode("withdraw_stake", child.id))
        wallet.do("withdraw_stake", wallet.honest.id)
        assert (evm.call(wallet.contract, "took"), evm.call(wallet.contract, "refused")) == (0, 1)
        assert wallet.get_balance() == world.stake_wei
    for who, amount, payout in (
        (wallet.worker, owed, ("withdraw_work", wallet.honest.id)),
        (wallet.mallory, world.stake_wei, ("withdraw_stake", child.id)),
    ):
        before = evm.get_balance(who)
        wallet.act(who, *payout)
        assert evm.get_balance(who) - before == amount > 0
    left = evm.get_balance(world.claims.address)
    still = world.stake_wei if name == "Forwarder" else 0  # its stake
    assert left == world.stake_wei - owed + still  # beside what is left of the pot


def test_wallet__in_the_middle_of_a_fight__has_the_same_claim_as_anybody() -> None:
    """It plays by itself; the pot pays what the meter shows, and no bytes, since one transaction may have made many calls."""
    wallet = Wallet("Forwarder")
    world = wallet.world
    lie = world.compute_lie(wallet.honest, 17)
    world.enter(lie, wallet.mallory)
    ours, theirs = wallet.honest.history, lie.history
    world.play(lie, wallet.honest, wallet.mallory, wallet.mallory)
    before = wallet.get_work()
    headers = world.compute_headers(wallet.honest.epoch)
    leaves = ours.get_node(0, 17), theirs.get_node(0, 17)
    wallet.do("prove", wallet.honest.id, lie.id, *leaves, world.compute_args(headers[16]), ours.prove_leaf(16))
    assert (world.is_alive(wallet.honest), world.is_alive(lie)) == (True, False)
    assert wallet.get_work() > before
    world.pass_close(world.genesis)
    world.finalize(wallet.honest)
    with pytest.raises(Reverted, match="its claim is not final"):
        wallet.act(wallet.mallory, "withdraw_stake", lie.id)
