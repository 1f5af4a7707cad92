"""The claims contract's state as its events tell it: a fold over blocks, kept as immutable boards so that a block can be undone.

Raises `Malformed` for events that the contracts cannot have emitted: the endpoint lies, or serves another deployment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from l1.contracts import (
    BatchPosted,
    ClaimDied,
    Claimed,
    ClaimFinal,
    ClaimPromoted,
    Descended,
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


@dataclass(frozen=True, slots=True)
class Position:
    """Claims that share a parent, in order of entry."""

    id: bytes
    parent: bytes
    epoch: int
    claims: tuple[bytes, ...]
    bracket: Bracket

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
    claims: Mapping[bytes, Claim]
    positions: Mapping[bytes, Position]  # by id
    current: Mapping[bytes, bytes]  # parent -> its position now
    duels: Mapping[tuple[bytes, bytes], Duel]  # seen from the smaller id; those with a move
    proven: Mapping[bytes, bytes]
    tips: Mapping[bytes, bytes]  # stake -> the claim that it sits on
    work: Mapping[tuple[bytes, int], int]  # (claim, worker) -> wei
    epochs: dict[int, Epoch]  # ascending

    @property
    def now(self) -> int:
        """Chain time of the block."""
        return self.header.time

    def get_position(self, parent: bytes) -> Position | None:
        """The present generation's, if there is any claim in it."""
        return self.positions.get(self.current.get(parent, parent))

    def get_place(self, claim: Claim) -> Place:
        """The group that it stands in."""
        return get_place(claim.round, claim.seed, self.params)

    def get_start(self, claim: Claim) -> int:
        """When its round begins."""
        return get_start(self.positions[claim.position].close, claim.round, self.params)

    def get_duel(self, a: bytes, b: bytes) -> Duel:
        """Seen from `a`; both are of one group."""
        low, high = min(a, b), max(a, b)
        duel = self.duels.get((low, high)) or open_duel(self.get_start(self.claims[a]))
        return duel if a == low else flip(duel)

    def get_owner(self, stake_id: bytes) -> int:
        """A stake belongs to whoever made the claim that it was paid with."""
        return self.claims[stake_id].claimant


def compute_genesis(root: bytes) -> bytes:
    """Id of the claim that everything stands on."""
    return keccak(ZERO + ZERO + root + ZERO)


def create_board(params: Params, genesis_root: bytes) -> Board:
    """Before any block."""
    genesis = compute_genesis(genesis_root)
    claim = Claim(genesis, ZERO, ZERO, 0, genesis_root, ZERO, (), 0, 0, 0, Status.FINAL)
    return Board(params, genesis, Header(-1, ZERO, ZERO, 0, 0), {genesis: claim}, {}, {}, {}, {}, {}, {}, {})


def apply_block(board: Board, header: Header, events: Sequence[L1Event]) -> Board:
    """The board after one more block."""
    if not events:
        return replace(board, header=header)
    draft = _Draft(board, header)
    try:
        for event in events:
            draft.apply(event)
    except KeyError as error:
        raise Malformed("an event about a claim that was never entered") from error
    return draft.finish()


class _Draft:
    """Copies that one block's events change."""

    def __init__(self, board: Board, header: Header) -> None:
        self.board = board
        self.header = header
        self.claims = dict(board.claims)
        self.positions = dict(board.positions)
        self.current = dict(board.current)
        self.duels = dict(board.duels)
        self.proven = dict(board.proven)
        self.tips = dict(board.tips)
        self.work = dict(board.work)
        self.epochs = dict(board.epochs)

    def finish(self) -> Board:
        return Board(
            params=self.board.params,
            genesis=self.board.genesis,
            header=self.header,
            claims=self.claims,
            positions=self.positions,
            current=self.current,
            duels=self.duels,
            proven=self.proven,
            tips=self.tips,
            work=self.work,
            epochs=self.epochs,
        )

    def apply(self, event: L1Event) -> None:
        match event:
            case BatchPosted():
                self._post(event)
            case Claimed():
                self._claim(event)
            case Revealed():
                self._reveal(event)
            case Descended():
                self._descend(event)
            case StepProven(leaf_before, leaf_after):
                self.proven[leaf_before] = leaf_after
            case ClaimDied(claim_id, position):
                self._kill(position, claim_id)
            case ClaimPromoted(claim_id, position, round_):
                self._promote(position, claim_id, round_)
            case PositionReopened(parent, generation):
                self._reopen(parent, generation)
            case ClaimFinal(claim_id):
                self.claims[claim_id] = replace(self.claims[claim_id], status=Status.FINAL)
            case StakeMoved(stake_id, tip):
                self.tips[stake_id] = tip
            case StakeWithdrawn(stake_id):
                del self.tips[stake_id]
            case WorkCredited(claim_id, worker, amount):
                self.work[claim_id, worker] = self.work.get((claim_id, worker), 0) + amount
            case WorkPaid(claim_id, worker):
                del self.work[claim_id, worker]
            case _:
                pass  # messages, deposits and withdrawals are not about claims; a win shows in its position

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
        epoch = self.epochs.get(event.epoch)
        if epoch is None:
            newest = next(reversed(self.epochs.items()), None)
            if newest is not None and newest[0] > event.epoch:
                raise Malformed("a batch in an epoch that was over")
            parent = newest[1].key if newest else ZERO
            epoch = Epoch(keccak(parent + encode_word(event.epoch)), parent, ())
        if event.index != len(epoch.records):
            raise Malformed("a batch out of its place")
        self.epochs[event.epoch] = Epoch(keccak(epoch.key + record_hash), epoch.parent, (*epoch.records, record_hash))

    def _claim(self, event: Claimed) -> None:
        parent = self.claims[event.parent]
        claim_id = keccak(event.position + encode_word(event.epoch) + event.post_root + event.history)
        if claim_id != event.claim_id or event.position != self.current.get(event.parent, event.parent) or len(event.nodes) != 16:
            raise Malformed("a claim that is not what its id says")
        position = self.positions.get(event.position)
        if position is None:
            position = Position(event.position, parent.id, event.epoch, (), Bracket(event.close))
        bracket = enter(position.bracket, claim_id, self.board.params)
        self.positions[position.id] = replace(position, claims=(*position.claims, claim_id), bracket=bracket)
        self.claims[claim_id] = Claim(
            id=claim_id,
            parent=parent.id,
            position=position.id,
            epoch=event.epoch,
            post_root=event.post_root,
            history=event.history,
            nodes=event.nodes,
            claimant=event.claimant,
            seed=position.bracket.count,
            round=0,
            status=Status.PENDING,
        )
        if event.stake_id not in self.claims:
            raise Malformed("a claim on a stake that was never paid")
        self.tips[event.stake_id] = claim_id

    def _get_duel(self, low: bytes, high: bytes) -> Duel:
        claim, other = self.claims[low], self.claims[high]
        place, params = self.board.get_place(claim), self.board.params
        if claim.position != other.position or place != self.board.get_place(other):
            raise Malformed("a duel of two that are not of one group")
        return self.duels.get((low, high)) or open_duel(get_start(self.positions[claim.position].close, claim.round, params))

    def _reveal(self, event: Revealed) -> None:
        low, high = min(event.mine, event.other), max(event.mine, event.other)
        side = A if event.mine == low else B
        duel = self._get_duel(low, high)
        if event.round != duel.round or duel.revealed:
            raise Malformed("a reveal out of its round")
        self.duels[low, high] = apply_reveal(duel, side, event.nodes, self.header.time, self.board.params)

    def _descend(self, event: Descended) -> None:
        duel = self._get_duel(event.low, event.high)
        if event.round != duel.round or event.low >= event.high:
            raise Malformed("a descent out of its round")
        place = event.low, event.high
        self.duels[place] = apply_descent(duel, event.index, event.node_low, event.node_high, self.header.time, self.board.params)

    def _kill(self, position_id: bytes, claim_id: bytes) -> None:
        claim, position = self.claims[claim_id], self.positions[position_id]
        bracket = leave(position.bracket, self.board.get_place(claim), claim_id)
        self.positions[position_id] = replace(position, bracket=bracket)
        self.claims[claim_id] = replace(claim, status=Status.DEAD)

    def _promote(self, position_id: bytes, claim_id: bytes, round_: int) -> None:
        claim, position = self.claims[claim_id], self.positions[position_id]
        place = self.board.get_place(claim)
        if round_ != claim.round + 1 or position.bracket.get_group(place) != (claim_id,):
            raise Malformed("a claim moved up that was not alone in its group")
        self.positions[position_id] = replace(position, bracket=move_up(position.bracket, place, claim_id, self.board.params))
        self.claims[claim_id] = replace(claim, round=round_)

    def _reopen(self, parent: bytes, generation: int) -> None:
        """Whoever was left dies with the position, without an event."""
        for claim_id in self.positions[self.current.get(parent, parent)].claims:
            self.claims[claim_id] = replace(self.claims[claim_id], status=Status.DEAD)
        self.current[parent] = keccak(parent + encode_word(generation))
