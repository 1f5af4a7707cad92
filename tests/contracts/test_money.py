"""Stakes, pots and pay: nothing is made, nobody gains by lying or by challenging himself, and work is paid to whoever did it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.evm import Result, Reverted
from tests.contracts.world import GAS_PRICE, GENESIS_ROOT, Claim, World, deploy_toy


def enter_rivals(world: World, at: int = 17) -> tuple[Claim, Claim, str, str]:
    honest = world.compute_honest(world.run_epoch())
    lie = world.compute_lie(honest, at)
    alice, mallory = world.evm.create_account(), world.evm.create_account()
    world.enter(honest, alice)
    world.enter(lie, mallory)
    return honest, lie, alice, mallory


def win(world: World, honest: Claim, lie: Claim, worker: str, other: str) -> None:
    """`worker` plays and proves for the honest side."""
    world.play(honest, lie, worker, other)
    world.prove(worker, honest, lie, world.compute_headers(honest.epoch))


def withdraw_work(world: World, who: str, claim: Claim) -> Result:
    return world.evm.transact(who, world.claims, "withdraw_work", claim.id)


def withdraw_stake(world: World, stake: Claim) -> Result:
    return world.evm.transact(world.deployer, world.claims, "withdraw_stake", stake.id)


def get_work(world: World, claim: Claim, who: str) -> int:
    return int(world.evm.call(world.claims, "work", claim.id, who))


def test_the_winner_is_paid_out_of_the_dead_stake_and_the_rest_is_burned() -> None:
    world = World()
    honest, lie, alice, mallory = enter_rivals(world)
    worker = world.evm.create_account()
    win(world, honest, lie, worker, mallory)
    credited = get_work(world, honest, worker)
    assert 0 < credited < world.stake_wei
    assert world.evm.call(world.claims, "paid", honest.id) == 0
    with pytest.raises(Reverted, match="not a final claim"):
        withdraw_work(world, worker, honest)
    world.pass_close(world.genesis)
    world.finalize(honest)
    before = world.evm.get_balance(worker)
    withdraw_work(world, worker, honest)
    assert world.evm.get_balance(worker) - before == credited
    for who in (worker, mallory):
        with pytest.raises(Reverted, match="no work to pay"):
            withdraw_work(world, who, honest)
    before = world.evm.get_balance(alice)
    withdraw_stake(world, honest)
    assert world.evm.get_balance(alice) - before == world.stake_wei
    with pytest.raises(Reverted, match="its claim is not final"):
        withdraw_stake(world, lie)
    with pytest.raises(Reverted, match="not a final claim"):
        withdraw_work(world, mallory, lie)
    assert world.evm.get_balance(world.claims.address) == world.stake_wei - credited


def test_pay_is_metered_gas_and_half_on_top_for_the_claimant() -> None:
    """Of the call's gas: a stranger gets its cost, and the claimant half on top for its own work. Others' work earns it nothing."""
    for who, total in (("alice", 3), ("stranger", 2)):
        world = World()
        honest, lie, alice, _ = enter_rivals(world)
        worker = alice if who == "alice" else world.evm.create_account()
        result = world.move(worker, honest, lie)
        paid = {event.fields["worker"]: event.fields["amount"] for event in result.events if event.name == "WorkCredited"}
        assert paid.keys() == {worker}
        cost = paid[worker] * 2 // total
        assert 0.6 * result.gas_used < cost // GAS_PRICE < result.gas_used
        assert {person: get_work(world, honest, person) for person in paid} == paid


def test_a_pot_too_small_is_paid_out_to_its_end() -> None:
    world = World(stake_wei=10**14)  # below the work
    honest, lie, _, mallory = enter_rivals(world)
    workers = [world.evm.create_account() for _ in range(2)]
    world.move(workers[0], honest, lie)
    world.move(mallory, lie, honest)
    world.prove(workers[1], honest, lie, world.compute_headers(honest.epoch))
    world.pass_close(world.genesis)
    world.finalize(honest)
    work = [get_work(world, honest, worker) for worker in workers]
    assert sum(work) > world.stake_wei
    paid = [withdraw_work(world, worker, honest).get_event("WorkPaid")["amount"] for worker in workers]
    assert paid[0] == min(work[0], world.stake_wei)
    assert sum(paid) == world.stake_wei
    withdraw_stake(world, honest)
    assert world.evm.get_balance(world.claims.address) == 0


def test_who_challenges_himself_loses() -> None:
    """All roles are Mallory's. Whatever he is credited comes out of his own dead stake: he is short of the gas at least."""
    world = World(stake_wei=10**15)
    honest = world.compute_honest(world.run_epoch())
    lies = [world.compute_lie(honest, 17, seed) for seed in range(4)]
    mallory = world.evm.create_account()
    before = world.evm.get_balance(mallory)
    spent = 0
    for claim in (honest, *lies):
        spent += world.enter(claim, mallory).gas_used
    headers = world.compute_headers(honest.epoch)
    for lie in lies:
        while world.get_duel(honest, lie)["round"] < 2:
            spent += world.move(mallory, honest, lie).gas_used
            spent += world.move(mallory, lie, honest).gas_used
        spent += world.prove(mallory, honest, lie, headers).gas_used
    world.pass_close(world.genesis)
    spent += world.finalize(honest).gas_used
    spent += withdraw_work(world, mallory, honest).gas_used
    spent += withdraw_stake(world, honest).gas_used
    # this chain takes no gas from balances: it comes on top of what he does not get back
    lost = before - world.evm.get_balance(mallory)
    assert lost == world.evm.get_balance(world.claims.address) >= 0
    assert lost > len(lies) * world.stake_wei - spent * GAS_PRICE * 3 // 2
    assert lost + spent * GAS_PRICE > len(lies) * world.stake_wei // 2
    assert get_work(world, honest, mallory) == 0


def test_an_accomplice_cannot_drain_the_stake_first() -> None:
    """Attack 5: the liar moves his stake to a child and has a friend kill it there. The pot of the final position is untouched."""
    world = World()
    honest, lie, alice, mallory = enter_rivals(world)
    friend = world.evm.create_account()
    epoch = world.run_epoch()
    right = world.compute_honest(epoch, lie.id, lie.post_root)
    wrong = world.compute_lie(right, 5)
    world.enter(wrong, mallory, lie.id)
    world.enter(right, friend)
    world.play(wrong, right, mallory, friend)
    world.prove(friend, right, wrong, world.compute_headers(epoch, lie.post_root))
    assert get_work(world, right, friend) > 0
    win(world, honest, lie, alice, mallory)
    world.pass_close(world.genesis)
    world.pass_close(lie.id)
    with pytest.raises(Reverted, match="parent is not final"):
        world.finalize(right)
    world.finalize(honest)
    credited = get_work(world, honest, alice)
    assert withdraw_work(world, alice, honest).get_event("WorkPaid")["amount"] == credited
    for stake in (lie, right):
        with pytest.raises(Reverted, match="its claim is not final"):
            withdraw_stake(world, stake)
    with pytest.raises(Reverted, match="not a final claim"):
        withdraw_work(world, friend, right)


def test_a_stake_that_dies_below_a_right_claim_is_the_pot_there() -> None:
    """An honest branch can be lied against once per stake, also by who was right above."""
    world = World()
    first = world.compute_honest(world.run_epoch())
    epoch = world.run_epoch()
    alice, mallory = world.evm.create_account(), world.evm.create_account()
    world.enter(first, mallory)
    right = world.compute_honest(epoch, first.id, first.post_root)
    wrong = world.compute_lie(right, 5)
    world.enter(wrong, mallory, first.id)
    world.enter(right, alice)
    world.play(right, wrong, alice, mallory)
    world.prove(alice, right, wrong, world.compute_headers(epoch, first.post_root))
    world.evm.advance(world.times.entry_s)
    world.finalize(first)
    world.finalize(right)
    with pytest.raises(Reverted, match="its claim is not final"):
        withdraw_stake(world, first)
    paid = withdraw_work(world, alice, right).get_event("WorkPaid")["amount"]
    withdraw_stake(world, right)
    assert world.evm.get_balance(world.claims.address) == world.stake_wei - paid


def test_whoever_only_follows_the_right_claim_earns_nothing_by_it() -> None:
    """Her stake comes back, once; the pot is the rival's stake alone, and the work in it is not hers."""
    world = World(stake_wei=10**12)  # below the work: the pot is paid out to its end
    alice, bob, mallory = (world.evm.create_account() for _ in range(3))
    before = {who: world.evm.get_balance(who) for who in (alice, bob, mallory)}
    first = world.compute_honest(world.run_epoch())
    epoch = world.run_epoch()
    world.enter(first, bob)
    right = world.compute_honest(epoch, first.id, first.post_root)
    lie = world.compute_lie(right, 5)
    world.enter(right, alice)
    world.enter(lie, mallory)
    world.play(right, lie, alice, mallory)
    world.prove(alice, right, lie, world.compute_headers(epoch, first.post_root))
    world.evm.transact(bob, world.claims, "advance_stake", first.id, right.id)
    world.evm.advance(world.times.entry_s)
    for claim in (first, right):
        world.finalize(claim)
    for claim in (first, right):
        with pytest.raises(Reverted, match="no work to pay"):
            withdraw_work(world, bob, claim)
        withdraw_stake(world, claim)
    paid = withdraw_work(world, alice, right).get_event("WorkPaid")["amount"]
    assert paid == world.stake_wei
    gains = {who: world.evm.get_balance(who) - before[who] for who in before}
    assert gains == {alice: paid, bob: 0, mallory: -world.stake_wei}
    assert world.evm.get_balance(world.claims.address) == 0


def test_front_running_a_proof_pays_whoever_did_it() -> None:
    """Attack 5: the second one reverts before any work."""
    world = World()
    honest, lie, alice, mallory = enter_rivals(world)
    headers = world.compute_headers(honest.epoch)
    world.play(honest, lie, alice, mallory)
    before = get_work(world, honest, alice)
    thief = world.evm.create_account()
    world.prove(thief, honest, lie, headers)
    with pytest.raises(Reverted, match="decided already"):
        world.prove(alice, honest, lie, headers)
    assert get_work(world, honest, thief) > 0
    assert get_work(world, honest, alice) == before


def test_a_timeout_is_work_too() -> None:
    world = World()
    honest, lie, alice, _ = enter_rivals(world)
    world.move(alice, honest, lie)
    before = get_work(world, honest, alice)
    world.pass_close(world.genesis)
    world.evm.advance(world.times.grace_s + world.times.censorship_s + 1)
    world.timeout(alice, honest, lie)
    assert get_work(world, honest, alice) > before
    world.finalize(honest)


def test_a_payee_that_takes_no_ether_blocks_only_itself() -> None:
    world = World()
    honest = world.compute_honest(world.run_epoch())
    forwarder = deploy_toy(world.evm, world.deployer, "Forwarder")
    alice = world.evm.create_account()
    data = world.claims.encode("claim", *honest.args, bytes(32))
    world.evm.transact(alice, forwarder, "forward", world.claims.address, data, value=world.stake_wei)
    world.pass_close(world.genesis)
    honest.id = world.get_position(world.genesis)["winner"]
    world.finalize(honest)
    with pytest.raises(Reverted):
        withdraw_stake(world, honest)
    assert world.is_final(honest)
    world.evm.transact(alice, forwarder, "set_accepts", True)
    withdraw_stake(world, honest)
    assert world.evm.get_balance(forwarder.address) == world.stake_wei


@given(st.integers(0, 2**32))
@settings(max_examples=25)
def test_money_is_conserved_over_whole_tournaments(seed: int) -> None:
    """Random liars, some on several levels, some with moved stakes: what goes in is what comes out, plus what stays burned."""
    rng = random.Random(seed)
    world = World(stake_wei=rng.choice([10**12, 10**15, 10**18]))
    people = [world.evm.create_account() for _ in range(4)]
    start = {who: world.evm.get_balance(who) for who in people}
    claims: list[Claim] = []
    owners: dict[bytes, str] = {}
    finals: list[Claim] = []
    parent, root = world.genesis, GENESIS_ROOT
    for _ in range(2):
        epoch = world.run_epoch()
        honest = world.compute_honest(epoch, parent, root)
        headers = world.compute_headers(epoch, root)
        stake = finals[0].id if finals else bytes(32)
        world.enter(honest, people[0], stake)
        liars = [world.compute_lie(honest, rng.randrange(256), rng.randrange(2**32)) for _ in range(rng.randrange(4))]
        for lie in liars:
            owner = rng.choice(people)
            world.enter(lie, owner)
            owners[lie.id] = owner
        for lie in liars:
            players = rng.choice(people), rng.choice(people)
            world.play(honest, lie, *players)
            world.prove(rng.choice(people), honest, lie, headers)
        claims += [honest, *liars]
        finals.append(honest)
        parent, root = honest.id, honest.post_root
    world.evm.advance(world.times.entry_s)
    for claim in finals:
        world.finalize(claim)
    pots = (len(claims) - len(finals)) * world.stake_wei
    burned = pots
    for claim in finals:
        for who in people:
            if get_work(world, claim, who):
                burned -= withdraw_work(world, who, claim).get_event("WorkPaid")["amount"]
    withdraw_stake(world, finals[0])
    for claim in claims:
        with pytest.raises(Reverted):
            withdraw_stake(world, claim)
    assert world.evm.get_balance(world.claims.address) == burned >= 0
    assert sum(start.values()) - sum(world.evm.get_balance(who) for who in people) == burned
