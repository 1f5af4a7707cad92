# pragma version ~=0.4.3
"""
@title INFLATE: turns a frame's posted bytes into rows
@dev Twin of protocol/steps/inflate.py.
"""

from ..lib import codes
from ..lib import inflate
from ..lib import machine
from ..lib import merkle
from ..lib import types

STEPS_PER_SECOND: immutable(uint256)
STEPS_CAP: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    STEPS_PER_SECOND = rules.steps_per_second
    STEPS_CAP = rules.steps_cap

@external
@view
def step(
    header: types.Header,
    record: types.Record,
    digests: DynArray[bytes32, 16],
    time: uint256,
    data: Bytes[8256],
    signatures: bytes32,
    globals: types.Globals,
    rest: bytes32,
) -> (types.Header, uint256):
    """
    @notice A frame that does not inflate has no rows, whatever else it holds; the next one counts.
    @param digests Of all frames of the batch.
    @param signatures Hash of the list of this frame's signature chunks.
    """
    # READ
    h: types.Header = header
    assert types._record_hash(record) == h.record, "inflate: record"
    assert keccak256(abi_encode(digests)) == record.frames, "inflate: digests"
    assert keccak256(abi_encode(time, keccak256(data), signatures)) == digests[h.frame], "inflate: frame"
    merkle._check_globals(h.state, globals, rest)
    # COMPUTE
    ok: bool = False
    rows: Bytes[8544] = b""
    ok, rows = inflate._inflate(data)
    now: uint256 = min(max(time, record.first), record.last)
    # WRITE
    h.state = merkle._root(machine._advance_clock(globals, now, record.first, STEPS_PER_SECOND, STEPS_CAP), rest)
    h.frame += 1
    h.rows = keccak256(rows)
    h.authority = 0
    h.signatures = signatures
    h.phase = machine.FETCH
    return h, codes.OK if ok else codes.MALFORMED
