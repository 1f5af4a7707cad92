"""What Ethereum answers, as values that were checked: headers, logs, receipts, transactions.

Whatever does not have the promised shape raises `Malformed`, a kind of `Unavailable`. Addresses are 20 bytes, hashes 32.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rlp

from l1.provider import Unavailable
from protocol.keccak import keccak

QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
MAX_TOPICS = 4


class Malformed(Unavailable):
    """The endpoint answered something that cannot be, or that was not asked for."""


@dataclass(frozen=True, slots=True)
class Header:
    """Of a block. `time` in chain seconds, `base_fee` in wei a gas."""

    number: int
    hash: bytes
    parent: bytes
    time: int
    base_fee: int


@dataclass(frozen=True, slots=True)
class Log:
    """An event as it stands in its block; `index` counts within the block."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    tx_hash: bytes
    tx_index: int
    index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of an included transaction. `reason` is revert data, if it is known."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    ok: bool
    gas_used: int
    gas_price: int
    contract: bytes | None
    logs: tuple[Log, ...]
    reason: bytes | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """Its hash was recomputed from its fields, so they are what was signed."""

    hash: bytes
    nonce: int
    to: bytes | None
    value: int
    gas: int
    input: bytes
    block_hash: bytes | None
    block_number: int | None
    raw: bytes  # the signed envelope


def parse_quantity(value: object) -> int:
    if not isinstance(value, str) or not QUANTITY.match(value):
        raise Malformed("not a quantity")
    return int(value, 16)


def parse_data(value: object, size: int | None = None) -> bytes:
    if not isinstance(value, str) or not DATA.match(value) or (size is not None and len(value) != 2 + 2 * size):
        raise Malformed("not hex data of the right size")
    return bytes.fromhex(value[2:])


def _get(item: object, key: str) -> Any:
    if not isinstance(item, dict) or key not in item:
        raise Malformed(f"no {key}")
    return item[key]


def parse_header(item: object) -> Header:
    return Header(
        number=parse_quantity(_get(item, "number")),
        hash=parse_data(_get(item, "hash"), 32),
        parent=parse_data(_get(item, "parentHash"), 32),
        time=parse_quantity(_get(item, "timestamp")),
        base_fee=parse_quantity(_get(item, "baseFeePerGas")),
    )


def parse_log(item: object) -> Log:
    topics = _get(item, "topics")
    if not isinstance(topics, list) or len(topics) > MAX_TOPICS:
        raise Malformed("topics")
    if isinstance(item, dict) and item.get("removed") not in (None, False):
        raise Malformed("a removed log")
    return Log(
        address=parse_data(_get(item, "address"), 20),
        topics=tuple(parse_data(topic, 32) for topic in topics),
        data=parse_data(_get(item, "data")),
        block_number=parse_quantity(_get(item, "blockNumber")),
        block_hash=parse_data(_get(item, "blockHash"), 32),
        tx_hash=parse_data(_get(item, "transactionHash"), 32),
        tx_index=parse_quantity(_get(item, "transactionIndex")),
        index=parse_quantity(_get(item, "logIndex")),
    )


def parse_logs(items: object) -> tuple[Log, ...]:
    if not isinstance(items, list):
        raise Malformed("logs are not a list")
    return tuple(parse_log(item) for item in items)


def parse_receipt(item: object, tx_hash: bytes) -> Receipt:
    """Must be that transaction's, and its logs its own."""
    if parse_data(_get(item, "transactionHash"), 32) != tx_hash:
        raise Malformed("receipt of another transaction")
    status = parse_quantity(_get(item, "status"))
    if status > 1:
        raise Malformed("status")
    block_hash = parse_data(_get(item, "blockHash"), 32)
    logs = parse_logs(_get(item, "logs"))
    if any(log.tx_hash != tx_hash or log.block_hash != block_hash for log in logs):
        raise Malformed("foreign logs in a receipt")
    contract = _get(item, "contractAddress")
    reason = item.get("revertReason") if isinstance(item, dict) else None
    return Receipt(
        tx_hash=tx_hash,
        block_number=parse_quantity(_get(item, "blockNumber")),
        block_hash=block_hash,
        ok=status == 1,
        gas_used=parse_quantity(_get(item, "gasUsed")),
        gas_price=parse_quantity(_get(item, "effectiveGasPrice")),
        contract=None if contract is None else parse_data(contract, 20),
        logs=logs,
        reason=None if reason is None else parse_data(reason),
    )


def parse_transaction(item: object, tx_hash: bytes) -> Transaction:
    """Recomputes the hash from the fields: a wrong input cannot pass."""
    raw = encode_transaction(item)
    if keccak(raw) != tx_hash:
        raise Malformed("transaction does not have the hash that was asked for")
    to, block_hash, number = _get(item, "to"), _get(item, "blockHash"), _get(item, "blockNumber")
    return Transaction(
        hash=tx_hash,
        nonce=parse_quantity(_get(item, "nonce")),
        to=None if to is None else parse_data(to, 20),
        value=parse_quantity(_get(item, "value")),
        gas=parse_quantity(_get(item, "gas")),
        input=parse_data(_get(item, "input")),
        block_hash=None if block_hash is None else parse_data(block_hash, 32),
        block_number=None if number is None else parse_quantity(number),
        raw=raw,
    )


def encode_transaction(item: object) -> bytes:
    """The signed envelope (EIP-2718; types 0 to 4) from a transaction object."""
    kind = parse_quantity(_get(item, "type"))
    nonce, gas, value = (parse_quantity(_get(item, key)) for key in ("nonce", "gas", "value"))
    to = b"" if _get(item, "to") is None else parse_data(_get(item, "to"), 20)
    body = [gas, to, value, parse_data(_get(item, "input"))]
    signature = [parse_quantity(_get(item, key)) for key in ("v", "r", "s")]
    if kind == 0:
        return bytes(rlp.encode([nonce, parse_quantity(_get(item, "gasPrice")), *body, *signature]))
    access = [_parse_access(entry) for entry in _get_list(item, "accessList")]
    chain = parse_quantity(_get(item, "chainId"))
    if kind == 1:
        return b"\x01" + bytes(rlp.encode([chain, nonce, parse_quantity(_get(item, "gasPrice")), *body, access, *signature]))
    fees = [parse_quantity(_get(item, key)) for key in ("maxPriorityFeePerGas", "maxFeePerGas")]
    extra: list[Any] = []
    if kind == 3:
        blobs = [parse_data(entry, 32) for entry in _get_list(item, "blobVersionedHashes")]
        extra = [parse_quantity(_get(item, "maxFeePerBlobGas")), blobs]
    elif kind == 4:
        extra = [[_parse_authorization(entry) for entry in _get_list(item, "authorizationList")]]
    elif kind != 2:
        raise Malformed(f"transaction of unknown type {kind}")
    return bytes([kind]) + bytes(rlp.encode([chain, nonce, *fees, *body, access, *extra, *signature]))


def _get_list(item: object, key: str) -> Sequence[object]:
    value = _get(item, key)
    if not isinstance(value, list):
        raise Malformed(f"{key} is not a list")
    return value


def _parse_access(entry: object) -> list[Any]:
    return [parse_data(_get(entry, "address"), 20), [parse_data(key, 32) for key in _get_list(entry, "storageKeys")]]


def _parse_authorization(entry: object) -> list[Any]:
    head = [parse_quantity(_get(entry, "chainId")), parse_data(_get(entry, "address"), 20), parse_quantity(_get(entry, "nonce"))]
    return head + [parse_quantity(_get(entry, key)) for key in ("yParity", "r", "s")]
