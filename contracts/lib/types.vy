# pragma version ~=0.4.3
"""
@title The structs of the state and of the machine, and their leaves
@dev Twin of protocol/types.py: same names, same field order. A leaf is the keccak of the ABI encoding, or zero for a struct that is not there.
     A struct that is not there must be all zeros, else a witness could put anything behind a zero leaf.
"""

struct Rules:
    account_depth: uint256
    slot_depth: uint256
    outbox_depth: uint256
    batch_depth: uint256
    steps_per_second: uint256
    steps_cap: uint256
    mark_gap: uint256
    mark_resync: uint256
    mark_max_age: uint256
    fees: uint256[6]  # by underlying: ppm of the forward, ppm of the premium, minimum
    pool_slots: uint256
    pool_delay: uint256
    sheet_life: uint256
    halt_move: uint256  # ppm
    halt_window: uint256
    halt_time: uint256
    settle_first: uint256
    settle_last: uint256
    shutdown_delay: uint256
    domain: bytes32
    quorum: uint256
    oracles: DynArray[address, 8]

struct Globals:
    clock: uint256
    allowance: int256
    accrued: uint256
    accounts: uint256
    marks: uint256
    fund: uint256
    fees: uint256
    outbox: uint256
    balance: uint256
    pool: int256
    shares: uint256
    slots_equity: uint256
    slots: uint256
    free_slot: uint256
    requests: uint256
    debt: uint256
    shutdown: uint256
    is_settled: uint256

struct Slice:
    expiry: uint256
    forward: uint256
    a: int256
    b: int256
    rho: int256
    m: int256
    sigma: int256
    close: uint256

struct Market:
    index_price: uint256
    mark_time: uint256
    slices: Slice[16]
    window: uint256
    low: uint256
    high: uint256
    low_before: uint256
    high_before: uint256
    halted_until: uint256

struct Account:
    owner: uint256
    cash: int256
    generation: uint256
    nonce: uint256
    flag: uint256
    positions: bytes32
    session: uint256
    sheet: uint256
    shares: uint256
    request: int256
    request_time: uint256
    orders: bytes32

struct Order:
    nonce: uint256
    generation: uint256
    legs: uint256[4]
    is_buy: uint256
    price: int256
    lots: uint256
    valid_until: uint256
    filled: uint256
    flags: uint256
    fee_cap: uint256

struct Page:
    nonce: uint256
    sheet: uint256
    generation: uint256
    valid_until: uint256
    underlying: uint256
    expiry: uint256
    max_lots: uint256
    filled: uint256
    quotes: uint256[16]

struct Record:
    number: uint256
    first: uint256
    last: uint256
    message_start: uint256
    message_count: uint256
    messages: bytes32
    frame_count: uint256
    frames: bytes32

struct Trade:
    maker: uint256
    maker_slot: uint256
    taker: uint256
    taker_slot: uint256
    legs: uint256[4]
    units: int256
    price: int256
    fee: uint256
    flags: uint256
    equity: int256
    maintenance: int256
    nonce: uint256

struct Sweep:
    mode: uint256
    cursor: uint256
    bankrupt: uint256
    listing: uint256
    price: uint256
    total: int256
    deficit: int256
    loss: int256
    before: int256
    pot: int256
    shares: uint256
    account: uint256
    equity: int256
    maintenance: int256
    lines: bytes32

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

EMPTY_MARKET: constant(bytes32) = 0x4318aa50caa9667a94d2069844d478676840fe1bba70182cdab8c3676484d7c9  # keccak of its 136 zero words
EMPTY_POSITIONS: constant(bytes32) = 0x569e75fc77c1a856f6daaf9e69d8a9566ca34aa47f9133711ce065a571af0cfd  # hash of no positions

@internal
@pure
def _header_leaf(h: Header) -> bytes32:
    return keccak256(abi_encode(h))

@internal
@pure
def _record_hash(r: Record) -> bytes32:
    return keccak256(abi_encode(r))

@internal
@pure
def _globals_leaf(g: Globals) -> bytes32:
    return keccak256(abi_encode(g))

@internal
@pure
def _market_leaf(m: Market) -> bytes32:
    leaf: bytes32 = keccak256(abi_encode(m))
    if m.mark_time == 0:
        assert leaf == EMPTY_MARKET, "types: market"
        return empty(bytes32)
    return leaf

@internal
@pure
def _account_leaf(a: Account) -> bytes32:
    if a.owner == 0:
        # whoever opens the account gives it an empty tree of order slots, so `orders` need not be looked at
        assert a.cash == 0 and a.generation == 0 and a.nonce == 0 and a.flag == 0 and a.positions == EMPTY_POSITIONS, "types: account"
        assert a.session == 0 and a.sheet == 0 and a.shares == 0 and a.request == 0 and a.request_time == 0, "types: account"
        return empty(bytes32)
    return keccak256(abi_encode(a))

@internal
@pure
def _slot_leaf(nonce: uint256, body: bytes32) -> bytes32:
    """
    @notice Of an order slot: the nonce stands apart, so that whoever writes over it need not know what was there. Zero if never used.
    """
    if nonce == 0:
        return empty(bytes32)
    return keccak256(abi_encode(nonce, body))

@internal
@pure
def _order_leaf(o: Order) -> bytes32:
    return self._slot_leaf(o.nonce, keccak256(abi_encode(o)))

@internal
@pure
def _page_leaf(p: Page) -> bytes32:
    return self._slot_leaf(p.nonce, keccak256(abi_encode(p)))

@internal
@pure
def _entry_leaf(o: Order, p: Page) -> bytes32:
    """
    @notice Of what stands in an order slot: an order or a page, never both. Without a nonce each of them must not be looked at.
    """
    assert o.nonce == 0 or p.nonce == 0, "types: slot"
    return self._page_leaf(p) if p.nonce != 0 else self._order_leaf(o)

@internal
@pure
def _outbox_leaf(index: uint256, owner: uint256, amount: uint256) -> bytes32:
    return keccak256(abi_encode(index, owner, amount))

@internal
@pure
def _trade_hash(t: Trade) -> bytes32:
    return keccak256(abi_encode(t))

@internal
@pure
def _sweep_hash(s: Sweep) -> bytes32:
    return keccak256(abi_encode(s))
