"""Challengers and villains before a court: the daemon's own machine and tracer, the real contracts; no clock but the court's."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from challenger.board import Status
from challenger.calls import make_call
from challenger.events import (
    BlockSeen,
    BlockUndone,
    CaughtUp,
    Effect,
    EpochTraced,
    EpochUnavailable,
    Event,
    ForgetEpoch,
    MoveConfirmed,
    MoveFailed,
    Report,
    RevealTraced,
    Send,
    StepTraced,
    TraceEpoch,
    TraceReveal,
    TraceStep,
)
from challenger.evidence import Alert, Evidence, Verdict
from challenger.machine import advance
from challenger.state import Settings, create_challenger
from challenger.tracer import Tracer
from contracts import load_artifact
from l1.batches import decode_frames
from l1.contracts import encode_post
from l1.provider import Unavailable
from l1.shapes import Malformed
from protocol.codec.frames import Batch
from protocol.history import REVEAL_HEIGHT, Commitment, History
from protocol.keccak import encode_word, encode_words, keccak
from protocol.params import MINIMAL, Params
from protocol.state import State
from protocol.tournament import Place, get_place, get_start
from protocol.trace import Machine
from protocol.types import compute_record_hash
from sim.baits import START, make_lying_epoch
from sim.court import Court
from sim.evm import Reverted
from sim.villains.forgery import Forgery
from sim.villains.lies import LIES, Lie

VILLAIN = 0xBAD
GENESIS_ROOT = State(MINIMAL).get_root()


class World:
    """A court with an epoch posted, and what both sides can say of it."""

    def __init__(self, lie: Lie = LIES["overpaid-withdrawal"], params: Params = MINIMAL) -> None:
        self.court = Court(params, load_artifact, START)
        self.scribe, batches = make_lying_epoch(lie, params, self.court.domain)
        self.batches: dict[bytes, Batch] = {}
        self.epoch = self.post(batches)
        self.truth = History(Machine(State(params), batches, self.court.rules))
        self.false = History(Machine(State(params), batches, self.court.rules, lie.steps))

    def post(self, batches: Sequence[Batch]) -> int:
        """An epoch that is over when this returns."""
        self.batches |= {compute_record_hash(batch.record): batch for batch in batches}
        return self.court.post_epoch(batches)

    def fetch(self, record_hash: bytes) -> Batch:
        """From whatever serves `batches`, read back as `l1.batches.EpochReader` does it. Raises `Unavailable`."""
        batch = self.batches.get(record_hash)
        if batch is None:
            raise Unavailable("no data")
        record = batch.record
        if compute_record_hash(record) != record_hash:
            raise Malformed("another batch's record")
        data = encode_post(record.number, record.first, record.last, record.message_count, batch.frames)
        return batch._replace(frames=decode_frames(data, record))

    def lie(self, who: int = VILLAIN) -> bytes:
        """The wrong claim of the first epoch; its id."""
        return self.enter(who, self.false)

    def enter(self, who: int, history: Commitment) -> bytes:
        """Any claim of the first epoch; its id."""
        claim_id: bytes = self.court.claim(who, self.court.genesis, self.epoch, history).value
        return claim_id


class Party:
    """One challenger. `sent` are the actions it sent, `failures` the reasons of those that reverted, `reports` what it told.

    It acts every `period` turns.
    """

    def __init__(self, world: World, me: int | None, *, confirmations: int = 1, live: bool = True, period: int = 1, **options: Any) -> None:
        self.world = world
        params = world.court.params
        settings = Settings(params, State(params).get_root(), me, confirmations=confirmations, **options)
        self.me = me
        self.tracer = Tracer(world.court.rules)
        self.state = create_challenger(settings)
        self.seen = 0
        self.period, self.turns = period, 0
        self.sent: list[Send] = []
        self.failures: list[str] = []
        self.reports: list[Verdict | Evidence | Alert] = []
        self.waiting: list[Send] = []
        self.unread: list[Effect] = []
        self.forgotten: list[bytes] = []
        self.catch_up()
        if live:
            self.feed(CaughtUp())

    def feed(self, event: Event) -> None:
        """An event, and those that its effects bring at once. Transactions wait in `waiting`."""
        self.state, effects = advance(self.state, event)
        for effect in effects:
            self.perform(effect)

    def perform(self, effect: Effect) -> None:
        match effect:
            case Send():
                self.sent.append(effect)
                self.waiting.append(effect)
            case TraceEpoch(key, parent, epoch, records):
                try:
                    batches = [self.world.fetch(record) for record in records]
                except Unavailable as error:
                    self.unread.append(effect)
                    self.feed(EpochUnavailable(key, epoch, str(error)))
                else:
                    self.feed(EpochTraced(key, self.tracer.trace(key, parent, batches)))
            case TraceReveal(key, height, index):
                self.feed(RevealTraced(key, height, index, self.tracer.get_reveal(key, height, index)))
            case TraceStep(key, index):
                self.feed(StepTraced(key, index, self.tracer.prove_step(key, index)))
            case Report(item):
                self.reports.append(item)
            case ForgetEpoch(key):
                self.forgotten.append(key)
                self.tracer.forget(key)

    def retry(self) -> None:
        """What could not be had before."""
        unread, self.unread = self.unread, []
        for effect in unread:
            self.perform(effect)

    def catch_up(self) -> None:
        """All blocks up to the newest."""
        while self.seen < len(self.world.court.blocks):
            block = self.world.court.blocks[self.seen]
            self.seen += 1
            self.feed(BlockSeen(block.header, block.events, self.seen == len(self.world.court.blocks)))

    def undo(self, count: int) -> None:
        """The newest blocks that were seen."""
        for _ in range(count):
            self.seen -= 1
            self.feed(BlockUndone(self.world.court.blocks[self.seen].header))

    def land(self) -> int:
        """Sends what waits; how many transactions succeeded."""
        assert self.me is not None
        count, waiting, self.waiting = 0, self.waiting, []
        for send in waiting:
            call = make_call(send.action, self.world.court.params.stake_wei)
            try:
                self.world.court.transact(self.me, call.contract, call.function, *call.arguments, value=call.value)
            except Reverted as error:
                self.failures.append(f"{send.name}: {error.reason}")
                self.feed(MoveFailed(send.name, self.state.board.header.number, error.reason))
            else:
                count += 1
                self.feed(MoveConfirmed(send.name, self.world.court.blocks[-1].header.number))
        return count

    def get_reports(self, kind: type[Any]) -> list[Any]:
        """Of one kind."""
        return [item for item in self.reports if isinstance(item, kind)]


class Strategy(Enum):
    """How a liar stands up for its claim. None of them proves: the one step would speak against it."""

    PERFECT = "perfect"  # every move, at once
    LAST_SECOND = "last-second"  # every move, as late as its clock allows
    DESERTER = "deserter"  # the first answer, and no other
    SILENT = "silent"


class Garbage(Forgery):
    """A commitment to nothing: its first reveal folds and its last leaf is right; all else is made up and cannot be opened."""

    def __init__(self, truth: History, seed: int) -> None:
        super().__init__(truth, keccak(encode_word(seed)), {})
        self._seed = seed

    def get_node(self, height: int, index: int) -> bytes:
        if (height, index) in self._changed:
            return super().get_node(height, index)
        if height > self.height - REVEAL_HEIGHT:
            return keccak(self.get_node(height - 1, index << 1) + self.get_node(height - 1, index << 1 | 1))
        return keccak(encode_words((self._seed, height, index)))


class Villain:
    """Plays a lie by hand: `sim.court` knows the moves.

    `victims` are wrong claims too, which let it win: so it moves up where the right claim is not. `slack_s` is how long before the
    end of its clock a move counts as last-second.
    """

    def __init__(
        self,
        world: World,
        claim_id: bytes,
        history: Commitment | None = None,
        strategy: Strategy = Strategy.PERFECT,
        *,
        who: int = VILLAIN,
        victims: Sequence["Villain"] = (),
        slack_s: int = 0,
    ) -> None:
        self.world = world
        self.claim_id = claim_id
        self.history = history or world.false
        self.strategy = strategy
        self.who = who
        self.victims = tuple(victims)
        self.slack_s = slack_s

    def act(self, rival: bytes | None) -> int:
        """All that it can do now, against the right claim and to get on itself; how much that was."""
        count = sum(self._fell(victim) for victim in self.victims) + self._promote()
        return count + (rival is not None and self.answer(rival))

    def answer(self, rival: bytes) -> bool:
        """Moves against `rival` if it is its turn; whether it did."""
        court, params = self.world.court, self.world.court.params
        duel = self._get_duel(rival)
        if duel is None or self.strategy is Strategy.SILENT:
            return False
        round_, _, since, left, _, revealed, _, is_out, _ = duel
        is_early = court.now + self.slack_s < since + params.grace_s + left
        if round_ == params.rounds or revealed == 1 or is_out or (self.strategy is Strategy.LAST_SECOND and is_early):
            return False
        if self.strategy is Strategy.DESERTER and round_ > 0:
            return False
        try:
            court.move(self.who, self.claim_id, self.history, rival, self.world.truth)
        except Reverted:
            if isinstance(self.history, Garbage):
                return False  # what it made up does not open
            raise
        return True

    def _get_duel(self, other: bytes) -> tuple[Any, ...] | None:
        """With one of its group, as long as both live."""
        court = self.world.court
        if not all(court.call("Claims", "is_alive", claim_id) for claim_id in (self.claim_id, other)):
            return None
        if self._get_place(self.claim_id) != self._get_place(other):
            return None
        duel: tuple[Any, ...] = court.call("Claims", "get_duel", self.claim_id, other)
        return duel

    def _get_place(self, claim_id: bytes) -> tuple[bytes, Place]:
        entry = self.world.court.call("Claims", "get_claim", claim_id)
        return entry[0], get_place(entry[6], entry[5], self.world.court.params)

    def _fell(self, victim: "Villain") -> bool:
        duel = self._get_duel(victim.claim_id)
        if duel is None or not (duel[0] == 0 or duel[-1]):
            return False
        if duel[-1]:
            self.world.court.transact(self.who, "Claims", "timeout", self.claim_id, victim.claim_id)
        else:
            self.world.court.move(self.who, self.claim_id, self.history, victim.claim_id, victim.history)
        return True

    def _promote(self) -> bool:
        court = self.world.court
        position_id, (round_, number) = self._get_place(self.claim_id)
        position = court.get_position(court.call("Claims", "get_claim", self.claim_id)[1])
        is_last = round_ + 1 >= position.rounds or court.now < get_start(position.close, round_, court.params)
        if is_last or not court.call("Claims", "is_alive", self.claim_id):
            return False
        if court.call("Claims", "get_group", position_id, round_, number)[0] != 1:
            return False
        court.transact(self.who, "Claims", "promote", self.claim_id)
        return True


def play(
    world: World, parties: Sequence[Party], villains: Villain | Sequence[Villain] | None = None, turns: int = 60, tick_s: int = 1
) -> None:
    """Everybody acts, block after block, until nothing has been done for a while."""
    quiet = 0
    liars = [villains] if isinstance(villains, Villain) else villains or ()
    for _ in range(turns):
        acted = 0
        for party in parties:
            party.turns += 1
            if party.turns % party.period == 0:
                party.catch_up()
                acted += party.land()
        right = find_right(parties)
        acted += sum(villain.act(right) for villain in liars)
        world.court.advance(tick_s)
        quiet = 0 if acted else quiet + 1
        if quiet > 3 and tick_s > 1 and not liars:
            return


def find_right(parties: Sequence[Party]) -> bytes | None:
    """The right claim of the epoch that the world is about, if somebody has seen it; one that lives, if it was made again."""
    for party in parties:
        truth = party.world.truth
        found = [c for c in party.state.board.claims.values() if (c.post_root, c.history) == (truth.post_root, truth.root)]
        if found:
            return max(found, key=lambda claim: claim.status != Status.DEAD).id
    return None
