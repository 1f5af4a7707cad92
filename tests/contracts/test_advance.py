"""A stake follows a claim that somebody else made: who may move it, what becomes of it there, and that money is conserved."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.keccak import ZERO
from sim.evm import Result, Reverted
from tests.contracts.world import GENESIS_ROOT, Claim, World


def advance(world: World, who: str, stake: Claim, child: Claim | bytes) -> Result:
    child_id = child if isinstance(child, bytes) else child.id
    return world.evm.transact(who, world.claims, "advance_stake", stake.id, child_id)


def withdraw(world: World, stake: Claim) -> Result:
    return world.evm.transact(world.deployer, world.claims, "withdraw_stake", stake.id)


def get_tip(world: World, stake: Claim) -> bytes:
    tip: bytes = world.evm.call(world.claims, "stakes", stake.id)[1]
    return tip


@dataclass
class Branch:
    """Alice's claim of the first epoch, and Bob's right one of the second, before entry to either is over."""

    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        world = self.world
        self.alice, self.bob = world.evm.create_account(), world.evm.create_account()
        self.epochs = [world.run_epoch() for _ in range(3)]
        self.first = world.compute_honest(self.epochs[0])
        world.enter(self.first, self.alice)
        self.second = world.compute_honest(self.epochs[1], self.first.id, self.first.post_root)
        world.enter(self.second, self.bob)


def test_the_stake_goes_along_and_is_paid_back_once() -> None:
    b = Branch()
    world = b.world
    moved = advance(world, b.alice, b.first, b.second)
    assert moved.get_event("StakeMoved") == {"stake_id": b.first.id, "tip": b.second.id}
    assert world.evm.call(world.claims, "stakes", b.first.id)[1] == b.second.id
    third = world.compute_honest(b.epochs[2], b.second.id, b.second.post_root)
    world.enter(third, b.alice, b.first.id)
    assert world.evm.get_balance(world.claims.address) == 2 * world.stake_wei
    world.evm.advance(world.times.entry_s)
    for claim in (b.first, b.second):
        world.finalize(claim)
        with pytest.raises(Reverted, match="its claim is not final"):
            withdraw(world, b.first)
    withdraw(world, b.second)  # Bob's own, which named the claim and stayed on it
    world.finalize(third)
    before = world.evm.get_balance(b.alice)
    withdraw(world, b.first)
    assert world.evm.get_balance(b.alice) - before == world.stake_wei
    for stake in (b.first, b.second, third):
        with pytest.raises(Reverted, match="no such stake"):
            withdraw(world, stake)
    for who in (b.alice, b.bob):
        with pytest.raises(Reverted, match="not your stake"):
            advance(world, who, b.first, b.second)
    assert world.evm.get_balance(world.claims.address) == 0


def test_only_the_owner_and_only_to_a_child_of_the_tip() -> None:
    b = Branch()
    world = b.world
    rival = world.compute_lie(b.first, 3)
    world.enter(rival, b.bob)
    third = world.compute_honest(b.epochs[2], b.second.id, b.second.post_root)
    world.enter(third, b.bob, b.second.id)
    with pytest.raises(Reverted, match="not your stake"):
        advance(world, b.bob, b.first, b.second)
    with pytest.raises(Reverted, match="not your stake"):  # none at all
        world.evm.transact(b.alice, world.claims, "advance_stake", ZERO, b.second.id)
    for child in (b.first, rival, third):
        with pytest.raises(Reverted, match="not on the parent"):
            advance(world, b.alice, b.first, child)
    for nothing in (bytes(31) + b"\x07", world.genesis):
        with pytest.raises(Reverted, match="no live child"):
            advance(world, b.alice, b.first, nothing)
    with pytest.raises(Reverted):  # no ether with it: nobody could take it out
        world.evm.transact(b.alice, world.claims, "advance_stake", b.first.id, b.second.id, value=1)
    advance(world, b.alice, b.first, b.second)
    for child in (b.first, b.second):  # neither back nor twice
        with pytest.raises(Reverted, match="not on the parent"):
            advance(world, b.alice, b.first, child)
    with pytest.raises(Reverted, match="not on the parent"):  # one stake backs one branch
        world.enter(world.compute_lie(b.second, 3), b.alice, b.first.id)
    advance(world, b.alice, b.first, third)


def test_no_stake_goes_onto_the_dead() -> None:
    b = Branch()
    world = b.world
    lie = world.compute_lie(b.second, 5)
    world.enter(lie, b.bob)
    world.play(b.second, lie, b.alice, b.bob)
    world.prove(b.alice, b.second, lie, world.compute_headers(b.epochs[1], b.first.post_root))
    with pytest.raises(Reverted, match="no live child"):
        advance(world, b.alice, b.first, lie)
    advance(world, b.alice, b.first, b.second)


def test_no_stake_goes_onto_what_died_unmarked() -> None:
    """When a position reopens its claims are not marked one by one."""
    b = Branch()
    world = b.world
    world.enter(world.compute_lie(b.second, 5), b.bob)
    world.evm.set_time(world.get_start(b.first.id, 1))
    with pytest.raises(Reverted, match="no live child"):  # left behind
        advance(world, b.alice, b.first, b.second)
    world.reopen(b.first.id)
    with pytest.raises(Reverted, match="no live child"):
        advance(world, b.alice, b.first, b.second)
    again = world.compute_honest(b.epochs[1], b.first.id, b.first.post_root)
    world.enter(again, b.bob)
    advance(world, b.alice, b.first, again)


def test_a_final_stake_follows_final_claims() -> None:
    """Whoever was away for long comes after, claim by claim."""
    b = Branch()
    world = b.world
    world.evm.advance(world.times.entry_s)
    world.finalize(b.first)
    world.finalize(b.second)
    advance(world, b.alice, b.first, b.second)
    withdraw(world, b.first)
    withdraw(world, b.second)
    assert world.evm.get_balance(world.claims.address) == 0


def test_the_pot_does_not_count_what_was_moved_onto_a_dead_rival() -> None:
    """Two stakes die on it, and one is the pot: the other's owner had no say in whether the rival was there."""
    world = World(stake_wei=10**12)  # below the work, so that the pot is emptied
    alice, bob = world.evm.create_account(), world.evm.create_account()
    epochs = [world.run_epoch() for _ in range(2)]
    first = world.compute_honest(epochs[0])
    world.enter(first, alice)
    right = world.compute_honest(epochs[1], first.id, first.post_root)
    lie = world.compute_lie(right, 5)
    world.enter(lie, bob)
    world.enter(right, bob)
    advance(world, alice, first, lie)
    world.play(right, lie, bob, bob)
    world.prove(bob, right, lie, world.compute_headers(epochs[1], first.post_root))
    world.evm.advance(world.times.entry_s)
    world.finalize(first)
    world.finalize(right)
    for stake in (first, lie):
        with pytest.raises(Reverted, match="its claim is not final"):
            withdraw(world, stake)
    with pytest.raises(Reverted, match="not on the parent"):
        advance(world, alice, first, right)
    assert world.evm.transact(bob, world.claims, "withdraw_work", right.id).get_event("WorkPaid")["amount"] == world.stake_wei
    withdraw(world, right)
    assert world.evm.get_balance(world.claims.address) == world.stake_wei


class Tree:
    """Random claims on three levels, also on wrong ones, and a model of where every stake sits."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = World(stake_wei=self.rng.choice([10**12, 10**18]))
        self.people = [self.world.evm.create_account() for _ in range(3)]
        self.claims: list[Claim] = []
        self.tips: dict[bytes, bytes] = {}
        self.owners: dict[bytes, str] = {}
        self.dead: set[bytes] = set()
        self.finals: list[Claim] = []
        self.rivals: list[tuple[Claim, Claim, int, bytes]] = []  # right, wrong, epoch, root before

    def enter(self, claim: Claim) -> None:
        """On a stake that is there, or a new one."""
        who = self.rng.choice(self.people)
        mine = [stake for stake, tip in self.tips.items() if tip == claim.parent and self.owners[stake] == who]
        stake = self.rng.choice([*mine, ZERO])
        self.world.enter(claim, who, stake)
        self.claims.append(claim)
        if stake == ZERO:
            stake = claim.id
            self.owners[stake] = who
        self.tips[stake] = claim.id

    def grow(self, epoch: int, parent: bytes, root: bytes, lies: int) -> Claim:
        """A right claim and wrong ones on `parent`."""
        right = self.world.compute_honest(epoch, parent, root)
        wrong = [self.world.compute_lie(right, self.rng.randrange(256), self.rng.randrange(2**32)) for _ in range(lies)]
        for claim in self.rng.sample([right, *wrong], lies + 1):
            self.enter(claim)
        self.rivals += [(right, lie, epoch, root) for lie in wrong]
        return right

    def advance_some(self) -> None:
        """Anybody tries to move any stake onto any claim; those near each other more often, or hardly any try would succeed."""
        by_id = {claim.id: claim for claim in self.claims}
        for _ in range(12):
            stake = self.rng.choice(list(self.owners))
            tip = self.tips.get(stake, ZERO)
            near = [claim for claim in self.claims if claim.parent == tip]
            child = self.rng.choice(near or self.claims)
            who = self.owners[stake] if self.rng.random() < 0.8 else self.rng.choice(self.people)
            if who == self.owners[stake] and child.parent == tip and child.id not in self.dead:
                advance(self.world, who, by_id[stake], child)
                self.tips[stake] = child.id
            else:
                with pytest.raises(Reverted):
                    advance(self.world, who, by_id[stake], child)

    def judge(self) -> None:
        """Every wrong claim falls to the right one beside it."""
        for right, wrong, epoch, root in self.rivals:
            self.world.play(right, wrong, self.rng.choice(self.people), self.rng.choice(self.people))
            self.world.prove(self.rng.choice(self.people), right, wrong, self.world.compute_headers(epoch, root))
            self.dead.add(wrong.id)

    def withdraw_some(self, chance: float) -> None:
        """Each stake is paid back if it sits on a final claim, and never again."""
        final = {claim.id for claim in self.finals}
        for claim in self.claims:
            if self.rng.random() >= chance:
                continue
            if self.tips.get(claim.id) in final:
                withdraw(self.world, claim)
                del self.tips[claim.id]
            else:
                with pytest.raises(Reverted):
                    withdraw(self.world, claim)

    def withdraw_work(self) -> int:
        """All that is owed; wei."""
        world, paid = self.world, 0
        for claim in self.finals:
            for who in self.people:
                if world.evm.call(world.claims, "work", claim.id, who):
                    paid += world.evm.transact(who, world.claims, "withdraw_work", claim.id).get_event("WorkPaid")["amount"]
        return paid


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_money_is_conserved_whoever_moves_stakes(seed: int) -> None:
    tree = Tree(seed)
    world = tree.world
    epochs = [world.run_epoch() for _ in range(3)]
    parent, root = world.genesis, GENESIS_ROOT
    for epoch in epochs:
        right = tree.grow(epoch, parent, root, tree.rng.randrange(3))
        wrong = [claim for claim in tree.claims if claim.epoch == epoch and claim is not right]
        if wrong and epoch != epochs[-1]:
            lie = tree.rng.choice(wrong)
            tree.grow(epochs[epochs.index(epoch) + 1], lie.id, lie.post_root, tree.rng.randrange(2))
        tree.advance_some()
        tree.finals.append(right)
        parent, root = right.id, right.post_root
    tree.judge()
    tree.advance_some()
    world.evm.advance(world.times.entry_s)
    chain, tree.finals = tree.finals, []
    for claim in chain:
        world.finalize(claim)
        tree.finals.append(claim)
        tree.withdraw_some(0.3)
        tree.advance_some()
    assert {stake: get_tip(world, claim) for claim in tree.claims if (stake := claim.id) in tree.tips} == tree.tips
    tree.withdraw_some(1)
    assert all(tip not in {claim.id for claim in chain} for tip in tree.tips.values())
    paid = tree.withdraw_work()
    pots = sum(sum(claim.parent == final.parent for claim in tree.claims) - 1 for final in chain) * world.stake_wei
    stuck = len(tree.tips) * world.stake_wei
    assert 0 <= paid <= pots <= stuck
    assert world.stake_wei > 10**12 or paid == pots
    assert world.evm.get_balance(world.claims.address) == stuck - paid
