"""A sequencer that leaves out, says two things, posts noise, or as much as it can; and others who hold its pen, or flood its queue."""

from collections.abc import Sequence
from functools import partial
from types import MappingProxyType

from protocol.codec.frames import MAX_FRAMES, Batch, Frame, compute_record, encode_payload
from protocol.codec.inflate import MAX_FRAME_BYTES, MAX_ROWS_BYTES, encode_frame
from protocol.codes import Code
from protocol.history import History
from protocol.keccak import keccak
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.state import View
from protocol.steps import STEPS, message
from protocol.trace import Machine
from protocol.types import Header, Phase
from sim.court import STRANGER
from sim.villains.checks import Fate
from sim.villains.dispute.making import villain
from sim.villains.forgery import Forgery
from sim.villains.stage import Epoch, Stage, act_late

FLOOD = 40  # messages: the last costs forty times what the first did


def _lie(stage: Stage, *places: int) -> None:
    """About the newest epoch, on the truth of all before it."""
    last = len(stage.epochs) - 1
    stage.run(until=lambda: stage.has_right(last - 1))
    forged = stage.forge(*(places or (stage.pick_step(last),)), epoch=last)
    stage.enter(forged, act_late, parent=stage.get_right(last - 1), epoch=stage.epochs[last].number)


def _post(stage: Stage, frames: Sequence[Frame], first: int | None = None, last: int | None = None) -> Batch:
    """The next batch, of these frames alone, now."""
    scribe, now = stage.world.scribe, stage.court.now
    scribe.clock = now
    number = stage.court.call("Inbox", "batch_count")
    record = compute_record(number, now if first is None else first, now if last is None else last, 0, (), frames)
    consumed = stage.court.call("Inbox", "messages_consumed")
    batch = Batch(record._replace(message_start=consumed), (), tuple(frames))
    stage.court.post(batch)
    return batch


def _begin_epoch(stage: Stage) -> None:
    """The next one, so that all that follows is of one epoch."""
    stage.court.set_time((stage.court.now // stage.params.epoch_s + 1) * stage.params.epoch_s)


def _close_epoch(stage: Stage, batches: Sequence[Batch]) -> Epoch:
    """What was posted in it is all there is."""
    epoch = stage.court.now // stage.params.epoch_s
    stage.learn(batches)
    stage.court.set_time((epoch + 1) * stage.params.epoch_s)
    return stage.follow(epoch, batches)


def _hear_nothing(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A message has no rows."""
    h, code = message.step(h, view, pre, rules)
    pre.rows = b""
    return h._replace(rows=keccak(b"")), code


@villain(
    "attack 6",
    "L1 refuses its batches, anyone posts the queue, and the step of the message is proven",
    Fate.STEP,
    Fate.L1,
    claims=True,
)
def censoring_sequencer(stage: Stage) -> None:
    """Leaves a forced withdrawal out of its batches for longer than it may, and then claims that it had no rows."""
    scribe, court = stage.world.scribe, stage.court
    scribe.clock = court.now
    scribe.withdraw(1, 10_000_000)
    scribe.force(STRANGER)
    queue = scribe.close_queue(scribe.clock + stage.params.inclusion_delay_s + 1)
    for queued in queue.messages:
        court.queue(queued)
    court.advance(stage.params.inclusion_delay_s + 1)
    stage.refuse("an overdue message is left out", lambda: _post(stage, [Frame(court.now, encode_frame(b""), b"")]))
    court.transact(STRANGER, "Inbox", "post_queue")
    epoch = _close_epoch(stage, [queue])
    stage.run(until=stage.has_right)
    deaf = Machine(stage.truth.machine.state.copy(), [queue], court.rules, MappingProxyType({**STEPS, Phase.MESSAGE: _hear_nothing}))
    stage.enter(History(deaf), parent=stage.get_right(), epoch=epoch.number)


@villain(
    "attack 6, attack 12 of the exchange",
    "the fee of a message grows with those that wait; messages run on a reserve of their own",
    Fate.STEP,
    claims=True,
)
def queue_flooder(stage: Stage) -> None:
    """Forces junk into the queue by the dozen, before somebody's withdrawal, and lies about the epoch that has to take it all."""
    scribe = stage.world.scribe
    scribe.clock = stage.court.now
    for number in range(FLOOD):
        scribe.send(STRANGER + number % 3, [(7 + number, number)], b"")
    scribe.withdraw(1, 10_000_000)
    scribe.force(STRANGER)
    stage.add_epoch([scribe.close_batch()])
    _lie(stage)


@villain(
    "OP TestInvalidateUnsafeProposal, nitro EvilSequencerInbox",
    "L1 decides which batch it was: the other one is not in the epoch's root",
    Fate.STEP,
    Fate.L1,
    claims=True,
)
def equivocating_sequencer(stage: Stage) -> None:
    """Posts a batch, tries to post another with its number, and claims the state that the other one leads to."""
    court, scribe = stage.court, stage.world.scribe
    _begin_epoch(stage)
    scribe.clock = court.now
    scribe.cancel(0)
    shown = scribe.close_batch()
    court.post(shown)
    hidden = Batch(compute_record(shown.record.number, court.now, court.now, 0, (), ()), (), (Frame(court.now, encode_frame(b""), b""),))
    stage.refuse("another batch has this number", lambda: court.post(hidden))
    epoch = _close_epoch(stage, [shown])
    other = History(Machine(stage.truth.machine.state.copy(), [hidden], court.rules))
    stage.run(until=stage.has_right)
    told = {place: other.get_leaf(place) for place in range(min(other.steps, epoch.truth.steps) + 1)}
    stage.enter(Forgery(epoch.truth, stage.rng.randbytes(32), told), parent=stage.get_right(), epoch=epoch.number)


@villain(
    "Dave dimensioning.md (a machine that cannot be disputed); attack 2 of the exchange",
    "whatever the bytes are, there is one right next state, and a step that proves it",
    Fate.STEP,
    claims=True,
)
def garbage_batch(stage: Stage) -> None:
    """Posts frames that are noise: bytes that do not inflate, rows without an end, signatures of nobody; and lies about them."""
    _begin_epoch(stage)
    now = stage.court.now
    rows = bytes(stage.rng.randrange(256) for _ in range(400))
    noise = [stage.rng.randbytes(200), encode_frame(rows), encode_frame(b"\xff" * 100), encode_frame(b"\x07" * 50), b"\x00"]
    _close_epoch(stage, [_post(stage, [Frame(now, data, bytes(65)) for data in noise])])
    _lie(stage)


@villain(
    "Dave big_input; OP TestOutputCannonStepWithLargePreimage",
    "L1: so many frames of so many bytes; the largest batch is traced and proven like any",
    Fate.STEP,
    Fate.L1,
    claims=True,
)
def oversized_batch(stage: Stage) -> None:
    """Posts a frame too many, a frame too large, and then the largest batch that L1 takes, all of it to be skipped byte by byte."""
    _begin_epoch(stage)
    now = stage.court.now
    full = Frame(now, encode_frame(bytes(MAX_ROWS_BYTES)), b"")
    one = encode_payload([full])
    large = now.to_bytes(8, "big") + (MAX_FRAME_BYTES + 1).to_bytes(2, "big") + bytes(2 + MAX_FRAME_BYTES + 1)
    stage.refuse("", lambda: _post_raw(stage, MAX_FRAMES + 1, one * (MAX_FRAMES + 1)))
    stage.refuse("length of a frame", lambda: _post_raw(stage, 1, large))
    stage.refuse("bytes after the last frame", lambda: _post_raw(stage, 1, one + b"!"))
    noise = Frame(now, stage.rng.randbytes(MAX_FRAME_BYTES), bytes(65))
    _close_epoch(stage, [_post(stage, [full, noise] * (MAX_FRAMES >> 1))])
    _lie(stage, stage.epochs[-1].truth.steps >> 1)


def _post_raw(stage: Stage, frames: int, payload: bytes) -> None:
    """Whatever no honest encoder would write."""
    court = stage.court
    court.transact(
        int(court.sequencer, 16), "Inbox", "post", court.call("Inbox", "batch_count"), court.now, court.now, 0, frames, extra=payload
    )


@villain("C4 OP H-05 (times), header window", "L1: a batch's times lie between the last one's and now", Fate.L1, claims=True)
def time_traveller(stage: Stage) -> None:
    """Posts batches from the future, from long ago, from before the last one, and with an end before their beginning."""
    now, window = stage.court.now, stage.params.header_window_s
    frames = [Frame(now, encode_frame(b""), b"")]
    for first, last in ((now, now + 1), (now - window - 1, now), (stage.court.call("Inbox", "last_time") - 1, now), (now, now - 1)):
        stage.refuse("out of range", partial(_post, stage, frames, first, last))


@villain(
    "ours, beside attack 12 of the exchange",
    "L1: only the sequencer's own transaction posts frames, and the queue only when it is overdue",
    Fate.L1,
    claims=True,
)
def pen_thief(stage: Stage) -> None:
    """A stranger posts a batch, posts a queue in which nothing is overdue, and shuts down an exchange that lives."""
    court = stage.court
    number = court.call("Inbox", "batch_count")
    for call in (("post", number, court.now, court.now, 0, 1), ("post_queue",), ("shutdown",)):
        stage.refuse("inbox: ", partial(court.transact, STRANGER, "Inbox", *call))


SEQUENCERS = (
    censoring_sequencer,
    queue_flooder,
    equivocating_sequencer,
    garbage_batch,
    oversized_batch,
    time_traveller,
    pen_thief,
)
