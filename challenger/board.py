"""The claims contract's state and the queue of forced messages, as events tell them: a fold over blocks, kept as immutable boards so that a
block can be undone.

Anybody may enter claims, and messages, without end. So a block costs what it changes, however large
the board is, and boards share what they have in common.

Raises `Malformed` for events that the contracts cannot have emitted: the endpoint lies, or serves another deployment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from l1.contracts import (
    BatchPosted,
    ClaimDied,
    Claimed,
    ClaimFinal,
    ClaimPromoted,
    Descended,
    MessageQueued,
    PositionReopened,
    Revealed,
    StakeMoved,
    StakeWithdrawn,
    StepProven,
    WorkCredited,
    WorkPaid,
)
from l1.contracts import Event as L1Event
from l1.shapes import Header, Malformed
from protocol.duel import A, B, Duel, apply_descent, apply_reveal, flip, open_duel
from protocol.keccak import ZERO, encode_word, keccak
from protocol.params import Params
from protocol.persistent import Map
from protocol.tournament import Bracket, Place, enter, get_place, get_start, leave, move_up
from protocol.types import Record, compute_record_hash


class Status(Enum):
    """Of a claim by itself."""

    PENDING = 0
    DEAD = 1
    FINAL = 2


@dataclass(frozen=True, slots=True)
class Claim:
    """As entered."""

    id: bytes
    parent: bytes
    position: bytes
    epoch: int
    post_root: bytes
    history: bytes
    nodes: tuple[bytes, ...]
    claimant: int
    seed: int  # place in the order of entry
    round: int  # of the tournament, that it stands in
    status: Status
    died: int = 0  # chain time, if it is dead


@dataclass(frozen=True, slots=True)
class Position:
    """Claims that share a parent."""

    id: bytes
    parent: bytes
    epoch: int
    claims: Map[int, bytes]  # by seed
    bracket: Bracket
    final: bytes | None = None  # the claim of it that is

    @property
    def close(self) -> int:
        """When entry ends."""
        return self.bracket.close


@dataclass(frozen=True, slots=True)
class Epoch:
    """Record hashes of its batches; `key` names the whole inbox up to here, `parent` up to the epoch before."""

    key: bytes
    parent: bytes
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """After the block `header`. Mappings are never changed in place."""

    params: Params
    genesis: bytes
    header: Header
    claims: Map[bytes, Claim]
    entered: Map[int, bytes] = field(default_factory=Map)  # all but genesis, numbered in order of entry
    fallen: Map[int, bytes] = field(default_factory=Map)  # numbered in order of death; without those that died with their position
    positions: Map[bytes, Position] = field(default_factory=Map)  # by id
    current: Map[bytes, bytes] = field(default_factory=Map)  # parent -> its position now
    duels: Map[tuple[bytes, bytes], Duel] = field(default_factory=Map)  # seen from the smaller id; those with a move
    proven: Map[bytes, bytes] = field(default_factory=Map)
    tips: Map[bytes, bytes] = field(default_factory=Map)  # stake -> the claim that it sits on
    stakes: Map[int, tuple[bytes, ...]] = field(default_factory=Map)  # by owner, those in `tips`
    work: Map[int, Map[bytes, int]] = field(default_factory=Map)  # worker -> claim -> wei that was not paid out
    paid: Map[bytes, int] = field(default_factory=Map)  # wei out of a final claim's pot
    epochs: dict[int, Epoch] = field(default_factory=dict)  # ascending; never changed in place
    consumed: int = 0  # forced messages that batches have taken in
    waiting: Map[int, int] = field(default_factory=Map)  # times of those that come next, by their index

    @property
    def now(self) -> int:
        """Chain time of the block."""
        return self.header.time

    def get_position(self, parent: bytes) -> Position | None:
        """The present generation's, if there is any claim in it."""
        return self.positions.get(self.current.get(parent, parent))

    def list_claims(self, position: Position) -> Iterator[Claim]:
        """Of a position, in order of entry."""
        return (self.claims[position.claims[seed]] for seed in range(position.bracket.count))

    def get_place(self, claim: Claim) -> Place:
        """The group that it stands in."""
        return get_place(claim.round, claim.seed, self.params)

    def get_start(self, claim: Claim) -> int:
        """When its round begins."""
        return get_start(self.positions[claim.position].close, claim.round, self.params)

    def get_duel(self, a: bytes, b: bytes) -> Duel:
        """Seen from `a`; both are of one group, that in which `a` stands."""
        low, high = min(a, b), max(a, b)
        duel = self.duels.get((low, high)) or open_duel(self.get_start(self.claims[a]))
        return duel if a == low else flip(duel)

    def get_owner(self, stake_id: bytes) -> int:
        """A stake belongs to whoever made the claim that it was paid with."""
        return self.claims[stake_id].claimant

    def get_tips(self, owner: int | None) -> dict[bytes, bytes]:
        """Claims that somebody's stakes sit on, and for each one a stake on it."""
        stakes = self.stakes.get(owner, ()) if owner is not None else ()
        return {self.tips[stake]: stake for stake in sorted(stakes, reverse=True)}

    def get_work(self, worker: int | None) -> Mapping[bytes, int]:
        """Wei by claim, credited and not paid out."""
        return self.work.get(worker, Map()) if worker is not None else Map()

    def get_pot(self, claim: Claim) -> int:
        """Wei that are left for the work of a final claim."""
        return (self.positions[claim.position].bracket.count - 1) * self.params.stake_wei - self.paid.get(claim.id, 0)


def compute_genesis(root: bytes) -> bytes:
    """Id of the claim that everything stands on."""
    return keccak(ZERO + ZERO + root + ZERO)


def create_board(params: Params, genesis_root: bytes) -> Board:
    """Before any block."""
    genesis = compute_genesis(genesis_root)
    claim = Claim(genesis, ZERO, ZERO, 0, genesis_root, ZERO, (), 0, 0, 0, Status.FINAL)
    return Board(params, genesis, Header(-1, ZERO, ZERO, 0, 0), Map[bytes, Claim]().set(genesis, claim))


def apply_block(board: Board, header: Header, events: Sequence[L1Event]) -> Board:
    """The board after one more block."""
    draft = _Draft(replace(board, header=header))
    try:
        for event in events:
            draft.apply(event)
    except KeyError as error:
        raise Malformed("an event about a claim that was never entered") from error
    return draft.board


class _Draft:
    """A board on its way through one block's events."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def apply(self, event: L1Event) -> None:
        match event:
            case MessageQueued():
                self._queue(event)
            case BatchPosted():
                self._consume(event)
                self._post(event)
            case Claimed():
                self._claim(event)
            case Revealed():
                self._reveal(event)
            case Descended():
                self._descend(event)
            case StepProven(leaf_before, leaf_after):
                self._change(proven=self.board.proven.set(leaf_before, leaf_after))
            case ClaimDied(claim_id, position):
                self._kill(position, claim_id)
            case ClaimPromoted(claim_id, position, round_):
                self._promote(position, claim_id, round_)
            case PositionReopened(parent, generation):
                self._reopen(parent, generation)
            case ClaimFinal(claim_id):
                self._finalize(claim_id)
            case StakeMoved(stake_id, tip):
                self._change(tips=self.board.tips.set(stake_id, tip))
            case StakeWithdrawn(stake_id):
                self._withdraw(stake_id)
            case WorkCredited(claim_id, worker, amount):
                work = self.board.work.get(worker, Map())
                self._change(work=self.board.work.set(worker, work.set(claim_id, work.get(claim_id, 0) + amount)))
            case WorkPaid(claim_id, worker, amount):
                self._change(work=self.board.work.set(worker, self.board.work[worker].discard(claim_id)))
                self._change(paid=self.board.paid.set(claim_id, self.board.paid.get(claim_id, 0) + amount))
            case _:
                pass  # deposits and withdrawals are not about claims; a win shows in its position

    def _change(self, **changes: Any) -> None:
        self.board = replace(self.board, **changes)

    def _put(self, claim: Claim) -> None:
        self._change(claims=self.board.claims.set(claim.id, claim))

    def _place(self, position: Position) -> None:
        self._change(positions=self.board.positions.set(position.id, position))

    def _queue(self, event: MessageQueued) -> None:
        if event.index != self.board.consumed + len(self.board.waiting):
            raise Malformed("a message out of its place")
        self._change(waiting=self.board.waiting.set(event.index, event.time))

    def _consume(self, event: BatchPosted) -> None:
        start, count, waiting = event.message_start, event.message_count, self.board.waiting
        if start != self.board.consumed or count > len(waiting):
            raise Malformed("a batch takes in messages that do not wait")
        for index in range(start, start + count):
            waiting = waiting.discard(index)
        self._change(consumed=start + count, waiting=waiting)

    def _post(self, event: BatchPosted) -> None:
        record = Record(
            number=event.number,
            first=event.first,
            last=event.last,
            message_start=event.message_start,
            message_count=event.message_count,
            messages=event.messages,
            frame_count=event.frame_count,
            frames=event.frames,
        )
        record_hash = compute_record_hash(record)
        epochs = dict(self.board.epochs)
        epoch = epochs.get(event.epoch)
        if epoch is None:
            newest = next(reversed(epochs.items()), None)
            if newest is not None and newest[0] > event.epoch:
                raise Malformed("a batch in an epoch that was over")
            parent = newest[1].key if newest else ZERO
            epoch = Epoch(keccak(parent + encode_word(event.epoch)), parent, ())
        if event.index != len(epoch.records):
            raise Malformed("a batch out of its place")
        epochs[event.epoch] = Epoch(keccak(epoch.key + record_hash), epoch.parent, (*epoch.records, record_hash))
        self._change(epochs=epochs)

    def _claim(self, event: Claimed) -> None:
        board, parent = self.board, self.board.claims[event.parent]
        claim_id = keccak(event.position + encode_word(event.epoch) + event.post_root + event.history)
        if claim_id != event.claim_id or event.position != board.current.get(event.parent, event.parent) or len(event.nodes) != 16:
            raise Malformed("a claim that is not what its id says")
        position = board.positions.get(event.position)
        if position is None:
            position = Position(event.position, parent.id, event.epoch, Map(), Bracket(event.close))
        seed = position.bracket.count
        bracket = enter(position.bracket, claim_id, board.params)
        self._place(replace(position, claims=position.claims.set(seed, claim_id), bracket=bracket))
        self._put(
            Claim(
                id=claim_id,
                parent=parent.id,
                position=position.id,
                epoch=event.epoch,
                post_root=event.post_root,
                history=event.history,
                nodes=event.nodes,
                claimant=event.claimant,
                seed=seed,
                round=0,
                status=Status.PENDING,
            )
        )
        self._change(entered=board.entered.set(len(board.entered), claim_id))
        if event.stake_id not in self.board.claims:
            raise Malformed("a claim on a stake that was never paid")
        self._change(tips=board.tips.set(event.stake_id, claim_id))
        if event.stake_id == claim_id:
            self._change(stakes=board.stakes.set(event.claimant, (*board.stakes.get(event.claimant, ()), claim_id)))

    def _get_duel(self, low: bytes, high: bytes) -> Duel:
        board = self.board
        claim, other = board.claims[low], board.claims[high]
        if claim.position != other.position or board.get_place(claim) != board.get_place(other):
            raise Malformed("a duel of two that are not of one group")
        return board.get_duel(low, high)

    def _set_duel(self, low: bytes, high: bytes, duel: Duel) -> None:
        self._change(duels=self.board.duels.set((low, high), duel))

    def _reveal(self, event: Revealed) -> None:
        low, high = min(event.mine, event.other), max(event.mine, event.other)
        side = A if event.mine == low else B
        duel = self._get_duel(low, high)
        if event.round != duel.round or duel.revealed:
            raise Malformed("a reveal out of its round")
        self._set_duel(low, high, apply_reveal(duel, side, event.nodes, self.board.now, self.board.params))

    def _descend(self, event: Descended) -> None:
        duel = self._get_duel(event.low, event.high)
        if event.round != duel.round or event.low >= event.high:
            raise Malformed("a descent out of its round")
        duel = apply_descent(duel, event.index, event.node_low, event.node_high, self.board.now, self.board.params)
        self._set_duel(event.low, event.high, duel)

    def _kill(self, position_id: bytes, claim_id: bytes) -> None:
        claim, position = self.board.claims[claim_id], self.board.positions[position_id]
        self._place(replace(position, bracket=leave(position.bracket, self.board.get_place(claim), claim_id)))
        self._put(replace(claim, status=Status.DEAD, died=self.board.now))
        self._change(fallen=self.board.fallen.set(len(self.board.fallen), claim_id))

    def _promote(self, position_id: bytes, claim_id: bytes, round_: int) -> None:
        claim, position = self.board.claims[claim_id], self.board.positions[position_id]
        place = self.board.get_place(claim)
        if round_ != claim.round + 1 or position.bracket.get_group(place) != (claim_id,):
            raise Malformed("a claim moved up that was not alone in its group")
        self._place(replace(position, bracket=move_up(position.bracket, place, claim_id, self.board.params)))
        self._put(replace(claim, round=round_))

    def _reopen(self, parent: bytes, generation: int) -> None:
        """Whoever was left dies with the position, without an event."""
        board = self.board
        for claim in board.list_claims(board.positions[board.current.get(parent, parent)]):
            if claim.status == Status.PENDING:
                self._put(replace(claim, status=Status.DEAD, died=board.now))
        self._change(current=board.current.set(parent, keccak(parent + encode_word(generation))))

    def _finalize(self, claim_id: bytes) -> None:
        claim = self.board.claims[claim_id]
        self._put(replace(claim, status=Status.FINAL))
        self._place(replace(self.board.positions[claim.position], final=claim_id))

    def _withdraw(self, stake_id: bytes) -> None:
        board = self.board
        owner = board.get_owner(stake_id)
        if stake_id not in board.tips:
            raise Malformed("a stake was paid back that was not there")
        self._change(tips=board.tips.discard(stake_id))
        self._change(stakes=board.stakes.set(owner, tuple(item for item in board.stakes[owner] if item != stake_id)))
