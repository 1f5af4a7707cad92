"""Commitments that are wrong, or right by a wrong way; each played as well as it can be."""

from protocol.history import History
from protocol.state import State
from protocol.trace import Machine
from protocol.types import Account
from sim.arena import VILLAIN, Garbage
from sim.villains.checks import Fate
from sim.villains.dispute.making import villain
from sim.villains.forgery import Forgery
from sim.villains.stage import Stage

LOOT = 10**12  # a million USD


@villain(
    "BoLD (nitro TestChallengeProtocolBOLDStartStepChallenge), OP test_static_1v1 AbsolutePrestate",
    "the proof of the first step",
    Fate.STEP,
)
def first_step(stage: Stage) -> None:
    """Its history parts from the truth at the very first step."""
    stage.enter(stage.forge(1))


@villain("OP test_static_1v1 FinalInstruction, BoLD NearLastVirtualBlock", "the proof of the step that halts", Fate.STEP)
def last_step(stage: Stage) -> None:
    """All is right but the step that halts the machine."""
    stage.enter(stage.forge(stage.truth.steps))


@villain("BoLD (histories padded by their last leaf)", "a halted machine steps to itself, which the proof shows", Fate.STEP)
def beyond_the_halt(stage: Stage) -> None:
    """A machine that has halted moves once more, far out in the padding."""
    stage.enter(stage.forge((1 << stage.params.history_height) - 3))


@villain("OP TestTestDisputeOutputRoot_ChangeClaimedOutputRoot", "the last leaf too must follow from the one before", Fate.STEP)
def changed_end(stage: Stage) -> None:
    """The whole trace is right; only the state in its last leaf is another."""
    stage.enter(stage.forge())


@villain("OP avoidPoisonedPrestate, OP test_static_1v1 AbsolutePrestate", "L1 computes the opening header itself", Fate.STEP)
def poisoned_pre_state(stage: Stage) -> None:
    """It runs the honest machine, from a state in which one account is a million richer."""
    state = State(stage.params)
    state.put_account(0, Account(owner=VILLAIN, cash=LOOT))
    batches = list(stage.world.batches.values())
    stage.enter(History(Machine(state, batches, stage.court.rules)))


@villain(
    "OP TestOutputCannonPoisonedPostState, detectFailedStep",
    "no leaf after is believed: the step is run, or was run before",
    Fate.STEP,
    Fate.L1,
)
def poisoned_post_state(stage: Stage) -> None:
    """When the proof is due it comes first, with other leaves, with a step that nobody ran, on another path and with a broken witness."""
    liar = stage.enter(stage.world.false)
    court, rounds = stage.court, stage.params.rounds
    stage.censors = lambda: court.call("Claims", "get_duel", liar.claim_id, stage.get_right())[0] == rounds if stage.has_right() else False
    stage.run(until=stage.censors)
    right = stage.get_right()
    index = court.call("Claims", "get_duel", liar.claim_id, right)[1]
    leaves = stage.world.false.get_leaf(index), stage.truth.get_leaf(index)
    path = stage.world.false.prove_leaf(index - 1)
    witness = stage.truth.prove_step(index).arguments
    other = stage.truth.prove_step(1 if index > 1 else 2).arguments
    pair = liar.claim_id, right
    stage.refuse("not the disputed leaves", stage.try_call("prove", *pair, leaves[0], leaves[0], witness, path))
    stage.refuse("no such step is proven", stage.try_call("prove", *pair, *leaves, leaves[0], path))
    stage.refuse("not the leaf before", stage.try_call("prove", *pair, *leaves, other, path))
    stage.refuse("wrong length of path", stage.try_call("prove", *pair, *leaves, witness, path[1:]))
    broken = witness[:600] + bytes(32) + witness[632:]
    stage.refuse("", stage.try_call("prove", *pair, *leaves, broken, path))
    stage.censors = lambda: False


@villain("Dave bad_commitment, DummyCommitment", "its clock: what it made up does not open", Fate.CLOCK)
def garbage_commitment(stage: Stage) -> None:
    """A root over noise that ends in the right form, and that nobody can open any further."""
    stage.enter(Garbage(stage.truth, stage.rng.getrandbits(64)))


@villain(
    "C4 BoLD #23 (two correct chains)",
    "the history is part of the claim: the wrong step is proven",
    Fate.STEP,
)
def right_state_wrong_trace(stage: Stage) -> None:
    """The state is the true one, the way to it is not: so that whoever compares states alone does not object."""
    stage.enter(stage.forge(stage.pick_step(), post_root=stage.truth.post_root))


@villain("Dave sybil_runner with PatchedCommitmentBuilder", "the proof of the step that it patched", Fate.STEP)
def perfect_player(stage: Stage) -> None:
    """One leaf of a right history is patched, and every move is played as well as a liar can."""
    stage.enter(stage.forge(stage.pick_step()))


@villain("ours, beside Dave stf_all", "the step that it left out is proven", Fate.STEP)
def skipped_step(stage: Stage) -> None:
    """A step is left out, and all others come one earlier; it ends in the right state."""
    truth = stage.truth
    at = stage.rng.randint(1, truth.steps - 1)
    stage.enter(Forgery(truth, truth.post_root, {place: truth.get_leaf(place + 1) for place in range(at, truth.steps)}))


@villain("ours, beside Dave stf_all", "the step that it took twice is proven", Fate.STEP)
def repeated_step(stage: Stage) -> None:
    """A step is taken twice, and all others come one later."""
    at, truth = stage.pick_step(), stage.truth
    stage.enter(Forgery(truth, truth.post_root, {place: truth.get_leaf(place - 1) for place in range(at, truth.steps + 1)}))


@villain(
    "BoLD testRevertSubChallengeInvalidEndClaimProof, Dave testWrongNode",
    "L1: a claim's last leaf is the halted header of its state",
    Fate.L1,
    claims=True,
)
def unfinished_history(stage: Stage) -> None:
    """Claims a state that its own history does not end in, and a history without the nodes that it reveals."""
    forged = stage.forge(1)
    forged.post_root = stage.rng.randbytes(32)
    stage.refuse("not that halted header", lambda: stage.enter(forged))
    body = (stage.court.genesis, stage.world.epoch, stage.truth.post_root, stage.rng.randbytes(32))
    last = (1 << stage.params.history_height) - 1
    nodes = stage.truth.get_reveal(stage.truth.height, 0)
    call = stage.try_call("claim", *body, nodes, stage.truth.prove_leaf(last), bytes(32), value=stage.params.stake_wei)
    stage.refuse("the nodes are not the history's", call)


HISTORIES = (
    first_step,
    last_step,
    beyond_the_halt,
    changed_end,
    poisoned_pre_state,
    poisoned_post_state,
    garbage_commitment,
    right_state_wrong_trace,
    perfect_player,
    skipped_step,
    repeated_step,
    unfinished_history,
)
