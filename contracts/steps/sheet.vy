# pragma version ~=0.4.3
"""
@title SHEET: registers a page of a sheet of two-way quotes, signed as a whole
@dev Twin of protocol/steps/sheet.py. An item may be anything up to 2**256 - 1: each is bounded before it is reckoned with.
"""

from ..lib import codes
from ..lib import legs
from ..lib import machine
from ..lib import merkle
from ..lib import orders
from ..lib import quotes
from ..lib import sessions
from ..lib import signatures
from ..lib import types

ONE: constant(uint256) = 1
SHEET_HEAD: constant(uint256) = 6  # tag, account, nonce, valid until, pages, page; then the other pages' hashes
PAGE_HEAD: constant(uint256) = 3  # underlying, expiry, max lots
QUOTE_ITEMS: constant(uint256) = 5
MAX_SHEET_LOTS: constant(uint256) = 2**26

ACCOUNT_DEPTH: immutable(uint256)
SLOT_DEPTH: immutable(uint256)
SHEET_LIFE: immutable(uint256)
DOMAIN: immutable(bytes32)

@deploy
def __init__(rules: types.Rules):
    ACCOUNT_DEPTH = rules.account_depth
    SLOT_DEPTH = rules.slot_depth
    SHEET_LIFE = rules.sheet_life
    DOMAIN = rules.domain

@internal
@pure
def _check_side(price: uint256, lots: uint256) -> uint256:
    if price >> orders.PRICE_BITS != 0 or (price == 0 and lots > 0):
        return codes.PRICE
    return codes.OK

@internal
@pure
def _decode_page(items: DynArray[uint256, 128]) -> (types.Page, bytes32, uint256):
    """
    @notice The row's page, its hash as it is signed, and whether it may be so: its head, then quote by quote.
    """
    start: uint256 = SHEET_HEAD + items[4] - 1
    p: types.Page = empty(types.Page)
    p.underlying = items[start]
    p.expiry = items[start + 1]
    p.max_lots = items[start + 2]
    if legs._check_series(p.underlying, p.expiry, 1) != codes.OK:  # any strike: there may be no quote
        return p, empty(bytes32), codes.SERIES
    if p.max_lots >= MAX_SHEET_LOTS:
        return p, empty(bytes32), codes.LOTS
    start += PAGE_HEAD
    count: uint256 = (len(items) - start) // QUOTE_ITEMS
    hashes: bytes32[16] = empty(bytes32[16])
    for i: uint256 in range(count, bound=16):
        at: uint256 = start + QUOTE_ITEMS * i
        cents: uint256 = items[at] >> 1
        sides: uint256[4] = [items[at + 1], items[at + 2], items[at + 3], items[at + 4]]
        if legs._check_series(p.underlying, p.expiry, cents) != codes.OK:
            return p, empty(bytes32), codes.SERIES
        if sides[1] > orders.MAX_LOTS or sides[3] > orders.MAX_LOTS:
            return p, empty(bytes32), codes.LOTS
        if self._check_side(sides[0], sides[1]) != codes.OK or self._check_side(sides[2], sides[3]) != codes.OK:
            return p, empty(bytes32), codes.PRICE
        p.quotes[i] = quotes._pack(cents * legs.STRIKE_UNIT, items[at] & 1, sides)
        hashes[i] = signatures._quote_hash(cents * legs.STRIKE_UNIT, items[at] & 1, sides)
    packed: bytes32 = keccak256(slice(abi_encode(hashes), 0, 32 * count))
    return p, signatures._page_hash(p.underlying, p.expiry, p.max_lots, packed), codes.OK

@internal
@view
def _check_sheet(items: DynArray[uint256, 128], sheet: uint256, clock: uint256, last: uint256) -> uint256:
    """
    @notice Whether it is the account's newest, or another page of that, and short-lived. `last` is the nonce of what stands in the slot.
    """
    nonce: uint256 = items[2]
    code: uint256 = orders._check_validity(items[3], clock)
    if code != codes.OK:
        return code
    if items[3] > clock + SHEET_LIFE or nonce < sheet:
        return codes.SHEET
    if nonce == 0 or nonce >> orders.NONCE_BITS != 0:
        return codes.NONCE
    return orders._check_nonce(nonce + items[5], last)

@internal
@view
def _digest(items: DynArray[uint256, 128], mine: bytes32, generation: uint256) -> bytes32:
    """
    @notice What is signed, for the account's present order generation: the posted page's hash in its place among the others.
    """
    pages: uint256 = items[4]
    hashes: bytes32[8] = empty(bytes32[8])
    other: uint256 = SHEET_HEAD
    for i: uint256 in range(pages, bound=8):
        if i == items[5]:
            hashes[i] = mine
        else:
            hashes[i] = convert(items[other], bytes32)
            other += 1
    packed: bytes32 = keccak256(slice(abi_encode(hashes), 0, 32 * pages))
    return signatures._sheet_digest(DOMAIN, items[1], packed, items[2], generation, items[3])

@external
@view
def step(
    header: types.Header,
    items: DynArray[uint256, 128],
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    g: types.Globals,
    rest: bytes32,
    account: types.Account,
    path: DynArray[bytes32, 32],
    last: uint256,
    body: bytes32,
    slot_path: DynArray[bytes32, 32],
) -> (types.Header, uint256):
    """
    @notice The page's nonce is the sheet's plus its number, and its slot that of its nonce. Pages of earlier sheets are dead from then on.
    """
    # READ
    assert keccak256(abi_encode(items)) == header.scratch, "sheet: items"
    merkle._check_globals(header.state, g, rest)
    index: uint256 = items[1]
    h: types.Header = machine._next_row(header)
    h.signature += 1
    if index >= g.accounts:
        return h, codes.ACCOUNT
    nonce: uint256 = unsafe_add(items[2], items[5])  # out of bounds it is refused, but its slot is looked at before
    slot: uint256 = nonce & ((ONE << SLOT_DEPTH) - 1)
    old: bytes32 = types._slot_leaf(last, body)
    new: bytes32 = old
    a: types.Account = account
    # CHECK
    page: types.Page = empty(types.Page)
    mine: bytes32 = empty(bytes32)
    code: uint256 = codes.OK
    page, mine, code = self._decode_page(items)
    if code == codes.OK:
        code = self._check_sheet(items, account.sheet, g.clock, last)
    if code == codes.OK:
        digest: bytes32 = self._digest(items, mine, account.generation)
        signer: uint256 = signatures._signer(digest, chunk_hashes, chunk, header.signature, header.signatures)
        if sessions._may_register(account, signer, nonce, last, g.clock):
            page.nonce = nonce
            page.sheet = items[2]
            page.generation = account.generation
            page.valid_until = sessions._cap_validity(account, signer, items[3])
            new = types._page_leaf(page)
            a.sheet = items[2]
        else:
            code = codes.SIGNATURE
    # WRITE
    h.state = orders._put(g, rest, index, ACCOUNT_DEPTH, account, a, path, slot, SLOT_DEPTH, old, new, slot_path)
    return h, code
