"""The process that traces: `python -m challenger.worker`, questions on stdin, answers on stdout. It ends when stdin does.

Tracing takes all of a core for as long as an epoch is long; the daemon must go on watching meanwhile.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

import trio

from challenger.evidence import StepProof, Truth
from challenger.tracer import Tracer
from challenger.wire import (
    LENGTH_BYTES,
    MAX_BYTES,
    decode,
    decode_batches,
    decode_proof,
    decode_rules,
    decode_truth,
    encode,
    encode_proof,
    encode_rules,
    encode_truth,
)
from node.steps import HONEST_STEPS, load_steps
from protocol.codec.frames import Batch
from protocol.rules import Rules


class WorkerDied(Exception):
    """A bug of ours or a killed process: the daemon starts anew from L1."""


def answer(tracer: Tracer, question: tuple[Any, ...]) -> object:
    """One call of the tracer's."""
    match question:
        case ("trace", key, parent, batches):
            return encode_truth(tracer.trace(key, parent, decode_batches(batches)))
        case ("leap", key, parent, batches):
            return tracer.leap(key, parent, decode_batches(batches))
        case ("reveal", key, height, index):
            return tracer.get_reveal(key, height, index)
        case ("step", key, index):
            return encode_proof(tracer.prove_step(key, index))
        case ("forget", key):
            tracer.forget(key)
            return None
        case _:
            raise ValueError(f"unknown question {question[0]}")


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """The first message is the rules; then one answer for each question, in order."""
    tracer = None
    while len(head := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        body = decode(source.read(int.from_bytes(head, "big")))
        if tracer is None:
            rules, steps = body
            tracer = Tracer(decode_rules(rules), load_steps(steps))
            continue
        sink.write(encode(answer(tracer, body)))
        sink.flush()


class TracerProcess:
    """The worker as seen by the daemon: the tracer's calls, awaited. One at a time; the others queue."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._lock = trio.Lock()

    async def trace(self, key: bytes, parent: bytes, batches: Sequence[Batch]) -> Truth:
        return decode_truth(await self._ask("trace", key, parent, batches))

    async def leap(self, key: bytes, parent: bytes, batches: Sequence[Batch]) -> bytes:
        root: bytes = await self._ask("leap", key, parent, batches)
        return root

    async def get_reveal(self, key: bytes, height: int, index: int) -> tuple[bytes, ...]:
        return tuple(await self._ask("reveal", key, height, index))

    async def prove_step(self, key: bytes, index: int) -> StepProof:
        return decode_proof(await self._ask("step", key, index))

    async def forget(self, key: bytes) -> None:
        await self._ask("forget", key)

    async def tell(self, message: object) -> None:
        """A message that has no answer."""
        assert self._process.stdin is not None, "opened with a pipe"
        try:
            await self._process.stdin.send_all(encode(message))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise WorkerDied("the tracing process is gone") from error

    async def _ask(self, *question: object) -> Any:
        """Whoever is cancelled in between would leave an answer behind that another takes for its own: the worker dies with it."""
        async with self._lock:
            try:
                await self.tell(question)
                size = int.from_bytes(await self._read(LENGTH_BYTES), "big")
                if size > MAX_BYTES:
                    raise WorkerDied("the tracing process talks nonsense")
                return decode(await self._read(size))
            except trio.Cancelled:
                self._process.kill()
                raise

    async def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None, "opened with a pipe"
        data = b""
        while len(data) < size:
            piece = await self._process.stdout.receive_some(size - len(data))
            if not piece:
                raise WorkerDied("the tracing process is gone")
            data += piece
        return data

    async def close(self) -> None:
        """At once, whatever it is doing."""
        self._process.kill()
        with trio.CancelScope(shield=True):
            await self._process.wait()


async def start_tracer(rules: Rules, steps: str = HONEST_STEPS) -> TracerProcess:
    """A fresh worker. `steps` names the table of steps."""
    command = [sys.executable, "-m", "challenger.worker"]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    tracer = TracerProcess(process)
    try:
        await tracer.tell((encode_rules(rules), steps))
    except BaseException:
        await tracer.close()  # nobody else has it
        raise
    return tracer


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon's business: it ends when the daemon closes the pipe
    serve(sys.stdin.buffer, sys.stdout.buffer)
