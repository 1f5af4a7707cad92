"""A run in segments, so that several processes can trace one epoch: a leap goes ahead and says where each begins.

A segment begins at the first start of a source (a batch, a message, a frame) at or after every multiple of `spacing` steps: the leap
knows the header there, and counts the steps. Chunks of the history commitment are never divided: who traces a segment begins with its
first whole chunk and goes on to the end of the chunk in which the next segment begins. What a segment ends with must be what the leap says
that the next one begins with; so the commitment is that of the steps, or there is none.

A source is never divided. It has at most 8,192 bytes of rows, so that only the scans in it can make it long: then its segment is.
"""

from collections.abc import Iterator
from typing import NamedTuple

from protocol.history import CHUNK_HEIGHT, History, Snapshots, compute_chunk_root, get_chunk_height, trace_chunks
from protocol.leap import Leap
from protocol.machine import next_source
from protocol.steps import open as open_step
from protocol.trace import Applied, Machine
from protocol.types import Header, Phase

SPACING = 32 << CHUNK_HEIGHT  # two million steps: minutes of a core; a multiple of a chunk
SOURCES = (Phase.OPEN, Phase.MESSAGE, Phase.INFLATE)


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
    """Of a segment that begins at `step`, the least that it can be."""
    return (step // spacing + 1) * spacing


def leap_ahead(machine: Machine, spacing: int) -> Iterator[bool]:
    """Takes `machine`, at its start, from source to source to the halt; says whether it is where a segment begins.

    Only there, and at the halt, is its header's state root up to date.
    """
    leap = Leap(machine.state, machine.rules)
    machine.rules = leap.rules
    end = 0
    while not machine.is_halted:
        is_seam = machine.count >= end
        if is_seam:
            end = _get_end(machine.count, spacing)
            _put_root(machine)
        yield is_seam
        machine.header = _leap_source(machine, leap)
        machine.count = leap.count
    _put_root(machine)


def _put_root(machine: Machine) -> None:
    machine.header = machine.header._replace(state=machine.state.get_root())


def _leap_source(machine: Machine, leap: Leap) -> Header:
    """The header at the next source's start, with an old state root."""
    h, batches = machine.header, machine.preimages.batches
    if h.phase == Phase.OPEN:
        leap.count += 1
        h, _ = open_step.step(h, machine.state, machine.preimages, machine.rules)
        return h
    batch = batches[h.batch - 1]
    if h.phase == Phase.MESSAGE:
        leap.apply_message(batch.messages[h.message])
        return next_source(h._replace(message=h.message + 1))
    leap.apply_frame(batch.frames[h.frame], batch.record)
    return next_source(h._replace(frame=h.frame + 1))


def trace_segment(machine: Machine, spacing: int) -> Segment:
    """Step by step, from the start of a segment."""
    height = get_chunk_height(machine.rules.params)
    mask = (1 << height) - 1
    least = _get_end(machine.count, spacing)
    ends: list[Seam] = []

    def watch(_applied: Applied, h: Header) -> None:
        if h.phase in SOURCES and machine.count >= least and not ends and not h.is_halted:
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
