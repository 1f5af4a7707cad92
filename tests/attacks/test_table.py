"""The table of attacks names a test for each of them, and no test that is not there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "protocol" / "attacks.md"
NUMBERS = {str(number) for number in range(1, 16)}
FINDINGS = {*(f"DRV-{n:02}" for n in (1, 2, 3, 4, 6, 7, 9, 12, 23)), *(f"DRV2-{n:02}" for n in (1, 3, 8, 9)), "DRV3-01"}
TEST = re.compile(r"`(\w+/test_\w+\.py)::(test_\w+)`")


def read_rows() -> dict[str, list[tuple[str, str]]]:
    """Attack: the tests in its row, file and function."""
    lines = [line.split("|") for line in PAGE.read_text().splitlines() if re.match(r"\| (\d|DRV)", line)]
    return {name.strip(): TEST.findall(cells[-2]) for cells in lines for name in cells[1].split(",")}


ROWS = read_rows()


def list_functions(path: Path) -> set[str]:
    """In the module and in its classes."""
    found = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_table__every_attack_and_finding__has_a_row() -> None:
    assert ROWS.keys() == NUMBERS | FINDINGS


@pytest.mark.parametrize("name", sorted(NUMBERS | FINDINGS))
def test_table__tests_of_an_attack__are_there(name: str) -> None:
    assert ROWS[name]
    for file, function in ROWS[name]:
        assert function in list_functions(ROOT / "tests" / file), (name, file, function)
