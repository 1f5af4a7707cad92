"""The pages name every door of the contracts."""

import re
from pathlib import Path

import pytest

from contracts import load_artifact

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "page"), [(name, "contracts.md") for name in ("Inbox", "Vault", "Judge", "Token")] + [("Claims", "dispute.md")]
)
def test_every_function_and_event_is_documented(name: str, page: str) -> None:
    words = set(re.findall(r"\w+", (DOCS / page).read_text()))
    doors = [item["name"] for item in load_artifact(name).abi if item["type"] in ("function", "event")]
    events = {"Transfer", "Approval"} if name == "Token" else set()  # as in the standard
    assert [door for door in doors if door not in words | events] == []
