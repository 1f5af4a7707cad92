"""INFLATE: turns a frame's posted bytes into rows. Twin: contracts/steps/inflate.vy."""

from protocol.codec.frames import compute_frame_digest, compute_signatures_hash
from protocol.codec.inflate import decode_frame
from protocol.codes import Code
from protocol.keccak import keccak
from protocol.machine import Preimages, advance_clock
from protocol.rules import Rules
from protocol.state import View
from protocol.types import Header, Phase

ARGUMENTS = (
    "(uint256,uint256,uint256,uint256,uint256,bytes32,uint256,bytes32)",  # record
    "bytes32[]",  # frame digests
    "uint256",  # time
    "bytes",  # data
    "bytes32",  # hash of the signatures
)
TOUCHES = ("globals",)


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The record, the digests of its frames, and this frame with its signatures hashed."""
    batch = pre.batches[h.batch - 1]
    frame = batch.frames[h.frame]
    digests = [compute_frame_digest(each) for each in batch.frames]
    return tuple(batch.record), digests, frame.time, frame.data, compute_signatures_hash(frame.signatures)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """A frame that does not inflate has no rows, whatever else it holds; the next one counts."""
    # READ
    batch = pre.batches[h.batch - 1]
    frame = batch.frames[h.frame]
    g = view.get_globals()
    # COMPUTE
    rows = decode_frame(frame.data)
    code = Code.MALFORMED if rows is None else Code.OK
    rows = rows or b""
    now = min(max(frame.time, batch.record.first), batch.record.last)
    # WRITE
    view.put_globals(advance_clock(g, now, batch.record.first, rules.params))
    pre.rows, pre.signatures = rows, frame.signatures
    h = h._replace(
        frame=h.frame + 1,
        rows=keccak(rows),
        authority=0,
        signatures=compute_signatures_hash(frame.signatures),
        phase=Phase.FETCH,
    )
    return h, code
