# pragma version ~=0.4.3
"""
@title OPEN: takes the next batch of the epoch
@dev Twin of protocol/steps/open.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import types

BATCH_DEPTH: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    BATCH_DEPTH = rules.batch_depth

@external
@view
def step(header: types.Header, record: types.Record, path: DynArray[bytes32, 32]) -> (types.Header, uint256):
    """
    @notice L1 has checked the batch's times and messages when it recorded them: nothing can be wrong with it here.
    """
    # READ
    assert header.batch < header.batches and len(path) == BATCH_DEPTH, "open: halted"
    record_hash: bytes32 = types._record_hash(record)
    assert merkle._root_from_path(record_hash, header.batch, path) == header.inbox, "open: record"
    # WRITE
    h: types.Header = header
    h.batch += 1
    h.record = record_hash
    h.message = 0
    h.messages = record.message_count
    h.frame = 0
    h.frames = record.frame_count
    return machine._next_source(h), codes.OK
