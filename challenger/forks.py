"""Tracing on several cores: this process leaps ahead and forks a child at the start of each segment, which traces it.

A child has the state without its being sent, and gives back 32 bytes for 65,536 steps. At most as many children as there are cores live at
a time, each as long as its segment, so what they copy of the state is bounded. By `os.fork`, not `multiprocessing`: the worker has a thread
that reads its input, whose locks a child must not touch.
"""

import os
import select
from collections.abc import Callable
from typing import NoReturn

import msgpack

from protocol.history import History, Snapshots
from protocol.segments import SPACING, Mismatch, Seam, Segment, get_seam, join_segments, leap_ahead, trace_segment
from protocol.trace import Applied, Machine
from protocol.types import Header

PAUSE_S = 0.02
PATIENCE_STEPS = 4_096  # between two looks at whether the parent lives
READ_BYTES = 1 << 16


class ChildDied(Exception):
    """Killed from outside, or for want of memory."""


class Child:
    """Traces one segment from where `machine` is."""

    def __init__(self, machine: Machine, spacing: int) -> None:
        parent = os.getpid()
        self._pipe, write = os.pipe()
        self._data = b""
        self.pid = os.fork()
        if self.pid == 0:
            _be_child(machine, spacing, parent, write)
        os.close(write)

    def poll(self, wait_s: float) -> Segment | None:
        """What it has found, if it is there within the time."""
        while select.select([self._pipe], [], [], wait_s)[0]:
            piece = os.read(self._pipe, READ_BYTES)
            if not piece:
                return self._finish()
            self._data += piece
        return None

    def _finish(self) -> Segment:
        os.close(self._pipe)
        _, status = os.waitpid(self.pid, 0)
        if status:
            raise ChildDied(f"a tracing child ended with status {status}")
        chunk, roots, end = msgpack.unpackb(self._data)
        return Segment(chunk, roots, Seam(*end))

    def kill(self) -> None:
        """Whatever it is doing."""
        os.close(self._pipe)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def _be_child(machine: Machine, spacing: int, parent: int, write: int) -> NoReturn:
    """Ends with the process; never returns into the parent's code, nor keeps the parent's pipes open."""
    status = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        segment = trace_segment(machine, spacing, _Orphan(parent))
        data = memoryview(msgpack.packb(segment))
        while data:
            data = data[os.write(write, data) :]
        status = 0
    finally:
        os._exit(status)
