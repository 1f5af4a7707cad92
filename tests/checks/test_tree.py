"""The repository itself keeps the house rules."""

import re

from tests.checks.tree import ROOT, find_problems, list_files


def test_the_list_of_files_is_the_repository() -> None:
    """A check over an empty list would always pass."""
    files = list_files()
    assert {"Makefile", "pyproject.toml", "protocol/types.py", "tests/checks/test_tree.py"} <= set(files)
    assert not [path for path in files if path.startswith((".venv/", ".out/"))]


def test_the_tree_keeps_the_house_rules() -> None:
    """`python -m tests.checks` prints the same list."""
    assert find_problems() == []


def test_every_target_of_the_makefile_is_explained() -> None:
    """`make help` prints the comment behind a target."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = {name for line in re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE) for name in line.split()}
    explained = set(re.findall(r"^([a-z-]+):.*?## .+ Example: make \1\b", text, re.MULTILINE))
    assert phony
    assert phony == explained
