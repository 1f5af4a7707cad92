"""Children that trace segments give the history that one process gives; and neither they nor their parent outlive each other."""

import os
import signal
import time

import pytest

import protocol.history
from challenger import forks
from challenger.forks import trace_on_cores
from protocol.codec.frames import Batch
from protocol.history import History
from protocol.params import MINIMAL
from protocol.state import State
from protocol.trace import Machine
from sim.baits import make_epoch
from sim.scribe import Scribe
from sim.villains.lies import Bait


def make_machine() -> Machine:
    scribe, batches = make_long_epoch()
    return Machine(State(MINIMAL), batches, scribe.rules)


def make_long_epoch() -> tuple[Scribe, list[Batch]]:
    """Six batches, hundreds of steps."""
    scribe, batches = make_epoch(MINIMAL, Bait.DEPOSIT)
    for _ in range(4):
        for _ in range(50):
            scribe.cancel(0)
        batches.append(scribe.close_batch())
    return scribe, batches


def assert_same(history: History, whole: History) -> None:
    assert (history.root, history.steps, history.machine.header) == (whole.root, whole.steps, whole.machine.header)
    for index in range(0, whole.steps + 2, 7):
        assert history.prove_leaf(index) == whole.prove_leaf(index)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_children__any_number__same_history_and_none_is_left(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = History(make_machine())
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 4)
    pauses: list[None] = []
    assert_same(trace_on_cores(make_machine(), cores, lambda: pauses.append(None), 32), whole)
    assert pauses
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_child__killed__all_is_traced_by_the_parent(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    whole = History(make_machine())
    monkeypatch.setattr(protocol.history, "CHUNK_HEIGHT", 4)
    forked: list[int] = []
    fork = os.fork

    def fork_and_kill() -> int:
        pid = fork()
        forked.append(pid)
        if pid and len(forked) == 2:
            os.kill(pid, signal.SIGKILL)
        return pid

    monkeypatch.setattr(os, "fork", fork_and_kill)
    assert_same(trace_on_cores(make_machine(), 2, lambda: None, 32), whole)
    assert "traced on one core" in capfd.readouterr().err


def test_children__parent_is_killed__end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would take a core each for minutes, and keep the daemon from seeing that the worker is gone."""
    monkeypatch.setattr(forks, "ORPHAN_S", 0.05)
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:

        def trace_for_ever(_machine: Machine, _spacing: int) -> None:
            os.write(write, b"1")
            while True:
                time.sleep(0.01)

        monkeypatch.setattr(forks, "trace_segment", trace_for_ever)
        trace_on_cores(make_machine(), 2, lambda: None)
        os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"1"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert os.read(read, 1) == b""  # nobody has the other end any more
    os.close(read)
