"""The committed vectors: both twins give what they say, the generator gives them, and none is missing."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import pytest
from eth_abi.abi import encode

from protocol.codes import Code
from protocol.keccak import encode_word
from protocol.steps import MODULES
from protocol.types import Header, Phase, encode_header
from protocol.witness import get_argument_types, prove_step
from sim.twins.__main__ import KINDS
from sim.twins.runner import get_step_name, get_twins
from sim.vectors import (
    FOLDER,
    ROOT,
    RULES,
    RULES_FILES,
    Lines,
    decode_vector,
    encode_file,
    encode_line,
    encode_rules,
    find_lines,
    get_arguments,
    make_vector,
    make_vectors,
    read_table,
)

SILENT = {"OPEN", "MESSAGE", "INFLATE", "COMMIT", "AWARD", "TAKEOVER", "DELEVERAGE"}  # their bullets name no code, or they have none
MAX_BYTES = 3_000_000
REMADE = 3  # vectors of a kind
BULLET = re.compile(r"^- \*\*([a-z, ]+)\*\*[^:]*:(.*?)(?=^- |^\n|^[A-Z#])", re.MULTILINE | re.DOTALL)
# It is FETCH that finds a mark without slices; a bid has no flags.
NOT_GIVEN = {("MARK", "MALFORMED"), ("BIDDER", "REDUCE_ONLY"), ("BID", "AUTHORITY")}
BEHIND_THE_ROWS = "_decode_head"  # has one line for an offset at the end of the rows, where FETCH does not look for one


@cache
def load(kind: str) -> tuple[str, list[dict[str, Any]]]:
    """A file, and what is in it."""
    text = (FOLDER / f"{kind}.json").read_text()
    return text, json.loads(text)


def decode_header(value: list[Any]) -> Header:
    words: list[Any] = [bytes.fromhex(word[2:]) if isinstance(word, str) else word for word in value]
    return Header(*words)


@pytest.mark.parametrize("kind", KINDS)
def test_python_gives_what_the_vectors_say(kind: str) -> None:
    for vector in load(kind)[1]:
        start = decode_vector(vector, RULES)
        assert start.state.get_root() == start.header.state, vector["name"]
        witness = prove_step(*start)
        assert (witness.after, witness.code) == (decode_header(vector["after"]), vector["code"]), vector["name"]
        assert start.state.get_root() == witness.after.state
        assert witness.arguments == encode(get_argument_types(Phase(start.header.phase)), get_arguments(vector)), vector["name"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_contracts_give_what_the_vectors_say(kind: str) -> None:
    for vector in load(kind)[1]:
        phase = Phase(decode_header(vector["header"]).phase)
        answer, _, reason = get_twins().call(phase, encode(get_argument_types(phase), get_arguments(vector)), RULES)
        assert answer == encode_header(decode_header(vector["after"])) + encode_word(vector["code"]), (vector["name"], reason)


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_gives_the_vectors(kind: str) -> None:
    """A few of them, each from its own number; the whole search is a slow test."""
    text, vectors = load(kind)
    assert encode_file(vectors) == text
    for vector in vectors[:: -(-len(vectors) // REMADE)]:
        assert encode_line(make_vector(kind, vector["case"]).vector) == encode_line(vector), f"{vector['name']}: run make vectors"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_search_gives_the_files(kind: str) -> None:
    vectors, missing = make_vectors(kind)
    assert not missing
    assert encode_file(vectors) == load(kind)[0], "run make vectors"


def test_every_ending_has_a_vector() -> None:
    names = {vector["name"].split(" to ")[0] for kind in KINDS for vector in load(kind)[1]}
    table = {f"{step} {code}" for step, codes in read_table().items() for code in codes}
    assert sorted(table - names) == []
    assert sorted(names - table) == []


def list_named(function: FunctionType) -> Iterator[object]:
    """What of its module a function's body names: functions, whole modules' members, and what stands in tables."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    for node in (node for statement in tree.body for node in ast.walk(statement)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = inspect.unwrap(function).__globals__.get(node.value.id)
            yield getattr(owner, node.attr, None) if isinstance(owner, ModuleType) or owner is Code else None
        if isinstance(node, ast.Name):
            value = inspect.unwrap(function).__globals__.get(node.id)
            works = value.values() if isinstance(value, dict) else ()
            yield from (value, *(part for work in works if isinstance(work, tuple) for part in work))


def find_codes(module: ModuleType) -> set[str]:
    """Every `Code.X` in the source of a step, and in that of what it calls, however deep."""
    codes, seen, todo = set(), set(), [module.step]
    while todo:
        function = inspect.unwrap(todo.pop())
        if function in seen:
            continue
        seen.add(function)
        for value in list_named(function):
            if isinstance(value, Code):
                codes.add(value.name)
            elif inspect.isfunction(value) and value.__module__.startswith("protocol."):
                todo.append(value)
    return codes


def test_the_table_has_every_code_that_the_source_of_a_step_can_return() -> None:
    table = read_table()
    for phase, module in MODULES.items():
        codes = {code for code in find_codes(module) if (phase.name, code) not in NOT_GIVEN}
        listed = {code for step, given in table.items() if step.split()[0] == phase.name for code in given}
        assert listed == codes, phase.name


def test_every_line_of_the_steps_is_run_by_a_vector() -> None:
    """Of each function that one of them enters, and of what the steps share."""
    run: Lines = {}
    for kind in KINDS:
        for vector in load(kind)[1]:
            for code, lines in find_lines(decode_vector(vector, RULES)).items():
                run.setdefault(code, set()).update(lines)
    assert {code.co_filename for code in run} >= {name for name in RULES_FILES if not name.endswith("__init__.py")}
    missing = []
    for code, lines in run.items():
        wanted = {line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno}
        missing += [f"{code.co_name}: {line}" for line in wanted - lines]
    assert [name.split(":")[0] for name in missing] == [BEHIND_THE_ROWS], missing


def test_the_table_has_every_code_that_the_machines_page_names() -> None:
    text = (ROOT / "docs" / "protocol" / "machine.md").read_text()
    steps = text[text.index("## Steps, in the order of their checks") : text.index("### Circuit breaker")]
    table = {(step, code) for step, codes in read_table().items() for code in codes}
    named = set()
    for names, body in BULLET.findall(steps):
        for name in names.split(", "):
            named |= {(name.upper(), code) for code in re.findall(r"`([A-Z_]+)`", body) if code in Code.__members__}
    assert {step for step, _ in named} >= set(read_table()) & set(Phase.__members__) - SILENT
    assert sorted(named - table - NOT_GIVEN) == []


def test_the_table_has_every_phase() -> None:
    assert {step.split()[0] for step in read_table()} == set(Phase.__members__)
    assert {get_step_name(phase) for phase in Phase} == set(KINDS)


def test_what_all_vectors_share_and_how_large_they_are() -> None:
    files = sorted(path.stem for path in FOLDER.glob("*.json"))
    assert files == sorted([*KINDS, "rules"])
    assert (FOLDER / "rules.json").read_text() == encode_rules(RULES)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) <= MAX_BYTES
