"""Duels over random leaves: the right one always wins, and nothing but its own arithmetic decides."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.duel import Difference, find_difference
from protocol.keccak import ZERO, keccak
from protocol.types import Header, Phase, compute_header_leaf, encode_header
from sim.evm import Reverted
from tests.contracts.world import Claim, Commitment, World


def start(height: int = 8, steps: int = 40, at: int = 17, seed: int = 0) -> tuple[World, Claim, Claim, str, str, list[Header]]:
    """A world with an honest claim and a lie that is wrong from leaf `at` on."""
    world = World(height=height, steps=steps)
    epoch = world.run_epoch()
    honest = world.compute_honest(epoch)
    lie = world.compute_lie(honest, at, seed)
    alice, mallory = world.evm.create_account(), world.evm.create_account()
    world.enter(honest, alice)
    world.enter(lie, mallory)
    return world, honest, lie, alice, mallory, world.compute_headers(epoch)


@given(st.integers(0, 255), st.integers(0, 2**32), st.booleans(), st.integers(1, 255))
@settings(max_examples=60)
def test_the_truth_wins_wherever_the_lie_begins(at: int, seed: int, liar_first: bool, steps: int) -> None:
    world, honest, lie, alice, mallory, headers = start(steps=steps, at=at, seed=seed)
    if liar_first:
        world.play(lie, honest, mallory, alice)
    else:
        world.play(honest, lie, alice, mallory)
    assert world.get_duel(honest, lie)["index"] == at
    a, b = (lie, honest) if liar_first else (honest, lie)
    world.prove(alice, a, b, headers)
    assert world.is_alive(honest)
    assert not world.is_alive(lie)


@pytest.mark.parametrize("at", [0, 1, 15, 16, 4_095, 4_096, 40_000, 65_534, 65_535])
def test_four_rounds(at: int) -> None:
    """Height 16: divergence at the first and the last leaf too (attack 7)."""
    world, honest, lie, alice, mallory, headers = start(height=16, steps=5_000, at=at)
    assert world.play(honest, lie, alice, mallory) == 4
    assert world.get_duel(honest, lie)["index"] == at
    world.prove(mallory, honest, lie, headers)
    assert (world.is_alive(honest), world.is_alive(lie)) == (True, False)


def test_one_transaction_completes_a_round_and_reveals_the_next() -> None:
    world, honest, lie, alice, mallory, _ = start()
    low = min(honest.id, lie.id)
    result = world.move(alice, honest, lie)
    first = result.get_event("Descended")
    assert (first["round"], first["index"], first["low"]) == (0, 1, low)
    assert result.get_event("Revealed")["nodes"] == tuple(honest.history.get_reveal(1, 1))
    assert world.get_duel(honest, lie)["revealed"] == 1
    assert world.get_duel(lie, honest)["revealed"] == 2
    result = world.move(mallory, lie, honest)
    second = result.get_event("Descended")
    assert (second["round"], second["index"]) == (1, 17)
    leaves = {honest.id: honest.history.get_node(0, 17), lie.id: lie.history.get_node(0, 17)}
    assert (second["node_low"], second["node_high"]) == (leaves[first["low"]], leaves[first["high"]])
    duel = world.get_duel(lie, honest)
    assert (duel["round"], duel["pair"]) == (2, keccak(leaves[low] + leaves[max(honest.id, lie.id)]))
    assert duel == world.get_duel(honest, lie) | {"left_a": duel["left_a"], "left_b": duel["left_b"]}


def test_plain_moves_one_thing_at_a_time() -> None:
    """Complete without revealing, reveal, complete: three transactions for what takes two."""
    world, honest, lie, alice, mallory, headers = start()
    world.move(alice, honest, lie, next_too=False)
    assert world.get_duel(honest, lie)["revealed"] == 0
    world.move(mallory, lie, honest)
    assert world.get_duel(honest, lie)["revealed"] == 2
    world.move(alice, honest, lie)
    world.prove(alice, honest, lie, headers)
    assert world.is_alive(honest)


def test_wrong_moves_revert_and_change_nothing() -> None:
    world, honest, lie, alice, _, headers = start()
    good, bad = honest.history.get_reveal(0, 0), lie.history.get_reveal(0, 0)
    right = find_difference(good, bad)
    following = honest.history.get_reveal(1, 1)
    assert right.place == 1

    def refuse(reason: str, mine: Claim, other: Claim, difference: Difference, nodes: list[bytes]) -> None:
        before = world.get_duel(honest, lie)
        with pytest.raises(Reverted, match=reason):
            world.descend(alice, mine, other, difference, nodes)
        assert world.get_duel(honest, lie) == before

    def refuse_reveal(reason: str, mine: Claim, other: Claim, node_other: bytes, nodes: list[bytes]) -> None:
        before = world.get_duel(honest, lie)
        with pytest.raises(Reverted, match=reason):
            world.reveal(alice, mine, other, node_other, nodes)
        assert world.get_duel(honest, lie) == before

    mirror = find_difference(bad, good)
    refuse("not the disputed", honest, lie, mirror, following)  # the two sides' nodes the other way round
    refuse("not the disputed", lie, honest, right, following)
    refuse("not the first difference", honest, lie, right._replace(place=3), following)
    refuse("not the disputed", honest, lie, right._replace(place=0), following)
    refuse("not the first difference", honest, lie, make_difference(good, bad, 2), following)  # a later one
    refuse("not the first difference", honest, lie, make_difference(good, bad, 15), following)
    refuse("no difference", honest, lie, make_difference(good, bad, 0), following)  # where both are the same
    refuse("no difference", honest, lie, right._replace(place=16), following)
    refuse("no difference", honest, lie, right._replace(place=2**255), following)
    for level in range(4):
        one, two = list(right.siblings_mine), list(right.siblings_other)
        one[level] = two[level] = keccak(b"wrong")
        refuse("not the", honest, lie, right._replace(siblings_mine=tuple(one)), following)
        refuse("not the", honest, lie, right._replace(siblings_other=tuple(two)), following)
        refuse("not the disputed", honest, lie, right._replace(siblings_mine=tuple(one), siblings_other=tuple(two)), following)
    refuse("not the disputed", honest, lie, right._replace(node_mine=keccak(b"wrong")), following)
    refuse("not the disputed", honest, lie, right, lie.history.get_reveal(1, 1))
    refuse("not the disputed", honest, lie, right, honest.history.get_reveal(1, 2))
    refuse("wrong number", honest, lie, right, following[:8])
    refuse("wrong number", honest, lie, right, following[:15])
    refuse("no such duel", honest, honest, right, following)
    nobody = Claim(ZERO, 0, ZERO, honest.history, keccak(b"nobody"))
    refuse("no such duel", honest, nobody, right, following)
    refuse_reveal("no reveal is due", honest, lie, lie.history.root, good)  # the claim was that
    world.move(alice, honest, lie)
    ours, theirs = following, lie.history.get_reveal(1, 1)
    second = find_difference(theirs, ours)
    for mine, nodes in ((honest, ours), (lie, theirs)):
        other = lie if mine is honest else honest
        refuse_reveal("no reveal is due", mine, other, other.history.get_node(4, 1), nodes)
    refuse("has not revealed", honest, lie, find_difference(ours, theirs), [])  # the other's own to answer
    refuse("not the disputed", lie, honest, right, [])
    refuse("no reveal is due", lie, honest, second, theirs)  # no round comes after the last
    with pytest.raises(Reverted, match="no proof is due"):
        world.prove(alice, honest, lie, headers)
    world.move(alice, lie, honest)
    refuse("the proof is due", lie, honest, second, [])
    refuse_reveal("no reveal is due", lie, honest, ours[1], theirs)


def make_difference(mine: list[bytes], other: list[bytes], place: int) -> Difference:
    """Any place, the first or not."""
    trees = Commitment(mine, 4), Commitment(other, 4)
    siblings = [tuple(tree.prove_leaf(place)) for tree in trees]
    return Difference(place, mine[place], other[place], siblings[0], siblings[1])


def test_a_difference_that_begins_later_is_never_the_first() -> None:
    """Of two reveals that differ in any set of places, one place alone is accepted: the first."""
    rng = random.Random(3)
    world, honest, _, alice, _, _ = start()
    for _ in range(12):
        nodes = [rng.randbytes(32) for _ in range(256)]
        places = rng.sample(range(16), rng.randrange(1, 16))
        end = honest.history.get_node(0, 255)
        one = Claim(honest.parent, honest.epoch, honest.post_root, Commitment([*nodes[:255], end], 8))
        for place in places:
            nodes[16 * place] = rng.randbytes(32)
        two = Claim(honest.parent, honest.epoch, honest.post_root, Commitment([*nodes[:255], end], 8))
        for claim in (one, two):
            world.enter(claim, alice)
        for place in rng.sample(range(16), 16):
            difference = make_difference(one.history.get_reveal(0, 0), two.history.get_reveal(0, 0), place)
            if place == min(places):
                continue
            with pytest.raises(Reverted, match=r"no difference|not the first difference"):
                world.descend(alice, one, two, difference, [])
        difference = find_difference(one.history.get_reveal(0, 0), two.history.get_reveal(0, 0))
        world.descend(alice, one, two, difference, [])
        assert world.get_duel(one, two)["index"] == difference.place == min(places)


def test_anyone_may_move_for_any_claim() -> None:
    world, honest, lie, _, _, headers = start()
    stranger = world.evm.create_account()
    world.play(honest, lie, stranger, stranger)
    world.prove(stranger, lie, honest, headers)
    assert world.is_alive(honest)


def test_neither_leaf_is_right_and_both_die() -> None:
    """Attack 7. Two liars that part at the same leaf; their position reopens at once."""
    world = World()
    epoch = world.run_epoch()
    honest = world.compute_honest(epoch)
    one, two = world.compute_lie(honest, 17, 1), world.compute_lie(honest, 17, 2)
    who = world.evm.create_account()
    world.enter(one, who)
    world.enter(two, who)
    world.play(one, two, who, who)
    world.pass_close(world.genesis)
    result = world.prove(who, one, two, world.compute_headers(epoch))
    assert not world.is_alive(one)
    assert not world.is_alive(two)
    assert result.get_event("PositionReopened")["generation"] == 1
    assert not [event for event in result.events if event.name == "WorkCredited"]
    world.enter(honest, who)
    world.pass_close(world.genesis)
    world.finalize(honest)


def test_bad_proofs_revert_and_decide_nothing() -> None:
    """Attack 7: a bad witness, a header that is not the one before, a wrong path, little gas."""
    world, honest, lie, alice, mallory, headers = start()
    world.play(honest, lie, alice, mallory)
    before = headers[16]
    args = world.compute_args(before)
    path = honest.history.prove_leaf(16)

    leaves = [claim.history.get_node(0, 17) for claim in (honest, lie)]

    def refuse(reason: str, args: bytes, path: list[bytes], a: Claim = honest, b: Claim = lie, disputed: list[bytes] = leaves) -> None:
        with pytest.raises(Reverted, match=reason):
            world.evm.transact(mallory, world.claims, "prove", a.id, b.id, *disputed, args, path)
        assert world.is_alive(honest)
        assert world.is_alive(lie)

    refuse("toy: bad witness", world.compute_args(before, witness=keccak(b"wrong")), path)
    refuse("not the leaf before", world.compute_args(headers[15]), path)
    refuse("not the leaf before", world.compute_args(headers[15]), honest.history.prove_leaf(15))
    refuse("not the leaf before", args, honest.history.prove_leaf(17))
    refuse("wrong length of path", args, path[:-1])
    refuse("no such step", compute_header_leaf(before), path)
    refuse("revert", args[:511], path)
    refuse("revert", args[:512], path)
    refuse("no such phase", world.compute_args(before._replace(phase=len(Phase))), path)
    refuse("revert", b"", path)
    refuse("no such duel", args, path, honest, honest)
    # a side may not choose which leaf is disputed, nor whose it is
    refuse("not the leaf before", args, honest.history.prove_leaf(17), lie, honest, leaves[::-1])
    refuse("not the disputed leaves", args, path, lie, honest)
    refuse("not the disputed leaves", args, path, disputed=leaves[::-1])
    refuse("not the disputed leaves", args, path, disputed=[honest.history.get_node(0, 16), leaves[1]])
    refuse("not the disputed leaves", args, path, disputed=[leaves[0], leaves[0]])


def test_little_gas_never_decides() -> None:
    """Attack 7: with 1/64 left after a starved step, nothing may be taken for its result. Every gas limit either reverts or is right."""
    world, honest, lie, alice, mallory, headers = start()
    world.play(honest, lie, alice, mallory)
    args = world.compute_args(headers[16], burn=20_000)
    leaves = [claim.history.get_node(0, 17) for claim in (honest, lie)]
    path = honest.history.prove_leaf(16)
    needed = 0
    for gas in range(60_000, 6_000_000, 150_000):
        snapshot = world.evm.take_snapshot()
        try:
            world.evm.transact(mallory, world.claims, "prove", honest.id, lie.id, *leaves, args, path, gas=gas)
        except Reverted:
            assert not needed
            assert world.is_alive(honest)
            assert world.is_alive(lie)
        else:
            needed = needed or gas
            assert (world.is_alive(honest), world.is_alive(lie)) == (True, False)
        world.evm.restore(snapshot)
    assert 1_000_000 < needed < 6_000_000


def test_a_proven_step_serves_other_duels() -> None:
    world, honest, lie, alice, mallory, headers = start()
    second = world.compute_lie(honest, 17, seed=9)
    world.enter(second, mallory)
    world.play(honest, lie, alice, mallory)
    world.prove(alice, honest, lie, headers)
    world.play(honest, second, alice, mallory)
    leaf = compute_header_leaf(headers[16])
    assert world.evm.call(world.claims, "proven", leaf) == compute_header_leaf(headers[17])
    result = world.prove(alice, honest, second, headers, args=leaf)
    assert [event.name for event in result.events if event.name == "StepProven"] == []
    assert (world.is_alive(honest), world.is_alive(second)) == (True, False)


def test_a_halted_machine_steps_to_itself() -> None:
    """The lie begins long after the run has ended; its header needs no witness."""
    world, honest, lie, alice, mallory, headers = start(steps=3, at=200)
    world.play(honest, lie, alice, mallory)
    world.prove(alice, lie, honest, headers, args=encode_header(headers[-1]))
    assert (world.is_alive(honest), world.is_alive(lie)) == (True, False)


def test_a_dead_claim_moves_no_more() -> None:
    world, honest, lie, alice, mallory, headers = start()
    other = world.compute_lie(honest, 100, 3)
    world.enter(other, mallory)
    world.play(honest, lie, alice, mallory)
    world.prove(alice, honest, lie, headers)
    with pytest.raises(Reverted, match="decided already"):
        world.move(mallory, lie, other)
    with pytest.raises(Reverted, match="decided already"):
        world.move(mallory, other, lie)
    with pytest.raises(Reverted, match="decided already"):
        world.prove(alice, honest, lie, headers)
    with pytest.raises(Reverted, match="decided already"):
        world.timeout(alice, honest, lie)
    with pytest.raises(Reverted, match="no live parent"):
        world.enter(world.compute_honest(world.run_epoch(), lie.id, lie.post_root), mallory)


def test_one_honest_claim_beats_many_liars_in_parallel() -> None:
    """All pairs at once; liars may kill each other in any order, and the honest claim is left alone."""
    rng = random.Random(5)
    world = World()
    epoch = world.run_epoch()
    honest = world.compute_honest(epoch)
    headers = world.compute_headers(epoch)
    alice, mallory = world.evm.create_account(), world.evm.create_account()
    world.enter(honest, alice)
    liars = [world.compute_lie(honest, rng.randrange(256), i) for i in range(7)]
    for lie in liars:
        world.enter(lie, mallory)
    pairs = list(combinations([honest, *liars], 2))
    rng.shuffle(pairs)
    for a, b in pairs:
        if not (world.is_alive(a) and world.is_alive(b)):
            continue
        world.play(a, b, mallory, mallory)
        if honest in (a, b):
            world.prove(alice, a, b, headers)
            assert world.is_alive(honest)
    assert world.get_group(world.genesis, 0, 0) == (1, honest.id)
    world.pass_close(world.genesis)
    world.finalize(honest)


def test_claims_of_different_positions_do_not_duel() -> None:
    world, honest, lie, alice, _, _ = start()
    epoch = world.run_epoch()
    child = world.compute_honest(epoch, honest.id, honest.post_root)
    world.enter(child, alice, honest.id)
    difference = find_difference(child.history.get_reveal(0, 0), lie.history.get_reveal(0, 0))
    with pytest.raises(Reverted, match="no such duel"):
        world.descend(alice, child, lie, difference, [])


def test_a_move_against_another_claim_reverts() -> None:
    """Attack 8: after a reorg the same transaction meets another claim, or none."""
    world, honest, lie, alice, mallory, _ = start()
    other = world.compute_lie(honest, 17, seed=4)
    ours, theirs = honest.history.get_reveal(0, 0), lie.history.get_reveal(0, 0)
    other.id = keccak(b"gone")
    with pytest.raises(Reverted, match="no such duel"):
        world.descend(alice, honest, other, find_difference(ours, theirs), honest.history.get_reveal(1, 1))
    world.enter(other, mallory)
    with pytest.raises(Reverted, match="not the disputed nodes"):
        world.descend(alice, honest, other, find_difference(ours, theirs), honest.history.get_reveal(1, 1))
