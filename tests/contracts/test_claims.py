"""The tree of claims: who may enter, what a stake backs, and what becomes final in which order."""

from dataclasses import replace

import pytest

from protocol.codec.frames import Frame
from protocol.keccak import ZERO, encode_word, encode_words, keccak
from protocol.types import Header, compute_header_leaf
from sim.evm import Reverted
from tests.contracts.world import GENESIS_ROOT, Claim, Commitment, World


def compute_id(position: bytes, claim: Claim) -> bytes:
    return keccak(position + encode_word(claim.epoch) + claim.post_root + claim.history.root)


def test_genesis_is_final_and_named_by_its_root() -> None:
    world = World()
    assert world.genesis == keccak(encode_words((0, 0)) + GENESIS_ROOT + ZERO)
    assert world.evm.call(world.claims, "is_final", world.genesis)
    assert world.evm.call(world.claims, "get_final_root", world.genesis) == GENESIS_ROOT


def test_a_claim_enters_with_its_history_and_event() -> None:
    world = World()
    claim = world.compute_honest(world.run_epoch(3))
    who = world.evm.create_account()
    event = world.enter(claim, who).get_event("Claimed")
    assert claim.id == compute_id(world.genesis, claim)
    close = world.evm.timestamp + world.times.entry_s
    assert event == {
        "claim_id": claim.id,
        "parent": world.genesis,
        "position": world.genesis,
        "epoch": claim.epoch,
        "post_root": claim.post_root,
        "history": claim.history.root,
        "nodes": tuple(claim.history.get_reveal(0, 0)),
        "claimant": who,
        "stake_id": claim.id,
        "close": close,
    }
    assert world.evm.call(world.claims, "get_claim", claim.id) == (
        *(world.genesis, world.genesis, claim.epoch, claim.post_root, who),
        *(0, 0, True, False),
    )
    position = world.get_position(world.genesis)
    assert (position["close"], position["rounds"], position["count"], position["winner"]) == (close, 1, 1, ZERO)
    assert world.get_group(world.genesis, 0, 0) == (1, claim.id)
    assert world.evm.call(world.claims, "stakes", claim.id) == (who, claim.id)


def test_what_a_claim_must_be() -> None:
    world = World()
    who = world.evm.create_account()
    epoch = world.run_epoch()
    later = world.run_epoch()
    claim = world.compute_honest(epoch)
    tree = claim.history
    last = (1 << world.height) - 1
    args = list(claim.args)

    def refuse(reason: str, value: int = world.stake_wei, stake: bytes = ZERO, **changes: object) -> None:
        names = ("parent", "epoch", "post_root", "history", "nodes", "siblings")
        changed = [changes.get(name, arg) for name, arg in zip(names, args, strict=True)]
        with pytest.raises(Reverted, match=reason):
            world.evm.transact(who, world.claims, "claim", *changed, stake, value=value)

    refuse("no live parent", parent=keccak(b"nobody"))
    refuse("not the next epoch", epoch=later)
    refuse("not the next epoch", epoch=0)
    refuse("not the next epoch", epoch=epoch - 1)
    refuse("no state", post_root=ZERO)
    refuse("last leaf", post_root=keccak(b"another"))
    refuse("nodes are not the history's", history=keccak(b"another"))
    refuse("nodes are not the history's", nodes=[*args[4][1:], args[4][0]])
    refuse("number of nodes", nodes=args[4][:15])
    refuse("number of siblings", siblings=args[5][:-1])
    refuse("last leaf", siblings=tree.prove_leaf(last - 1)[::-1])
    refuse("not the stake", value=world.stake_wei - 1)
    refuse("not the stake", value=world.stake_wei + 1)
    refuse("there already", stake=keccak(b"no stake"))
    refuse("not your stake", value=0, stake=keccak(b"no stake"))
    world.enter(claim, who)
    refuse("claimed already")


def test_the_last_leaf_must_be_a_halted_header_of_this_epoch() -> None:
    """Not one that still has a batch to open, nor one with anything left over, nor another inbox's."""
    world = World()
    who = world.evm.create_account()
    honest = world.compute_honest(world.run_epoch(2))
    inbox, batches = world.evm.call(world.inbox, "get_epoch", honest.epoch)
    halted = Header(honest.post_root, inbox, batches, batch=batches)
    for header in (
        halted._replace(batch=batches - 1),
        halted._replace(batches=batches - 1, batch=batches - 1),
        halted._replace(scratch=keccak(b"left over")),
        halted._replace(offset=1),
        halted._replace(phase=3),
        halted._replace(inbox=keccak(b"reorganized")),
    ):
        claim = replace(honest, history=Commitment([*honest.history.leaves[:-1], compute_header_leaf(header)], world.height))
        with pytest.raises(Reverted, match="last leaf"):
            world.enter(claim, who)
    world.enter(honest, who)


def test_an_epoch_must_be_over_and_empty_ones_are_skipped() -> None:
    world = World()
    who = world.evm.create_account()
    world.post([Frame(world.evm.timestamp, b"x", b"")])
    epoch = world.evm.timestamp // world.times.epoch_s
    claim = world.compute_honest(epoch)
    world.evm.set_time((epoch + 1) * world.times.epoch_s - 1)
    with pytest.raises(Reverted, match="the epoch is not over"):
        world.enter(claim, who)
    world.evm.advance(1)
    world.enter(claim, who)
    world.evm.advance(10 * world.times.epoch_s)
    later = world.run_epoch()
    assert later > epoch + 5
    world.enter(world.compute_honest(later, claim.id, claim.post_root), who)


def test_entry_closes_once_at_the_first_claim_plus_p() -> None:
    """Attack 1: half open, and never extended."""
    world = World()
    who = world.evm.create_account()
    honest = world.compute_honest(world.run_epoch())
    world.enter(honest, who)
    close = world.evm.timestamp + world.times.entry_s
    world.evm.set_time(close - 1)
    late = world.compute_lie(honest, 5)
    world.enter(late, who)
    assert world.get_position(world.genesis)["close"] == close
    world.evm.set_time(close)
    with pytest.raises(Reverted, match="entry is closed"):
        world.enter(world.compute_lie(honest, 6), who)


def test_alone_at_close_wins_and_not_before() -> None:
    world = World()
    who = world.evm.create_account()
    honest = world.compute_honest(world.run_epoch())
    world.enter(honest, who)
    world.evm.advance(world.times.entry_s - 1)
    assert world.get_position(world.genesis)["winner"] == ZERO
    with pytest.raises(Reverted, match="not the winner"):
        world.finalize(honest)
    world.evm.advance(1)
    assert world.get_position(world.genesis)["winner"] == honest.id
    world.finalize(honest)
    assert world.evm.call(world.claims, "get_final_root", honest.id) == honest.post_root
    with pytest.raises(Reverted, match="not a pending claim"):
        world.finalize(honest)


def test_children_of_unfinal_claims_and_finality_in_order() -> None:
    """Attack 2: the windows run in parallel; one stake carries the whole branch."""
    world = World()
    who = world.evm.create_account()
    branch: list[Claim] = []
    parent, root, stake = world.genesis, GENESIS_ROOT, ZERO
    for _ in range(4):
        claim = world.compute_honest(world.run_epoch(), parent, root)
        world.enter(claim, who, stake)
        branch.append(claim)
        parent, root, stake = claim.id, claim.post_root, branch[0].id
    assert world.evm.call(world.claims, "stakes", branch[0].id) == (who, branch[3].id)
    assert world.evm.get_balance(world.claims.address) == world.stake_wei
    world.evm.advance(world.times.entry_s)
    for claim in branch[1:]:
        with pytest.raises(Reverted, match="the parent is not final"):
            world.finalize(claim)
    for claim in branch:
        with pytest.raises(Reverted, match="its claim is not final"):
            world.evm.transact(who, world.claims, "withdraw_stake", branch[0].id)
        world.finalize(claim)
    before = world.evm.get_balance(who)
    world.evm.transact(world.deployer, world.claims, "withdraw_stake", branch[0].id)
    assert world.evm.get_balance(who) - before == world.stake_wei
    with pytest.raises(Reverted, match="no such stake"):
        world.evm.transact(who, world.claims, "withdraw_stake", branch[0].id)


def test_a_stake_backs_one_branch_and_only_its_owners() -> None:
    world = World()
    alice, bob = world.evm.create_account(), world.evm.create_account()
    first = world.compute_honest(world.run_epoch())
    second = world.run_epoch()
    world.enter(first, alice)
    child = world.compute_honest(second, first.id, first.post_root)
    with pytest.raises(Reverted, match="not your stake"):
        world.enter(child, bob, first.id)
    world.enter(child, alice, first.id)
    with pytest.raises(Reverted, match="not on the parent"):  # it has moved on
        world.enter(world.compute_lie(child, 3), alice, first.id)
    with pytest.raises(Reverted, match="not on the parent"):
        world.enter(world.compute_lie(first, 3), alice, first.id)


def test_a_withdrawn_stake_moves_no_more() -> None:
    world = World()
    alice = world.evm.create_account()
    first = world.compute_honest(world.run_epoch())
    second = world.run_epoch()
    world.enter(first, alice)
    world.pass_close(world.genesis)
    world.finalize(first)
    world.evm.transact(alice, world.claims, "withdraw_stake", first.id)
    child = world.compute_honest(second, first.id, first.post_root)
    with pytest.raises(Reverted, match="not your stake"):
        world.enter(child, alice, first.id)
    world.enter(child, alice)
    assert world.evm.get_balance(world.claims.address) == world.stake_wei


def test_several_at_the_deadline_all_die_and_the_position_reopens() -> None:
    """Attack 12. What was built on the dead stays dead when they are claimed again, and their stakes stay where they are."""
    world = World()
    alice, bob = world.evm.create_account(), world.evm.create_account()
    honest = world.compute_honest(world.run_epoch())
    second = world.run_epoch()
    world.enter(honest, alice)
    lie = world.compute_lie(honest, 7)
    world.enter(lie, bob)
    child = world.compute_lie(world.compute_honest(second, honest.id, honest.post_root), 9)
    world.enter(child, bob)
    deadline = world.get_position(world.genesis)["close"] + 2 * 120 + (world.height // 4 + 2) * 20
    assert world.get_start(world.genesis, 1) == deadline
    world.evm.set_time(deadline - 1)
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)
    assert world.is_alive(honest)
    assert world.is_alive(lie)
    world.evm.set_time(deadline)
    with pytest.raises(Reverted, match="deadline has passed"):
        world.timeout(alice, honest, lie)
    with pytest.raises(Reverted, match="deadline has passed"):
        world.move(alice, honest, lie)
    assert world.reopen(world.genesis).get_event("PositionReopened") == {"parent": world.genesis, "generation": 1}
    assert not world.is_alive(honest)
    assert not world.is_alive(lie)
    with pytest.raises(Reverted, match="not stuck"):
        world.reopen(world.genesis)
    # the same claim again is another one
    again = replace(honest, id=ZERO)
    world.enter(again, alice)
    assert again.id == compute_id(keccak(world.genesis + encode_word(1)), honest) != honest.id
    position = world.get_position(world.genesis)
    assert (position["generation"], position["count"]) == (1, 1)
    assert world.get_group(position["position"], 0, 0) == (1, again.id)
    world.pass_close(world.genesis)
    world.finalize(again)
    for dead in (honest, lie, child):
        with pytest.raises(Reverted):
            world.finalize(dead)
        with pytest.raises(Reverted):
            world.evm.transact(bob, world.claims, "withdraw_stake", dead.id)
    assert world.get_position(again.id)["winner"] == ZERO
    with pytest.raises(Reverted, match="no live parent"):
        world.enter(world.compute_honest(second, honest.id, honest.post_root), alice)
    world.enter(world.compute_honest(second, again.id, honest.post_root), alice, again.id)


def test_a_reorg_makes_a_claim_revert() -> None:
    """Attack 8: a claim is about this inbox and this parent. Two chains that differ in one batch do not take each other's claims."""
    ours, theirs = World(), World()
    claim = ours.compute_honest(ours.run_epoch(1))
    theirs.run_epoch(2)
    assert ours.genesis == theirs.genesis
    with pytest.raises(Reverted, match="last leaf"):
        theirs.enter(claim, theirs.evm.create_account())
    ours.enter(claim, ours.evm.create_account())
