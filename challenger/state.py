"""What the challenger's machine remembers. All of it can be rebuilt from L1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from challenger.board import Board, create_board
from challenger.epochs import Base
from challenger.events import Action, TraceReveal, TraceStep
from challenger.evidence import Judgement, StepProof, Truth
from l1.shapes import Malformed
from protocol.params import Params
from protocol.persistent import Map

FAR = 1 << 62  # a deadline that never comes
KEPT_BOARDS = 512  # blocks that can be undone


@dataclass(frozen=True)
class Settings:
    """`me` is the key's address, None to watch only. Times in chain seconds."""

    params: Params
    genesis_root: bytes
    me: int | None = None
    claim_if_missing: bool = False  # claim an epoch that nobody has claimed
    claim_delay_s: int = 0  # wait so long before claiming: several honest parties need not all pay
    confirmations: int = 2  # blocks, the block itself included
    urgent_s: int = 0  # so close to a deadline the newest block is answered
    max_lag_s: int = 0  # an older head is an alert; 0 for none
    takes_turns: bool = False  # leave a move to other honest parties first, while that is free

    @property
    def keeps_stake(self) -> bool:
        """Whoever claims every epoch moves the stake along instead of taking it out."""
        return self.claim_if_missing


class Turn(NamedTuple):
    """Something is left to others for so long after it was first seen, and never beyond `until`. Chain seconds."""

    wait_s: int
    until: int


@dataclass(frozen=True)
class Task:
    """Something to be done in answer to a board. `name` says what and to which state: while it is the same, it is done once."""

    name: str
    deadline: int
    need: Action | TraceReveal | TraceStep
    turn: Turn | None = None  # None: at once


@dataclass(frozen=True)
class Challenger:
    """`boards` are those after the newest blocks; before the first block there is one of the empty chain."""

    settings: Settings
    boards: tuple[Board, ...]
    is_live: bool = False
    clock: int = 0
    truths: Mapping[bytes, Truth] = field(default_factory=dict)  # by epoch key
    reveals: Mapping[tuple[bytes, int, int], tuple[bytes, ...]] = field(default_factory=dict)
    steps: Mapping[tuple[bytes, int], StepProof] = field(default_factory=dict)
    asked: frozenset[object] = frozenset()  # questions under way
    in_flight: Mapping[str, int] = field(default_factory=dict)  # name -> attempt
    attempts: Mapping[str, int] = field(default_factory=dict)  # name -> attempts that are over
    holds: Mapping[str, int] = field(default_factory=dict)  # name -> block before which it is not tried again
    turns: Mapping[str, int] = field(default_factory=dict)  # name -> when what waits for its turn was first seen
    verdicts: Map[bytes, Judgement] = field(default_factory=Map)
    judged: int = 0  # so many of the claims that entered were looked at
    unjudged: Map[bytes, tuple[bytes, ...]] = field(default_factory=Map)  # parent -> claims that wait for a verdict on it
    explained: int = 0  # so many of the claims that fell were looked at
    unexplained: tuple[bytes, ...] = ()  # of them, those whose evidence is still to be told
    told: Map[tuple[str | int | bytes, ...], bool] = field(default_factory=Map)  # reports that were made
    base: Base | None = None  # nothing is left to be done before it

    @property
    def board(self) -> Board:
        """After the newest block."""
        return self.boards[-1]

    @property
    def confirmed(self) -> Board:
        """After the newest block that has its confirmations; the oldest one kept, if there are not as many."""
        return self.boards[max(0, len(self.boards) - self.settings.confirmations)]


def create_challenger(settings: Settings) -> Challenger:
    """Knows nothing yet."""
    return Challenger(settings, (create_board(settings.params, settings.genesis_root),))


def check_undo(state: Challenger, block_hash: bytes) -> None:
    """Raises `Malformed` for a block that is not the newest, or that is too deep."""
    if len(state.boards) < 2 or state.board.header.hash != block_hash:
        raise Malformed("a block was undone that is not the newest one")
