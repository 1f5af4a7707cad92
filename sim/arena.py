"""Challengers and villains before a court: the daemon's own machine and tracer, the real contracts; no clock but the court's."""

from collections.abc import Sequence
from typing import Any

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
from protocol.codec.frames import Batch
from protocol.history import History
from protocol.params import MINIMAL, Params
from protocol.state import State
from protocol.trace import Machine
from protocol.types import compute_record_hash
from sim.baits import START, make_lying_epoch
from sim.court import Court
from sim.evm import Reverted
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

    def lie(self, who: int = VILLAIN) -> bytes:
        """The wrong claim of the first epoch; its id."""
        claim_id: bytes = self.court.claim(who, self.court.genesis, self.epoch, self.false).value
        return claim_id


class Party:
    """One challenger. `sent` are the actions it sent, `reports` what it told."""

    def __init__(self, world: World, me: int | None, *, confirmations: int = 1, live: bool = True, **options: Any) -> None:
        self.world = world
        params = world.court.params
        settings = Settings(params, State(params).get_root(), me, confirmations=confirmations, **options)
        self.me = me
        self.tracer = Tracer(world.court.rules)
        self.state = create_challenger(settings)
        self.seen = 0
        self.sent: list[Send] = []
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
            case TraceEpoch(key, _, epoch, records) if not all(record in self.world.batches for record in records):
                self.unread.append(effect)
                self.feed(EpochUnavailable(key, epoch, "no data"))
            case TraceEpoch(key, parent, _, records):
                truth = self.tracer.trace(key, parent, [self.world.batches[record] for record in records])
                self.feed(EpochTraced(key, truth))
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
            self.feed(BlockSeen(block.header, block.events))

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
                self.world.court.transact(self.me, "Claims", call.function, *call.arguments, value=call.value)
            except Reverted as error:
                self.feed(MoveFailed(send.name, self.state.board.header.number, error.reason))
            else:
                count += 1
                self.feed(MoveConfirmed(send.name, self.world.court.blocks[-1].header.number))
        return count

    def get_reports(self, kind: type[Any]) -> list[Any]:
        """Of one kind."""
        return [item for item in self.reports if isinstance(item, kind)]


class Villain:
    """Plays a lie by hand: `sim.court` knows the moves."""

    def __init__(self, world: World, claim_id: bytes) -> None:
        self.world = world
        self.claim_id = claim_id

    def answer(self, rival: bytes) -> bool:
        """Moves against `rival` if it is its turn; whether it did."""
        court = self.world.court
        duel = court.call("Claims", "get_duel", self.claim_id, rival)
        if duel[0] == court.params.rounds or not court.call("Claims", "is_alive", self.claim_id) or duel[5] == 1:
            return False
        court.move(VILLAIN, self.claim_id, self.world.false, rival, self.world.truth)
        return True


def play(world: World, parties: Sequence[Party], villain: Villain | None = None, turns: int = 60, tick_s: int = 1) -> None:
    """Everybody acts, block after block, until nothing has been done for a while."""
    quiet = 0
    for _ in range(turns):
        acted = 0
        for party in parties:
            party.catch_up()
            acted += party.land()
        if villain is not None and parties:
            rival = next((c.id for c in parties[0].state.board.claims.values() if c.post_root == world.truth.machine.header.state), None)
            if rival is not None:
                acted += villain.answer(rival)
        world.court.advance(tick_s)
        quiet = 0 if acted else quiet + 1
        if quiet > 3 and tick_s > 1:
            return
