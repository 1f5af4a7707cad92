"""The pages name every door of the contracts, and their figures are the snapshots'."""

import re
from pathlib import Path

import pytest

from contracts import load_artifact
from contracts.build import HERE
from tests.contracts.gas import describe_steps

STEPS = {path.stem for path in (HERE / "steps").glob("*.vy")}
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "page"), [(name, "contracts.md") for name in ("Inbox", "Vault", "Judge", "Token")] + [("Claims", "dispute.md")]
)
def test_every_function_and_event_is_documented(name: str, page: str) -> None:
    words = set(re.findall(r"\w+", (DOCS / page).read_text()))
    doors = [item["name"] for item in load_artifact(name).abi if item["type"] in ("function", "event")]
    events = {"Transfer", "Approval"} if name == "Token" else set()  # as in the standard
    assert [door for door in doors if door not in words | events] == []


def test_table_of_steps_is_todays() -> None:
    """``python -m tests.contracts.gas`` prints it."""
    table = [line for line in (DOCS / "contracts.md").read_text().splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert [line for line in table if line.split("`")[1] in STEPS] == describe_steps()


def test_every_library_is_named() -> None:
    words = set(re.findall(r"\w+", (DOCS / "contracts.md").read_text()))
    assert {path.stem for path in (HERE / "lib").glob("*.vy")} <= words
