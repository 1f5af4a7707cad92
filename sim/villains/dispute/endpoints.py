"""L1 that takes blocks back, and endpoints that show nothing, something else, or a chain that never was."""

from collections.abc import Iterable, Iterator

from protocol.codec.frames import Batch, Frame
from sim.villains.checks import Fate
from sim.villains.dispute.making import villain
from sim.villains.stage import MAX_TURNS, Stage, act_late

DEEP = 6  # blocks of a chain that never was


def _undo_after(stage: Stage, function: str) -> None:
    """The honest party's first transaction of that kind is in a block that does not stay."""
    stage.may_fail = True
    point = stage.court.get_point()
    for _ in range(MAX_TURNS):
        if any(stage.is_honest(r.sender) and r.function == function for r in stage.court.receipts):
            break
        stage.court.advance(1)
        point = stage.court.get_point()
        for player in stage.players:
            player.catch_up()
            if not player.land():
                for liar in stage.liars:
                    liar.act(stage)
    stage.reorganise(point)
    stage.court.advance(1)


@villain(
    "Sherlock OP #201 (bond loss on a reorganisation), attack 8",
    "the claim names its parent, epoch and history: sent again, it is the same claim",
    Fate.STEP,
)
def reorganised_claim(stage: Stage) -> None:
    """A reorganisation takes the honest claim away."""
    stage.enter(stage.forge(stage.pick_step()))
    _undo_after(stage, "Claims.claim")


@villain(
    "C4 BoLD #40 (win by a reorganisation), attack 8",
    "a move names the nodes that it answers: on another state it reverts, and is made anew",
    Fate.STEP,
)
def reorganised_move(stage: Stage) -> None:
    """A reorganisation takes an honest move away, and the liar's answer comes to another state."""
    stage.enter(stage.forge(stage.pick_step()))
    _undo_after(stage, "Claims.descend")


@villain(
    "Dave harness restart_after_a_lost_advance_wins_the_dispute",
    "the board is rebuilt from the blocks that stay: the proof is due again",
    Fate.STEP,
)
def reorganised_proof(stage: Stage) -> None:
    """A reorganisation takes the proof away after it has killed the lie."""
    stage.enter(stage.forge(stage.pick_step()))
    _undo_after(stage, "Claims.prove")


@villain(
    "OP challenger FAQ (a challenger without the data)",
    "unavailable is a verdict on the endpoint: nothing is sent until the data is there",
    Fate.STEP,
)
def silent_endpoint(stage: Stage) -> None:
    """Has no data of the epoch, while a wrong claim of it stands."""
    _serve_instead(stage, [{}], DEEP)


def _serve_instead(stage: Stage, offers: Iterable[dict[bytes, Batch]], blocks: int) -> None:
    """While a lie stands, these are there one by one instead of the batches, each for so many blocks; in the end the batches are.

    Whoever has no data, or none that is L1's, says nothing there.
    """
    batches, stage.world.batches = stage.world.batches, {}
    stage.restart()
    stage.enter(stage.forge(stage.pick_step()), act_late)
    for offer in offers:
        _serve(stage, offer)
        for _ in range(blocks):
            stage.step()
            stage.court.advance(1)
        if any(stage.is_honest(receipt.sender) for receipt in stage.court.receipts):
            stage.broken.append("an honest party disputed what it could not have read")
    _serve(stage, batches)


def _serve(stage: Stage, batches: dict[bytes, Batch]) -> None:
    stage.world.batches = batches
    for player in stage.players:
        player.retry()


@villain(
    "Dave known gap (provider misbehaviour), nitro CustomDA EvilDataGoodCert",
    "every frame is hashed: what is not the record's is no data",
    Fate.STEP,
)
def lying_endpoint(stage: Stage) -> None:
    """Serves other frames than those that are on L1: altered, left out, twice, in another order."""
    batches = stage.world.batches
    _serve_instead(stage, [dict(zip(batches, served, strict=True)) for served in _tamper(list(batches.values()))], 1)


def _tamper(batches: list[Batch]) -> Iterator[list[Batch]]:
    """What is served instead of them, one by one."""
    following = [*batches[1:], batches[0]]
    yield following
    yield [batch._replace(frames=other.frames) for batch, other in zip(batches, following, strict=True)]
    for change in (_alter, _redate, lambda frames: frames[1:], lambda frames: (*frames, frames[0])):
        yield [batch._replace(frames=change(batch.frames)) for batch in batches]


def _alter(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    return frames[0]._replace(data=bytes([frames[0].data[0] ^ 1]) + frames[0].data[1:]), *frames[1:]


def _redate(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    return frames[0]._replace(time=frames[0].time + 1), *frames[1:]


@villain("Dave known gap (provider misbehaviour)", "what was sent for a state is not sent again for the same one", Fate.STEP)
def phantom_reorganisation(stage: Stage) -> None:
    """An endpoint takes back blocks that stay, again and again, and shows them anew."""
    stage.may_fail = len(stage.players) > 1  # what one of them decided on that chain may come second
    stage.enter(stage.forge(stage.pick_step()), act_late)
    for _ in range(3 * DEEP):
        stage.step()
        for player in stage.players:
            player.catch_up()
            player.undo(DEEP)
        stage.court.advance(1)


ENDPOINTS = (
    reorganised_claim,
    reorganised_move,
    reorganised_proof,
    silent_endpoint,
    lying_endpoint,
    phantom_reorganisation,
)
