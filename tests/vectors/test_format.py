"""Whether the page of the format is enough: what was written by it alone finds every hash in the vectors, and the page is today's."""

import ast
import copy
import inspect
from typing import Any

import pytest

from protocol import types
from protocol.steps import MODULES
from protocol.types import Phase
from protocol.witness import TOUCH_TYPES
from sim.twins.__main__ import KINDS
from tests.vectors import reader


@pytest.fixture(scope="module")
def params() -> Any:
    return reader.load("rules")["params"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_enough_to_read_the_vectors(kind: str, params: Any) -> None:
    for vector in reader.load(kind):
        reader.check(vector, params)


def list_lies(vector: Any) -> list[tuple[str, Any]]:
    """The vector with one of its parts changed."""
    lies = []
    for name in ("globals", "markets", "accounts", "words", "orders", "items", "trade", "sweep", "lines", "rows", "signatures"):
        value = vector.get(name)
        if not value:
            continue
        lie = copy.deepcopy(vector)
        if isinstance(value, str):
            lie[name] = "0x" + ("00" if value[2:4] != "00" else "01") + value[4:]
        else:
            part = lie[name]
            while isinstance(part[0], list):
                part = part[-1]
            at = 1 if name == "markets" else -1 if isinstance(part[-1], int) else 0
            part[at] += 1
        lies.append((name, lie))
    for name, value in vector["writes"].items():
        lie = copy.deepcopy(vector)
        del lie["writes"][name]
        lies.append((f"no {name} among {list(value)!r:.20}", lie))
    return lies


def is_refused(vector: Any, params: Any) -> bool:
    try:
        reader.check(vector, params)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("kind", ["terms", "commit", "scan", "withdraw", "fetch"])
def test_the_reader_sees_a_change_of_any_part(kind: str, params: Any) -> None:
    for vector in reader.load(kind)[::7]:
        for name, lie in list_lies(vector):
            assert is_refused(lie, params), (vector["name"], name)


def test_the_page_has_the_structs_and_arguments_of_today() -> None:
    assert {name: list(getattr(types, name)._fields) for name in reader.STRUCTS} == reader.STRUCTS
    assert set(reader.INPUTS) == set(Phase)
    for phase, module in MODULES.items():
        assert len(reader.INPUTS[phase]) == len(module.ARGUMENTS)
        assert tuple(reader.TOUCHES[phase]) == module.TOUCHES
    assert {kind: len(values) for kind, values in TOUCH_TYPES.items()} == reader.WIDTHS
    phases = {phase for _, phases, _, _ in reader.CONTRACTS for phase in phases.split(", ")}
    assert {item.strip() for item in phases} == {f"{phase.name} {int(phase)}" for phase in Phase}


def test_the_reader_knows_only_the_page_and_the_files() -> None:
    tree = ast.parse(inspect.getsource(reader))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert names == {"json", "re", "pathlib", "sha3", "typing"}


def test_what_stands_in_a_slot_may_be_an_order_a_combo_or_a_page() -> None:
    """Of the trades that apply: what the maker has and what the taker has."""
    found = set()
    for vector in reader.load("terms"):
        if vector["code"] == 0:
            entries = {(index, slot): entry for index, slot, entry in vector["orders"]}
            slots = [entries[index, slot] for kind, index, slot in (touch for touch in vector["touches"] if len(touch) == 3)]
            found.add(tuple("page" if len(entry) == len(reader.STRUCTS["Page"]) else f"{min(len(entry[2]), 2)} legs" for entry in slots))
    assert found == {("1 legs", "1 legs"), ("2 legs", "2 legs"), ("page", "1 legs")}
