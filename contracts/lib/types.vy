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
    domain: bytes32
    quorum: uint256
    oracles: DynArray[address, 8]

struct Globals:
    clock: uint256
    allowance: int256
    accounts: uint256
    marks: uint256
    cursor: uint256
    fund: uint256
    fees: uint256
    outbox: uint256

struct Slice:
    expiry: uint256
    forward: uint256
    a: int256
    b: int256
    rho: int256
    m: int256
    sigma: int256

struct Market:
    index_price: uint256
    mark_time: uint256
    slices: Slice[16]

struct Account:
    owner: uint256
    cash: int256
    generation: uint256
    nonce: uint256
    flag: uint256
    positions: bytes32
    orders: bytes32

struct Order:
    nonce: uint256
    generation: uint256
    series: uint256
    is_buy: uint256
    price: uint256
    lots: uint256
    valid_until: uint256
    filled: uint256

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
    series: uint256
    maker_lots: int256
    price: uint256
    fee: uint256

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

EMPTY_MARKET: constant(bytes32) = 0xc0eff2fa84b7e0591d49994fed63d0ca9e69f77f9658caec93c7f452a18c0808  # keccak of its 114 zero words
EMPTY_ORDER: constant(bytes32) = 0xd397b3b043d87fcd6fad1291ff0bfd16401c274896d8c63a923727f077b8e0b5  # keccak of its 8 zero words
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
        return empty(bytes32)
    return keccak256(abi_encode(a))

@internal
@pure
def _order_leaf(o: Order) -> bytes32:
    leaf: bytes32 = keccak256(abi_encode(o))
    if o.lots == 0:
        assert leaf == EMPTY_ORDER, "types: order"
        return empty(bytes32)
    return leaf

@internal
@pure
def _outbox_leaf(index: uint256, owner: uint256, amount: uint256) -> bytes32:
    return keccak256(abi_encode(index, owner, amount))

@internal
@pure
def _trade_hash(t: Trade) -> bytes32:
    return keccak256(abi_encode(t))
