"""The structs of the state and of the machine, and their leaves.

A leaf is the keccak of the struct's ABI encoding, or zero for the struct that is not there. Field order here is field order in
`contracts/lib/types.vy`. Hashes are 32 bytes; everything else is an integer; addresses are integers below 2**160.
"""

from enum import IntEnum
from typing import NamedTuple

from protocol.keccak import WORD, ZERO, compute_array_hash, encode_word, encode_words, keccak

UNDERLYINGS = ("BTC", "ETH")
MARKET_DEPTH = 1
MAX_SLICES = 16
MAX_POSITIONS = 128
MAX_LOTS = 1 << 20  # of one position
MAX_ACCOUNT_LOTS = 1 << 26  # sum of |lots| of an account
MAX_CASH = 1 << 60
MAX_FORWARD = 1 << 42
LOTS_BIAS = 1 << 31
LOTS_PER_UNIT = 100  # a lot is 0.01 of the underlying
WORD_ACCOUNTS = 256
MAX_LEGS = 4
MAX_RATIO = 100  # lots of a leg in one unit of a combo
MAX_PAGES = 8  # of a sheet of quotes
MAX_QUOTES = 16  # of one page: series, each with two sides
POOL_OWNER = 1  # of the accounts that the backstop pool has taken over: no key has this address
POST_ONLY, REDUCE_ONLY, FILL_OR_KILL = 1, 2, 4  # flags of an order
SCOPE_TRADE, SCOPE_WITHDRAW = 1, 2  # of a session key

Position = tuple[int, int]  # (series, lots); lots != 0, negative for short


class Globals(NamedTuple):
    """What belongs to no account: a direct child of the root. Money in 1e-6 USD."""

    clock: int = 0
    allowance: int = 0  # steps; may be negative
    accrued: int = 0  # until when the allowance has accrued: `first` of the newest batch
    accounts: int = 0  # accounts opened so far: the next index
    marks: int = 0  # marks applied so far while no market was halted: what auctions count by
    fund: int = 0  # insurance fund
    fees: int = 0
    outbox: int = 0  # withdrawals appended so far
    balance: int = 0  # deposits minus withdrawals: what L1 holds
    pool: int = 0  # free cash of the backstop pool
    shares: int = 0  # of the pool
    slots_equity: int = 0  # sum of max(0, equity) of the pool's slots, as of the last mark
    slots: int = 0  # pool slots that were ever used
    free_slot: int = 0  # 1 + the pool slot that was emptied last; its `nonce` names the one before; 0 for none
    requests: int = 0  # accounts that wait to enter or leave the pool
    debt: int = 0  # losses that nobody has covered yet
    shutdown: int = 0  # the clock when everything froze, 0 before
    is_settled: int = 0  # 1 once SHUTDOWN has turned everything into cash

    def spend(self, steps: int) -> "Globals":
        """Deducts from the step allowance. Once a row: built by position, which is several times faster than `_replace`."""
        clock, allowance, *rest = self
        return Globals(clock, allowance - steps, *rest)

    def collect(self, fee: int) -> "Globals":
        """Adds to the fees."""
        clock, allowance, accrued, accounts, marks, fund, fees, *rest = self
        return Globals(clock, allowance, accrued, accounts, marks, fund, fees + fee, *rest)


class Slice(NamedTuple):
    """One expiry of a market. Total variance by raw SVI, w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)), parameters in 1e-9."""

    expiry: int
    forward: int  # 1e-6 USD
    a: int
    b: int
    rho: int
    m: int
    sigma: int
    close: int = 0  # index price of the first mark at or after expiry: what it settles at if the oracles never say


class Market(NamedTuple):
    """One underlying: at most 16 slices, ascending by expiry, and what its circuit breaker has seen of the index price."""

    index_price: int = 0
    mark_time: int = 0
    slices: tuple[Slice, ...] = ()
    window: int = 0  # when the breaker's present window began
    low: int = 0  # of the index price in it
    high: int = 0
    low_before: int = 0  # and in the one before
    high_before: int = 0
    halted_until: int = 0


class Account(NamedTuple):
    """`flag` is what `Globals.marks` was (at least 1) when the account was flagged, 0 if it is not. Positions ascend by series."""

    owner: int = 0
    cash: int = 0
    generation: int = 0  # orders signed for an earlier generation are dead
    nonce: int = 0  # of the last operation that carries one
    flag: int = 0
    positions: tuple[Position, ...] = ()
    session: int = 0  # scope << 200 | expiry << 160 | address of the session key, 0 for none
    sheet: int = 0  # nonce of the newest sheet of quotes
    shares: int = 0  # of the backstop pool
    request: int = 0  # cash on its way into the pool; negative: shares on their way out
    request_time: int = 0

    def settle(self, cash: int, positions: tuple[Position, ...]) -> "Account":
        """After a trade."""
        owner, _, generation, nonce, flag, _, *rest = self
        return Account(owner, cash, generation, nonce, flag, positions, *rest)


class Order(NamedTuple):
    """A registered order: its signed terms and what has been filled.

    A leg is packed as a position is, series << 32 | ratio + 2**31: so many lots of the series in one unit of the order. A plain order has
    one leg of ratio 1. `price` is the limit in 1e-6 USD a unit, signed for a combo; `lots` counts units.
    """

    nonce: int = 0
    generation: int = 0
    legs: tuple[int, ...] = ()
    is_buy: int = 0
    price: int = 0
    lots: int = 0
    valid_until: int = 0
    filled: int = 0
    flags: int = 0
    fee_cap: int = 0  # the most that the taker pays, 1e-6 USD a unit

    def fill(self, lots: int) -> "Order":
        """After a trade."""
        nonce, generation, legs, is_buy, price, size, valid_until, filled, flags, fee_cap = self
        return Order(nonce, generation, legs, is_buy, price, size, valid_until, filled + lots, flags, fee_cap)


class TwoWay(NamedTuple):
    """A two-way quote in a page: both sides of one series. Strike in 1e-6 USD, prices in 1e-6 USD a lot; no lots, no quote."""

    strike: int
    is_call: int
    bid: int
    bid_lots: int
    ask: int
    ask_lots: int
    bid_filled: int = 0
    ask_filled: int = 0


class Page(NamedTuple):
    """A page of a sheet of quotes: one expiry. It stands in an order slot, and its quotes trade as orders do."""

    nonce: int = 0  # the sheet's plus the page's number
    sheet: int = 0  # the sheet's nonce
    generation: int = 0
    valid_until: int = 0
    underlying: int = 0
    expiry: int = 0
    max_lots: int = 0  # the most that fills in all
    filled: int = 0
    quotes: tuple[TwoWay, ...] = ()


class Record(NamedTuple):
    """A batch as the inbox recorded it."""

    number: int
    first: int  # L2 times, bounded by L1
    last: int
    message_start: int
    message_count: int
    messages: bytes  # hash of the list of message hashes
    frame_count: int
    frames: bytes  # hash of the list of frame digests


class Trade(NamedTuple):
    """A trade whose terms have been checked, between the steps of one TRADE; of a BID too, where the flagged account is the maker."""

    maker: int
    maker_slot: int
    taker: int
    taker_slot: int
    legs: tuple[int, ...]
    units: int  # signed: what the maker buys
    price: int  # 1e-6 USD a unit, signed for combos
    fee: int  # of the taker, 1e-6 USD
    flags: int = 0  # 1: the maker may only reduce its positions; 2: the taker
    equity: int = 0  # of a flagged account before the BID
    maintenance: int = 0
    nonce: int = 0  # the bidder's, of a BID


class Sweep(NamedTuple):
    """A running scan. Only fields that its mode names are used; the others are zero. `lines` is a hash (`compute_array_hash`) or zero."""

    mode: int = 0
    cursor: int = 0
    bankrupt: int = 0  # FLAG: 1 + the account that is to be deleveraged, 0 for none
    listing: int = 0  # SETTLE: underlying << 40 | expiry
    price: int = 0  # SETTLE: 1e-6 USD a unit of the underlying
    total: int = 0  # sum of the gains that a loss is shared over
    deficit: int = 0  # sum of what accounts cannot pay
    loss: int = 0  # what is taken off the gains
    before: int = 0  # gains visited so far
    pot: int = 0  # SHUTDOWN: the pool's money for its share holders
    shares: int = 0  # SHUTDOWN: shares visited so far
    account: int = 0  # TAKEOVER: which, and its margin
    equity: int = 0
    maintenance: int = 0
    lines: bytes = ZERO  # ADL: two words for each of the bankrupt's shorts


class Mode(IntEnum):
    """What a SCAN step does to the account that it visits."""

    FLAG = 0  # after a MARK: flags, auctions, the pool's slots
    REQUEST = 1  # after that: entries to and exits from the pool that are due
    SETTLE_TALLY = 2
    SETTLE_PAY = 3
    SHUTDOWN_TALLY = 4
    SHUTDOWN_PAY = 5
    ADL_TALLY = 6
    ADL_CUT = 7


class Bitmap(IntEnum):
    """Which accounts a scan visits."""

    RISKY = 0  # a short position, negative cash, or a flag; every pool slot that is in use
    HOLDER = 1  # any position, negative cash, pool shares or a request
    REQUEST = 2  # a request


class Phase(IntEnum):
    """Which step comes next. One step contract a phase, except that the margin phases share one."""

    OPEN = 0
    MESSAGE = 1
    INFLATE = 2
    FETCH = 3
    DEPOSIT = 4
    ORDER = 5
    TERMS = 6
    MAKER = 7
    TAKER = 8
    COMMIT = 9
    CANCEL = 10
    WITHDRAW = 11
    MARK = 12
    SCAN = 13
    COMBO = 14
    SHEET = 15
    AUTHORIZE = 16
    BID = 17
    BIDDER = 18
    TARGET = 19
    AWARD = 20
    SETTLE = 21
    POOL = 22
    SHUTDOWN = 23
    TAKEOVER = 24
    DELEVERAGE = 25


class Header(NamedTuple):
    """All that the machine carries from one step to the next. Everything durable is under `state`; the rest is zero at halt."""

    state: bytes  # root of the state
    inbox: bytes  # root of the epoch's batch records
    batches: int  # in the epoch
    batch: int = 0  # next to open
    record: bytes = ZERO  # of the open batch
    message: int = 0
    messages: int = 0
    frame: int = 0
    frames: int = 0
    rows: bytes = ZERO  # hash of the rows being run
    authority: int = 0  # L1 sender of those rows; 1 for the vault; 0 for a frame
    signatures: bytes = ZERO  # hash of the list of their signature chunks
    offset: int = 0
    signature: int = 0
    phase: int = Phase.OPEN
    scratch: bytes = ZERO

    @property
    def is_halted(self) -> bool:
        """Nothing left to open: the machine steps to itself."""
        return self.phase == Phase.OPEN and self.batch == self.batches


VAULT_AUTHORITY = 1
INBOX_AUTHORITY = 2  # of the message that L1 sends when no sequencer has posted for too long


def encode_header(h: Header) -> bytes:
    """16 words."""
    state, inbox, batches, batch, record, *sources, rows, authority, signatures, offset, signature, phase, scratch = h
    place, numbers = encode_words((batches, batch)), encode_words((offset, signature, phase))
    sender = authority.to_bytes(WORD, "big") if authority else ZERO
    return b"".join((state, inbox, place, record, encode_words(sources), rows, sender, signatures, numbers, scratch))


def compute_header_leaf(h: Header) -> bytes:
    """A leaf of the history commitment."""
    return keccak(encode_header(h))


def encode_record(r: Record) -> bytes:
    """8 words."""
    head = encode_words((r.number, r.first, r.last, r.message_start, r.message_count))
    return head + r.messages + encode_word(r.frame_count) + r.frames


def compute_record_hash(r: Record) -> bytes:
    """A leaf of the epoch's inbox tree."""
    return keccak(encode_record(r))


def compute_globals_leaf(g: Globals) -> bytes:
    """Never zero: the globals are always there."""
    return keccak(encode_words(g))


def encode_market(m: Market) -> tuple[int, ...]:
    """Index, mark time, 16 slices of 8 words, zero-filled, then the breaker's six."""
    index_price, mark_time, slices, *breaker = m
    words = [index_price, mark_time]
    for item in slices:
        words.extend(item)
    words.extend([0] * (8 * (MAX_SLICES - len(slices))))
    words.extend(breaker)
    return tuple(words)


def compute_market_leaf(m: Market) -> bytes:
    """Zero before the first mark."""
    return keccak(encode_words(encode_market(m))) if m.mark_time else ZERO


def encode_position(position: Position) -> int:
    """series | lots + 2**31 in 32 bits: sorts by series."""
    series, lots = position
    return series << 32 | lots + LOTS_BIAS


def compute_positions_hash(positions: tuple[Position, ...]) -> bytes:
    """Hash of the packed positions as a dynamic array."""
    return compute_array_hash([series << 32 | lots + LOTS_BIAS for series, lots in positions])


def compute_account_leaf(a: Account, positions: bytes, orders: bytes) -> bytes:
    """Twelve words, the hash of the positions in their place and the root of the order slots last; zero if not opened."""
    if a.owner == 0:
        return ZERO
    head = encode_word(a.owner) + encode_words((a.cash, a.generation, a.nonce, a.flag))
    return keccak(head + positions + encode_words((a.session, a.sheet, a.shares, a.request, a.request_time)) + orders)


def encode_legs(legs: tuple[int, ...]) -> tuple[int, ...]:
    """Four words, zero-filled."""
    return legs + (0,) * (MAX_LEGS - len(legs))


def encode_order(o: Order) -> tuple[int, ...]:
    """13 words."""
    nonce, generation, legs, *rest = o
    return (nonce, generation, *encode_legs(legs), *rest)


def encode_quote(q: TwoWay) -> int:
    """strike 48 bits | call 1 | bid 37 | bid lots 21 | ask 37 | ask lots 21 | bid filled 21 | ask filled 21."""
    word = q.strike << 1 | q.is_call
    for value, bits in ((q.bid, 37), (q.bid_lots, 21), (q.ask, 37), (q.ask_lots, 21), (q.bid_filled, 21), (q.ask_filled, 21)):
        word = word << bits | value
    return word


def encode_page(p: Page) -> tuple[int, ...]:
    """8 words and 16 of quotes, zero-filled."""
    *head, quotes = p
    return (*head, *map(encode_quote, quotes), *[0] * (MAX_QUOTES - len(quotes)))


def compute_slot_leaf(nonce: int, body: bytes) -> bytes:
    """Of an order slot: the nonce stands apart, so that whoever writes over it need not know what was there. Zero if never used."""
    return keccak(encode_word(nonce) + body) if nonce else ZERO


def compute_order_body(o: Order) -> bytes:
    """Hash of an order's 13 words."""
    return keccak(encode_words(encode_order(o)))


def compute_page_body(p: Page) -> bytes:
    """Hash of a page's 24 words: never an order's, which are fewer."""
    return keccak(encode_words(encode_page(p)))


def compute_trade_hash(t: Trade) -> bytes:
    """15 words."""
    return keccak(encode_words((*t[:4], *encode_legs(t.legs), *t[5:])))


def compute_sweep_hash(s: Sweep) -> bytes:
    """15 words."""
    return keccak(encode_words(s[:-1]) + s.lines)


def compute_outbox_leaf(index: int, owner: int, amount: int) -> bytes:
    """A withdrawal to be paid on L1; `amount` in 1e-6 USD."""
    return keccak(encode_words((index, owner, amount)))


def is_risky(cash: int, positions: tuple[Position, ...]) -> bool:
    """Whether the mandatory scan must visit the account: a short position or negative cash."""
    if cash < 0:
        return True
    for _, lots in positions:  # noqa: SIM110 - `any` costs a generator, for every trade twice
        if lots < 0:
            return True
    return False


def is_holder(a: Account) -> bool:
    """Whether a settlement must visit the account."""
    return bool(a.positions) or a.cash < 0 or a.shares > 0 or a.request != 0
