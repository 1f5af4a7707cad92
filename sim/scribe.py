"""Writes what a sequencer posts, without a sequencer: signed rows into frames into batches. For tests, vectors and benchmarks."""

from collections.abc import Sequence

from coincurve import PrivateKey

from protocol.codec.frames import Batch, Frame, Message, compute_record
from protocol.codec.inflate import encode_frame
from protocol.codec.rows import encode_row
from protocol.keccak import keccak
from protocol.legs import compute_signed_legs
from protocol.operations import (
    MAX_FEE_CAP,
    Legs,
    build_authorize,
    build_bid,
    build_cancel,
    build_combo,
    build_deposit,
    build_mark,
    build_order,
    build_pool,
    build_settle,
    build_sheet,
    build_shutdown,
    build_trade,
    build_withdraw,
)
from protocol.params import Params
from protocol.rules import Rules
from protocol.series import decode_series
from protocol.signing import (
    compute_authorize_digest,
    compute_bid_digest,
    compute_cancel_digest,
    compute_combo_digest,
    compute_domain,
    compute_mark_digest,
    compute_order_digest,
    compute_page_hash,
    compute_pool_digest,
    compute_settle_digest,
    compute_sheet_digest,
    compute_withdraw_digest,
)
from protocol.types import VAULT_AUTHORITY, Market, Page

CHAIN_ID = 1337
VAULT = 0x57AD


def make_key(seed: int) -> PrivateKey:
    """A key that anyone can derive: for simulated money only."""
    return PrivateKey(keccak(b"straddle simulated key" + seed.to_bytes(32, "big")))


def get_address(key: PrivateKey) -> int:
    """As an integer."""
    return int.from_bytes(keccak(key.public_key.format(compressed=False)[1:])[12:], "big")


def sign(key: PrivateKey, digest: bytes) -> bytes:
    """65 bytes, v 27 or 28, low s."""
    raw: bytes = key.sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes((raw[64] + 27,))


class Scribe:
    """Traders are numbered; trader `i` holds account `i`. Rows go to an open frame, frames and messages to an open batch."""

    def __init__(self, params: Params, start: int, traders: int = 4, domain: bytes | None = None) -> None:
        self.keys = [make_key(i) for i in range(traders)]
        self.oracles = [make_key(1_000_000 + i) for i in range(params.oracle_count)]
        domain = compute_domain(CHAIN_ID, VAULT) if domain is None else domain
        self.rules = Rules(params, domain, tuple(map(get_address, self.oracles)))
        self.clock = start
        self.nonces = [0] * traders
        self.mark_times = [0, 0]
        self._number = 0
        self._first = start
        self._rows: list[bytes] = []
        self._signatures = b""
        self._messages: list[Message] = []
        self._message_start = 0
        self._frames: list[Frame] = []

    @property
    def rows_size(self) -> int:
        """Bytes of the open frame's rows."""
        return sum(map(len, self._rows))

    @property
    def signatures_size(self) -> int:
        """Bytes of the open frame's signatures."""
        return len(self._signatures)

    # -- rows

    def add(self, items: Sequence[int], signatures: bytes = b"") -> None:
        """Any row at all."""
        self._rows.append(encode_row(items))
        self._signatures += signatures

    def take_nonce(self, trader: int, count: int = 1) -> int:
        """The first of the trader's next `count` nonces."""
        nonce = self.nonces[trader] + 1
        self.nonces[trader] += count
        return nonce

    def order(
        self,
        trader: int,
        series: int,
        is_buy: int,
        price: int,
        lots: int,
        generation: int = 0,
        signer: PrivateKey | None = None,
        flags: int = 0,
        fee_cap: int = MAX_FEE_CAP,
    ) -> int:
        """An ORDER row signed by its trader, or by `signer`; returns its slot."""
        nonce, valid_until = self.take_nonce(trader), self.clock + 3_600
        underlying, expiry, strike, is_call = decode_series(series)
        bits = (flags & 1, flags >> 1 & 1, flags >> 2)
        terms = (trader, underlying, expiry, strike, is_call, is_buy, price, lots, *bits, fee_cap, nonce, generation, valid_until)
        digest = compute_order_digest(self.rules.domain, terms)
        row = build_order(trader, series, is_buy, price, lots, nonce, valid_until, flags, fee_cap)
        self.add(row, sign(signer or self.keys[trader], digest))
        return self.rules.params.get_slot(nonce)

    def combo(
        self,
        trader: int,
        legs: Legs,
        is_buy: int,
        price: int,
        lots: int,
        generation: int = 0,
        flags: int = 0,
        fee_cap: int = MAX_FEE_CAP,
    ) -> int:
        """A COMBO row; returns its slot. `legs` are (series, ratio)."""
        nonce, valid_until = self.take_nonce(trader), self.clock + 3_600
        terms = (is_buy, price, lots, flags & 1, flags >> 1 & 1, flags >> 2, fee_cap, nonce, generation, valid_until)
        digest = compute_combo_digest(self.rules.domain, trader, compute_signed_legs(tuple(legs)), terms)
        self.add(build_combo(trader, legs, is_buy, price, lots, nonce, valid_until, flags, fee_cap), sign(self.keys[trader], digest))
        return self.rules.params.get_slot(nonce)

    def sheet(self, trader: int, pages: Sequence[Page], page: int, nonce: int, generation: int = 0) -> int:
        """A SHEET row with one page of the sheet `pages` (their content; nonces are ignored); returns the page's slot."""
        valid_until = self.clock + self.rules.params.sheet_life_s
        hashes = [compute_page_hash(p.underlying, p.expiry, p.max_lots, [q[:6] for q in p.quotes]) for p in pages]
        digest = compute_sheet_digest(self.rules.domain, trader, hashes, nonce, generation, valid_until)
        self.add(build_sheet(trader, nonce, valid_until, hashes, page, pages[page]), sign(self.keys[trader], digest))
        return self.rules.params.get_slot(nonce + page)

    def authorize(self, trader: int, key: int, scope: int, expiry: int) -> None:
        """An AUTHORIZE row, signed by the owner."""
        nonce = self.take_nonce(trader)
        digest = compute_authorize_digest(self.rules.domain, trader, key, scope, expiry, nonce)
        self.add(build_authorize(trader, key, scope, expiry, nonce), sign(self.keys[trader], digest))

    def bid(self, trader: int, target: int, legs: Legs, units: int, limit: int) -> None:
        """A BID row."""
        nonce, valid_until = self.take_nonce(trader), self.clock + 60
        digest = compute_bid_digest(self.rules.domain, trader, target, compute_signed_legs(tuple(legs)), (units, limit, nonce, valid_until))
        self.add(build_bid(trader, target, legs, units, limit, nonce, valid_until), sign(self.keys[trader], digest))

    def pool(self, trader: int, amount: int, is_leaving: bool = False) -> None:
        """A POOL row, signed by the owner."""
        nonce = self.take_nonce(trader)
        digest = compute_pool_digest(self.rules.domain, trader, amount, nonce, is_leaving)
        self.add(build_pool(trader, amount, nonce, is_leaving), sign(self.keys[trader], digest))

    def settle(self, underlying: int, expiry: int, price: int) -> None:
        """A SETTLE row signed by the first oracles; without a price the fallback, which nobody signs."""
        if price == 0:
            self.add(build_settle(underlying, expiry, 0, True))
            return
        digest = compute_settle_digest(self.rules.domain, underlying, expiry, price)
        keys = self.oracles[: self.rules.params.quorum]
        self.add(build_settle(underlying, expiry, price), b"".join(sign(key, digest) for key in keys))

    def shutdown(self) -> None:
        """The second SHUTDOWN row, from anyone; the first comes by `send` from `types.INBOX_AUTHORITY`."""
        self.add(build_shutdown())

    def trade(self, maker: int, maker_slot: int, taker: int, taker_slot: int, lots: int) -> None:
        """A TRADE row."""
        self.add(build_trade(maker, maker_slot, taker, taker_slot, lots))

    def cancel(self, trader: int) -> None:
        """A CANCEL row, signed."""
        nonce = self.take_nonce(trader)
        self.add(build_cancel(trader, nonce), sign(self.keys[trader], compute_cancel_digest(self.rules.domain, trader, nonce)))

    def withdraw(self, trader: int, amount: int) -> None:
        """A WITHDRAW row, signed."""
        nonce = self.take_nonce(trader)
        digest = compute_withdraw_digest(self.rules.domain, trader, amount, nonce)
        self.add(build_withdraw(trader, amount, nonce), sign(self.keys[trader], digest))

    def mark(self, underlying: int, market: Market, signers: Sequence[PrivateKey] | None = None) -> None:
        """A MARK row at the market's time, signed by the first oracles or by `signers`."""
        row = build_mark(underlying, self.mark_times[underlying], market)
        digest = compute_mark_digest(
            self.rules.domain, underlying, self.mark_times[underlying], market.mark_time, market.index_price, row[5:]
        )
        keys = self.oracles[: self.rules.params.quorum] if signers is None else signers
        self.add(row, b"".join(sign(key, digest) for key in keys))
        if signers is None:
            self.mark_times[underlying] = market.mark_time

    # -- sources

    def deposit(self, trader: int, amount: int) -> None:
        """What the vault queues when the trader deposits."""
        row = build_deposit(trader, get_address(self.keys[trader]), amount)
        self._messages.append(Message(self.clock, VAULT_AUTHORITY, encode_row(row), b""))

    def send(self, authority: int, rows: Sequence[Sequence[int]], signatures: bytes = b"") -> None:
        """A forced message."""
        self._messages.append(Message(self.clock, authority, b"".join(map(encode_row, rows)), signatures))

    def force(self, authority: int) -> None:
        """The rows so far, with their signatures, become a forced message."""
        self._messages.append(Message(self.clock, authority, b"".join(self._rows), self._signatures))
        self._rows, self._signatures = [], b""

    def close_frame(self) -> None:
        """The rows so far become a frame at the clock."""
        self._frames.append(Frame(self.clock, encode_frame(b"".join(self._rows)), self._signatures))
        self._rows, self._signatures = [], b""

    def close_queue(self, now: int) -> Batch:
        """The messages so far as L1 batches them where no sequencer does, at L1's time `now`."""
        messages = tuple(self._messages)
        record = compute_record(self._number, now, now, self._message_start, messages, ())
        self._number += 1
        self._message_start += len(messages)
        self._messages = []
        return Batch(record, messages, ())

    def close_batch(self, first: int | None = None) -> Batch:
        """The messages and frames so far; open rows get a frame of their own. Its `first` time is the last batch's end unless given."""
        if self._rows:
            self.close_frame()
        messages, frames = tuple(self._messages), tuple(self._frames)
        begin = self._first if first is None else first
        record = compute_record(self._number, begin, self.clock, self._message_start, messages, frames)
        self._number += 1
        self._message_start += len(messages)
        self._first = self.clock
        self._messages, self._frames = [], []
        return Batch(record, messages, frames)
