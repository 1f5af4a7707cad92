"""The right path through the tree of claims: epoch after epoch, the claim that is true, whether it is there or not."""

from collections.abc import Mapping
from dataclasses import dataclass

from challenger.board import Board, Epoch, Position, Status
from challenger.events import TraceEpoch
from challenger.evidence import Truth
from protocol.keccak import encode_word, keccak


@dataclass(frozen=True)
class Link:
    """One epoch on the path. `parent` is a right claim that lives; `claim_id` the right claim of the epoch, there or not."""

    epoch: int
    key: bytes
    truth: Truth
    parent: bytes
    claim_id: bytes
    position: Position | None
    status: Status | None  # of the right claim; None if it is not there

    @property
    def rivals(self) -> tuple[bytes, ...]:
        """Wrong claims that live."""
        return tuple(item for item in self.position.alive if item != self.claim_id) if self.position else ()


def compute_claim_id(position: bytes, epoch: int, truth: Truth) -> bytes:
    """Of the right claim in a position."""
    return keccak(position + encode_word(epoch) + truth.post_root + truth.history)


def compute_links(board: Board, truths: Mapping[bytes, Truth], now: int) -> tuple[Link, ...]:
    """From the first epoch to the first whose right claim is not there, or is dead, or is not known yet."""
    links: list[Link] = []
    parent = board.genesis
    for number in _get_over(board, now):
        epoch = board.epochs[number]
        truth = truths.get(epoch.key)
        if truth is None:
            break
        position_id = board.current.get(parent, parent)
        claim_id = compute_claim_id(position_id, number, truth)
        claim = board.claims.get(claim_id)
        status = claim.status if claim else None
        links.append(Link(number, epoch.key, truth, parent, claim_id, board.positions.get(position_id), status))
        if status is None or status == Status.DEAD:
            break
        parent = claim_id
    return tuple(links)


def find_untraced(board: Board, truths: Mapping[bytes, Truth], now: int) -> TraceEpoch | None:
    """The next epoch to run: one at a time, since each starts where the one before ends."""
    for number in _get_over(board, now):
        epoch: Epoch = board.epochs[number]
        if epoch.key not in truths:
            return TraceEpoch(epoch.key, epoch.parent, number, epoch.records)
    return None


def _get_over(board: Board, now: int) -> list[int]:
    """Non-empty epochs that are over, ascending."""
    return [epoch for epoch in board.epochs if epoch < now // board.params.epoch_s]
