"""INFLATE and FETCH: the Python step, its witness and the contract, compared exactly; and the gas of the worst witnesses found."""

import random
from functools import cache
from typing import NamedTuple

import pytest
from eth_abi.abi import decode, encode

from protocol.codec.frames import Batch, Frame, compute_record
from protocol.codec.inflate import encode_frame
from protocol.codec.rows import MAX_ITEMS, encode_row
from protocol.codes import Code
from protocol.keccak import ZERO, compute_array_hash, keccak
from protocol.machine import Preimages
from protocol.operations import LAYOUTS, Kind, build_shutdown, count_signatures, get_layout
from protocol.params import MINIMAL
from protocol.state import State
from protocol.types import INBOX_AUTHORITY, Globals, Header, Phase, compute_record_hash
from protocol.witness import HEADER_TYPE, get_argument_types, prove_step
from sim.twins.deflate import make_dear_frames
from sim.twins.dice import make_rules
from sim.twins.runner import encode_rules
from tests.codec import evm

RULES = make_rules(MINIMAL)
MAX_STEP_GAS = 10_000_000


@cache
def get_contract(name: str) -> evm.Contract:
    return evm.get_step(name, encode_rules(RULES))


class Outcome(NamedTuple):
    after: Header
    code: Code
    globals: Globals
    gas: int


def run_twins(name: str, before: Header, state: State, pre: Preimages) -> Outcome:
    """One step by both, from the same witness."""
    before = before._replace(state=state.get_root())
    witness = prove_step(before, state, pre, RULES)
    contract = get_contract(name)
    after, code = decode([HEADER_TYPE, "uint256"], contract.call("step", witness.arguments))
    assert Header(*after) == witness.after
    assert code == witness.code
    return Outcome(witness.after, witness.code, state.get_globals(), contract.gas)


def make_state(clock: int = 1_000, allowance: int = 100, shutdown: int = 0) -> State:
    state = State(MINIMAL)
    state.put_globals(Globals(clock=clock, allowance=allowance, accounts=3, fees=7, shutdown=shutdown))
    return state


def make_inflate(frames: list[Frame], index: int = 0, first: int = 990, last: int = 1_100) -> tuple[Header, Preimages]:
    record = compute_record(4, first, last, 0, [], frames)
    header = Header(
        ZERO, keccak(b"inbox"), 1, batch=1, record=compute_record_hash(record), frame=index, frames=len(frames), phase=Phase.INFLATE
    )
    return header, Preimages([Batch(record, (), tuple(frames))])


def make_fetch(rows: bytes, offset: int = 0, authority: int = 0) -> tuple[Header, Preimages]:
    pre = Preimages([])
    pre.rows = rows
    header = Header(ZERO, keccak(b"inbox"), 2, batch=1, record=keccak(b"r"), message=1, messages=1, frame=2, frames=3, phase=Phase.FETCH)
    return header._replace(rows=keccak(rows), offset=offset, authority=authority, signatures=keccak(b"s"), signature=5), pre


# -- INFLATE


@pytest.mark.parametrize("index", [0, 1, 15])
def test_inflates_the_frame_in_turn(index: int) -> None:
    rows = [encode_row([3, i, 2, 3, 4, 5]) * 9 for i in range(16)]
    frames = [Frame(1_000 + i, encode_frame(rows[i]), bytes(65 * i * 5)) for i in range(16)]
    header, pre = make_inflate(frames, index)
    out = run_twins("inflate", header, make_state(), pre)
    assert out.code == Code.OK
    assert (out.after.rows, out.after.frame, out.after.phase, out.after.offset) == (keccak(rows[index]), index + 1, Phase.FETCH, 0)
    assert pre.rows == rows[index]


@pytest.mark.parametrize("data", [b"\xff", b"\3", encode_frame(b"abc") + b"\0", bytes(8_256)])
def test_a_frame_that_does_not_inflate_has_no_rows_but_a_time(data: bytes) -> None:
    header, pre = make_inflate([Frame(1_050, data, b"")])
    out = run_twins("inflate", header, make_state(), pre)
    assert out.code == Code.MALFORMED
    assert out.after.rows == keccak(b"")
    assert out.globals.clock == 1_050


@pytest.mark.parametrize(
    ("time", "clock", "expected"),
    [
        (1_050, 1_000, 1_050),
        (0, 1_000, 1_000),  # never back
        (0, 900, 990),  # clamped to the batch's first
        (2**64 - 1, 1_000, 1_100),  # and to its last
        (1_001, 1_000, 1_001),
    ],
)
def test_the_clock_moves_to_the_clamped_time(time: int, clock: int, expected: int) -> None:
    header, pre = make_inflate([Frame(time, encode_frame(b""), b"")])
    out = run_twins("inflate", header, make_state(clock), pre)
    assert out.globals.clock == expected


@pytest.mark.parametrize(
    ("accrued", "allowance", "expected"),
    [
        (989, 100, 150),
        (990, 100, 100),
        (991, 100, 100),  # never back
        (960, -500, 1_000),
        (0, 100, MINIMAL.steps_cap),
        (989, MINIMAL.steps_cap - 1, MINIMAL.steps_cap),
    ],
)
def test_the_allowance_accrues_up_to_the_first_time_of_the_batch(accrued: int, allowance: int, expected: int) -> None:
    header, pre = make_inflate([Frame(1_050, encode_frame(b""), b"")], first=990)
    state = make_state(1_000, allowance)
    state.put_globals(state.globals._replace(accrued=accrued))
    out = run_twins("inflate", header, state, pre)
    assert (out.globals.allowance, out.globals.accrued) == (expected, max(accrued, 990))


@pytest.mark.parametrize("field", [1, 2, 3, 4, 5, 6, 7])
def test_inflate_takes_no_other_witness(field: int) -> None:
    """Each argument is bound to the header: another record, list of digests, time, data, signatures, globals or rest reverts."""
    header, pre = make_inflate([Frame(1_050, encode_frame(b"\xc1\1"), bytes(65))])
    state = make_state()
    witness = prove_step(header._replace(state=state.get_root()), state, pre, RULES)
    types = get_argument_types(Phase.INFLATE)
    values = list(decode(types, witness.arguments))
    contract = get_contract("inflate")
    assert contract.call("step", encode(types, values))
    value = values[field]
    if isinstance(value, bytes):
        values[field] = value[:-1] + bytes([value[-1] ^ 1])
    elif isinstance(value, int):
        values[field] = value + 1
    elif field == 2:
        values[field] = [keccak(b"")]
    else:
        values[field] = (value[0] + 1, *value[1:])
    with pytest.raises(RuntimeError):
        contract.call("step", encode(types, values))


def test_the_worst_frames_found_fit_a_step() -> None:
    gas = []
    for data in make_dear_frames():
        header, pre = make_inflate([Frame(1_050, data, b"")] * 16, 15)
        out = run_twins("inflate", header, make_state(), pre)
        assert out.code == Code.OK
        assert len(pre.rows) == 8_192
        gas.append(out.gas)
    print(f"inflate: worst {max(gas):,} gas")
    assert 5_900_000 < max(gas) < 6_100_000 < MAX_STEP_GAS
    assert gas[-1] == max(gas)


def test_a_frame_of_real_looking_rows() -> None:
    rng = random.Random(2)
    rows = b"".join(encode_row([3, rng.randrange(900), rng.randrange(256), rng.randrange(900), rng.randrange(256), 1]) for _ in range(580))
    header, pre = make_inflate([Frame(1_050, encode_frame(rows[:8_192]), b"")])
    out = run_twins("inflate", header, make_state(), pre)
    print(f"inflate: {len(pre.rows)} bytes of trades, {out.gas:,} gas")
    assert out.code == Code.OK
    assert out.gas < MAX_STEP_GAS


# -- FETCH

MARK = [6, 0, 1, 2, 3]
WORD = 2**256 - 1
SHEET = [8, 1, 2, 3]
LEGAL = [
    ([1, 2, 3, 4], Phase.DEPOSIT, 2),
    ([2 | 31 << 4, *[1] * 9], Phase.ORDER, 2),
    ([2, *[WORD] * 9], Phase.ORDER, 2),
    ([3, 1, 2, 3, 4, 5], Phase.TERMS, 5),
    ([4, 1, 2], Phase.CANCEL, 2),
    ([20, 1, 2], Phase.CANCEL, 2),
    ([5, 1, 2, 3], Phase.WITHDRAW, 2),
    ([21, 1, 2, 3], Phase.WITHDRAW, 2),
    (MARK + [9] * 7, Phase.MARK, 2),
    (MARK + [2**255] * 112, Phase.MARK, 2),
    ([7 | 30 << 4, *[WORD] * 14], Phase.COMBO, 2),
    ([7, *[1] * 22], Phase.COMBO, 2),
    ([*SHEET, 1, 0, 7, 7, 7], Phase.SHEET, 2),
    ([*SHEET, 8, 7, *([WORD] * 7), 7, 7, 7, *([WORD] * 80)], Phase.SHEET, 2),
    ([9 | 16, *[1] * 5], Phase.AUTHORIZE, 2),
    ([10, *[1] * 10], Phase.BID, 5),
    ([11 | 16, 1, 2, 0], Phase.SETTLE, 2),
    ([12 | 3 << 4, 1, 2, 3], Phase.POOL, 2),
    ([13], Phase.SHUTDOWN, 2),
]
ILLEGAL = [
    [],
    [0],
    [7, 1],
    [14],
    [15],
    [256 * 2 + 3, 1, 2, 3, 4, 5],
    [2**255 + 3, 1, 2, 3, 4, 5],
    [1 | 16, 2, 3, 4],
    [2 | 32 << 4, *[1] * 9],
    [3 | 16, 1, 2, 3, 4, 5],
    [4 | 32, 1, 2],
    [6 | 16, 0, 1, 2, 3, *[1] * 7],
    [7 | 16, *[1] * 14],
    [12 | 4 << 4, 1, 2, 3],
    [13 | 16],
    [13, 0],
    [1, 2, 3],
    [1, 2, 3, 4, 5],
    [2, *[1] * 8],
    [3, 1, 2, 3, 4],
    [6],
    MARK,
    MARK + [1] * 6,
    MARK + [1] * 8,
    MARK + [1] * 119,
    MARK + [1] * 123,
    [7, *[1] * 10],
    [10, *[1] * 6],
    SHEET,
    [*SHEET, 1],
    [*SHEET, 0, 0, 7, 7],
    [*SHEET, 1, 1, 7, 7, 7],
    [*SHEET, WORD, 0, 7, 7, 7],
    [*SHEET, 9, 0, *([1] * 8), 7, 7, 7],
    [*SHEET, 1, 0, 7, 7, 7, *([1] * 85)],
]


@pytest.mark.parametrize(("row", "phase", "steps"), LEGAL)
@pytest.mark.parametrize("authority", [0, 1])
def test_admits_a_row(row: list[int], phase: Phase, steps: int, authority: int) -> None:
    data = encode_row([9, 9]) + encode_row(row)
    header, pre = make_fetch(data + b"\xff", 3, authority)
    out = run_twins("fetch", header, make_state(allowance=1), pre)
    assert out.code == Code.OK
    assert (out.after.phase, out.after.offset, out.after.signature) == (phase, len(data), 5)
    assert out.after.scratch == compute_array_hash(row)
    assert out.globals.allowance == 1 - steps
    assert pre.items == tuple(row)


@pytest.mark.parametrize("row", ILLEGAL)
def test_skips_a_row_of_no_known_shape(row: list[int]) -> None:
    data = encode_row(row)
    header, pre = make_fetch(data + encode_row([4, 1, 2]))
    out = run_twins("fetch", header, make_state(allowance=10), pre)
    assert out.code == Code.MALFORMED
    assert (out.after.phase, out.after.offset, out.after.scratch) == (Phase.FETCH, len(data), ZERO)
    assert out.globals.allowance == 9


def list_shapes() -> list[list[int]]:
    """Every kind with every number of items, and with every flag at a length that it may have; sheets of any number of pages."""
    rows = [[kind, *[1] * (count - 1)] for kind in range(16) for count in range(1, MAX_ITEMS + 1)]
    lengths = {Kind.MARK: 12, Kind.COMBO: 15, Kind.SHEET: 9, Kind.BID: 11}
    for kind, layout in LAYOUTS.items():
        rows += [[kind | flags << 4, *[1] * ((layout.items or lengths[kind]) - 1)] for flags in range(65)]
    for pages, page in ((0, 0), (1, 0), (1, 1), (2, 1), (7, 0), (8, 7), (8, 8), (9, 0)):
        rows += [[8, 1, 1, 1, pages, page, *[1] * (count - 6)] for count in range(6, MAX_ITEMS + 1)]
    return rows


@pytest.mark.parametrize("shutdown", [0, 1])
def test_both_tables_of_layouts_agree(shutdown: int) -> None:
    """Both twins on each, whether the exchange is frozen or not, and against the table itself."""
    state, codes = make_state(shutdown=shutdown), set()
    for row in list_shapes():
        header, pre = make_fetch(encode_row(row))
        out = run_twins("fetch", header, state.copy(), pre)
        layout = get_layout(tuple(row))
        codes.add(out.code)
        if layout is None:
            assert (out.code, out.globals.allowance, out.after.signature) == (Code.MALFORMED, 99, 5)
        elif shutdown and layout.is_frozen:
            taken = count_signatures(layout, row[0], MINIMAL.quorum)
            assert (out.code, out.globals.allowance, out.after.signature) == (Code.FROZEN, 99, 5 + taken)
            assert (out.after.phase, out.after.scratch) == (Phase.FETCH, ZERO)
        else:
            assert (out.code, out.globals.allowance, out.after.signature) == (Code.OK, 100 - layout.steps, 5)
            assert out.after.phase == layout.phase
    assert codes == {Code.OK, Code.MALFORMED, *([Code.FROZEN] if shutdown else [])}


def test_a_shutdown_stops_all_but_money_and_what_settles() -> None:
    assert {kind for kind, layout in LAYOUTS.items() if not layout.is_frozen} == {
        *(Kind.DEPOSIT, Kind.WITHDRAW),
        *(Kind.MARK, Kind.SETTLE, Kind.SHUTDOWN),
    }


@pytest.mark.parametrize("tail", [b"\xff", b"\x80", b"\xc2\x01", b"\xf8", b"\xc1\x00"])
def test_a_broken_row_drops_the_rest(tail: bytes) -> None:
    data = encode_row([4, 1, 2])
    header, pre = make_fetch(data + tail, len(data))
    out = run_twins("fetch", header, make_state(), pre)
    assert out.code == Code.MALFORMED
    assert (out.after.phase, out.after.rows, out.after.offset, out.after.signature) == (Phase.INFLATE, ZERO, 0, 0)


@pytest.mark.parametrize(
    ("allowance", "authority", "code"),
    [
        (0, 0, Code.ALLOWANCE),
        (-5, 0, Code.ALLOWANCE),
        (1, 0, Code.OK),
        (-5, 77, Code.OK),
        (-MINIMAL.steps_cap, 77, Code.ALLOWANCE),
        (1 - MINIMAL.steps_cap, 77, Code.OK),
        (-(10**9), 1, Code.OK),
        (-(10**9), 2, Code.OK),
    ],
)
def test_frames_need_allowance_and_messages_do_not(allowance: int, authority: int, code: Code) -> None:
    header, pre = make_fetch(encode_row([4, 1, 2]) * 3, 4, authority)
    out = run_twins("fetch", header, make_state(allowance=allowance), pre)
    assert out.code == code
    assert out.globals.allowance == (allowance if code else allowance - 2)


def test_the_shutdown_runs_whatever_was_spent() -> None:
    """It is sent once only: if it could be kept out, nobody could ever shut the exchange down."""
    header, pre = make_fetch(encode_row(build_shutdown()), authority=INBOX_AUTHORITY)
    assert run_twins("fetch", header, make_state(allowance=-(10**12)), pre).after.phase == Phase.SHUTDOWN


@pytest.mark.parametrize(
    ("message", "frame", "phase"), [(0, 0, Phase.MESSAGE), (1, 1, Phase.INFLATE), (1, 2, Phase.INFLATE), (1, 3, Phase.OPEN)]
)
def test_at_the_end_the_next_source(message: int, frame: int, phase: Phase) -> None:
    data = encode_row([4, 1, 2])
    header, pre = make_fetch(data, len(data))
    out = run_twins("fetch", header._replace(message=message, frame=frame), make_state(), pre)
    assert out.code == Code.OK
    assert out.after.phase == phase
    assert (out.after.rows, out.after.signatures, out.after.authority) == (ZERO, ZERO, 0)
    assert (out.after.record == ZERO) == (phase == Phase.OPEN)


@pytest.mark.parametrize("field", [1, 2, 3])
def test_fetch_takes_no_other_witness(field: int) -> None:
    header, pre = make_fetch(encode_row([4, 1, 2]))
    state = make_state()
    witness = prove_step(header._replace(state=state.get_root()), state, pre, RULES)
    types = get_argument_types(Phase.FETCH)
    values = list(decode(types, witness.arguments))
    values[field] = (values[field][0] + 1, *values[field][1:]) if field == 2 else values[field][:-1] + b"\x7f"
    with pytest.raises(RuntimeError):
        get_contract("fetch").call("step", encode(types, values))


def test_the_last_rows_of_a_full_frame_fit_a_step() -> None:
    gas = {}
    for name, row in (("trade", [3, 1, 2, 3, 4, 5]), ("mark", MARK + [2**255] * 112), ("128 items", [2**255] * MAX_ITEMS)):
        data = encode_row(row)
        front = 8_192 - len(data)
        header, pre = make_fetch(b"\xc0" * front + data, front)
        gas[name] = run_twins("fetch", header, make_state(), pre).gas
    print("fetch:", ", ".join(f"{name} {used:,} gas" for name, used in gas.items()))
    assert max(gas.values()) < 1_000_000


@pytest.mark.parametrize("name", ["inflate", "fetch"])
def test_fits_the_code_limit(name: str) -> None:
    assert 1_000 < get_contract(name).code_bytes <= evm.MAX_CODE_BYTES
