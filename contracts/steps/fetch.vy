# pragma version ~=0.4.3
"""
@title FETCH: admits the next row, or leaves rows that have ended
@dev Twin of protocol/steps/fetch.py; the layouts of protocol/operations.py.
"""

from ..lib import codes
from ..lib import machine
from ..lib import merkle
from ..lib import rows as codec
from ..lib import types

# The low four bits of a row's first item; flags are above.
DEPOSIT: constant(uint256) = 1
ORDER: constant(uint256) = 2
TRADE: constant(uint256) = 3
CANCEL: constant(uint256) = 4
WITHDRAW: constant(uint256) = 5
MARK: constant(uint256) = 6
MARK_HEAD: constant(uint256) = 5  # tag, underlying, previous, time, index
SLICE_ITEMS: constant(uint256) = 7
MAX_SLICES: constant(uint256) = 16
VAULT_AUTHORITY: constant(uint256) = 1

struct Layout:
    phase: uint256
    items: uint256  # with the tag
    flags: uint256  # the largest value of the flags
    steps: int256  # deducted from the allowance

STEPS_CAP: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    STEPS_CAP = rules.steps_cap

@internal
@view
def _is_admitted(authority: uint256, allowance: int256) -> bool:
    """
    @notice Frames need allowance; what L1 forces runs into a reserve as large as the cap; deposits run always.
    """
    if authority == VAULT_AUTHORITY:
        return True
    return allowance > (0 if authority == 0 else -convert(STEPS_CAP, int256))

@internal
@pure
def _is_mark_length(count: uint256) -> bool:
    return (
        count >= MARK_HEAD + SLICE_ITEMS
        and count <= MARK_HEAD + SLICE_ITEMS * MAX_SLICES
        and (count - MARK_HEAD) % SLICE_ITEMS == 0
    )

@internal
@pure
def _get_layout(items: DynArray[uint256, 128]) -> (bool, Layout):
    """
    @notice False for an unknown kind, unknown flags or a wrong number of items.
    """
    l: Layout = empty(Layout)
    count: uint256 = len(items)
    if count == 0 or items[0] >> 8 != 0:
        return False, l
    kind: uint256 = items[0] & 15
    if kind == DEPOSIT:
        l = Layout(phase=machine.DEPOSIT, items=4, flags=0, steps=2)
    elif kind == ORDER:
        l = Layout(phase=machine.ORDER, items=9, flags=3, steps=2)
    elif kind == TRADE:
        l = Layout(phase=machine.TERMS, items=6, flags=0, steps=5)
    elif kind == CANCEL:
        l = Layout(phase=machine.CANCEL, items=3, flags=1, steps=2)
    elif kind == WITHDRAW:
        l = Layout(phase=machine.WITHDRAW, items=4, flags=1, steps=2)
    elif kind == MARK and self._is_mark_length(count):
        l = Layout(phase=machine.MARK, items=count, flags=0, steps=2)
    return count == l.items and items[0] >> 4 <= l.flags, l

@external
@view
def step(header: types.Header, rows: Bytes[8192], globals: types.Globals, rest: bytes32) -> (types.Header, uint256):
    """
    @notice Admits a row while its source has steps left; a broken one drops the rest.
    @param rows All of them: L1 knows them only by one hash.
    """
    # READ
    h: types.Header = header
    g: types.Globals = globals
    assert keccak256(rows) == h.rows, "fetch: rows"
    merkle._check_globals(h.state, g, rest)
    # CHECK
    if h.offset >= len(rows):
        return machine._next_source(h), codes.OK
    if not self._is_admitted(h.authority, g.allowance):
        return machine._next_source(h), codes.ALLOWANCE
    # COMPUTE
    ok: bool = False
    items: DynArray[uint256, 128] = []
    offset: uint256 = 0
    ok, items, offset = codec._decode_row(rows, h.offset)
    if not ok:
        return machine._next_source(h), codes.MALFORMED
    layout: Layout = empty(Layout)
    ok, layout = self._get_layout(items)
    # WRITE
    h.offset = offset
    if not ok:
        g.allowance -= 1
        h.state = merkle._root(g, rest)
        return h, codes.MALFORMED
    g.allowance -= layout.steps
    h.state = merkle._root(g, rest)
    h.phase = layout.phase
    h.scratch = keccak256(abi_encode(items))
    return h, codes.OK
