"""Recovering signers in processes of their own: libsecp256k1 beside busy Python in one process would starve.

A worker is `python -m sequencer.verify`: it reads batches from stdin and answers on stdout, with nothing else in common with the daemon. A
batch is a count (2 bytes, big-endian) and for each pair 32 bytes of digest and 65 of signature; the answer is 20 bytes each, zero where
nobody signed.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any

import trio

from protocol.signing import get_signer

COUNT_BYTES = 2
PAIR_BYTES = 32 + 65
SIGNER_BYTES = 20
BLANK = bytes(65)
BATCH = 128  # pairs at once: the pipe costs 0.4 us each then, against 14 for one
MAX_WAITING = 4096
RESTART_S = 0.5

Log = Callable[[str, dict[str, Any]], None]


def compute_signers(pairs: bytes) -> bytes:
    """Of a batch's pairs, back to back."""
    signers = [
        get_signer(pairs[at : at + 32], pairs[at + 32 : at + PAIR_BYTES]).to_bytes(SIGNER_BYTES, "big")
        for at in range(0, len(pairs), PAIR_BYTES)
    ]
    return b"".join(signers)


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """The worker's loop, until its input ends."""
    while head := source.read(COUNT_BYTES):
        pairs = source.read(int.from_bytes(head, "big") * PAIR_BYTES)
        sink.write(compute_signers(pairs))
        sink.flush()


class Job:
    """Pairs that wait for their signers, at most `BATCH` of them."""

    __slots__ = ("count", "done", "pairs", "signers")

    def __init__(self, pairs: bytes) -> None:
        self.pairs = pairs
        self.count = len(pairs) // PAIR_BYTES
        self.done = trio.Event()
        self.signers = b""


class Verifiers:
    """A pool of workers; none of them means that the caller's own process recovers.

    Resource handling: start `run` in a nursery; workers end with it. Error handling: a worker that dies is started anew, and what it had
    is done by another. `recover` never fails: a bad signature's signer is 0.
    """

    def __init__(self, workers: int, log: Log) -> None:
        self.workers = workers
        self._log = log
        self._send, self._receive = trio.open_memory_channel[Job](MAX_WAITING)

    async def recover(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[int]:
        """The addresses that signed, 0 for whoever did not, in order. Pairs are (digest, signature)."""
        if self.workers == 0:
            return [get_signer(digest, signature) for digest, signature in pairs]
        packed = [digest + (signature if len(signature) == PAIR_BYTES - 32 else BLANK) for digest, signature in pairs]
        jobs = [Job(b"".join(packed[at : at + BATCH])) for at in range(0, len(packed), BATCH)]
        for job in jobs:
            await self._send.send(job)
        for job in jobs:
            await job.done.wait()
        signers = b"".join(job.signers for job in jobs)
        return [int.from_bytes(signers[at : at + SIGNER_BYTES], "big") for at in range(0, len(signers), SIGNER_BYTES)]

    async def run(self) -> None:
        """For ever."""
        async with trio.open_nursery() as nursery:
            for number in range(self.workers):
                nursery.start_soon(self._keep_worker, number)

    async def _keep_worker(self, number: int) -> None:
        while True:
            try:
                await self._run_worker()
            except* (trio.BrokenResourceError, trio.ClosedResourceError, EOFError, OSError) as errors:
                self._log("verify.worker_died", {"worker": number, "error": "; ".join(str(error) for error in errors.exceptions)})
            await trio.sleep(RESTART_S)

    async def _run_worker(self) -> None:
        async with trio.open_nursery() as nursery:
            command = [sys.executable, "-m", "sequencer.verify"]
            process: trio.Process = await nursery.start(_start_process, command)
            try:
                while True:
                    jobs = [await self._receive.receive()]
                    while sum(job.count for job in jobs) < BATCH:
                        try:
                            jobs.append(self._receive.receive_nowait())
                        except trio.WouldBlock:
                            break
                    await self._exchange(process, jobs)
            finally:
                nursery.cancel_scope.cancel()

    async def _exchange(self, process: trio.Process, jobs: list[Job]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        pairs = b"".join(job.pairs for job in jobs)
        count = len(pairs) // PAIR_BYTES
        answer = b""
        try:
            await process.stdin.send_all(count.to_bytes(COUNT_BYTES, "big") + pairs)
            while len(answer) < SIGNER_BYTES * count:
                piece = await process.stdout.receive_some()
                if not piece:
                    raise EOFError("the worker has ended")
                answer += piece
        except (trio.BrokenResourceError, EOFError, OSError):
            answer = compute_signers(pairs)  # here, so that nobody waits for the next worker
            raise
        finally:
            place = 0
            for job in jobs:
                job.signers = answer[place : place + SIGNER_BYTES * job.count]
                place += SIGNER_BYTES * job.count
                job.done.set()


async def _start_process(command: list[str], *, task_status: trio.TaskStatus[trio.Process]) -> None:
    """The worker ignores the terminal's interrupt: its input's end is what stops it."""
    await trio.run_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, check=False, task_status=task_status, start_new_session=True
    )


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
