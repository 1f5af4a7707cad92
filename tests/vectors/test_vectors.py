"""The committed vectors: both twins give what they say, the generator gives them, and none is missing."""

import json
import re
from functools import cache
from typing import Any

import pytest
from eth_abi.abi import encode

from protocol.codes import Code
from protocol.keccak import encode_word
from protocol.types import Header, Phase, encode_header
from protocol.witness import get_argument_types, prove_step
from sim.twins.__main__ import KINDS
from sim.twins.runner import get_step_name, get_twins
from sim.vectors import (
    FOLDER,
    ROOT,
    RULES,
    decode_vector,
    encode_file,
    encode_line,
    encode_rules,
    get_arguments,
    make_vector,
    make_vectors,
    read_table,
)

SILENT = {"OPEN", "MESSAGE", "INFLATE", "COMMIT", "AWARD", "TAKEOVER", "DELEVERAGE"}  # their bullets name no code, or they have none
MAX_BYTES = 1_500_000
BULLET = re.compile(r"^- \*\*([a-z, ]+)\*\*[^:]*:(.*?)(?=^- |^\n|^[A-Z#])", re.MULTILINE | re.DOTALL)
NOT_GIVEN = {("MARK", "MALFORMED"), ("BIDDER", "REDUCE_ONLY")}  # it is FETCH that finds the first; a bid has no flags


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
    """Each from its own number; the whole search is a slow test."""
    text, vectors = load(kind)
    assert encode_file(vectors) == text
    for vector in vectors:
        assert encode_line(make_vector(kind, vector["case"])) == encode_line(vector), f"{vector['name']}: run make vectors"


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
