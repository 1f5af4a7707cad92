"""A trial's stage: a court with an epoch posted, one honest challenger, liars who play their claims; time jumps to where something is due.

The challenger is whatever keeps to `Challenger`: by default the daemon's own machine (`sim.arena.Party`), or one that somebody tests.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from challenger.board import Board, Claim, Status, apply_block, create_board
from protocol.codec.frames import Batch
from protocol.duel import A, B, Duel, get_expiry, is_out, is_owing, is_proof_due
from protocol.history import Commitment, History
from protocol.keccak import ZERO
from protocol.params import Params
from protocol.state import State
from protocol.tournament import count_rounds, find_rising, get_start
from protocol.trace import Machine
from protocol.types import compute_record_hash
from sim.arena import VILLAIN, Garbage, Party, World
from sim.court import Point
from sim.evm import TX_GAS_LIMIT, Result, Reverted
from sim.villains.forgery import Forgery

HONEST = 0xA11CE
MAX_TURNS = 3_000
QUIET_TURNS = 3  # blocks in which nobody does anything, before time jumps

Pace = Callable[[Duel, Params], int | None]  # when a liar makes its next move, in chain seconds; None: never


class Challenger(Protocol):
    """Whoever stands up for the truth with the key `me`. It sends through `world.court.transact`, and gets data from `world.batches`."""

    me: int | None

    def catch_up(self) -> None:
        """Reads `world.court.blocks` up to the newest."""

    def land(self) -> int:
        """Sends what it wants sent; how many transactions succeeded."""

    def undo(self, count: int) -> None:
        """A reorganisation takes the newest blocks back. Called before the court forgets them."""

    def retry(self) -> None:
        """Data that could not be had before may be there now."""


Hire = Callable[..., Challenger]  # (world, me, claim_if_missing=whether to claim epochs that nobody has claimed)


def act_promptly(duel: Duel, params: Params) -> int | None:
    """At once."""
    return 0


def act_late(duel: Duel, params: Params) -> int | None:
    """At the last second that counts."""
    return get_expiry(duel, A, params)


def act_never(duel: Duel, params: Params) -> int | None:
    """Not at all."""
    return None


def act_until(round_: int) -> Pace:
    """At once, and from that round of a duel on never."""
    return lambda duel, params: 0 if duel.round < round_ else None


@dataclass
class Liar:
    """Stands up for one wrong claim as its pace says, and takes every timeout; it proves nothing unless told to.

    It plays against right claims, and against `victims`; whoever has victims also moves up when it is alone.
    """

    who: int
    claim_id: bytes
    commitment: Commitment
    pace: Pace = act_promptly
    victims: set[bytes] = field(default_factory=set)
    proves: bool = False

    def act(self, stage: "Stage") -> None:
        """All that is due in its duels."""
        board = stage.look()
        claim = board.claims[self.claim_id]
        if claim.status != Status.PENDING or board.now >= board.get_start(claim) + stage.params.tournament_round_s:
            return
        foes = stage.list_right(board).keys() | self.victims
        place, bracket = board.get_place(claim), board.positions[claim.position].bracket
        if self.victims and find_rising(bracket, place, board.now, stage.params) == self.claim_id:
            stage.court.transact(self.who, "Claims", "promote", self.claim_id)
        for rival in bracket.get_group(place):
            if rival in foes and rival != self.claim_id:
                self._play(stage, rival)

    def _play(self, stage: "Stage", rival: bytes) -> None:
        board, court, params = stage.look(), stage.court, stage.params
        duel, now = board.get_duel(self.claim_id, rival), board.now
        if Status.DEAD in (board.claims[self.claim_id].status, board.claims[rival].status) or is_out(duel, A, now, params):
            return
        due = self.pace(duel, params)
        if is_out(duel, B, now, params):
            court.transact(self.who, "Claims", "timeout", self.claim_id, rival)
        elif due is None or now < due or duel.revealed == A:
            return
        elif not is_proof_due(duel, params):
            self._move(stage, rival)
        elif self.proves:
            self._prove(stage, rival)

    def _move(self, stage: "Stage", rival: bytes) -> None:
        try:
            stage.court.move(self.who, self.claim_id, self.commitment, rival, stage.commitments[rival])
        except Reverted:
            if not isinstance(self.commitment, Garbage):  # what that made up does not open
                raise

    def _prove(self, stage: "Stage", rival: bytes) -> None:
        index = stage.court.call("Claims", "get_duel", self.claim_id, rival)[1]
        leaves = self.commitment.get_leaf(index), stage.commitments[rival].get_leaf(index)
        step = stage.truth.prove_step(index).arguments if index else b""
        path = self.commitment.prove_leaf(index - 1) if index else []
        stage.court.transact(self.who, "Claims", "prove", self.claim_id, rival, *leaves, step, path)


@dataclass(frozen=True)
class Epoch:
    """On L1, and what is right about it."""

    number: int
    truth: History


@dataclass
class Refusal:
    """What L1 refused, and was expected to."""

    function: str
    reason: str


@dataclass
class Stage:
    """`may_fail`: transactions of the honest party may be beaten to it, or be undone. `wakes` are moments at which somebody wants to act.
    While `censors` says so, nothing honest lands. `periods`: who looks and acts only every so many turns.
    """

    world: World
    hire_challenger: Hire = Party
    claims: bool = False
    seed: int = 1
    liars: list[Liar] = field(default_factory=list)
    commitments: dict[bytes, Commitment] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    wakes: set[int] = field(default_factory=set)
    may_fail: bool = False
    periods: dict[int | None, int] = field(default_factory=dict)
    turns: int = 0
    censors: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.court, self.params = self.world.court, self.world.court.params
        self.rng = random.Random(self.seed)
        self.epochs = [Epoch(self.world.epoch, self.world.truth)]
        self._boards = [create_board(self.params, State(self.params).get_root())]
        self.players: list[Challenger] = []
        self.hire(HONEST)

    @property
    def truth(self) -> History:
        """Of the first epoch."""
        return self.epochs[0].truth

    def hire(self, me: int) -> Challenger:
        """One more honest party."""
        player = self.hire_challenger(self.world, me, claim_if_missing=self.claims)
        self.players.append(player)
        return player

    def is_honest(self, who: int) -> bool:
        """One of the honest parties."""
        return any(player.me == who for player in self.players)

    def restart(self) -> None:
        """Everybody honest comes back with nothing but a key."""
        players, self.players = self.players, []
        for player in players:
            self.hire(player.me or HONEST)

    # -- what there is

    def look(self) -> Board:
        """After the newest block."""
        del self._boards[len(self.court.blocks) + 1 :]
        for block in self.court.blocks[len(self._boards) - 1 :]:
            self._boards.append(apply_block(self._boards[-1], block.header, block.events))
        return self._boards[-1]

    def look_before(self, block: int) -> Board:
        """Before a block, by its place among those of the court."""
        self.look()
        return self._boards[block]

    def list_right(self, board: Board) -> dict[bytes, History]:
        """Claims that say what is true, on nothing but such claims; of any generation."""
        found: dict[bytes, History] = {}
        parents = {board.genesis}
        for epoch in self.epochs:
            wanted = epoch.number, epoch.truth.post_root, epoch.truth.root
            right = {c.id for c in board.claims.values() if c.parent in parents and (c.epoch, c.post_root, c.history) == wanted}
            found |= dict.fromkeys(right, epoch.truth)
            parents = right
        self.commitments |= found
        return found

    def get_right(self, epoch: int = 0) -> bytes:
        """The newest right claim of an epoch, by its index. IndexError if there is none."""
        right = self.list_right(self.look())
        return [claim_id for claim_id, truth in right.items() if truth is self.epochs[epoch].truth][-1]

    def has_right(self, epoch: int = 0) -> bool:
        """The truth of an epoch is claimed."""
        return any(truth is self.epochs[epoch].truth for truth in self.list_right(self.look()).values())

    def list_wrong(self, board: Board) -> list[Claim]:
        """In order of entry."""
        right = self.list_right(board)
        return [board.claims[board.entered[i]] for i in range(len(board.entered)) if board.entered[i] not in right]

    # -- what villains do

    def enter(
        self,
        commitment: Commitment,
        pace: Pace = act_promptly,
        who: int = VILLAIN,
        parent: bytes | None = None,
        epoch: int = 0,
        stake_from: bytes = ZERO,
        **options: Any,
    ) -> Liar:
        """A wrong claim, by default of the first epoch, and somebody to play it."""
        result = self.court.claim(who, parent or self.court.genesis, epoch or self.epochs[0].number, commitment, stake_from)
        liar = Liar(who, result.value, commitment, pace, **options)
        self.commitments[liar.claim_id] = commitment
        self.liars.append(liar)
        return liar

    def forge(self, *places: int, epoch: int = 0, post_root: bytes | None = None) -> Forgery:
        """A commitment about an epoch that is wrong in those leaves and in its end, unless the end is given."""
        truth = self.epochs[epoch].truth
        return Forgery(truth, post_root or self.rng.randbytes(32), {place: self.rng.randbytes(32) for place in places})

    def pick_step(self, epoch: int = 0) -> int:
        """Any leaf of an epoch's run."""
        return self.rng.randint(1, self.epochs[epoch].truth.steps)

    def refuse(self, reason: str, do: Callable[[], object]) -> None:
        """What L1 has to refuse with that reason; else it is broken."""
        try:
            do()
        except Reverted as error:
            if reason not in error.reason:
                self.broken.append(f"refused with {error.reason!r} instead of {reason!r}")
            self.refusals.append(Refusal(reason, error.reason))
        else:
            self.broken.append(f"L1 allowed what it should refuse with {reason!r}")

    def try_call(self, function: str, *arguments: Any, who: int = VILLAIN, value: int = 0, gas: int = TX_GAS_LIMIT) -> Callable[[], Result]:
        """A call of `Claims` for `refuse`."""
        return lambda: self.court.transact(who, "Claims", function, *arguments, value=value, gas=gas)

    def add_epoch(self, batches: Sequence[Batch] = ()) -> Epoch:
        """One more, over when this returns; by default one in which little happens."""
        scribe = self.world.scribe
        if not batches:
            scribe.clock = max(self.court.now, scribe.clock)
            scribe.cancel(0)
            batches = [scribe.close_batch(first=scribe.clock)]
        number = self.world.post(batches)
        return self.follow(number, batches)

    def announce(self, batches: Sequence[Batch]) -> Epoch:
        """Posted now, in an epoch that is not over."""
        self.learn(batches)
        for batch in batches:
            self.court.post(batch)
        return self.follow(self.court.now // self.params.epoch_s, batches)

    def learn(self, batches: Sequence[Batch]) -> None:
        """The data of batches that are on L1: whoever asks gets them."""
        self.world.batches |= {compute_record_hash(batch.record): batch for batch in batches}

    def follow(self, number: int, batches: Sequence[Batch]) -> Epoch:
        """What is right about an epoch that is on L1."""
        before = self.epochs[-1].truth.machine.state.copy()
        epoch = Epoch(number, History(Machine(before, list(batches), self.court.rules)))
        self.epochs.append(epoch)
        return epoch

    def reorganise(self, point: Point) -> None:
        """Everybody is told first."""
        for player in self.players:
            player.catch_up()
            player.undo(len(self.court.blocks) - point.blocks)
        self.court.reorganise(point)
        del self._boards[point.blocks + 1 :]

    # -- time

    def step(self) -> bool:
        """Everybody's actions at one moment; whether there were any.

        Whoever is honest answers before liars move again: a race for one block is a villain of its own.
        """
        before = self._count_actions()
        self.turns += 1
        for player in self.players:
            if self.turns % self.periods.get(player.me, 1):
                continue
            player.catch_up()
            while not self.censors() and player.land():
                player.catch_up()
        for liar in self.liars:
            liar.act(self)
        return self._count_actions() != before

    def _count_actions(self) -> int:
        return len(self.court.receipts) + len(self.court.failures)

    def run(self, until: Callable[[], bool] | None = None) -> None:
        """To the end, or until that is so. RuntimeError if there is no end."""
        quiet = 0
        for _ in range(MAX_TURNS):
            if until is not None and until():
                return
            quiet = 0 if self.step() else quiet + 1
            if quiet <= max(QUIET_TURNS, *self.periods.values(), 0):
                self.court.advance(1)
                continue
            later = min((time for time in self._list_times() if time > self.court.now), default=None)
            if later is None or self.is_final():
                return
            self.court.set_time(min(later, self.court.now + max(1, self.params.grace_s >> 2)))  # whoever waits its turn sees it come
        raise RuntimeError("it does not end")

    def is_final(self) -> bool:
        """The truth of every epoch."""
        board = self.look()
        final = [truth for claim_id, truth in self.list_right(board).items() if board.claims[claim_id].status == Status.FINAL]
        return len(final) == len(self.epochs)

    def _list_times(self) -> Iterator[int]:
        """When something begins, ends or runs out."""
        board, params = self.look(), self.params
        yield from self.wakes
        for position in board.positions.values():
            rounds = count_rounds(position.bracket.count, params)
            yield position.close - 1
            yield from (get_start(position.close, round_, params) for round_ in range(rounds + 1))
            for group in position.bracket.groups.values():
                for a in group:
                    for b in group:
                        yield from self._list_duel_times(board, a, b)

    def _list_duel_times(self, board: Board, a: bytes, b: bytes) -> Iterator[int]:
        if a >= b or board.get_place(board.claims[a]) != board.get_place(board.claims[b]):
            return
        duel = board.get_duel(a, b)
        for side in (A, B):
            if is_owing(duel, side):
                yield from (get_expiry(duel, side, self.params), get_expiry(duel, side, self.params) + 1)
