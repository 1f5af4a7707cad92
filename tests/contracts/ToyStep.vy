# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title A machine of one's own choice of length, in place of the real steps
@dev State n + 1 is the hash of state n and n. The witness is the hash of the state, so that there is a wrong one; `burn` is how many words to hash for nothing.
"""

struct Header:
    state: bytes32
    inbox: bytes32
    batches: uint256
    batch: uint256
    record: bytes32
    message: uint256
    messages: uint256
    frame: uint256
    frames: uint256
    rows: bytes32
    authority: uint256
    signatures: bytes32
    offset: uint256
    signature: uint256
    phase: uint256
    scratch: bytes32

FETCH: constant(uint256) = 3
STEPS: immutable(uint256)


@deploy
def __init__(steps: uint256):
    STEPS = steps


@external
@view
def step(header: Header, witness: bytes32, burn: uint256) -> (Header, uint256):
    h: Header = header
    assert witness == keccak256(h.state), "toy: bad witness"
    sink: bytes32 = witness
    for i: uint256 in range(burn, bound=1_000_000):
        sink = keccak256(sink)
    h.state = keccak256(concat(h.state, convert(h.offset, bytes32)))
    h.phase = FETCH
    h.offset += 1
    if h.offset == STEPS:
        h.phase = 0
        h.offset = 0
        h.batch = h.batches
    return h, 7
