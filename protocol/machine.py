"""What every step shares: the preimages behind the header's hashes, the next source, the clock.

A step is a function `(header, view, preimages, rules) -> (header, code)` in the module of its name under `protocol/steps/`, with its
twin in `contracts/steps/`. It leaves the header's `state` alone: whoever runs the step puts the new root there.
"""

from collections.abc import Callable, Sequence

from protocol.codec.frames import MAX_FRAMES, MAX_MESSAGES, Batch
from protocol.codes import Code
from protocol.keccak import ZERO
from protocol.params import Params
from protocol.rules import Rules
from protocol.state import View
from protocol.types import INBOX_AUTHORITY, VAULT_AUTHORITY, Globals, Header, Phase, Sweep, Trade, compute_record_hash, compute_sweep_hash

MAX_GAP = 1 << 40
MAX_ROW_STEPS = 8  # of one row but for its scan; the most is TRADE's and BID's, 5


class Preimages:
    """What is behind the hashes of the header: the batches of the epoch, the rows being run, the operation, the trade or the scan."""

    __slots__ = ("batches", "items", "lines", "record_hashes", "rows", "signatures", "sweep", "trade")

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = tuple(batches)
        self.record_hashes = [compute_record_hash(batch.record) for batch in self.batches]
        self.rows = b""
        self.signatures = b""
        self.items: tuple[int, ...] = ()
        self.trade: Trade | None = None
        self.sweep = Sweep()
        self.lines: tuple[int, ...] = ()  # behind `sweep.lines`

    def copy(self) -> "Preimages":
        """Shares the batches, which nobody changes."""
        twin = Preimages.__new__(Preimages)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin


StepFunction = Callable[[Header, View, Preimages, Rules], tuple[Header, Code]]


def next_source(h: Header) -> Header:
    """Leaves rows that have ended: the next message, else the next frame, else the next batch."""
    h = h._replace(rows=ZERO, authority=0, signatures=ZERO, offset=0, signature=0, scratch=ZERO)
    if h.message < h.messages:
        return h._replace(phase=Phase.MESSAGE)
    if h.frame < h.frames:
        return h._replace(phase=Phase.INFLATE)
    return h._replace(phase=Phase.OPEN, record=ZERO, message=0, messages=0, frame=0, frames=0)


def next_row(h: Header) -> Header:
    """An operation is over, applied or not."""
    return h._replace(phase=Phase.FETCH, scratch=ZERO)


def open_scan(h: Header, pre: Preimages, sweep: Sweep) -> Header:
    """The next step visits what the sweep's cursor says."""
    pre.sweep = sweep
    return h._replace(phase=Phase.SCAN, scratch=compute_sweep_hash(sweep))


def is_admitted(authority: int, allowance: int, params: Params) -> bool:
    """Whether the next row of a source runs, so that an epoch's run always fits its history commitment.

    Frames need allowance. What L1 forces runs on, into a reserve as large as the cap: a sequencer that has spent the allowance cannot keep
    it out. Deposits run always: L1 has the money already, and each is a message of its own with one row. So does the shutdown: it has one
    row too, and is sent once only.
    """
    if authority in (VAULT_AUTHORITY, INBOX_AUTHORITY):
        return True
    return allowance > (0 if authority == 0 else -params.steps_cap)


def compute_most_steps(params: Params) -> int:
    """No epoch's run is longer, whatever is posted and forced in. It must be less than the leaves of a history.

    What accrues, the cap at the first batch, the reserve, one row and its scan beyond it, and what no row pays for: OPEN, INFLATE and the
    FETCH that leaves a source, four steps of a message that is a deposit.
    """
    accounts = 1 << params.account_depth
    accrued = (params.epoch_s + params.header_window_s) * params.steps_per_second
    # a MARK where all are ripe, one is bankrupt and all ask for the pool: FLAG, TAKEOVER, ADL_TALLY, ADL_CUT, REQUEST
    row = MAX_ROW_STEPS + 5 * accounts + 4 * (accounts >> 8)
    sources = 1 + 2 * MAX_FRAMES + 4 * MAX_MESSAGES
    return accrued + 2 * params.steps_cap + row + (sources << params.batch_depth)


def advance_clock(g: Globals, now: int, first: int, params: Params) -> Globals:
    """Moves the L2 clock forward, never back, and accrues the step allowance up to its cap.

    The clock goes by what the source says, the allowance by its batch's `first`. L1 has held that near its own time, while a message may
    have waited for days: what accrues within an epoch is bounded by the epoch's length.
    """
    gap = min(max(first - g.accrued, 0), MAX_GAP)
    allowance = min(g.allowance + gap * params.steps_per_second, params.steps_cap)
    return g._replace(clock=max(g.clock, now), allowance=allowance, accrued=max(g.accrued, first))
