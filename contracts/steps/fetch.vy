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
COMBO: constant(uint256) = 7
SHEET: constant(uint256) = 8
AUTHORIZE: constant(uint256) = 9
BID: constant(uint256) = 10
SETTLE: constant(uint256) = 11
POOL: constant(uint256) = 12
SHUTDOWN: constant(uint256) = 13
MARK_HEAD: constant(uint256) = 5  # tag, underlying, previous, time, index
SLICE_ITEMS: constant(uint256) = 7
MAX_SLICES: constant(uint256) = 16
COMBO_HEAD: constant(uint256) = 7  # tag, account, price, lots, nonce, valid until, fee cap
BID_HEAD: constant(uint256) = 7  # tag, account, target, units, limit, nonce, valid until
LEG_ITEMS: constant(uint256) = 4
MAX_LEGS: constant(uint256) = 4
SHEET_HEAD: constant(uint256) = 6  # tag, account, nonce, valid until, pages, page
PAGE_HEAD: constant(uint256) = 3  # underlying, expiry, max lots; the other pages' hashes stand before them
QUOTE_ITEMS: constant(uint256) = 5
MAX_PAGES: constant(uint256) = 8
MAX_QUOTES: constant(uint256) = 16
VAULT_AUTHORITY: constant(uint256) = 1
INBOX_AUTHORITY: constant(uint256) = 2

struct Layout:
    phase: uint256
    items: uint256  # with the tag; 0 where their number varies
    flags: uint256  # those that it may have
    steps: int256  # deducted from the allowance
    signatures: uint256
    is_unsigned_flag: bool  # whether bit 0 of the flags stands for a row without signatures
    is_frozen: bool  # whether a SHUTDOWN stops it

STEPS_CAP: immutable(uint256)
QUORUM: immutable(uint256)

@deploy
def __init__(rules: types.Rules):
    STEPS_CAP = rules.steps_cap
    QUORUM = rules.quorum

@internal
@view
def _is_admitted(authority: uint256, allowance: int256) -> bool:
    """
    @notice Frames need allowance; what L1 forces runs into a reserve as large as the cap; deposits and the shutdown run always.
    """
    if authority == VAULT_AUTHORITY or authority == INBOX_AUTHORITY:
        return True
    return allowance > (0 if authority == 0 else -convert(STEPS_CAP, int256))

@internal
@pure
def _is_whole(count: uint256, head: uint256, size: uint256, least: uint256, most: uint256) -> bool:
    """
    @notice `count` items are a head and from `least` to `most` groups of `size`.
    """
    return count >= head + size * least and count <= head + size * most and (count - head) % size == 0

@internal
@pure
def _is_length(kind: uint256, items: DynArray[uint256, 128]) -> bool:
    """
    @notice Of a row whose length varies: whole slices, legs or quotes, and not too many.
    """
    count: uint256 = len(items)
    if kind == MARK:
        return self._is_whole(count, MARK_HEAD, SLICE_ITEMS, 1, MAX_SLICES)
    if kind == COMBO:
        return self._is_whole(count, COMBO_HEAD, LEG_ITEMS, 2, MAX_LEGS)
    if kind == BID:
        return self._is_whole(count, BID_HEAD, LEG_ITEMS, 1, MAX_LEGS)
    if kind != SHEET or count < SHEET_HEAD:
        return False
    pages: uint256 = items[4]
    if pages == 0 or pages > MAX_PAGES or items[5] >= pages:
        return False
    return self._is_whole(count, SHEET_HEAD + pages - 1 + PAGE_HEAD, QUOTE_ITEMS, 0, MAX_QUOTES)

@internal
@view
def _find_layout(kind: uint256) -> Layout:
    """
    @notice By kind; without steps where there is none.
    """
    l: Layout = empty(Layout)
    if kind == DEPOSIT:
        l = Layout(phase=machine.DEPOSIT, items=4, flags=0, steps=2, signatures=0, is_unsigned_flag=False, is_frozen=False)
    elif kind == ORDER:
        l = Layout(phase=machine.ORDER, items=10, flags=31, steps=2, signatures=1, is_unsigned_flag=False, is_frozen=True)
    elif kind == TRADE:
        l = Layout(phase=machine.TERMS, items=6, flags=0, steps=5, signatures=0, is_unsigned_flag=False, is_frozen=True)
    elif kind == CANCEL:
        l = Layout(phase=machine.CANCEL, items=3, flags=1, steps=2, signatures=1, is_unsigned_flag=True, is_frozen=True)
    elif kind == WITHDRAW:
        l = Layout(phase=machine.WITHDRAW, items=4, flags=1, steps=2, signatures=1, is_unsigned_flag=True, is_frozen=False)
    elif kind == MARK:
        l = Layout(phase=machine.MARK, items=0, flags=0, steps=2, signatures=QUORUM, is_unsigned_flag=False, is_frozen=False)
    elif kind == COMBO:
        l = Layout(phase=machine.COMBO, items=0, flags=30, steps=2, signatures=1, is_unsigned_flag=False, is_frozen=True)
    elif kind == SHEET:
        l = Layout(phase=machine.SHEET, items=0, flags=0, steps=2, signatures=1, is_unsigned_flag=False, is_frozen=True)
    elif kind == AUTHORIZE:
        l = Layout(phase=machine.AUTHORIZE, items=6, flags=1, steps=2, signatures=1, is_unsigned_flag=True, is_frozen=True)
    elif kind == BID:
        l = Layout(phase=machine.BID, items=0, flags=0, steps=5, signatures=1, is_unsigned_flag=False, is_frozen=True)
    elif kind == SETTLE:
        l = Layout(phase=machine.SETTLE, items=4, flags=1, steps=2, signatures=QUORUM, is_unsigned_flag=True, is_frozen=False)
    elif kind == POOL:
        l = Layout(phase=machine.POOL, items=4, flags=3, steps=2, signatures=1, is_unsigned_flag=True, is_frozen=True)
    elif kind == SHUTDOWN:
        l = Layout(phase=machine.SHUTDOWN, items=1, flags=0, steps=2, signatures=0, is_unsigned_flag=False, is_frozen=False)
    return l

@internal
@view
def _get_layout(items: DynArray[uint256, 128]) -> (bool, Layout):
    """
    @notice False for an unknown kind, unknown flags or a wrong number of items.
    """
    if len(items) == 0:
        return False, empty(Layout)
    kind: uint256 = items[0] & 15
    l: Layout = self._find_layout(kind)
    if l.steps == 0 or (items[0] >> 4) & ~l.flags != 0:
        return False, l
    return self._is_length(kind, items) if l.items == 0 else len(items) == l.items, l

@internal
@pure
def _count_signatures(l: Layout, tag: uint256) -> uint256:
    """
    @notice How many signatures a row takes.
    """
    return 0 if l.is_unsigned_flag and (tag >> 4) & 1 == 1 else l.signatures

@external
@view
def step(header: types.Header, rows: Bytes[8192], globals: types.Globals, rest: bytes32) -> (types.Header, uint256):
    """
    @notice Admits a row while its source has steps left; a broken one drops the rest. A frozen one still takes its signatures.
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
    is_stopped: bool = ok and layout.is_frozen and g.shutdown != 0
    g.allowance -= layout.steps if ok and not is_stopped else 1
    h.state = merkle._root(g, rest)
    if not ok:
        return h, codes.MALFORMED
    if is_stopped:
        h.signature += self._count_signatures(layout, items[0])
        return h, codes.FROZEN
    h.phase = layout.phase
    h.scratch = keccak256(abi_encode(items))
    return h, codes.OK
