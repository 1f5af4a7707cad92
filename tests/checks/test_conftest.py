"""Required market data that is missing is a failure, not a skip."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checks.tree import ROOT

READER = "def test_reads(shared):\n    assert shared.is_dir()\n"


def run_reader(folder: Path, has_data: bool, is_required: bool) -> subprocess.CompletedProcess[str]:
    """A repository of one test that wants the data, with this repository's conftest."""
    repository = folder / "clone"
    (repository / "tests").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", repository / "tests")
    (repository / "tests" / "test_reads.py").write_text(READER)
    if has_data:
        (folder / "shared" / "data").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRADDLE_")}
    environment["STRADDLE_REQUIRE_SHARED"] = "1" if is_required else "0"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("has_data", "is_required", "code", "line"),
    [
        (True, True, 0, "tests on shared data: 1"),
        (True, False, 0, "tests on shared data: 1"),
        (False, False, 0, "1 skipped"),
        (False, True, 1, "skipped although STRADDLE_REQUIRE_SHARED=1"),
    ],
)
def test_shared_data(has_data: bool, is_required: bool, code: int, line: str, tmp_path: Path) -> None:
    """All four cases, in a pytest of its own."""
    result = run_reader(tmp_path, has_data, is_required)
    assert line in result.stdout, result.stdout
    assert result.returncode == code
