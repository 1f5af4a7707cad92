"""The process that traces: `python -m challenger.worker`, questions on stdin, answers on stdout. It ends when stdin does.

Tracing takes all cores for up to a quarter of an epoch's length; the daemon must go on watching meanwhile, and duels must go on. What a
duel asks for overtakes everything else, also in the middle of a trace.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
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

URGENT = ("reveal", "step")


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


class Desk:
    """Questions as they come in; those of duels first."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        """The first message is the rules."""
        self._source = source
        self._sink = sink
        rules, steps = self._read()
        self._tracer = Tracer(decode_rules(rules), load_steps(steps), self._pause, len(os.sched_getaffinity(0)))
        self._questions: SimpleQueue[Any] = SimpleQueue()
        self._urgent: deque[Any] = deque()
        self._patient: deque[Any] = deque()
        self._open: list[tuple[str, bytes]] = []  # kinds and epochs of what is being answered, one within the other
        Thread(target=self._read_all, daemon=True).start()

    def run(self) -> None:
        """Until the source ends."""
        while True:
            self._sort(self._urgent or self._patient)
            self._answer((self._urgent or self._patient).popleft())
            self._pause()

    def _pause(self) -> None:
        """What duels have asked meanwhile, but for epochs that are being worked on: they are not begun twice. While a history is being made
        for a duel, no other is begun: whoever asked first would be last.
        """
        self._sort(True)
        keys = [key for _, key in self._open]
        is_urgent = any(kind in URGENT for kind, _ in self._open)
        for question in list(self._urgent):
            _, _, key, *_ = question
            is_due = key not in keys and (not is_urgent or self._tracer.has_history(key))
            if is_due and question in self._urgent:  # a pause within this one may have answered it
                self._urgent.remove(question)
                self._answer(question)

    def _sort(self, is_busy: object) -> None:
        """All that has come in; waits for something if there is nothing to do."""
        while not is_busy or not self._questions.empty():
            question = self._questions.get()
            if question is None:
                sys.exit()
            (self._urgent if question[1] in URGENT else self._patient).append(question)
            is_busy = True

    def _answer(self, question: tuple[Any, ...]) -> None:
        number, *rest = question
        self._open.append((rest[0], rest[1]))
        self._sink.write(encode((number, answer(self._tracer, tuple(rest)))))
        self._sink.flush()
        self._open.pop()

    def _read_all(self) -> None:
        while (question := self._read()) is not None:
            self._questions.put(question)
        self._questions.put(None)

    def _read(self) -> Any:
        head = self._source.read(LENGTH_BYTES)
        return decode(self._source.read(int.from_bytes(head, "big"))) if len(head) == LENGTH_BYTES else None


class TracerProcess:
    """The worker as seen by the daemon: the tracer's calls, awaited."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._writing = trio.Lock()
        self._is_reading = False
        self._news = trio.Event()  # after a message was read
        self._number = 0
        self._answers: dict[int, Any] = {}

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
        """Whoever waits reads, for the others, too. Cancelled halfway it would leave half a message behind: the worker dies with it."""
        self._number += 1
        number = self._number
        try:
            async with self._writing:
                await self.tell((number, *question))
            while number not in self._answers:
                if self._is_reading:
                    await self._news.wait()
                else:
                    await self._receive()
            return self._answers.pop(number)
        except trio.Cancelled:
            self._process.kill()
            raise

    async def _receive(self) -> None:
        self._is_reading = True
        try:
            size = int.from_bytes(await self._read(LENGTH_BYTES), "big")
            if size > MAX_BYTES:
                raise WorkerDied("the tracing process talks nonsense")
            number, found = decode(await self._read(size))
            self._answers[number] = found
        finally:
            self._is_reading = False
            self._news.set()  # another one goes on
            self._news = trio.Event()

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
    Desk(sys.stdin.buffer, sys.stdout.buffer).run()
