"""OPEN: takes the next batch of the epoch. Twin: contracts/steps/open.vy."""

from protocol.codec.frames import prove_record
from protocol.codes import Code
from protocol.machine import Preimages, next_source
from protocol.rules import Rules
from protocol.state import View
from protocol.types import Header

ARGUMENTS = ("(uint256,uint256,uint256,uint256,uint256,bytes32,uint256,bytes32)", "bytes32[]")  # record, path
TOUCHES = ()


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The record and its siblings in the inbox root."""
    return tuple(pre.batches[h.batch].record), prove_record(pre.record_hashes, h.batch, rules.params.batch_depth)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """L1 has checked the batch's times and messages when it recorded them: nothing can be wrong with it here."""
    # READ
    record = pre.batches[h.batch].record
    # WRITE
    h = h._replace(
        batch=h.batch + 1,
        record=pre.record_hashes[h.batch],
        message=0,
        messages=record.message_count,
        frame=0,
        frames=record.frame_count,
    )
    return next_source(h), Code.OK
