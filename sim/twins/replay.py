"""A step's whole input as JSON and back, so that a difference found once can be looked at again."""

from typing import Any, NamedTuple

from protocol.codec.frames import Batch, Frame, Message
from protocol.machine import Preimages
from protocol.params import PRESETS
from protocol.rules import Rules
from protocol.state import State
from protocol.types import Account, Globals, Header, Market, Order, Page, Phase, Record, Slice, Sweep, Trade, TwoWay


class Start(NamedTuple):
    """What a step starts from."""

    header: Header
    state: State
    pre: Preimages
    rules: Rules


def _encode(value: Any) -> Any:
    """Tuples as lists, bytes as hex behind 0x."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple | list):
        return [_encode(item) for item in value]
    return value if value is None or isinstance(value, str) else int(value)


def _decode(value: Any) -> Any:
    if isinstance(value, str):
        return bytes.fromhex(value[2:])
    return tuple(_decode(item) for item in value) if isinstance(value, list) else value


def encode_case(start: Start) -> dict[str, Any]:
    """Everything that `decode_case` needs."""
    h, state, pre, rules = start
    return {
        "phase": Phase(h.phase).name,
        "params": rules.params.name,
        "domain": rules.domain.hex(),
        "oracles": list(rules.oracles),
        "header": _encode(h),
        "globals": _encode(state.globals),
        "markets": _encode(state.markets),
        "accounts": _encode(list(state.accounts.items())),
        "orders": _encode([(index, slot, order) for index, slots in state.orders.items() for slot, order in slots.items()]),
        "words": _encode(list(state.words.items())),
        "outbox": _encode(state.outbox),
        "batches": _encode(pre.batches),
        "rows": _encode(pre.rows),
        "signatures": _encode(pre.signatures),
        "items": _encode(pre.items),
        "trade": _encode(pre.trade),
        "sweep": _encode(pre.sweep),
        "lines": _encode(pre.lines),
    }


def _decode_market(value: Any) -> Market:
    index_price, mark_time, slices, *breaker = value
    return Market(index_price, mark_time, tuple(Slice(*item) for item in slices), *breaker)


def _decode_entry(value: Any) -> Order | Page:
    """An order has more fields than a page."""
    if len(value) == len(Order._fields):
        return Order(*value)
    return Page._make((*value[:-1], tuple(TwoWay(*item) for item in value[-1])))


def _decode_batch(value: Any) -> Batch:
    record, messages, frames = value
    return Batch(Record(*record), tuple(Message(*item) for item in messages), tuple(Frame(*item) for item in frames))


def decode_case(case: dict[str, Any]) -> Start:
    """The inverse of `encode_case`, for the presets' parameters."""
    params = PRESETS[case["params"]]
    state = State(params)
    state.put_globals(Globals(*case["globals"]))
    first, second = (_decode_market(value) for value in _decode(case["markets"]))
    state.put_markets((first, second))
    for index, account in _decode(case["accounts"]):
        state.put_account(index, Account(*account))
    for index, slot, value in _decode(case["orders"]):
        entry = _decode_entry(value)
        if isinstance(entry, Page):
            state.put_page(index, slot, entry)
        else:
            state.put_order(index, slot, entry)
    for index, word in case["words"]:
        state.put_word(index, word)
    pre = Preimages([_decode_batch(value) for value in _decode(case["batches"])])
    pre.rows, pre.signatures, pre.items = _decode(case["rows"]), _decode(case["signatures"]), _decode(case["items"])
    pre.trade = None if case["trade"] is None else Trade(*_decode(case["trade"]))
    pre.sweep, pre.lines = Sweep(*_decode(case["sweep"])), _decode(case["lines"])
    for index, (owner, amount) in enumerate(case["outbox"]):
        state.append_outbox(index, owner, amount)
    return Start(Header(*_decode(case["header"])), state, pre, Rules(params, bytes.fromhex(case["domain"]), tuple(case["oracles"])))
