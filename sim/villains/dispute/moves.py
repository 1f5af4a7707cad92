"""Moves that are stolen, too early, too late, twice, or in somebody else's name; and L1 that keeps the honest ones waiting."""

from collections.abc import Callable
from typing import Any

from protocol.duel import find_difference
from protocol.history import REVEAL_HEIGHT
from sim.arena import VILLAIN
from sim.evm import Reverted
from sim.villains.checks import Fate
from sim.villains.dispute.making import villain
from sim.villains.stage import Liar, Stage, act_late, act_never

THIEF = 0x7EEF


def _run_ahead(stage: Stage, *functions: str) -> None:
    """Whatever the honest send of these calls is sent by a thief just before, with the same arguments and the same stake."""

    def copy(sender: int, name: str, function: str, arguments: tuple[Any, ...]) -> None:
        if stage.is_honest(sender) and function in functions:
            try:
                stage.court.transact(THIEF, name, function, *arguments, value=stage.params.stake_wei if function == "claim" else 0)
            except Reverted as error:
                stage.broken.append(f"the thief's {function} failed: {error.reason}")

    stage.may_fail = True
    stage.court.watchers.append(copy)


@villain("Trail of Bits ARBCH-17 (front-running a validator)", "work is paid at cost: the thief paid for a move that was wanted", Fate.STEP)
def front_runner_of_moves(stage: Stage) -> None:
    """Sends every honest move and the finalization itself, a moment before."""
    _run_ahead(stage, "reveal", "descend", "finalize")
    stage.enter(stage.forge(stage.pick_step()))


@villain(
    "C4 2024-07 (#53, #32, #92: stolen steps), attack 5", "the proof decides the same whoever sends it, and is paid at cost", Fate.STEP
)
def front_runner_of_the_proof(stage: Stage) -> None:
    """Sends the one-step proof itself, a moment before, to be paid for it."""
    _run_ahead(stage, "prove")
    stage.enter(stage.forge(stage.pick_step()))


@villain(
    "attack 5, PRT-008 (the right root registered first)",
    "it is paid for having claimed, and nothing for the moves of others",
    Fate.STEP,
)
def front_runner_of_the_claim(stage: Stage) -> None:
    """Takes the honest claim out of the mempool and makes it first; the honest party plays for it all the same."""
    _run_ahead(stage, "claim")
    stage.enter(stage.forge(stage.pick_step()))


@villain(
    "Spearbit 5.1.1 (out of gas in a sub-call corrupts), attack 7", "a proof without gas reverts, and decides nothing", Fate.STEP, Fate.L1
)
def starving_relayer(stage: Stage) -> None:
    """Sends the honest party's proof with ever so little gas, so that the step runs out of it."""

    def starve(sender: int, name: str, function: str, arguments: tuple[Any, ...]) -> None:
        if stage.is_honest(sender) and function == "prove":
            point = stage.court.get_point()
            enough = stage.court.transact(THIEF, name, function, *arguments).gas_used
            stage.court.reorganise(point)
            for percent in (30, 60, 80, 95, 99):
                stage.refuse("", stage.try_call("prove", *arguments, who=THIEF, gas=enough * percent // 100))

    stage.court.watchers.append(starve)
    stage.enter(stage.world.false)


@villain(
    "C4 2024-07 OP H-05 (a zero timestamp passes a delay check); Dave PRT-002",
    "L1: nobody is out of time before the clock has run",
    Fate.STEP,
    Fate.L1,
)
def hasty_clock(stage: Stage) -> None:
    """Calls a timeout before anybody has moved, before the round has begun, and while the honest move is still in time."""
    liar = stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=stage.has_right)
    right, court = stage.get_right(), stage.court
    stage.censors = lambda: True
    close = court.get_position(court.genesis).close
    for moment in (court.now, close - 1, close, close + stage.params.grace_s):
        court.set_time(max(court.now, moment))
        stage.refuse("nobody is out of time", stage.try_call("timeout", liar.claim_id, right))
    stage.censors = lambda: False


@villain(
    "OP test_resolve_outOfOrderResolution, BoLD testRevertConfirmAnotherRival",
    "L1: alone in its group, in its round, and only then",
    Fate.STEP,
    Fate.L1,
)
def usurper(stage: Stage) -> None:
    """Promotes, finalizes and reopens what is not decided."""
    liar = stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=stage.has_right)
    for _ in range(2):
        stage.refuse("not alone in its round", stage.try_call("promote", liar.claim_id))
        stage.refuse("not the winner", stage.try_call("finalize", liar.claim_id))
        stage.refuse("not stuck", stage.try_call("reopen", stage.court.genesis))
        stage.step()
        stage.court.set_time(max(stage.court.now, stage.court.get_position(stage.court.genesis).close))


@villain(
    "attack 4 (moves that are taken until somebody calls a timeout)",
    "L1: the move of a side that is out of time reverts",
    Fate.CLOCK,
    Fate.L1,
)
def undead(stage: Stage) -> None:
    """Lets its clock run out, and moves before anybody has called the timeout."""
    liar = stage.enter(stage.forge(stage.pick_step()), act_never)
    stage.run(until=stage.has_right)
    stage.step()
    params, court, right = stage.params, stage.court, stage.get_right()
    stage.censors = lambda: True
    court.set_time(court.get_position(court.genesis).close + params.grace_s + params.censorship_s + 1)
    stage.refuse("out of time", lambda: _move(stage, liar, right))
    stage.censors = lambda: False


def _move(stage: Stage, liar: Liar, right: bytes) -> None:
    stage.court.move(VILLAIN, liar.claim_id, liar.commitment, right, stage.truth)


@villain("BoLD testBisectTwice, OP doNotDuplicateExistingMoves", "every move names what it answers: it lands once", Fate.STEP, Fate.L1)
def replayer(stage: Stage) -> None:
    """Sends each of its moves a second time, and each of the honest ones too."""
    seen: list[tuple[str, tuple[Any, ...]]] = []
    stage.court.watchers.append(lambda sender, name, function, arguments: seen.append((function, arguments)))
    stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=lambda: sum(function == "descend" for function, _ in seen) >= stage.params.rounds - 1)
    for function, arguments in [item for item in seen if item[0] in ("reveal", "descend")]:
        stage.refuse("claims: ", stage.try_call(function, *arguments))


@villain(
    "Dave testWinByTimeoutWrongChildrenReverts; Trail of Bits ARBCH-15 (griefing)",
    "anyone may move for any claim, with what it committed to and nothing else",
    Fate.STEP,
    Fate.L1,
)
def puppeteer(stage: Stage) -> None:
    """Moves for the honest claim: other nodes, a difference that is not the first, its own claim in the honest one's place."""
    liar = stage.enter(stage.forge(stage.pick_step()), act_never)
    stage.run(until=stage.has_right)
    court, right, truth = stage.court, stage.get_right(), stage.truth
    _refuse_differences(stage, right, liar)
    round_, index, *_ = court.call("Claims", "get_duel", right, liar.claim_id)
    height = truth.height - REVEAL_HEIGHT * round_
    lies = liar.commitment.get_reveal(height, index)
    for mine, other, node in ((right, liar.claim_id, liar.commitment), (liar.claim_id, right, truth)):
        stage.refuse("claims: ", stage.try_call("reveal", mine, other, node.get_node(height, index), lies[::-1]))
    liar.pace = act_late


def _refuse_differences(stage: Stage, right: bytes, liar: Liar) -> None:
    """In round 0: a later difference than the first, and none at all."""
    truth, lie = stage.truth, liar.commitment
    ours, theirs = truth.get_reveal(truth.height, 0), lie.get_reveal(truth.height, 0)
    first = find_difference(ours, theirs)
    pairs: list[Callable[[], object]] = []
    if first.place + 1 < len(ours):
        later = find_difference([*ours[: first.place], theirs[first.place], *ours[first.place + 1 :]], theirs)
        pairs.append(stage.try_call("descend", right, liar.claim_id, tuple(later), []))
    nothing = first._replace(node_other=first.node_mine)
    pairs.append(stage.try_call("descend", right, liar.claim_id, tuple(nothing), []))
    for pair in pairs:
        stage.refuse("claims: ", pair)


@villain("attack 4; design of the clocks (C is what censorship may cost)", "its clock is as long as the censors may hold it up", Fate.STEP)
def censors_of_the_honest(stage: Stage) -> None:
    """From the close of entry on nothing honest lands, until a second before its clock is used up; the liar answers at its last second."""
    stage.enter(stage.forge(stage.pick_step()), act_late)
    stage.run(until=stage.has_right)
    close = stage.court.get_position(stage.court.genesis).close
    until = close + stage.params.grace_s + stage.params.censorship_s - 1
    stage.may_fail = True  # what waited so long may have been answered by others meanwhile
    stage.wakes.add(until)
    stage.censors = lambda: close <= stage.court.now < until


MOVES = (
    front_runner_of_moves,
    front_runner_of_the_proof,
    front_runner_of_the_claim,
    starving_relayer,
    hasty_clock,
    usurper,
    undead,
    replayer,
    puppeteer,
    censors_of_the_honest,
)
