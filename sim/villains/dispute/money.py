"""Stakes that are taken along, taken out or risked on both sides; wages that others worked for; and gas that costs more than wages."""

from functools import partial

from sim.arena import VILLAIN
from sim.court import GAS_PRICE
from sim.villains.checks import Fate
from sim.villains.dispute.making import villain
from sim.villains.stage import Liar, Stage, act_late

FREELOADER = 0xF4EE
SPIKE_WEI = 300 * 10**9  # a gas


def _claim_truth(stage: Stage, who: int, parent: bytes | None = None, epoch: int = 0, stake_from: bytes = bytes(32)) -> bytes:
    """A right claim by somebody else."""
    at = stage.epochs[epoch]
    claim_id: bytes = stage.court.claim(who, parent or stage.court.genesis, at.number, at.truth, stake_from).value
    return claim_id


@villain("OP TestOutputAlphabetGame_FreeloaderEarnsNothing", "a stake on the truth comes back, and earns nothing: work does", Fate.STEP)
def freeloader(stage: Stage) -> None:
    """Lets the honest party claim and play, and moves its own stake onto the right claim, to share what it wins."""
    first = _claim_truth(stage, FREELOADER)
    epoch = stage.add_epoch()
    stage.enter(stage.forge(stage.pick_step(1), epoch=1), parent=first, epoch=epoch.number)
    stage.run(until=lambda: stage.has_right(1))
    stage.court.transact(FREELOADER, "Claims", "advance_stake", first, stage.get_right(1))


@villain("OP TestOutputAlphabetGame_FreeloaderEarnsNothing", "L1: the truth is claimed once, whoever was first", Fate.STEP, Fate.L1)
def second_truth(stage: Stage) -> None:
    """Claims the truth again, beside the honest claim."""
    stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=stage.has_right)
    stage.refuse("claimed already", lambda: _claim_truth(stage, FREELOADER))


@villain(
    "C4 2024-07 #90 (self-challenge to save a bond); PRT-008",
    "what is left of the dead stake is burned: it loses nearly all of one",
    Fate.STEP,
)
def self_challenger(stage: Stage) -> None:
    """Claims the truth and a lie with one key, to get the lie's stake back as the wages of its own truth."""
    _claim_truth(stage, VILLAIN)
    stage.enter(stage.forge(stage.pick_step()))


@villain(
    "attack 5 (an accomplice drains the stake first)", "wages are metered gas at a capped price: the pot pays what was spent", Fate.STEP
)
def accomplice(stage: Stage) -> None:
    """Its accomplice claims the truth and does all the work against it, so that nothing of the stake is left for the honest."""
    right = _claim_truth(stage, FREELOADER)
    liar = stage.enter(stage.forge(stage.pick_step()))
    friend = Liar(FREELOADER, right, stage.truth, victims={liar.claim_id}, proves=True)
    for _ in range(2 * stage.params.rounds):
        friend.act(stage)
        liar.act(stage)
    stage.court.set_time(stage.court.get_position(stage.court.genesis).close)
    stage.court.transact(FREELOADER, "Claims", "finalize", right)


@villain(
    "OP rule (no honest claim is ever countered), attack 2",
    "its child is one more position, decided beside the first",
    Fate.STEP,
    claims=True,
)
def griefer(stage: Stage) -> None:
    """Enters wrongly below the honest claim while that is still being disputed, to drag its stake into every epoch's duel."""
    stage.enter(stage.forge(stage.pick_step()), act_late)
    stage.run(until=stage.has_right)
    parent = stage.get_right()
    for index in (1, 2):
        epoch = stage.add_epoch()
        stage.enter(stage.forge(stage.pick_step(index), epoch=index), act_late, parent=parent, epoch=epoch.number)
        stage.run(until=partial(stage.has_right, index))
        parent = stage.get_right(index)


@villain(
    "attack 2; PRT-007, PRT-008 (bonds recovered twice)",
    "a stake only goes down its own branch, and dies with the first claim it was on",
    Fate.STEP,
    Fate.BRANCH,
    Fate.L1,
    claims=True,
)
def stake_recycler(stage: Stage) -> None:
    """Moves its stake off the dying claim: down to a child, onto the right claim, back up, and out."""
    liar = stage.enter(stage.forge(stage.pick_step()), act_late)
    stage.run(until=stage.has_right)
    right, stake = stage.get_right(), liar.claim_id
    epoch = stage.add_epoch()
    stage.refuse("not on the parent", stage.try_call("advance_stake", stake, right))
    child = stage.enter(stage.forge(1, epoch=1), parent=liar.claim_id, epoch=epoch.number, stake_from=stake)
    stage.refuse("not on the parent", stage.try_call("advance_stake", stake, liar.claim_id))
    stage.refuse("not on the parent", stage.try_call("advance_stake", stake, right))
    stage.run(until=lambda: not stage.court.call("Claims", "is_alive", liar.claim_id))
    stage.refuse("not final", stage.try_call("withdraw_stake", stake))
    stage.refuse("no such stake", stage.try_call("withdraw_stake", child.claim_id))


@villain("BoLD testRevertRefundStakeTwice, C4 BoLD #20, #22, #8", "L1: only the owner's, only when final, only once", Fate.STEP, Fate.L1)
def looter(stage: Stage) -> None:
    """Withdraws its lost stake, the honest one's, wages it has not earned, and all of it again at the end."""
    liar = stage.enter(stage.forge(stage.pick_step()))
    stage.run(until=stage.has_right)
    right = stage.get_right()
    for claim_id in (liar.claim_id, right):
        stage.refuse("not final", stage.try_call("withdraw_stake", claim_id))
        stage.refuse("not a final claim", stage.try_call("withdraw_work", claim_id))
    stage.run(until=stage.is_final)
    stage.refuse("not final", stage.try_call("withdraw_stake", liar.claim_id))
    stage.refuse("no work to pay", stage.try_call("withdraw_work", right))


@villain(
    "OP (bonds assume a fixed base fee), cartesi/dave#286 (refunds starved)",
    "the challenger plays on whatever gas costs; a stake is sized for 50 gwei",
    Fate.STEP,
)
def fee_spike(stage: Stage) -> None:
    """Lies; in a duel L1's gas rises to 300 gwei, six times what wages are ever paid for, so that refuting costs more than it brings."""
    stage.enter(stage.forge(stage.pick_step()), act_late)
    stage.run(until=lambda: any(receipt.function == "Claims.descend" for receipt in stage.court.receipts))
    _set_base_fee(stage, SPIKE_WEI)  # in the middle of the duel, when there is no way back
    stage.run(until=stage.is_final)
    _set_base_fee(stage, 0)


def _set_base_fee(stage: Stage, wei: int) -> None:
    """From the next block on; the tip stays."""
    stage.court.evm.basefee_wei = wei
    stage.court.gas_price = wei + GAS_PRICE
    stage.court.advance(1)


@villain(
    "attack 5 (a sister kills the liars first)", "a pot counts every dead stake of its position, whoever killed them", Fate.RIVAL, Fate.STEP
)
def fratricide(stage: Stage) -> None:
    """A Sybil kills its sister just before the honest proof, so that the honest party finds less to be paid from."""
    first, second = (stage.enter(stage.forge(at), who=VILLAIN + at) for at in (1, stage.truth.steps))
    first.victims, first.proves, second.victims = {second.claim_id}, True, {first.claim_id}
    stage.run(until=stage.has_right)
    stage.may_fail = True  # what it had sent meanwhile
    stage.censors = lambda: stage.court.call("Claims", "is_alive", first.claim_id)
    stage.run(until=lambda: not stage.censors())


MONEY = (
    freeloader,
    second_truth,
    self_challenger,
    accomplice,
    griefer,
    stake_recycler,
    looter,
    fee_spike,
    fratricide,
)
