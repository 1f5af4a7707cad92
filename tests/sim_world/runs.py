"""Running `straddle` as its users do, and finding what it leaves behind."""

import subprocess
import sys
import time
from pathlib import Path

GONE_S = 20.0


def spawn(*arguments: str) -> subprocess.Popen[str]:
    """Both outputs in one pipe."""
    command = [sys.executable, "-m", "straddle", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(*arguments: str, limit_s: float) -> tuple[int, str]:
    """Exit code and output."""
    process = spawn(*arguments)
    try:
        output, _ = process.communicate(timeout=limit_s)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output


def find_processes(folder: Path) -> list[str]:
    """Command lines of living processes that name the folder: every child of a world does."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue  # it ended meanwhile
            if any(str(folder) in word for word in words):
                found.append(" ".join(words))
    return found


def wait_until_gone(folder: Path) -> list[str]:
    """What is still there after a while; nothing, if all is well."""
    deadline = time.monotonic() + GONE_S
    while (left := find_processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left
