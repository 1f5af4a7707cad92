"""The repository's own files, and all house rules applied to them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.checks.legibility import find_long_vyper_functions, find_python_problems, find_text_problems
from tests.checks.purity import find_impurities

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT_SUFFIXES = frozenset(
    {".py", ".vy", ".vyi", ".md", ".toml", ".txt", ".cfg", ".yml", ".yaml", ".sh", ".html", ".css", ".js", ".json", ""}
)
# The licence is quoted, the artifacts are generated: long lines of hex are no prose.
EXEMPT = ("LICENSE", "contracts/artifacts/")


def list_files() -> list[str]:
    """Paths that are, or are about to be, in git; relative to the root, with slashes."""
    git = shutil.which("git")
    if git is None:
        raise RuntimeError("the checks read the list of files from git: install git")
    command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return sorted({path for path in answer.stdout.split("\0") if path and (ROOT / path).is_file()})


def read_texts() -> Iterator[tuple[str, str]]:
    """Every text file with its path."""
    for path in list_files():
        if Path(path).suffix in TEXT_SUFFIXES and not path.startswith(EXEMPT):
            yield path, (ROOT / path).read_text(encoding="utf-8")


def find_problems() -> list[str]:
    """All that is forbidden."""
    found = []
    for path, text in read_texts():
        found += find_text_problems(path, text)
        if path.endswith(".py"):
            found += find_python_problems(path, text)
        if path.endswith(".py") and path.startswith("protocol/"):
            found += find_impurities(path, text)
    return found


def find_remarks() -> list[str]:
    """All that is only reported."""
    return [remark for path, text in read_texts() if path.endswith(".vy") for remark in find_long_vyper_functions(path, text)]
