"""A child that dies or is silent fails the test that waits for it, with what it said."""

import sys
from pathlib import Path

import pytest

from tests.l1.child import run_child


def write(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_run_child__dies_at_its_start__stderr_is_told(tmp_path: Path) -> None:
    dying = write("import sys; sys.stderr.write('no such table'); sys.exit(3)")
    with pytest.raises(AssertionError, match=r"(?s)did not start.*no such table"), run_child(dying, tmp_path / "log"):
        pass


def test_run_child__says_nothing__is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="did not start"), run_child(write("import time; time.sleep(600)"), tmp_path / "log", 0.2):
        pass


def test_check__died_since__code_and_stderr(tmp_path: Path) -> None:
    code = "import sys; print('{}', flush=True); sys.stdin.read(1); sys.exit('fees')"
    with run_child(write(code), tmp_path / "log") as child:
        child.check()
        assert child.process.stdin is not None
        child.process.stdin.write(b"x")
        child.process.stdin.close()
        child.process.wait(10)
        with pytest.raises(AssertionError, match=r"(?s)code 1.*fees"):
            child.check()
