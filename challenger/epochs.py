"""The right path through the tree of claims: epoch after epoch, the claim that is true, whether it is there or not."""

from collections.abc import Mapping
from dataclasses import dataclass

from challenger.board import Board, Claim, Position, Status
from challenger.events import TraceEpoch
from challenger.evidence import Truth
from protocol.keccak import encode_word, keccak
from protocol.tournament import is_left_behind


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
    rivals: tuple[bytes, ...]  # wrong claims of its group, if it is there


def compute_claim_id(position: bytes, epoch: int, truth: Truth) -> bytes:
    """Of the right claim in a position."""
    return keccak(position + encode_word(epoch) + truth.post_root + truth.history)


@dataclass(frozen=True)
class Base:
    """A right claim that is final, with all before it: where the path may as well start."""

    epoch: int
    claim_id: bytes


def compute_links(board: Board, truths: Mapping[bytes, Truth], now: int, base: Base | None = None) -> tuple[Link, ...]:
    """From the first epoch after `base` to the first whose right claim is not there, or is dead, or is not known yet."""
    links: list[Link] = []
    start, parent = 0, board.genesis
    found = board.claims.get(base.claim_id) if base else None
    if base is not None and found is not None and found.status == Status.FINAL:
        start, parent = base.epoch, base.claim_id
    for number, epoch in board.epochs.items():
        if number <= start:
            continue
        truth = truths.get(epoch.key)
        if truth is None or number >= now // board.params.epoch_s:
            break
        position_id = board.current.get(parent, parent)
        claim_id = compute_claim_id(position_id, number, truth)
        claim = board.claims.get(claim_id)
        position = board.positions.get(position_id)
        status = None if claim is None or position is None else _find_status(board, position, claim, now)
        links.append(Link(number, epoch.key, truth, parent, claim_id, position, status, _find_rivals(board, position, claim)))
        if status is None or status == Status.DEAD:
            break
        parent = claim_id
    return tuple(links)


def _find_status(board: Board, position: Position, claim: Claim, now: int) -> Status:
    """Dead also if its round went by without it: no event says so."""
    is_behind = claim.status == Status.PENDING and is_left_behind(position.bracket, claim.round, claim.id, now, board.params)
    return Status.DEAD if is_behind else claim.status


def _find_rivals(board: Board, position: Position | None, claim: Claim | None) -> tuple[bytes, ...]:
    if position is None or claim is None:
        return ()
    return tuple(item for item in position.bracket.get_group(board.get_place(claim)) if item != claim.id)


def find_untraced(board: Board, truths: Mapping[bytes, Truth], now: int) -> TraceEpoch | None:
    """The next epoch to run: one at a time, since each starts where the one before ends. All before a traced one are traced."""
    found = None
    for number, epoch in reversed(board.epochs.items()):
        if number >= now // board.params.epoch_s:
            continue
        if epoch.key in truths:
            break
        found = TraceEpoch(epoch.key, epoch.parent, number, epoch.records)
    return found
