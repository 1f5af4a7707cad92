"""Child processes of a simulated world: started, waited for, logged, and gone when the world ends, however it ends.

Each child leads a process group of its own, so that its own children go with it, and holds our end of its stdin: if we are killed, that
closes, and a child started with `--with-parent` stops.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

READY_S = 60.0
STOP_S = 6.0
SHOWN = 300  # characters of a log's last line
MAX_LINE = 1 << 20


class ChildFailed(Exception):
    """A process that did not start, or ended before it was told to. The message ends with the last line of its log."""

    code = "E_PROCESS"


@dataclass
class Child:
    """One running process. `ready` is what it announced."""

    name: str
    process: trio.Process
    log: Path
    ready: Mapping[str, Any] = field(default_factory=dict)
    is_stopping: bool = False

    def describe_end(self) -> str:
        """Exit code and the last line of its log."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "(empty)")
        return f"{self.name} ended with code {self.process.returncode}, see {self.log}: {last[:SHOWN]}"


def parse_ready(line: bytes) -> Mapping[str, Any] | None:
    """A JSON object, which is what a daemon announces itself with; None for anything else."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Family:
    """All children of one world. Use as an async context manager: on leaving, every child is stopped, the first one (the chain) after all
    others.

    Error handling: a child that ends by itself makes the nursery fail with `ChildFailed`.
    """

    def __init__(self, nursery: trio.Nursery, logs: Path) -> None:
        self._nursery = nursery
        self._logs = logs
        self.children: list[Child] = []

    async def __aenter__(self) -> "Family":
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True):
            for child in self.children:
                child.is_stopping = True
            async with trio.open_nursery() as nursery:
                for child in self.children[1:]:
                    nursery.start_soon(self.stop, child)
            for child in self.children[:1]:
                await self.stop(child)

    async def start(self, name: str, arguments: Sequence[str], timeout_s: float = READY_S) -> Child:
        """`python -m <arguments>`; returns when it has announced itself on stdout. Output beyond that goes to its log."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as file:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, start_new_session=True
            )
        child = Child(name, process, log)
        self.children.append(child)
        with trio.move_on_after(timeout_s):
            child.ready = await self._wait_ready(child)
        if child.is_stopping:
            await trio.sleep_forever()  # the world ends: whoever waits for this child is cancelled
        if not child.ready:
            raise ChildFailed(f"{name} did not become ready: {child.describe_end()}")
        self._nursery.start_soon(self._watch, child)
        return child

    async def _wait_ready(self, child: Child) -> Mapping[str, Any]:
        stdout = child.process.stdout
        assert stdout is not None
        buffer = b""
        while data := await stdout.receive_some():
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                ready = parse_ready(line)
                if ready is not None:
                    return ready
            if len(buffer) > MAX_LINE:
                break
        with trio.move_on_after(STOP_S):
            await child.process.wait()
        if child.is_stopping:
            await trio.sleep_forever()
        raise ChildFailed(child.describe_end())

    async def _watch(self, child: Child) -> None:
        assert child.process.stdout is not None
        async with await trio.open_file(child.log, "ab") as file:
            while data := await child.process.stdout.receive_some():
                await file.write(data)
        await child.process.wait()
        if not child.is_stopping:
            raise ChildFailed(child.describe_end())

    async def stop(self, child: Child) -> None:
        """SIGTERM to its group, and SIGKILL to whatever is left of it a few seconds later."""
        child.is_stopping = True
        if child.process.returncode is None:
            signal_group(child.process.pid, signal.SIGTERM)
            with trio.move_on_after(STOP_S):
                await child.process.wait()
        signal_group(child.process.pid, signal.SIGKILL)
        await child.process.wait()
        if child.process.stdin is not None:
            await child.process.stdin.aclose()

    async def kill(self, child: Child) -> None:
        """SIGKILL to its group: it can tidy up nothing."""
        child.is_stopping = True
        signal_group(child.process.pid, signal.SIGKILL)
        await child.process.wait()


def signal_group(group: int, number: signal.Signals) -> None:
    """Nothing happens if the whole group is gone."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
