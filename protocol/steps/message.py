"""MESSAGE: loads the rows of a forced message. Twin: contracts/steps/message.vy."""

from protocol.codec.frames import compute_message_hash, compute_signatures_hash
from protocol.codes import Code
from protocol.keccak import keccak
from protocol.machine import Preimages, advance_clock
from protocol.rules import Rules
from protocol.state import View
from protocol.types import Header, Phase

ARGUMENTS = (
    "(uint256,uint256,uint256,uint256,uint256,bytes32,uint256,bytes32)",  # record
    "bytes32[]",  # message hashes
    "uint256",  # time
    "uint256",  # authority
    "bytes32",  # hash of the rows
    "bytes32",  # hash of the signatures
)
TOUCHES = ("globals",)


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The record, the hashes of its messages, and this message with its contents hashed."""
    batch = pre.batches[h.batch - 1]
    message = batch.messages[h.message]
    return (
        tuple(batch.record),
        [compute_message_hash(each) for each in batch.messages],
        message.time,
        message.authority,
        keccak(message.rows),
        compute_signatures_hash(message.signatures),
    )


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Consuming a message moves the clock to its L1 time, so a forced MARK is not stale by having waited."""
    # READ
    batch = pre.batches[h.batch - 1]
    message = batch.messages[h.message]
    g = view.get_globals()
    # WRITE
    view.put_globals(advance_clock(g, message.time, batch.record.first, rules.params))
    pre.rows, pre.signatures = message.rows, message.signatures
    h = h._replace(
        message=h.message + 1,
        rows=keccak(message.rows),
        authority=message.authority,
        signatures=compute_signatures_hash(message.signatures),
        phase=Phase.FETCH,
    )
    return h, Code.OK
