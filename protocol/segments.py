"""A run in segments, so that several processes can trace one epoch: a leap goes ahead and says where each begins.

A segment begins at the first place at or after every multiple of `spacing` steps (a power of two) where a leap knows the machine: where a
source (a batch, a message, a frame) starts, or at a step of a scan, but for a mark's flags. Chunks of the history commitment are never
divided: who traces a segment begins with its first whole chunk and goes on to the end of the chunk in which the next segment begins. What a
segment ends with must be what the leap says that the next one begins with; so the commitment is that of the steps, or there is none.
"""

from collections.abc import Callable
from typing import NamedTuple

from protocol.codec.frames import compute_signatures_hash
from protocol.history import CHUNK_HEIGHT, History, Snapshots, compute_chunk_root, get_chunk_height, trace_chunks
from protocol.keccak import keccak
from protocol.leap import Leap, is_divisible
from protocol.machine import Preimages, next_source
from protocol.steps import open as open_step
from protocol.trace import Applied, Machine
from protocol.types import Header, Phase

SPACING = 32 << CHUNK_HEIGHT  # two million steps: minutes of a core
SOURCES = (Phase.OPEN, Phase.MESSAGE, Phase.INFLATE)
Look = Callable[[bool], None]


class Seam(NamedTuple):
    """Where one segment ends and the next one begins, or the run."""

    step: int
    leaf: bytes


class Segment(NamedTuple):
    """`roots` of the chunks from number `chunk` on."""

    chunk: int
    roots: list[bytes]
    end: Seam


class Mismatch(Exception):
    """A leap has not landed where the steps lead: a bug of ours."""


def get_seam(machine: Machine) -> Seam:
    """Where the machine is."""
    return Seam(machine.count, machine.get_leaf())


def _get_end(step: int, spacing: int) -> int:
    """Of a segment that begins at `step`, the least that it can be: the next multiple."""
    return (step | spacing - 1) + 1


def _may_begin(h: Header, pre: Preimages) -> bool:
    """Whether a segment may begin here."""
    return h.phase in SOURCES or is_divisible(h, pre)


class _Scout:
    """Takes a machine ahead by a leap over its state. The machine itself is up to date only where a segment begins, and at the halt."""

    def __init__(self, machine: Machine, spacing: int, look: Look) -> None:
        self._machine = machine
        self._spacing = spacing
        self._look = look
        self._end = 0
        self._source = machine.header  # at the start of the present source, but for the state's root
        self._leap = Leap(machine.state, machine.rules)
        self._leap.on_scan = self._see_scan
        machine.rules = self._leap.rules

    def run(self) -> None:
        """To the halt."""
        while not self._source.is_halted:
            self._see(self._source)
            self._source = self._leap_source(self._source)
        self._place(self._source)

    def _see(self, h: Header) -> None:
        """Here a segment may begin."""
        is_seam = self._leap.count >= self._end
        if is_seam:
            self._end = _get_end(self._leap.count, self._spacing)
            self._place(h)
        self._look(is_seam)

    def _see_scan(self, h: Header) -> None:
        """The same in the middle of a source."""
        if self._leap.count < self._end:
            self._look(False)
            return
        pre, found = self._machine.preimages, self._leap.preimages
        pre.rows, pre.signatures, pre.items, pre.sweep, pre.lines = found.rows, found.signatures, found.items, found.sweep, found.lines
        signatures = compute_signatures_hash(pre.signatures)
        source = _leave(self._source)._replace(rows=keccak(pre.rows), authority=h.authority, signatures=signatures)
        self._see(source._replace(offset=self._leap.offset, signature=h.signature, phase=h.phase, scratch=h.scratch))

    def _place(self, h: Header) -> None:
        self._machine.header = h._replace(state=self._machine.state.get_root())
        self._machine.count = self._leap.count

    def _leap_source(self, h: Header) -> Header:
        """Where the next one starts."""
        machine, leap = self._machine, self._leap
        if h.phase == Phase.OPEN:
            leap.count += 1
            return open_step.step(h, machine.state, machine.preimages, machine.rules)[0]
        batch = machine.preimages.batches[h.batch - 1]
        if h.phase == Phase.MESSAGE:
            leap.apply_message(batch.messages[h.message], batch.record)
        else:
            leap.apply_frame(batch.frames[h.frame], batch.record)
        return next_source(_leave(h))


def _leave(h: Header) -> Header:
    """With the source counted that starts at `h`."""
    return h._replace(message=h.message + 1) if h.phase == Phase.MESSAGE else h._replace(frame=h.frame + 1)


def leap_ahead(machine: Machine, spacing: int, look: Look) -> None:
    """Takes `machine` from its start to its halt. `look` is called now and then, with True where a segment begins: `machine` is there."""
    _Scout(machine, spacing, look).run()


def trace_segment(machine: Machine, spacing: int) -> Segment:
    """Step by step, from the start of a segment."""
    height = get_chunk_height(machine.rules.params)
    mask = (1 << height) - 1
    least = _get_end(machine.count, spacing)
    ends: list[Seam] = []

    def watch(_applied: Applied, h: Header) -> None:
        if machine.count >= least and not ends and _may_begin(h, machine.preimages) and not h.is_halted:
            ends.append(get_seam(machine))

    while machine.count & mask and not machine.is_halted:
        watch(machine.step(), machine.header)
    chunk, roots = machine.count >> height, []
    if not machine.count & mask and not ends:
        for leaves in trace_chunks(machine, watch):
            roots.append(compute_chunk_root(leaves, height))
            if ends:
                break
    return Segment(chunk, roots, ends[0] if ends else get_seam(machine))


def join_segments(machine: Machine, snapshots: Snapshots, seams: list[Seam], segments: list[Segment]) -> History:
    """Of the whole run; `machine` has leapt to its halt, `seams` are where the leap has begun the segments.

    Raises `Mismatch` where the steps have not led to where the leap was.
    """
    roots: list[bytes] = []
    for segment, end in zip(segments, [*seams[1:], get_seam(machine)], strict=True):
        if segment.end != end or (segment.roots and segment.chunk != len(roots)):
            raise Mismatch(f"the steps lead to {segment.end.step}, {segment.end.leaf.hex()}, a leap to {end.step}, {end.leaf.hex()}")
        roots += segment.roots
    return History.join(machine, snapshots, roots)
