# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Judge
@notice Runs one step of the machine. Every failure reverts, so that none is ever taken for a result: a step that is out of gas (it gets
    63/64 of
    what is left), a bad witness, a phase that does not exist, an answer of another length, an address without code.
"""

# ---- constants

PHASES: constant(uint256) = 26
HEADER_BYTES: constant(uint256) = 512
ANSWER_BYTES: constant(uint256) = 544  # the header after the step, and a reason code that decides nothing here
MAX_ARGS: constant(uint256) = 28672
BATCHES_WORD: constant(uint256) = 2 * 32
BATCH_WORD: constant(uint256) = 3 * 32
PHASE_WORD: constant(uint256) = 14 * 32
OPEN: constant(uint256) = 0

# ---- immutables

STEPS: immutable(address[PHASES])  # the step contract of each phase
SELECTORS: immutable(bytes4[PHASES])  # of its `step`: witnesses differ, so do the selectors


# ---- constructor

@deploy
def __init__(steps: address[PHASES], selectors: bytes4[PHASES]):
    for phase: uint256 in range(PHASES):
        assert steps[phase].is_contract, "judge: a step is missing"
    STEPS = steps
    SELECTORS = selectors


# ---- external

@external
@view
def run(args: Bytes[MAX_ARGS]) -> (bytes32, bytes32):
    """
    @notice The leaf before and the leaf after one step.
    @param args The step's ABI-encoded arguments; the first 16 words are the header before it.
    """
    # READ
    leaf_before: bytes32 = keccak256(slice(args, 0, HEADER_BYTES))
    phase: uint256 = convert(extract32(args, PHASE_WORD), uint256)
    # CHECK
    if phase == OPEN and extract32(args, BATCHES_WORD) == extract32(args, BATCH_WORD):
        return leaf_before, leaf_before  # halted
    assert phase < PHASES, "judge: no such phase"
    # COMPUTE
    answer: Bytes[ANSWER_BYTES + 32] = raw_call(
        STEPS[phase], concat(SELECTORS[phase], args), max_outsize=ANSWER_BYTES + 32, is_static_call=True
    )
    assert len(answer) == ANSWER_BYTES, "judge: malformed answer"
    return leaf_before, keccak256(slice(answer, 0, HEADER_BYTES))


@external
@view
def get_step(phase: uint256) -> (address, bytes4):
    """
    @notice The contract that runs a phase, and the selector of its `step`.
    """
    return STEPS[phase], SELECTORS[phase]
