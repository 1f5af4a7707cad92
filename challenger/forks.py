"""Tracing on several cores: this process leaps ahead, and forks a child at the start of each segment, which traces it.

A child has the state without its being sent, and gives back 32 bytes for 65,536 steps. There are at most as many children as cores, each
for one segment, so that what they copy of the state is bounded. By `os.fork`, not `multiprocessing`: the worker has a thread that reads its
input, and a child must not touch what that thread may have locked.
"""

import gc
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import msgpack

from protocol.history import History, Snapshots
from protocol.segments import SPACING, Mismatch, Seam, Segment, get_seam, join_segments, leap_ahead, trace_segment
from protocol.trace import Machine

POLL_S = 0.02
ORPHAN_S = 2.0  # how often a child looks whether its parent lives
READ_BYTES = 1 << 16


class ChildDied(Exception):
    """Killed from outside, or for want of memory."""


class _Child:
    """Traces the segment that begins where `machine` is."""

    def __init__(self, machine: Machine, spacing: int) -> None:
        parent = os.getpid()
        self._pipe, write = os.pipe()
        self._data = b""
        self._pid = os.fork()  # 0 once it is waited for; and in the child
        if self._pid == 0:
            _be_child(machine, spacing, parent, write)
        os.close(write)

    def poll(self, wait_s: float) -> Segment | None:
        """What it has found, once it is there."""
        if select.select([self._pipe], [], [], wait_s)[0]:
            piece = os.read(self._pipe, READ_BYTES)
            if not piece:
                return self._read()
            self._data += piece
        return None

    def _read(self) -> Segment:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        if status:
            raise ChildDied(f"a tracing child ended with status {status}")
        chunk, roots, end = msgpack.unpackb(self._data)
        return Segment(chunk, roots, Seam(*end))

    def close(self) -> None:
        """Whatever it is doing."""
        os.close(self._pipe)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _be_child(machine: Machine, spacing: int, parent: int, write: int) -> NoReturn:
    """Never returns into the parent's code. Who reads the parent's output must see its end when the parent ends."""
    status = 1
    try:
        gc.disable()  # steps make no cycles; and what it does not look at stays shared with the parent
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        signal.signal(signal.SIGALRM, lambda *_: None if os.getppid() == parent else os._exit(1))
        signal.setitimer(signal.ITIMER_REAL, ORPHAN_S, ORPHAN_S)
        data = memoryview(msgpack.packb(trace_segment(machine, spacing)))
        while data:
            data = data[os.write(write, data) :]
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


class _Crew:
    """At most `cores` children at a time, and what they have found, by their segment's number."""

    def __init__(self, cores: int, pause: Callable[[], None]) -> None:
        self._cores = cores
        self._pause = pause
        self._children: dict[int, _Child] = {}
        self.seams: list[Seam] = []
        self._found: dict[int, Segment] = {}

    def start(self, machine: Machine, spacing: int) -> None:
        """Of one more, as soon as there is a core."""
        self._wait(self._cores - 1)
        self._children[len(self.seams)] = _Child(machine, spacing)
        self.seams.append(get_seam(machine))

    def finish(self) -> list[Segment]:
        """All of them."""
        self._wait(0)
        return [self._found[number] for number in range(len(self.seams))]

    def _wait(self, most: int) -> None:
        while len(self._children) > most:
            self._pause()
            for number, child in list(self._children.items()):
                segment = child.poll(POLL_S)
                if segment is not None:
                    self._children.pop(number).close()
                    self._found[number] = segment

    def close(self) -> None:
        """Nobody waits for what is not found yet."""
        for child in self._children.values():
            child.close()


def trace_on_cores(machine: Machine, cores: int, pause: Callable[[], None], spacing: int = SPACING) -> History:
    """The history of a run of the honest steps, from `machine` at its start. `pause` is called now and then meanwhile.

    Where a child dies, or the leap is not where the steps lead, all of it is traced by this process alone.
    """
    start, snapshots, crew = machine.copy(), Snapshots(machine), _Crew(cores, pause)

    def look(is_seam: bool) -> None:
        pause()
        if is_seam:
            snapshots.keep(machine)
            crew.start(machine, spacing)

    try:
        leap_ahead(machine, spacing, look)
        return join_segments(machine, snapshots, crew.seams, crew.finish())
    except (ChildDied, Mismatch) as error:
        sys.stderr.write(f"traced on one core: {error}\n")
    finally:
        crew.close()
    return History(start, lambda *_: pause())
