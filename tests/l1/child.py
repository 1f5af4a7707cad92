"""Child processes of tests. Whoever waits for one sees it die, and says what it wrote to stderr."""

import json
import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S = 60.0
STOP_S = 10.0
SHOWN = 4_000  # characters of a log's end


@dataclass
class Child:
    """A process that has announced itself in its first line, `ready`."""

    process: subprocess.Popen[bytes]
    log: Path  # its stderr
    ready: dict[str, Any]

    def check(self) -> None:
        """AssertionError if it is dead."""
        code = self.process.poll()
        assert code is None, f"child ended with code {code}: {read_end(self.log)}"

    def stop(self) -> None:
        """SIGTERM; AssertionError unless it ends in time and in order."""
        self.process.terminate()
        code = self.process.wait(STOP_S)
        assert code == 0, f"child stopped with code {code}: {read_end(self.log)}"


def read_end(log: Path) -> str:
    """The last of what it wrote."""
    return log.read_text(errors="replace")[-SHOWN:]


@contextmanager
def run_child(command: Sequence[str], log: Path, start_s: float = START_S) -> Iterator[Child]:
    """Starts it, and kills it at the end if it still runs. AssertionError with its stderr if it dies, or says nothing in time."""
    with (
        log.open("ab") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            assert process.stdout is not None
            is_speaking, _, _ = select.select([process.stdout], [], [], start_s)
            line = process.stdout.readline() if is_speaking else b""
            if is_speaking and not line:
                process.wait(STOP_S)
            assert line, f"child did not start, code {process.poll()}: {read_end(log)}"
            yield Child(process, log, json.loads(line))
        finally:
            process.kill()
