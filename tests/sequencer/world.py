"""A small exchange for the sequencer's tests: keys, oracles, signed orders, and a machine that is driven by events."""

from collections.abc import Sequence
from dataclasses import replace

from coincurve import PrivateKey

from protocol.codec.frames import Batch, Frame, Message, compute_record
from protocol.codec.rows import encode_row
from protocol.keccak import keccak
from protocol.legs import compute_signed_legs, pack_plain
from protocol.operations import (
    MAX_FEE_CAP,
    build_authorize,
    build_bid,
    build_cancel,
    build_deposit,
    build_mark,
    build_pool,
    build_settle,
    build_withdraw,
)
from protocol.params import DEVNET, Params
from protocol.rules import Rules
from protocol.series import encode_series
from protocol.signing import (
    compute_authorize_digest,
    compute_bid_digest,
    compute_cancel_digest,
    compute_domain,
    compute_mark_digest,
    compute_page_hash,
    compute_pool_digest,
    compute_settle_digest,
    compute_sheet_digest,
    compute_withdraw_digest,
)
from protocol.types import VAULT_AUTHORITY, Market, Record, Slice
from sequencer.engine import Limits
from sequencer.events import (
    BatchLanded,
    BlockSeen,
    Effect,
    Event,
    MessagesQueued,
    OrderReceived,
    PageTerms,
    PostBatch,
    Reply,
    Result,
    RowReceived,
    SheetReceived,
)
from sequencer.machine import Machine, build_settings
from sequencer.orders import compute_digest

KEYS = [PrivateKey(bytes([i + 1]) * 32) for i in range(12)]
ADDRESSES = [int.from_bytes(keccak(key.public_key.format(False)[1:])[12:], "big") for key in KEYS]
ORACLES = (9, 10, 11)
PARAMS = replace(DEVNET, account_depth=10, steps_cap=1_000_000, pool_slots=16)
VAULT = 5
CHAIN_ID = 31337
DOMAIN = compute_domain(CHAIN_ID, VAULT)
START = 1_700_000_000
EXPIRY = START + 7 * 86_400
USD = 10**6
FORWARD = 50_000 * USD
CALL = encode_series(0, EXPIRY, 51_000 * USD, 1)
PLAIN = pack_plain(CALL)


def build_rules(params: Params = PARAMS) -> Rules:
    return Rules(params, DOMAIN, tuple(ADDRESSES[i] for i in ORACLES))


def build_market(time: int, forward: int = FORWARD, expiry: int = EXPIRY) -> Market:
    return Market(forward, time, (Slice(expiry, forward, 4_000_000, 10_000_000, -100_000_000, 0, 100_000_000),))


def sign(key: int, digest: bytes) -> bytes:
    raw = KEYS[key].sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes([raw[64] + 27])


def build_deposits(count: int, amount: int, time: int) -> tuple[Message, ...]:
    """Account i belongs to key i."""
    return tuple(Message(time, VAULT_AUTHORITY, encode_row(build_deposit(i, ADDRESSES[i], amount)), b"") for i in range(count))


def build_mark_event(now: int, time: int, previous: int, forward: int = FORWARD, request: int = 0, expiry: int = EXPIRY) -> RowReceived:
    market = build_market(time, forward, expiry)
    row = build_mark(0, previous, market)
    digest = compute_mark_digest(DOMAIN, 0, previous, time, market.index_price, row[5:])
    return RowReceived(now, request, row, sign(ORACLES[0], digest) + sign(ORACLES[2], digest), True)


def build_order_event(
    now: int,
    account: int,
    is_buy: int,
    price: int,
    lots: int,
    nonce: int,
    *,
    series: int = CALL,
    legs: tuple[int, ...] = (),
    generation: int = 0,
    valid_s: int = 3_600,
    flags: int = 0,
    fee_cap: int = MAX_FEE_CAP,
    options: int = 0,
    rfq: int = 0,
    request: int = 1,
    key: int | None = None,
) -> OrderReceived:
    """Of `legs`, or plain in `series`; signed by the account's own key or another."""
    until, legs = now + valid_s, legs or pack_plain(series)
    signer = account if key is None else key
    digest = compute_digest(DOMAIN, account, legs, is_buy, price, lots, flags, fee_cap, nonce, generation, until)
    terms = (account, legs, is_buy, price, lots, nonce, generation, until, flags, fee_cap, options, rfq)
    return OrderReceived(now, request, *terms, sign(signer, digest), ADDRESSES[signer])


def build_sheet_event(
    now: int,
    account: int,
    nonce: int,
    quotes: Sequence[tuple[int, ...]],
    *,
    max_lots: int = 1_000,
    pages: Sequence[PageTerms] = (),
    generation: int = 0,
    valid_s: int = 20,
    request: int = 1,
    key: int | None = None,
) -> SheetReceived:
    """One page of `quotes` (strike, is_call, bid, lots, ask, lots) of the first expiry, or `pages`."""
    until, pages = now + valid_s, tuple(pages) or ((0, EXPIRY, max_lots, tuple(quotes)),)
    hashes = tuple(compute_page_hash(*page) for page in pages)
    signer = account if key is None else key
    signature = sign(signer, compute_sheet_digest(DOMAIN, account, hashes, nonce, generation, until))
    return SheetReceived(now, request, account, nonce, generation, until, pages, hashes, signature, ADDRESSES[signer])


def build_authorize_event(now: int, account: int, key: int, scope: int, expiry: int, nonce: int) -> RowReceived:
    """`key` is one of `KEYS`, or -1 to revoke."""
    address = ADDRESSES[key] if key >= 0 else 0
    digest = compute_authorize_digest(DOMAIN, account, address, scope, expiry, nonce)
    return RowReceived(now, 1, build_authorize(account, address, scope, expiry, nonce), sign(account, digest), True)


def build_pool_event(now: int, account: int, amount: int, nonce: int, is_leaving: bool = False) -> RowReceived:
    digest = compute_pool_digest(DOMAIN, account, amount, nonce, is_leaving)
    return RowReceived(now, 1, build_pool(account, amount, nonce, is_leaving), sign(account, digest), True)


def build_bid_event(
    now: int, account: int, target: int, legs: Sequence[tuple[int, int]], units: int, limit: int, nonce: int
) -> RowReceived:
    until, signed = now + 60, compute_signed_legs(tuple(legs))
    digest = compute_bid_digest(DOMAIN, account, target, signed, (units, limit, nonce, until))
    return RowReceived(now, 1, build_bid(account, target, legs, units, limit, nonce, until), sign(account, digest), True)


def build_settle_event(now: int, expiry: int, price: int, request: int = 1) -> RowReceived:
    digest = compute_settle_digest(DOMAIN, 0, expiry, price)
    return RowReceived(now, request, build_settle(0, expiry, price), sign(ORACLES[0], digest) + sign(ORACLES[2], digest), True)


def build_cancel_event(now: int, account: int, nonce: int, must_apply: bool = True) -> RowReceived:
    return RowReceived(now, 1, build_cancel(account, nonce), sign(account, compute_cancel_digest(DOMAIN, account, nonce)), must_apply)


def build_withdraw_event(now: int, account: int, amount: int, nonce: int) -> RowReceived:
    digest = compute_withdraw_digest(DOMAIN, account, amount, nonce)
    return RowReceived(now, 1, build_withdraw(account, amount, nonce), sign(account, digest), True)


class World:
    """A machine, the events it was given, and an L1 that lands what it posts."""

    def __init__(self, params: Params = PARAMS, limits: Limits | None = None) -> None:
        self.rules = build_rules(params)
        self.limits = limits
        self.machine = Machine(self.rules, build_settings(self.rules, limits))
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.posts: list[PostBatch] = []
        self.landed: list[Batch] = []
        self.messages: list[Message] = []

    def apply(self, event: Event) -> list[Effect]:
        self.events.append(event)
        effects = self.machine.apply(event)
        self.effects += effects
        self.posts += [effect for effect in effects if isinstance(effect, PostBatch)]
        return effects

    def ask(self, event: Event) -> Result:
        """The one reply; this applies the event."""
        (reply,) = [effect for effect in self.apply(event) if isinstance(effect, Reply)]
        return reply.result

    def open(self, accounts: int = 4, amount: int = 1_000_000 * USD, now: int = START) -> None:
        """Funded accounts and a first mark."""
        self.queue(now, build_deposits(accounts, amount, now))
        self.apply(build_mark_event(now, now, 0))

    def queue(self, now: int, messages: tuple[Message, ...]) -> list[Effect]:
        start = len(self.messages)
        self.messages += messages
        return self.apply(MessagesQueued(now, start, messages))

    def see(self, now: int) -> None:
        self.apply(BlockSeen(now, now - START + 1, now))

    def build_landing(self, now: int, first: int, last: int, count: int, frames: tuple[Frame, ...]) -> BatchLanded:
        """What L1 records for such a call, whoever made it."""
        start = self.landed[-1].record.message_start + self.landed[-1].record.message_count if self.landed else 0
        messages = tuple(self.messages[start : start + count])
        record: Record = compute_record(len(self.landed), first, last, start, messages, frames)
        batch = Batch(record, messages, frames)
        self.landed.append(batch)
        return BatchLanded(now, record, None if self.machine.is_own(record) else batch)

    def land(self, now: int, post: PostBatch) -> None:
        self.posts.remove(post)
        self.apply(self.build_landing(now, post.first, post.last, post.message_count, post.frames))

    def land_all(self, now: int) -> None:
        """Closes what is open and lands it."""
        self.see(now)
        while self.posts:
            self.land(now, self.posts[0])
