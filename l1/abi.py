"""Calls, returns and events of built contracts, encoded with eth_abi directly: `contract.transact` of web3 makes many requests a call.

In Python an address is an integer (as in `protocol`), 32-byte words are bytes, arrays are tuples. Decoding is strict; what does not fit
raises `Malformed`, since only an endpoint that lies can bring it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from eth_abi import abi as eth_abi
from eth_abi.exceptions import DecodingError

from contracts import Artifact, load_artifact
from l1.shapes import Log, Malformed
from protocol.keccak import keccak

ERROR_STRING = b"\x08\xc3y\xa0"  # Error(string)


def get_type(item: dict[str, Any]) -> str:
    """Canonical type of an ABI input; structs become tuples."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(get_type(part) for part in item["components"]) + ")" + kind.removeprefix("tuple")


def to_abi(value: Any, kind: str) -> Any:
    """Our integers for addresses become bytes; everything else is left as it is."""
    if kind == "address" and isinstance(value, int):
        return value.to_bytes(20, "big")
    if kind.startswith("address[") and not isinstance(value, bytes):
        return [to_abi(item, "address") for item in value]
    return value


def from_abi(value: Any, kind: str) -> Any:
    """Addresses become integers, arrays tuples."""
    if kind == "address":
        return int(value, 16)
    if isinstance(value, (list, tuple)):
        return tuple(from_abi(item, kind[: kind.rindex("[")]) if kind.endswith("]") else item for item in value)
    return value


@cache
def get_function(name: str, function: str) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """Selector, input types and output types of the only function of that name."""
    artifact = load_artifact(name)
    (item,) = [item for item in artifact.abi if item.get("type") == "function" and item["name"] == function]
    return (
        artifact.get_selector(function),
        tuple(get_type(part) for part in item["inputs"]),
        tuple(get_type(part) for part in item["outputs"]),
    )


def encode_call(name: str, function: str, arguments: Sequence[Any] = ()) -> bytes:
    """Calldata of a call to contract `name`."""
    selector, kinds, _ = get_function(name, function)
    return selector + eth_abi.encode(kinds, [to_abi(value, kind) for value, kind in zip(arguments, kinds, strict=True)])


def decode_result(name: str, function: str, data: bytes) -> tuple[Any, ...]:
    """What a call returned, always as a tuple."""
    return _decode(get_function(name, function)[2], data)


def encode_constructor(artifact: Artifact, arguments: Sequence[Any]) -> bytes:
    """Creation code with its arguments. Structs are given as tuples of their fields."""
    found = [item for item in artifact.abi if item.get("type") == "constructor"]
    kinds = tuple(get_type(part) for part in found[0]["inputs"]) if found else ()
    return artifact.bytecode + eth_abi.encode(kinds, [to_abi(value, kind) for value, kind in zip(arguments, kinds, strict=True)])


@cache
def get_events(name: str) -> dict[bytes, tuple[str, tuple[tuple[str, str, bool], ...]]]:
    """First topic -> event's name and its inputs: name, type, whether indexed."""
    events = {}
    for item in load_artifact(name).abi:
        if item.get("type") == "event":
            inputs = tuple((part["name"], get_type(part), bool(part["indexed"])) for part in item["inputs"])
            signature = f"{item['name']}({','.join(kind for _, kind, _ in inputs)})"
            events[keccak(signature.encode())] = item["name"], inputs
    return events


def decode_event(name: str, log: Log) -> tuple[str, dict[str, Any]] | None:
    """Name and fields of a log of contract `name`; None for an event that its artifact does not have."""
    found = get_events(name).get(log.topics[0]) if log.topics else None
    if found is None:
        return None
    event, inputs = found
    indexed = [(field, kind) for field, kind, is_indexed in inputs if is_indexed]
    plain = [(field, kind) for field, kind, is_indexed in inputs if not is_indexed]
    if len(log.topics) != 1 + len(indexed):
        raise Malformed(f"{event}: wrong number of topics")
    values = {field: _decode((kind,), topic)[0] for (field, kind), topic in zip(indexed, log.topics[1:], strict=True)}
    decoded = _decode(tuple(kind for _, kind in plain), log.data)
    values |= {field: value for (field, _), value in zip(plain, decoded, strict=True)}
    return event, values


def decode_reason(data: bytes | None) -> str:
    """The text of an Error(string), else the data in hex; empty without data."""
    if not data:
        return ""
    if data[:4] == ERROR_STRING:
        try:
            return str(eth_abi.decode(("string",), data[4:])[0])
        except (DecodingError, UnicodeDecodeError):
            return data.hex()
    return data.hex()


def _decode(kinds: tuple[str, ...], data: bytes) -> tuple[Any, ...]:
    try:
        values = eth_abi.decode(kinds, data)
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        raise Malformed(f"does not decode as ({','.join(kinds)})") from error
    return tuple(from_abi(value, kind) for value, kind in zip(values, kinds, strict=True))
