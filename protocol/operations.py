"""Rows and the operations they stand for: kinds, flags, numbers of items, and the steps that each costs.

Builders for whoever writes rows (sequencer, vault, owners) are beside the layout that the steps read.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from protocol.codec.rows import encode_zigzag
from protocol.fixed_point import div_down
from protocol.series import STRIKE_UNIT, decode_series
from protocol.types import (
    FILL_OR_KILL,
    MAX_LEGS,
    MAX_PAGES,
    MAX_QUOTES,
    MAX_SLICES,
    POST_ONLY,
    REDUCE_ONLY,
    Market,
    Page,
    Phase,
    Slice,
    TwoWay,
)

Legs = Sequence[tuple[int, int]]

FLAG_AUTHORITY = 1
FLAG_CALL = 1
FLAG_BUY = 2
FLAG_TERMS = 2  # above call and buy stand the flags of an order, `types.POST_ONLY` and the others, shifted by this
FLAG_FALLBACK = 1  # of a SETTLE without signatures
FLAG_LEAVE = 2  # of a POOL: out of it
MARK_HEAD = 5  # tag, underlying, previous, time, index
SLICE_ITEMS = 7
COMBO_HEAD = 7  # tag, account, price, lots, nonce, valid until, fee cap
BID_HEAD = 7  # tag, account, target, units, limit, nonce, valid until
LEG_ITEMS = 4
SHEET_HEAD = 6  # tag, account, nonce, valid until, pages, page
PAGE_HEAD = 3  # underlying, expiry, max lots; the other pages' hashes stand before them
QUOTE_ITEMS = 5
FEE_UNIT = 10_000  # fee caps are multiples of 0.01 USD
MAX_FEE_CAP = 10_000_000 * FEE_UNIT  # a hundred thousand USD a unit: more than any fee, and no wider in a row than it must be


class Kind(IntEnum):
    """The low four bits of a row's first item."""

    DEPOSIT = 1
    ORDER = 2
    TRADE = 3
    CANCEL = 4
    WITHDRAW = 5
    MARK = 6
    COMBO = 7
    SHEET = 8
    AUTHORIZE = 9
    BID = 10
    SETTLE = 11
    POOL = 12
    SHUTDOWN = 13


class Layout(NamedTuple):
    """`items` with the tag, or 0 where their number varies (`is_length`)."""

    phase: Phase
    items: int
    flags: int  # those that it may have
    steps: int  # deducted from the allowance
    signatures: int = 1  # -1 for a quorum; none where an unsigned row's flag (bit 0) is set
    is_unsigned_flag: bool = False  # whether bit 0 of the flags stands for a row without signatures
    is_frozen: bool = True  # whether a SHUTDOWN stops it


QUORUM = -1
ALL_TERMS = (POST_ONLY | REDUCE_ONLY | FILL_OR_KILL) << FLAG_TERMS

LAYOUTS = {
    Kind.DEPOSIT: Layout(Phase.DEPOSIT, 4, 0, 2, signatures=0, is_frozen=False),
    Kind.ORDER: Layout(Phase.ORDER, 10, FLAG_CALL | FLAG_BUY | ALL_TERMS, 2),
    Kind.TRADE: Layout(Phase.TERMS, 6, 0, 5, signatures=0),
    Kind.CANCEL: Layout(Phase.CANCEL, 3, FLAG_AUTHORITY, 2, is_unsigned_flag=True),
    Kind.WITHDRAW: Layout(Phase.WITHDRAW, 4, FLAG_AUTHORITY, 2, is_unsigned_flag=True, is_frozen=False),
    Kind.MARK: Layout(Phase.MARK, 0, 0, 2, signatures=QUORUM, is_frozen=False),
    Kind.COMBO: Layout(Phase.COMBO, 0, FLAG_BUY | ALL_TERMS, 2),
    Kind.SHEET: Layout(Phase.SHEET, 0, 0, 2),
    Kind.AUTHORIZE: Layout(Phase.AUTHORIZE, 6, FLAG_AUTHORITY, 2, is_unsigned_flag=True),
    Kind.BID: Layout(Phase.BID, 0, 0, 5),
    Kind.SETTLE: Layout(Phase.SETTLE, 4, FLAG_FALLBACK, 2, signatures=QUORUM, is_unsigned_flag=True, is_frozen=False),
    Kind.POOL: Layout(Phase.POOL, 4, FLAG_AUTHORITY | FLAG_LEAVE, 2, is_unsigned_flag=True),
    Kind.SHUTDOWN: Layout(Phase.SHUTDOWN, 1, 0, 2, signatures=0, is_frozen=False),
}


_LAYOUTS_BY_TAG = {
    kind | flags << 4: layout for kind, layout in LAYOUTS.items() for flags in range(layout.flags + 1) if not flags & ~layout.flags
}


def get_layout(items: tuple[int, ...]) -> Layout | None:
    """The layout that the row follows, or None: unknown kind or flags, wrong number of items."""
    layout = _LAYOUTS_BY_TAG.get(items[0]) if items else None
    if layout is None or len(items) == layout.items:
        return layout
    return layout if layout.items == 0 and is_length(items) else None


def count_signatures(layout: Layout, tag: int, quorum: int) -> int:
    """How many signatures a row takes."""
    if layout.is_unsigned_flag and tag >> 4 & 1:
        return 0
    return quorum if layout.signatures == QUORUM else layout.signatures


def is_length(items: tuple[int, ...]) -> bool:
    """Of a row whose length varies: whole slices, legs or quotes, and not too many."""
    kind, count = items[0] & 15, len(items)
    if kind == Kind.MARK:
        return is_whole(count - MARK_HEAD, SLICE_ITEMS, 1, MAX_SLICES)
    if kind == Kind.COMBO:
        return is_whole(count - COMBO_HEAD, LEG_ITEMS, 2, MAX_LEGS)
    if kind == Kind.BID:
        return is_whole(count - BID_HEAD, LEG_ITEMS, 1, MAX_LEGS)
    if kind != Kind.SHEET or count < SHEET_HEAD:
        return False
    pages, page = items[4], items[5]
    return 0 < pages <= MAX_PAGES and page < pages and is_whole(count - SHEET_HEAD - (pages - 1) - PAGE_HEAD, QUOTE_ITEMS, 0, MAX_QUOTES)


def is_whole(count: int, size: int, least: int, most: int) -> bool:
    """`count` items are from `least` to `most` groups of `size`."""
    return any(count == size * groups for groups in range(least, most + 1))


def build_deposit(account: int, owner: int, amount: int) -> tuple[int, ...]:
    """Only the vault may: L1 writes this row."""
    return (Kind.DEPOSIT, account, owner, amount)


def build_order(
    account: int, series: int, is_buy: int, price: int, lots: int, nonce: int, valid_until: int, flags: int = 0, fee_cap: int = MAX_FEE_CAP
) -> tuple[int, ...]:
    """`price` is the limit per lot in 1e-6 USD; the strike must be a multiple of 0.01 USD, and so must the fee cap."""
    underlying, expiry, strike, is_call = decode_series(series)
    tag = Kind.ORDER | (FLAG_CALL * is_call | FLAG_BUY * is_buy | flags << FLAG_TERMS) << 4
    cap = div_down(fee_cap, FEE_UNIT)
    return (tag, account, underlying, expiry, strike_to_cents(strike), price, lots, nonce, valid_until, cap)


def build_combo(
    account: int, legs: Legs, is_buy: int, price: int, lots: int, nonce: int, valid_until: int, flags: int = 0, fee_cap: int = MAX_FEE_CAP
) -> tuple[int, ...]:
    """`legs` are (series, ratio), ascending by series, the first ratio positive; `price` is the net limit a unit, in 1e-6 USD."""
    tag = Kind.COMBO | (FLAG_BUY * is_buy | flags << FLAG_TERMS) << 4
    return (tag, account, encode_zigzag(price), lots, nonce, valid_until, div_down(fee_cap, FEE_UNIT), *encode_row_legs(legs))


def encode_row_legs(legs: Legs) -> tuple[int, ...]:
    """Four items a leg: underlying, expiry, strike in cents with the call bit below, ratio."""
    items: list[int] = []
    for series, ratio in legs:
        underlying, expiry, strike, is_call = decode_series(series)
        items += (underlying, expiry, strike_to_cents(strike) << 1 | is_call, encode_zigzag(ratio))
    return tuple(items)


def build_sheet(account: int, nonce: int, valid_until: int, hashes: Sequence[bytes], page: int, content: Page) -> tuple[int, ...]:
    """One page of a sheet, with the hashes of the others; `hashes` are of all pages in order."""
    others = [int.from_bytes(digest, "big") for at, digest in enumerate(hashes) if at != page]
    head = (Kind.SHEET, account, nonce, valid_until, len(hashes), page)
    return (*head, *others, content.underlying, content.expiry, content.max_lots, *encode_row_quotes(content.quotes))


def encode_row_quotes(quotes: Sequence[TwoWay]) -> tuple[int, ...]:
    """Five items a quote: strike in cents with the call bit below, then price and lots of the bid and of the ask."""
    items: list[int] = []
    for q in quotes:
        items += (strike_to_cents(q.strike) << 1 | q.is_call, q.bid, q.bid_lots, q.ask, q.ask_lots)
    return tuple(items)


def build_authorize(account: int, key: int, scope: int, expiry: int, nonce: int, by_authority: bool = False) -> tuple[int, ...]:
    """`key` is an address, 0 to revoke; `scope` a sum of `types.SCOPE_TRADE` and `types.SCOPE_WITHDRAW`."""
    return (Kind.AUTHORIZE | (FLAG_AUTHORITY << 4 if by_authority else 0), account, key, scope, expiry, nonce)


def build_bid(account: int, target: int, legs: Legs, units: int, limit: int, nonce: int, valid_until: int) -> tuple[int, ...]:
    """`legs` are what the bidder takes over in one unit, for at most `limit` (1e-6 USD a unit; negative: the bidder is paid)."""
    return (Kind.BID, account, target, units, encode_zigzag(limit), nonce, valid_until, *encode_row_legs(legs))


def build_settle(underlying: int, expiry: int, price: int, by_fallback: bool = False) -> tuple[int, ...]:
    """`price` in 1e-6 USD, the oracles' average; 0 for a fallback, which needs no signatures."""
    return (Kind.SETTLE | (FLAG_FALLBACK << 4 if by_fallback else 0), underlying, expiry, price)


def build_pool(account: int, amount: int, nonce: int, is_leaving: bool = False, by_authority: bool = False) -> tuple[int, ...]:
    """Asks to enter the backstop pool with cash (1e-6 USD), or to leave it with shares."""
    return (Kind.POOL | (FLAG_AUTHORITY * by_authority | FLAG_LEAVE * is_leaving) << 4, account, amount, nonce)


def build_shutdown() -> tuple[int, ...]:
    """The first comes from L1, the second from anyone."""
    return (Kind.SHUTDOWN,)


def strike_to_cents(strike: int) -> int:
    """Raises ValueError for a strike that no row can carry."""
    cents = div_down(strike, STRIKE_UNIT)
    if cents * STRIKE_UNIT != strike:
        raise ValueError(f"strike {strike} is not a multiple of {STRIKE_UNIT}")
    return cents


def build_trade(maker: int, maker_slot: int, taker: int, taker_slot: int, lots: int) -> tuple[int, ...]:
    """Two registered orders meet at the maker's limit."""
    return (Kind.TRADE, maker, maker_slot, taker, taker_slot, lots)


def build_cancel(account: int, nonce: int, by_authority: bool = False) -> tuple[int, ...]:
    """Kills every earlier order of the account."""
    return (Kind.CANCEL | (FLAG_AUTHORITY << 4 if by_authority else 0), account, nonce)


def build_withdraw(account: int, amount: int, nonce: int, by_authority: bool = False) -> tuple[int, ...]:
    """`amount` is the most that is paid, in 1e-6 USD."""
    return (Kind.WITHDRAW | (FLAG_AUTHORITY << 4 if by_authority else 0), account, amount, nonce)


def build_mark(underlying: int, previous: int, market: Market) -> tuple[int, ...]:
    """All live expiries of one underlying; `previous` is the time of the mark before."""
    return (Kind.MARK, underlying, previous, market.mark_time, market.index_price, *encode_slices(market.slices))


def encode_slices(slices: tuple[Slice, ...]) -> tuple[int, ...]:
    """As they stand in a MARK's row and under its signatures."""
    items: list[int] = []
    for s in slices:
        items += (s.expiry, s.forward, *map(encode_zigzag, (s.a, s.b, s.rho, s.m, s.sigma)))
    return tuple(items)
