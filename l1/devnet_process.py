"""Runs the development chain as a child process. Apart from `l1.devnet`, so that a parent need not load the EVM."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio

START_S = 60.0
STOP_S = 10.0
MAX_LINE = 4096


@dataclass(frozen=True)
class Announcement:
    """What the child says of itself in its first line."""

    port: int
    url: str
    chain_id: int
    genesis_time: int


@asynccontextmanager
async def run_devnet(*options: str, port: int = 0) -> AsyncIterator[Announcement]:
    """The chain lives as long as the context, and no longer than this process. `options` are those of `python -m l1.devnet`.

    Raises `RuntimeError` if the child ends before it serves; what went wrong is on stderr, which it shares.
    """
    command = [sys.executable, "-m", "l1.devnet", "--port", str(port), "--with-parent", *options]
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, check=False)
        process: trio.Process = await nursery.start(start)
        assert process.stdout is not None
        try:
            line = b""
            with trio.fail_after(START_S):
                while not line.endswith(b"\n"):
                    piece = await process.stdout.receive_some(MAX_LINE)
                    if not piece:
                        raise RuntimeError("the devnet ended before it served")
                    line += piece
            yield Announcement(**json.loads(line))
        finally:
            process.terminate()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_S):
                await process.wait()
        nursery.cancel_scope.cancel()
