"""Conformance vectors: one step each, with all that any other implementation needs to run it. Format: docs/protocol/vectors.md.

    python -m sim.vectors               write tests/vectors anew
    python -m sim.vectors withdraw      of one kind only

The cases are those of the random twins, in the smallest trees. For each way in which a step can end (its code, the step that follows,
the mode of a scan, what it read) the smallest of the first few is taken, without what its step does not touch. The table in
docs/protocol/vectors.md says which codes there must be: exit code 1 if one was not found.
"""

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eth_abi.abi import decode
from eth_abi.grammar import ABIType, TupleType, parse
from rich.console import Console

from protocol.rules import Rules
from protocol.state import State
from protocol.steps import MODULES
from protocol.types import Header, Market, Mode, Page, Phase
from protocol.witness import HEADER_TYPE, Recorder, Witness, get_argument_types, prove_step
from sim.twins.__main__ import KINDS
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.replay import Start, decode_case, encode_case
from sim.twins.runner import get_step_name

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "vectors"
TABLE = re.compile(r"^\| ([A-Z_ ]+) \| ([A-Z_, ]+) \|$", re.MULTILINE)
RULES = ALL_RULES[0]
FIRST = 20  # cases of one ending, of which the smallest is taken
FEWEST, MOST = 400, 6_000  # cases tried of a kind: until all its codes were there
COMMON = ("phase", "params", "domain", "oracles")  # of a case: in the rules' file, or in the vector's name
EMPTY: tuple[object, ...] = (None, "0x", [])  # what a vector leaves out
SWEEP_FIELDS = 15
Vector = dict[str, Any]


def find_touches(start: Start) -> list[tuple[str, int, int]]:
    """Kind, index and slot of all that the step reads, in order."""
    recorder = Recorder(start.state)
    MODULES[Phase(start.header.phase)].step(start.header, recorder, start.pre.copy(), start.rules)
    return recorder.touches


def strip(start: Start, touches: list[tuple[str, int, int]]) -> Start:
    """The same case without accounts, order slots, words and markets that its step does not touch: its trees become other ones."""
    whole = start.state
    state = State(start.rules.params)
    state.put_globals(whole.globals)
    state.put_markets(whole.markets if ("markets", 0, 0) in touches else (Market(), Market()))
    for kind, index, slot in touches:
        if kind == "account" and index in whole.accounts:
            state.put_account(index, whole.accounts[index])
        elif kind == "word" and index in whole.words:
            state.put_word(index, whole.words[index])
        elif kind in ("order", "entry") and slot in whole.orders.get(index, {}):
            entry = whole.orders[index][slot]
            if isinstance(entry, Page):
                state.put_page(index, slot, entry)
            else:
                state.put_order(index, slot, entry)
    return Start(start.header._replace(state=state.get_root()), state, start.pre, start.rules)


def shorten(kind: ABIType, value: Any) -> Any:
    """An ABI value as JSON: bytes in hex, zeros at the end of an array of fixed length left out."""
    if kind.is_array:
        items = [shorten(kind.item_type, item) for item in value]
        while kind.arrlist[-1] and items and not any(_flatten(items[-1])):
            items.pop()
        return items
    if isinstance(kind, TupleType):
        return [shorten(part, item) for part, item in zip(kind.components, value, strict=True)]
    return "0x" + value.hex() if isinstance(value, bytes) else value


def lengthen(kind: ABIType, value: Any) -> Any:
    """The inverse of `shorten`."""
    if kind.is_array:
        length = kind.arrlist[-1][0] if kind.arrlist[-1] else len(value)
        return [lengthen(kind.item_type, item) for item in value] + [make_zero(kind.item_type)] * (length - len(value))
    if isinstance(kind, TupleType):
        return tuple(lengthen(part, item) for part, item in zip(kind.components, value, strict=True))
    return bytes.fromhex(value[2:]) if isinstance(value, str) else value


def make_zero(kind: ABIType) -> Any:
    """Of a type without bytes."""
    if kind.is_array:
        return [make_zero(kind.item_type)] * (kind.arrlist[-1][0] if kind.arrlist[-1] else 0)
    return tuple(map(make_zero, kind.components)) if isinstance(kind, TupleType) else 0


def _flatten(value: Any) -> list[Any]:
    return [part for item in value for part in _flatten(item)] if isinstance(value, list) else [value]


def read_table() -> dict[str, list[str]]:
    """Names of the codes that each step gives, by phase; of a SCAN by phase and mode."""
    text = (ROOT / "docs" / "protocol" / "vectors.md").read_text()
    return {step: codes.split(", ") for step, codes in TABLE.findall(text)}


def get_ending(start: Start, witness: Witness) -> str:
    """What a vector is there to show, which is its name: phase, mode of a scan, code, and the phase that follows."""
    h, after = start.header, witness.after
    mode = f" {Mode(start.pre.sweep.mode).name}" if h.phase == Phase.SCAN else ""
    follows = f" to {Phase(after.phase).name}" if after.phase != Phase.FETCH else ""
    return f"{Phase(h.phase).name}{mode} {witness.code.name}{follows}"


def encode_vector(at: int, start: Start) -> Vector:
    """`at` is the number of the case among its kind's. `start` is left as it is."""
    touches = find_touches(start)
    start = strip(start, touches)
    case = encode_case(start)
    witness = prove_step(start.header, start.state.copy(), start.pre.copy(), start.rules)
    types = get_argument_types(Phase(start.header.phase))
    _, *arguments = decode(types, witness.arguments)
    body = {key: value for key, value in case.items() if key not in COMMON and value not in EMPTY}
    if not any(_flatten(body["sweep"][: SWEEP_FIELDS - 1])):
        del body["sweep"]
    return {
        "name": get_ending(start, witness),
        "touches": [kind for kind, _, _ in touches],
        "case": at,
        **body,
        "arguments": [shorten(parse(kind), value) for kind, value in zip(types[1:], arguments, strict=True)],
        "after": shorten(parse(HEADER_TYPE), tuple(witness.after)),
        "code": int(witness.code),
    }


def make_vector(kind: str, at: int) -> Vector:
    """Case number `at` of a kind."""
    return encode_vector(at, KINDS[kind](Dice(f"vectors {kind} {at}"), RULES))


def make_vectors(kind: str) -> tuple[list[Vector], set[str]]:
    """By name; and the endings of the table that no case came to."""
    found: dict[tuple[str, ...], list[Vector]] = {}
    missing = {f"{step} {code}" for step, codes in read_table().items() if get_step_name(Phase[step.split()[0]]) == kind for code in codes}
    for at in range(MOST):
        if at >= FEWEST and not missing:
            break
        vector = make_vector(kind, at)
        name: str = vector["name"]
        missing.discard(name.split(" to ", maxsplit=1)[0])
        found.setdefault((name, *vector["touches"]), []).append(vector)
    return [min(same[:FIRST], key=lambda vector: len(encode_line(vector))) for _, same in sorted(found.items())], missing


def encode_line(vector: Vector) -> str:
    """One vector, one line."""
    return json.dumps(vector, separators=(",", ":"))


def encode_file(vectors: list[Vector]) -> str:
    """JSON with one vector a line, so that a difference shows where it is."""
    return "[\n" + ",\n".join(map(encode_line, vectors)) + "\n]\n"


def encode_rules(rules: Rules) -> str:
    """What all vectors share."""
    shared = {"params": asdict(rules.params), "domain": "0x" + rules.domain.hex(), "oracles": list(rules.oracles)}
    return json.dumps(shared, indent=1) + "\n"


def decode_vector(vector: Vector, rules: Rules) -> Start:
    """What the step starts from."""
    phase = vector["name"].split()[0]
    empty: Vector = {"batches": [], "rows": "0x", "signatures": "0x", "items": [], "trade": None, "lines": [], "accounts": [], "orders": []}
    no_sweep = [*[0] * (SWEEP_FIELDS - 1), "0x" + bytes(32).hex()]
    shared = {"phase": phase, "params": rules.params.name, "domain": rules.domain.hex(), "oracles": list(rules.oracles)}
    return decode_case({**empty, "words": [], "outbox": [], "sweep": no_sweep, **shared, **vector})


def get_arguments(vector: Vector) -> list[Any]:
    """Of the step on L1, for `get_argument_types`."""
    types = get_argument_types(Phase(vector["header"][Header._fields.index("phase")]))
    header = lengthen(parse(HEADER_TYPE), vector["header"])
    return [header, *(lengthen(parse(kind), value) for kind, value in zip(types[1:], vector["arguments"], strict=True))]


def main() -> int:
    """Exit code: 0 if every ending of the table was found."""
    parser = argparse.ArgumentParser(prog="python -m sim.vectors", description="Conformance vectors of every step.")
    parser.add_argument("kinds", nargs="*", help="only these")
    names: list[str] = parser.parse_args().kinds or list(KINDS)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "rules.json").write_text(encode_rules(RULES))
    console, all_missing = Console(), set[str]()
    for name in names:
        vectors, missing = make_vectors(name)
        text = encode_file(vectors)
        (FOLDER / f"{name}.json").write_text(text)
        console.print(f"{name}: {len(vectors)} vectors, {len(text):,} bytes{''.join(f', no {ending}' for ending in sorted(missing))}")
        all_missing |= missing
    return 1 if all_missing else 0


if __name__ == "__main__":
    sys.exit(main())
