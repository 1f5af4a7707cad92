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

Position = tuple[int, int]  # (series, lots); lots != 0, negative for short


class Globals(NamedTuple):
    """What belongs to no account: a direct child of the root."""

    clock: int = 0
    allowance: int = 0  # steps; may be negative
    accounts: int = 0  # accounts opened so far: the next index
    marks: int = 0  # marks applied so far
    cursor: int = 0  # next account of the running scan
    fund: int = 0  # insurance fund
    fees: int = 0
    outbox: int = 0  # withdrawals appended so far

    def spend(self, steps: int) -> "Globals":
        """Deducts from the step allowance. Once a row: built by position, which is several times faster than `_replace`."""
        clock, allowance, accounts, marks, cursor, fund, fees, outbox = self
        return Globals(clock, allowance - steps, accounts, marks, cursor, fund, fees, outbox)

    def collect(self, fee: int) -> "Globals":
        """Adds to the fees."""
        clock, allowance, accounts, marks, cursor, fund, fees, outbox = self
        return Globals(clock, allowance, accounts, marks, cursor, fund, fees + fee, outbox)


class Slice(NamedTuple):
    """One expiry of a market. Total variance by raw SVI, w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)), parameters in 1e-9."""

    expiry: int
    forward: int  # 1e-6 USD
    a: int
    b: int
    rho: int
    m: int
    sigma: int


class Market(NamedTuple):
    """One underlying: at most 16 slices, ascending by expiry."""

    index_price: int = 0
    mark_time: int = 0
    slices: tuple[Slice, ...] = ()


class Account(NamedTuple):
    """`flag` is the number of the mark that flagged the account, 0 if none. Positions ascend by series."""

    owner: int = 0
    cash: int = 0
    generation: int = 0  # orders signed for an earlier generation are dead
    nonce: int = 0  # of the last CANCEL or WITHDRAW
    flag: int = 0
    positions: tuple[Position, ...] = ()

    def settle(self, cash: int, positions: tuple[Position, ...]) -> "Account":
        """After a trade."""
        owner, _, generation, nonce, flag, _ = self
        return Account(owner, cash, generation, nonce, flag, positions)


class Order(NamedTuple):
    """A registered order: its signed terms and what has been filled."""

    nonce: int = 0
    generation: int = 0
    series: int = 0
    is_buy: int = 0
    price: int = 0  # limit, 1e-6 USD a lot
    lots: int = 0
    valid_until: int = 0
    filled: int = 0

    def fill(self, lots: int) -> "Order":
        """After a trade."""
        nonce, generation, series, is_buy, price, size, valid_until, filled = self
        return Order(nonce, generation, series, is_buy, price, size, valid_until, filled + lots)


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
    """A trade whose terms have been checked, between the steps of one TRADE."""

    maker: int
    maker_slot: int
    taker: int
    taker_slot: int
    series: int
    maker_lots: int  # signed: what the maker's position changes by
    price: int  # 1e-6 USD a lot
    fee: int  # of the taker, 1e-6 USD


class Phase(IntEnum):
    """Which step comes next. One step contract a phase, except that both margin phases share one."""

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


def encode_header(h: Header) -> bytes:
    """16 words."""
    return b"".join([field if isinstance(field, bytes) else field.to_bytes(WORD, "big") for field in h])


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
    """Index, mark time, then 16 slices of 7 words, zero-filled."""
    words = [m.index_price, m.mark_time]
    for item in m.slices:
        words.extend(item)
    words.extend([0] * (7 * (MAX_SLICES - len(m.slices))))
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
    """Seven words: owner, cash, generation, nonce, flag, hash of the positions, root of the order slots; zero if not opened."""
    if a.owner == 0:
        return ZERO
    return keccak(encode_words((a.owner, a.cash, a.generation, a.nonce, a.flag)) + positions + orders)


def compute_order_leaf(o: Order) -> bytes:
    """Zero for a slot that was never used."""
    return keccak(encode_words(o)) if o.lots else ZERO


def compute_trade_hash(t: Trade) -> bytes:
    """Eight words."""
    return keccak(encode_words(t))


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
