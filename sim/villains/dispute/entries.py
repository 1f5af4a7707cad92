"""Who enters when, how often and on what; and who does not come back."""

from functools import partial

from protocol.keccak import ZERO
from sim.arena import VILLAIN
from sim.villains.checks import Fate
from sim.villains.dispute.making import villain
from sim.villains.stage import Stage, act_late, act_never, act_until

OTHER = 0xBAD2


@villain("Dave idle_strategy, harness a_silent_joiner_loses_by_timeout", "its clock", Fate.CLOCK)
def silent(stage: Stage) -> None:
    """Claims, and never answers."""
    stage.enter(stage.forge(stage.pick_step()), act_never)


@villain('Dave harness StopAfter("joinTournament")', "its clock", Fate.CLOCK)
def deserter(stage: Stage) -> None:
    """Plays half of its duel, and leaves."""
    stage.enter(stage.forge(stage.pick_step()), act_until(stage.params.rounds - 1))


@villain(
    "OP test_resolution_lastSecondDisputes; C4 OP M-06 (too short an extension)",
    "what it takes off its clock is gone; the grace is there anew for each move",
    Fate.STEP,
)
def last_second_mover(stage: Stage) -> None:
    """Every move comes at the last second at which it counts."""
    stage.enter(stage.forge(stage.pick_step()), act_late)


@villain(
    "attack 1 (entry without an end)",
    "entry closes once, whoever comes late; the truth is in since the first wrong claim",
    Fate.STEP,
    Fate.ROUND,
)
def late_sybils(stage: Stage) -> None:
    """One lies at once; five more enter a second before entry closes, all of them with the truth already played out against the first."""
    stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=stage.has_right)
    stage.court.set_time(stage.court.get_position(stage.court.genesis).close - 1)
    for number in range(5):
        stage.enter(stage.forge(stage.pick_step()), act_late, who=VILLAIN + number)


@villain("attack 1; ToB-28 (> and >=)", "L1: at the second of the close nobody enters", Fate.STEP, Fate.L1)
def latecomer(stage: Stage) -> None:
    """Enters at the very second at which entry closes, and in the next."""
    stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=stage.has_right)
    stage.court.set_time(stage.court.get_position(stage.court.genesis).close)
    for _ in range(2):
        stage.refuse("entry is closed", lambda: stage.enter(stage.forge(1), who=OTHER))
        stage.court.advance(1)


@villain("attack 10; Dave multi_sybil, three_sybils_lose", "one step is run once for all of them, and cited after", Fate.STEP)
def sybils_with_one_prefix(stage: Stage) -> None:
    """Three say the same until one step, and three different things from there: each has to be followed all the way down."""
    at = stage.pick_step()
    for number in range(3):
        stage.enter(stage.forge(at), who=VILLAIN + number)


@villain("BoLD TestEndToEnd_ManyEvilValidators", "all duels of a group run at once, each with its own clocks", Fate.STEP)
def sybils_everywhere(stage: Stage) -> None:
    """Three lies about three different steps, each at its last second."""
    for number, at in enumerate((1, stage.truth.steps >> 1, stage.truth.steps)):
        stage.enter(stage.forge(at), act_late, who=VILLAIN + number)


@villain("C4 BoLD #52 (duplicate ids), Dave testDuplicateJoinTournament", "L1: a claim is there once", Fate.STEP, Fate.L1)
def double_claimer(stage: Stage) -> None:
    """Enters the same lie twice, and once more with another key."""
    forged = stage.forge(stage.pick_step())
    stage.enter(forged)
    for who in (VILLAIN, OTHER):
        stage.refuse("claimed already", partial(stage.enter, forged, who=who))


@villain(
    "attack 2 (serial stall)",
    "positions are decided side by side: the whole branch dies with its root",
    Fate.STEP,
    Fate.BRANCH,
    claims=True,
)
def builder_on_a_lie(stage: Stage) -> None:
    """Goes on about the next epoch on top of its own lie, twice."""
    liar = stage.enter(stage.forge(stage.pick_step()), act_late)
    epoch = stage.add_epoch()
    for number in range(2):
        stage.enter(stage.forge(stage.pick_step(1), epoch=1), who=VILLAIN + number, parent=liar.claim_id, epoch=epoch.number)


@villain("BoLD TestSkipsProcessingAssertionFromEvilFork", "L1: nothing enters below what cannot be final", Fate.STEP, Fate.L1, claims=True)
def orphan(stage: Stage) -> None:
    """Enters below its lie after that has died."""
    liar = stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=lambda: not stage.court.call("Claims", "is_alive", liar.claim_id))
    epoch = stage.add_epoch()
    stage.refuse("no live parent", lambda: stage.enter(stage.forge(1, epoch=1), parent=liar.claim_id, epoch=epoch.number))


@villain(
    "OP TestInvalidateProposalForFutureBlock, TestDisputeOutputRootBeyondProposedBlock",
    "L1: an epoch is claimed when it is over",
    Fate.L1,
    claims=True,
)
def prophet(stage: Stage) -> None:
    """Claims an epoch that is not over, while batches may still come; and one that nobody has posted anything in."""
    stage.run(until=stage.has_right)
    court, scribe = stage.court, stage.world.scribe
    court.set_time((court.now // stage.params.epoch_s + 1) * stage.params.epoch_s)
    scribe.clock = court.now
    scribe.cancel(0)
    epoch = stage.announce([scribe.close_batch()])
    right = stage.get_right()
    forged = stage.forge(1, epoch=1)
    stage.refuse("the epoch is not over", lambda: stage.enter(forged, parent=right, epoch=epoch.number))
    stage.refuse("not the next epoch", lambda: stage.enter(forged, parent=right, epoch=epoch.number + 1))
    court.set_time((epoch.number + 1) * stage.params.epoch_s)


@villain("C4 2024-07 (#6, #58, #103: games for unsafe blocks)", "L1: epochs are claimed one after the other", Fate.L1, claims=True)
def leaper(stage: Stage) -> None:
    """Claims the second epoch on top of genesis, and the first one on top of itself."""
    stage.run(until=stage.has_right)
    right, first = stage.get_right(), stage.world.epoch
    epoch = stage.add_epoch()
    stage.refuse("not the next epoch", lambda: stage.enter(stage.forge(1, epoch=1), epoch=epoch.number))
    stage.refuse("not the next epoch", lambda: stage.enter(stage.forge(1), parent=right, epoch=first))
    stage.refuse("no live parent", lambda: stage.enter(stage.forge(1), parent=bytes(31) + b"\1"))


@villain("Dave testJoinTournamentInsufficientBond", "L1: exactly the stake", Fate.L1, claims=True)
def pauper(stage: Stage) -> None:
    """Claims with half a stake, with one and a half, and on somebody else's."""
    forged, court, stake = stage.forge(stage.pick_step()), stage.court, stage.params.stake_wei
    nodes, siblings = forged.get_reveal(forged.height, 0), forged.prove_leaf((1 << forged.height) - 1)
    body = court.genesis, stage.world.epoch, forged.post_root, forged.root, nodes, siblings
    for value in (0, stake >> 1, 3 * stake >> 1):
        stage.refuse("not the stake", stage.try_call("claim", *body, ZERO, value=value))
    stage.run(until=stage.has_right)
    stage.refuse("not your stake", stage.try_call("claim", *body, stage.get_right()))


ENTRIES = (
    silent,
    deserter,
    last_second_mover,
    late_sybils,
    latecomer,
    sybils_with_one_prefix,
    sybils_everywhere,
    double_claimer,
    builder_on_a_lie,
    orphan,
    prophet,
    leaper,
    pauper,
)
