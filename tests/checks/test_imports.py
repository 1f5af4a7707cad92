"""The import rules of pyproject.toml bite: each contract is run on a small tree of the same packages with one wrong import."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.checks.tree import ROOT

PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["root_packages"]

WRONG = [
    ("protocol", "l1"),
    ("protocol", "node"),
    ("protocol", "time"),
    ("protocol", "trio"),
    ("protocol", "random"),
    ("protocol", "sqlite3"),
    ("l1", "node"),
    ("node", "l1"),
    ("l1", "sequencer"),
    ("node", "challenger"),
    ("sequencer", "challenger"),
    ("challenger", "sequencer"),
    ("challenger", "sim"),
    ("sim", "straddle"),
    ("sequencer", "contracts"),
    ("straddle", "contracts"),
    ("contracts", "protocol"),
    ("l1", "contracts.build"),
    ("l1", "vyper"),
    ("challenger", "hypothesis"),
    ("protocol.types", "protocol.state"),
    ("protocol.codec", "protocol.machine"),
    ("protocol.rules", "protocol.steps"),
    ("protocol.steps", "protocol.trace"),
    ("protocol.steps", "protocol.margin_fast"),
    ("protocol.margin", "protocol.pricing_fast"),
    ("protocol.pricing", "protocol.codec"),
    ("protocol.codec", "protocol.pricing"),
    ("node", "asyncio"),
    ("straddle", "anyio"),
]
RIGHT = [
    ("straddle", "sim"),
    ("sim", "sequencer"),
    ("sim", "challenger"),
    ("sequencer", "node"),
    ("sequencer", "l1"),
    ("challenger", "l1"),
    ("l1", "contracts"),
    ("sim", "contracts"),
    ("l1", "protocol"),
    ("node", "protocol"),
    ("node", "trio"),
    ("protocol", "struct"),
    ("protocol.steps", "protocol.margin"),
    ("protocol.margin_fast", "protocol.margin"),
    ("protocol.leap", "protocol.steps"),
    ("contracts.build", "vyper"),
]


def run_linter(root: Path, edges: list[tuple[str, str]]) -> subprocess.CompletedProcess[str]:
    """`lint-imports` with this project's configuration on empty packages that have just these imports."""
    rooms = [path.relative_to(ROOT) for path in (ROOT / "protocol").rglob("*.py")]
    for path in [*(Path(package) / "__init__.py" for package in PACKAGES), Path("contracts/build.py"), *rooms]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text('"""Planted."""\n')
    for source, target in edges:
        folder = root.joinpath(*source.split("."))
        path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        path.write_text(path.read_text() + f"import {target}\n")
    shutil.copy(ROOT / "pyproject.toml", root)
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_the_right_directions_pass(tmp_path: Path) -> None:
    """Otherwise the linter could be failing for another reason below."""
    result = run_linter(tmp_path, RIGHT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("source", "target"), WRONG)
def test_a_planted_import_is_found(source: str, target: str, tmp_path: Path) -> None:
    """One wrong import breaks a contract, and the report names both ends."""
    result = run_linter(tmp_path, [(source, target)])
    assert result.returncode == 1, result.stdout
    assert "broken" in result.stdout
    assert f"{source} is not allowed to import {target}" in result.stdout or f"{source} -> {target}" in result.stdout
