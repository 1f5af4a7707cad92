# pragma version ~=0.4.3
"""
@title MESSAGE: loads the rows of a forced message
@dev Twin of protocol/steps/message.py.
"""

from ..lib import codes
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
    hashes: DynArray[bytes32, 256],
    time: uint256,
    authority: uint256,
    rows: bytes32,
    signatures: bytes32,
    globals: types.Globals,
    rest: bytes32,
) -> (types.Header, uint256):
    """
    @notice Consuming a message moves the clock to its L1 time, so a forced MARK is not stale by having waited.
            `rows` and `signatures` are hashes: what is behind them is the next steps' matter.
    """
    # READ
    assert types._record_hash(record) == header.record, "message: record"
    assert keccak256(abi_encode(hashes)) == record.messages, "message: hashes"
    assert keccak256(abi_encode(time, authority, rows, signatures)) == hashes[header.message], "message: contents"
    merkle._check_globals(header.state, globals, rest)
    # WRITE
    g: types.Globals = machine._advance_clock(globals, time, record.first, STEPS_PER_SECOND, STEPS_CAP)
    h: types.Header = header
    h.state = merkle._root(g, rest)
    h.message += 1
    h.rows = rows
    h.authority = authority
    h.signatures = signatures
    h.phase = machine.FETCH
    return h, codes.OK
