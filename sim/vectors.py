"""Conformance vectors: one step each, with all that any other implementation needs to run it. Format: docs/protocol/vectors.md.

    python -m sim.vectors               write tests/vectors anew
    python -m sim.vectors withdraw      of one kind only

The cases are those of the random twins, in the smallest trees. For each way in which a step can go (its code, the step that follows,
the mode of a scan, the lines of the rules that it runs) the smallest of the first few is taken, without what its step does not touch.
The table in docs/protocol/vectors.md says which codes there must be: exit code 1 if one was not found.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from eth_abi.abi import decode
from eth_abi.grammar import ABIType, TupleType, parse
from rich.console import Console

from protocol.codes import Code
from protocol.keccak import keccak
from protocol.rules import Rules
from protocol.series import STRIKE_UNIT
from protocol.state import State
from protocol.steps import MODULES
from protocol.sweeps.modes import get_visited
from protocol.types import MAX_CASH, MAX_POSITIONS, VAULT_AUTHORITY, Account, Globals, Header, Market, Mode, Order, Page, Phase
from protocol.witness import HEADER_TYPE, Recorder, Witness, get_argument_types, prove_step
from sim.twins.__main__ import KINDS
from sim.twins.cases import MakeStart, make_fetch
from sim.twins.dice import ALL_RULES, Dice
from sim.twins.replay import Start, decode_case, encode_case
from sim.twins.runner import get_step_name
from sim.twins.scan_cases import make_within
from sim.twins.trade_cases import make_margin

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "vectors"
TABLE = re.compile(r"^\| ([A-Z_ ]+) \| ([A-Z_, ]+) \|$", re.MULTILINE)
RULES = ALL_RULES[0]
SHARED = (  # modules of the rules besides the steps and the sweeps: what they ask is a step's own question
    *("auction", "breaker", "codec/rows", "free_cash", "haircut", "legs", "machine", "orders", "pool", "pool_slots", "positions"),
    *("quorum", "quotes", "sessions", "waterfall"),
)
FIRST = 40  # cases of one way, of which the smallest is taken
FEWEST, MOST = 300, 6_000  # cases tried of a kind: until all its codes and lines were there
LONGEST = 7_500  # bytes of a vector, where shorter ones show the same endings and lines
RULES_FILES = {
    *(str(path) for folder in ("steps", "sweeps") for path in (ROOT / "protocol" / folder).glob("*.py")),
    *(str(ROOT / "protocol" / f"{name}.py") for name in SHARED),
}
Touch = tuple[str, int, int]  # kind, index, slot
COMMON = ("phase", "params", "domain", "oracles")  # of a case: in the rules' file, or in the vector's name
PLACED = {"globals": 1, "markets": 1, "order": 3, "entry": 3}  # of a touch: how many of kind, index and slot say something
EMPTY: tuple[object, ...] = (None, "0x", [])  # what a vector leaves out
SWEEP_FIELDS = 15
Vector = dict[str, Any]
Lines = dict[CodeType, set[int]]  # by function


class Candidate(NamedTuple):
    """A vector, what its step runs of the rules, and the way it goes: one of each is enough."""

    vector: Vector
    lines: Lines
    way: str


def make_refusal(dice: Dice, rules: Rules) -> Start:
    """A request to enter a pool so rich that the money would be worth no share."""
    while True:
        start = make_within(dice, rules, (Phase.SCAN, Mode.REQUEST))
        index = get_visited(start.state, start.pre.sweep)
        g = start.state.globals
        account = start.state.get_account(index) if index is not None else Account()
        if account.request > 0 and g.clock >= account.request_time + rules.params.pool_delay_s:
            start.state.put_globals(g._replace(pool=MAX_CASH, shares=0))
            return start


def make_broken_row(row: str, dice: Dice, rules: Rules) -> Start:
    """The vault's, so that it is admitted whatever the allowance is."""
    header, state, pre, _ = make_fetch(dice, rules)
    pre.rows = bytes.fromhex(row)
    return Start(header._replace(rows=keccak(pre.rows), offset=0, authority=VAULT_AUTHORITY), state, pre, rules)


def make_full_account(dice: Dice, rules: Rules) -> Start:
    """A trade that opens one position more than an account may have."""
    while True:
        start = make_margin(dice, rules)
        h, state, pre, _ = start
        assert pre.trade is not None
        traded = {leg >> 32 for leg in pre.trade.legs}
        index = pre.trade.maker if h.phase == Phase.MAKER else pre.trade.taker
        first = min(traded)
        others = [first + 2 * STRIKE_UNIT * at for at in range(1, MAX_POSITIONS + len(traded))]
        positions = tuple((series, 1) for series in others if series not in traded)[:MAX_POSITIONS]
        state.put_account(index, state.get_account(index)._replace(positions=positions))
        if prove_step(h, state.copy(), pre.copy(), rules).code == Code.POSITIONS:
            return start


BROKEN_ROWS = ("c20282", "c3028105", "c20200")  # an item longer than its row, and two that are longer than need be
AIMED: dict[str, tuple[MakeStart, ...]] = {  # where random cases do not come, or seldom
    "fetch": tuple(partial(make_broken_row, row) for row in BROKEN_ROWS),
    "margin": (make_full_account,),
    "scan": (make_refusal,),
}


def find_touches(start: Start) -> list[Touch]:
    """Kind, index and slot of all that the step reads, in order."""
    recorder = Recorder(start.state)
    MODULES[Phase(start.header.phase)].step(start.header, recorder, start.pre.copy(), start.rules)
    return recorder.touches


def strip(start: Start, touches: list[Touch]) -> Start:
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


def list_writes(before: Vector, after: Vector) -> Vector:
    """What of the state the step changed, as the state itself is written; a withdrawal with its index before it."""
    writes = {key: after[key] for key in ("globals", "markets") if after[key] != before[key]}
    for key in ("accounts", "orders", "words"):
        writes[key] = [item for item in after[key] if item not in before[key]]
    held = {index for index, _ in before["words"]}
    writes["words"] = [[index, word] for index, word in writes["words"] if word or index in held]  # an empty word that was only read
    writes["outbox"] = [[before["globals"][Globals._fields.index("outbox")], *item] for item in after["outbox"]]
    return {key: value for key, value in writes.items() if value not in EMPTY}


def find_lines(start: Start) -> Lines:
    """The lines of the rules that the step runs, which is the way it goes. `start` is left as it is."""
    found: Lines = {}

    def trace_line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            found[frame.f_code].add(frame.f_lineno)
        return trace_line

    def trace_call(frame: FrameType, *_: object) -> Any:
        if frame.f_code.co_filename not in RULES_FILES:
            return None
        found.setdefault(frame.f_code, set())
        return trace_line

    before = sys.gettrace()
    sys.settrace(trace_call)
    try:
        MODULES[Phase(start.header.phase)].step(start.header, start.state.copy(), start.pre.copy(), start.rules)
    finally:
        sys.settrace(before)
    return found


def find_missing(runs: Iterable[Lines], kind: str) -> set[str]:
    """Lines of the step's module, for SCAN those of its modes too, that none of the runs comes to; of functions that one of them enters."""
    all_runs = list(runs)
    missing: set[str] = set()
    for code in {code for lines in all_runs for code in lines}:
        path = Path(code.co_filename)
        if path.stem == kind or (path.parent.name == "sweeps" and kind == "scan"):
            wanted = {line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno}
            missing |= {f"{path.name}:{line}" for line in wanted.difference(*(lines.get(code, ()) for lines in all_runs))}
    return missing


def get_way(start: Start, after: State, run: Lines, touches: list[Touch], code: Code) -> list[Any]:
    """What distinguishes vectors of one name: the lines of the rules that the step runs, and what the same lines do alike.

    That is how many flags the row has, the sort of a frame's first block, which bits change, whether there is a session key, and whether
    orders have one leg or more.
    """
    h, state, pre, _ = start
    way: list[Any] = [sorted((code.co_filename, *sorted(lines)) for code, lines in run.items()), [kind for kind, _, _ in touches]]
    way.append(pre.items[0].bit_count() if pre.items and code == Code.OK else 0)
    way.append(pre.trade is not None and len(pre.trade.legs) > 1)
    way.append(pre.batches[h.batch - 1].frames[h.frame].data[:1].hex()[-1:] if h.phase == Phase.INFLATE else "")
    for kind, index, slot in touches:
        if kind == "account":
            way.append(state.get_account(index).session != 0)
        if kind == "word":
            way.append(after.get_word(index) != state.get_word(index))
        if kind == "order":
            entry = state.orders.get(index, {}).get(slot)
            way.append((type(entry).__name__, isinstance(entry, Order) and len(entry.legs) > 1))
    return way


def encode_vector(at: int, start: Start) -> Candidate:
    """`at` is the number of the case among its kind's. `start` is left as it is."""
    touches = find_touches(start)
    start = strip(start, touches)
    case = encode_case(start)
    state = start.state.copy()
    witness = prove_step(start.header, state, start.pre.copy(), start.rules)
    types = get_argument_types(Phase(start.header.phase))
    _, *arguments = decode(types, witness.arguments)
    body = {key: value for key, value in case.items() if key not in COMMON and value not in EMPTY}
    if not any(_flatten(body["sweep"][: SWEEP_FIELDS - 1])):
        del body["sweep"]
    vector = {
        "name": get_ending(start, witness),
        "touches": [touch[: PLACED.get(touch[0], 2)] for touch in touches],
        "case": at,
        **body,
        "arguments": [shorten(parse(kind), value) for kind, value in zip(types[1:], arguments, strict=True)],
        "after": shorten(parse(HEADER_TYPE), tuple(witness.after)),
        "writes": list_writes(case, encode_case(start._replace(state=state))),
        "code": int(witness.code),
    }
    run = find_lines(start)
    return Candidate(vector, run, json.dumps([vector["name"], *get_way(start, state, run, touches, witness.code)]))


def make_vector(kind: str, at: int) -> Candidate:
    """Case number `at` of a kind; below zero an aimed one."""
    make_start = KINDS[kind] if at >= 0 else AIMED[kind][-at - 1]
    return encode_vector(at, make_start(Dice(f"vectors {kind} {at}"), RULES))


def make_vectors(kind: str) -> tuple[list[Vector], set[str]]:
    """By name; and the endings of the table and the lines of the step that no case came to."""
    found: dict[str, list[Candidate]] = {}
    missing = {f"{step} {code}" for step, codes in read_table().items() if get_step_name(Phase[step.split()[0]]) == kind for code in codes}
    unrun: set[str] = set()
    for at in range(-len(AIMED.get(kind, ())), MOST):
        if at >= FEWEST and not missing | unrun:
            break
        candidate = make_vector(kind, at)
        ending = candidate.vector["name"].split(" to ", maxsplit=1)[0]
        if at < FEWEST or ending in missing or not unrun <= find_missing([candidate.lines], kind):
            found.setdefault(candidate.way, []).append(candidate)
            missing.discard(ending)
            unrun = find_missing((each.lines for same in found.values() for each in same), kind)
    chosen = choose([min(same[:FIRST], key=measure) for same in found.values()])
    return sorted((candidate.vector for candidate in chosen), key=lambda vector: (vector["name"], vector["case"])), missing | unrun


def choose(candidates: list[Candidate]) -> list[Candidate]:
    """All that are short, and what only longer ones show."""
    chosen: list[Candidate] = []
    names: set[str] = set()
    run: Lines = {}
    for candidate in sorted(candidates, key=measure):
        is_new = candidate.vector["name"] not in names or any(lines - run.get(code, set()) for code, lines in candidate.lines.items())
        if is_new or measure(candidate) <= LONGEST:
            chosen.append(candidate)
            names.add(candidate.vector["name"])
            for code, lines in candidate.lines.items():
                run.setdefault(code, set()).update(lines)
    return chosen


def measure(candidate: Candidate) -> int:
    """In bytes, as it stands in its file."""
    return len(encode_line(candidate.vector))


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
