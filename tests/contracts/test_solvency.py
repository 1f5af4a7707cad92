"""The contract always has what it owes: any actions of anybody in any order, payees that call back, payouts that are asked for twice."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol.keccak import ZERO
from sim.evm import Result, Reverted
from tests.contracts.world import GAS_PRICE, GENESIS_ROOT, Claim, Times, World, deploy_toy

TIMES = Times(entry_s=4, censorship_s=3, grace_s=2)
STAKE = 10**14  # a few calls' pay, so that pots run out
PLACES = st.integers(0, 10**6)


class Bank(RuleBasedStateMachine):
    """A tree of claims over three epochs, right and wrong ones on each other; three people do what comes to their minds."""

    @initialize(group_bits=st.integers(1, 2))
    def deploy(self, group_bits: int) -> None:
        self.world = World(height=4, steps=10, group_bits=group_bits, times=TIMES, stake_wei=STAKE)
        self.people = [self.world.evm.create_account() for _ in range(3)]
        self.epochs = [self.world.run_epoch() for _ in range(3)]
        self.claims: list[Claim] = []
        self.stakes: dict[bytes, Claim] = {}  # by what they were paid with; until they are paid back
        self.paid_in = self.paid_out = 0
        for at, wrong in ((0, -1), (1, 5), (5, 5)):  # all on genesis
            self.enter(at, at, wrong, False)

    # ---- what people do

    def attempt(self, who: int, function: str, *args: Any, value: int = 0) -> Result | None:
        sender = self.people[who % 3]
        try:
            result = self.world.evm.transact(sender, self.world.claims, function, *args, value=value, gas_price=10**9)
        except Reverted:
            return None
        for event in result.events:
            if event.name in ("StakeWithdrawn", "WorkPaid"):
                self.paid_out += event.fields["amount"]
        self.paid_in += value
        return result

    @rule(who=PLACES, at=PLACES, wrong=st.integers(-1, 9), moves=st.booleans())
    def enter(self, who: int, at: int, wrong: int, moves: bool) -> None:
        """On any claim of the first two epochs, or on genesis; right, or wrong from a leaf on."""
        parents = [claim for claim in self.claims if claim.epoch != self.epochs[2]]
        parent = parents[at % (len(parents) + 1)] if at % (len(parents) + 1) < len(parents) else None
        if parent is None:
            claim = self.world.compute_honest(self.epochs[0])
        else:
            claim = self.world.compute_honest(self.epochs[self.epochs.index(parent.epoch) + 1], parent.id, parent.post_root)
        if wrong >= 0:
            claim = self.world.compute_lie(claim, wrong, at)
        mine = [stake for stake in self.stakes if self.get_stake(stake) == (self.people[who % 3], claim.parent)]
        stake = mine[0] if moves and mine else ZERO
        result = self.attempt(who, "claim", *claim.args, stake, value=STAKE if stake == ZERO else 0)
        if result is not None:
            claim.id = result.value
            self.claims.append(claim)
            if stake == ZERO:
                self.stakes[claim.id] = claim

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.world.evm.advance(seconds)

    @rule(late=st.integers(0, 2))
    def wait_for_a_start(self, late: int) -> None:
        """Of a round of some position."""
        parents = {claim.parent for claim in self.claims}
        starts = [self.world.get_start(parent, round_) + late for parent in parents for round_ in range(3)]
        later = [start for start in starts if start > self.world.evm.timestamp > start - 10**6]
        if later:
            self.world.evm.set_time(min(later))

    @rule(who=PLACES, at=PLACES)
    def fight(self, who: int, at: int) -> None:
        """Two of one position: the whole duel, or what there is of it."""
        a, b = self.pick_rivals(at)
        if a is None or b is None:
            return
        try:
            self.world.move(self.people[who % 3], a, b)
        except Reverted:
            return
        root = next((claim.post_root for claim in self.claims if claim.id == a.parent), GENESIS_ROOT)
        headers = self.world.compute_headers(a.epoch, root)
        try:
            self.world.prove(self.people[at % 3], a, b, headers)
        except Reverted:
            return

    def pick_rivals(self, at: int) -> tuple[Claim | None, Claim | None]:
        a = self.claims[at % len(self.claims)] if self.claims else None
        rivals = [claim for claim in self.claims if a is not None and claim.parent == a.parent and claim is not a]
        return a, rivals[at // 7 % len(rivals)] if rivals else None

    @rule(who=PLACES)
    def fight_all(self, who: int) -> None:
        for at in range(8 * len(self.claims)):
            self.fight(who + at, at)

    @rule(who=PLACES, at=PLACES)
    def end_by_the_clock(self, who: int, at: int) -> None:
        a, b = self.pick_rivals(at)
        if a is not None and b is not None:
            self.attempt(who, "timeout", a.id, b.id)

    @rule(who=PLACES)
    def promote_and_finalize(self, who: int) -> None:
        for function in ("promote", "finalize"):
            for claim in self.claims:
                self.attempt(who, function, claim.id)

    @rule(who=PLACES)
    def reopen(self, who: int) -> None:
        for parent in {claim.parent for claim in self.claims}:
            self.attempt(who, "reopen", parent)

    @precondition(lambda self: self.stakes)
    @rule(who=PLACES, at=PLACES)
    def advance_a_stake(self, who: int, at: int) -> None:
        stake = list(self.stakes)[at % len(self.stakes)]
        for child in self.claims:
            if child.parent == self.get_stake(stake)[1] and self.attempt(who, "advance_stake", stake, child.id):
                break

    @rule(who=PLACES, some=st.integers(1, 3))
    def withdraw(self, who: int, some: int) -> None:
        """What can be, each once only."""
        for claim in self.claims[::some]:
            if self.attempt(who, "withdraw_stake", claim.id):
                del self.stakes[claim.id]
                assert not self.attempt(who, "withdraw_stake", claim.id)
            if self.attempt(who, "withdraw_work", claim.id):
                assert not self.attempt(who, "withdraw_work", claim.id)

    # ---- what is true at any time

    def get_stake(self, stake: bytes) -> tuple[str, bytes]:
        owner, tip = self.world.evm.call(self.world.claims, "stakes", stake)
        return owner, tip

    def is_live(self, claim_id: bytes) -> bool:
        """It can become final: it and all that it stands on."""
        by_id = {claim.id: claim for claim in self.claims}
        while claim_id in by_id:
            if not self.world.is_alive(by_id[claim_id]):
                return False
            claim_id = by_id[claim_id].parent
        return True

    @invariant()
    def all_money_is_where_it_should_be(self) -> None:
        if not hasattr(self, "world"):
            return
        assert self.world.evm.get_balance(self.world.claims.address) == self.paid_in - self.paid_out >= 0

    @invariant()
    def whatever_may_be_asked_for_is_there(self) -> None:
        """Every stake on a live branch, and what is left of the pot of every final claim, at once."""
        if not hasattr(self, "world"):
            return
        world = self.world
        live = sum(self.is_live(self.get_stake(stake)[1]) for stake in self.stakes)
        finals = [claim for claim in self.claims if world.is_final(claim)]
        assert len({claim.epoch for claim in finals}) == len(finals)  # one branch
        pots = 0
        for claim in finals:
            rivals = world.get_position(claim.parent)["count"] - 1
            pots += rivals * STAKE - world.evm.call(world.claims, "paid", claim.id)
        assert live * STAKE + pots <= world.evm.get_balance(world.claims.address)


TestBank = Bank.TestCase
TestBank.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("function", ["withdraw_stake", "withdraw_work", "advance_stake", "claim", "finalize"])
@pytest.mark.parametrize("entry", ["withdraw_stake", "withdraw_work"])
def test_a_payee_that_calls_back_gets_nothing_twice(entry: str, function: str) -> None:
    world = World()
    evm, claims = world.evm, world.claims
    thief = deploy_toy(evm, world.deployer, "Reenter")
    who, mallory = evm.create_account(), evm.create_account()
    honest = world.compute_honest(world.run_epoch())
    later = world.run_epoch()
    lie = world.compute_lie(honest, 17)

    def forward(name: str, *args: Any, value: int = 0) -> None:
        evm.transact(who, thief, "forward", claims.address, claims.encode(name, *args), value=value, gas_price=GAS_PRICE)

    forward("claim", *honest.args, ZERO, value=world.stake_wei)
    honest.id = evm.call(claims, "get_group", world.genesis, 0, 0)[1]
    world.enter(lie, mallory)
    world.play(honest, lie, who, mallory)
    world.prove(who, honest, lie, world.compute_headers(honest.epoch))
    world.pass_close(world.genesis)
    forward("finalize", honest.id)
    child = world.compute_honest(later, honest.id, honest.post_root)
    other = world.compute_lie(child, 3)
    world.enter(other, mallory)
    owed = evm.call(claims, "work", honest.id, thief.address)
    assert owed > 0
    inside = {
        "withdraw_stake": (honest.id,),
        "withdraw_work": (honest.id,),
        "advance_stake": (honest.id, other.id),
        "claim": (*child.args, honest.id),
        "finalize": (honest.id,),
    }
    evm.transact(who, thief, "set_attack", claims.address, claims.encode(function, *inside[function]))
    forward(entry, honest.id)
    took = evm.call(thief, "took")
    # while work is paid, its stake may go its way: once
    assert took == (entry == "withdraw_work" and function in ("advance_stake", "claim"))
    assert evm.call(thief, "refused") == 1 - took
    assert evm.get_balance(thief.address) == (world.stake_wei if entry == "withdraw_stake" else owed)
    evm.transact(who, thief, "set_attack", who, b"")
    for name in ("withdraw_stake", "withdraw_work"):
        if name == entry or (took and name == "withdraw_stake"):
            with pytest.raises(Reverted):
                forward(name, honest.id)
        else:
            forward(name, honest.id)
    assert evm.get_balance(thief.address) == owed + world.stake_wei * (not took)
