"""Attacks on the tree of claims: who is kept out of a position, whose stake is left behind, and who can keep a position open."""

from tests.contracts.world import Claim, World


def enter_child(world: World, parent: Claim, epoch: int, who: str, stake_from: bytes) -> Claim:
    """The right claim about `epoch` on top of `parent`."""
    child = world.compute_honest(epoch, parent.id, parent.post_root)
    world.enter(child, who, stake_from)
    return child


def test_attack_10__liars_fill_the_group_in_one_block__the_truth_still_enters() -> None:
    """At the first second of a claimable epoch: 32 stakes bought the whole vault, as long as a position was one group."""
    world = World()
    liar, honest = world.evm.create_account(), world.evm.create_account()
    truth = world.compute_honest(world.run_epoch())
    lies = [world.compute_lie(truth, 3 + seed % 20, seed) for seed in range(32)]
    for lie in lies:
        world.enter(lie, liar)
    world.enter(truth, honest)
    assert world.is_alive(truth)
    world.pass_close(world.genesis)
    world.promote(truth)
    world.evm.set_time(world.get_start(world.genesis, 1))
    assert world.get_position(world.genesis)["winner"] == truth.id, "a full group that fights nobody sends nobody"
    world.finalize(truth)
    assert world.is_final(truth)
    assert not any(world.is_alive(lie) for lie in lies)


def test_attack_3__right_claim_made_by_another__honest_stake_follows() -> None:
    """Else whoever is quicker with the truth, once, makes the honest party pay a second stake in the next position."""
    world = World()
    griefer, honest = world.evm.create_account(), world.evm.create_account()
    epochs = [world.run_epoch() for _ in range(3)]
    first = world.compute_honest(epochs[0])
    world.enter(first, honest)
    second = world.compute_honest(epochs[1], first.id, first.post_root)
    world.enter(second, griefer)
    world.evm.transact(honest, world.claims, "advance_stake", first.id, second.id)
    assert world.is_alive(enter_child(world, second, epochs[2], honest, first.id))
    assert world.evm.get_balance(world.claims.address) == 2 * world.stake_wei


def test_attack_2__liars_who_kill_each_other_over_and_over__truth_enters_in_any_generation() -> None:
    """Each reopening costs them two stakes and gains them nothing: once the truth is in, the position does not reopen."""
    world = World()
    liar, honest = world.evm.create_account(), world.evm.create_account()
    epoch = world.run_epoch()
    truth = world.compute_honest(epoch)
    headers = world.compute_headers(epoch)
    for seed in range(3):
        a, b = world.compute_lie(truth, 5, 2 * seed), world.compute_lie(truth, 5, 2 * seed + 1)
        world.enter(a, liar)
        world.enter(b, liar)
        world.play(a, b, liar, liar)
        world.pass_close(world.genesis)
        world.prove(liar, a, b, headers)
        assert world.get_position(world.genesis)["generation"] == seed + 1
    world.enter(truth, honest)
    lie = world.compute_lie(truth, 5, 99)
    world.enter(lie, liar)
    world.play(truth, lie, honest, liar)
    world.prove(honest, truth, lie, headers)
    world.pass_close(world.genesis)
    world.finalize(truth)
    assert world.is_final(truth)
