"""Values between the daemon and its worker: msgpack, with integers above 64 bits as an extension."""

from dataclasses import asdict
from typing import Any

import msgpack

from challenger.evidence import StepFacts, StepProof, Truth
from protocol.codec.frames import Batch, Frame, Message
from protocol.params import Fees, Params
from protocol.rules import Rules
from protocol.types import Record

BIG_INTEGER = 1
LENGTH_BYTES = 4
MAX_BYTES = 1 << 30


def encode(value: object) -> bytes:
    """With its length in front."""
    body: bytes = msgpack.packb(value, default=_encode_big)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes) -> Any:
    """Without the length. Arrays become tuples."""
    return msgpack.unpackb(body, ext_hook=_decode_big, use_list=False, strict_map_key=False)


def _encode_big(value: object) -> msgpack.ExtType:
    if not isinstance(value, int):
        raise TypeError(f"cannot encode {type(value).__name__}")
    return msgpack.ExtType(BIG_INTEGER, value.to_bytes(33, "big", signed=True))


def _decode_big(code: int, data: bytes) -> int:
    if code != BIG_INTEGER:
        raise ValueError(f"unknown extension {code}")
    return int.from_bytes(data, "big", signed=True)


def encode_rules(rules: Rules) -> tuple[Any, ...]:
    """The kernel stays at home: the worker has its own."""
    return asdict(rules.params), rules.domain, rules.oracles


def decode_rules(value: Any) -> Rules:
    fields, domain, oracles = value
    fees = tuple(Fees(**fee) for fee in fields["fees"])
    return Rules(Params(**fields | {"fees": fees}), domain, tuple(oracles))


def decode_batches(value: Any) -> tuple[Batch, ...]:
    """A batch is tuples within tuples, so that it is encoded as it is."""
    return tuple(
        Batch(Record(*record), tuple(Message(*item) for item in messages), tuple(Frame(*item) for item in frames))
        for record, messages, frames in value
    )


def encode_truth(truth: Truth) -> tuple[Any, ...]:
    return truth.post_root, truth.history, truth.nodes, truth.siblings, truth.steps


def decode_truth(value: Any) -> Truth:
    return Truth(*value)


def encode_proof(proof: StepProof) -> tuple[Any, ...]:
    facts = tuple(getattr(proof.facts, name) for name in StepFacts.__dataclass_fields__)
    return proof.arguments, proof.path, proof.leaf_before, proof.leaf_after, facts


def decode_proof(value: Any) -> StepProof:
    arguments, path, leaf_before, leaf_after, facts = value
    return StepProof(arguments, path, leaf_before, leaf_after, StepFacts(*facts))
