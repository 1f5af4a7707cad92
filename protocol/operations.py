"""Rows and the operations they stand for: kinds, flags, numbers of items, and the steps that each costs.

Builders for whoever writes rows (sequencer, vault, owners) are beside the layout that the steps read.
"""

from enum import IntEnum
from typing import NamedTuple

from protocol.codec.rows import encode_zigzag
from protocol.fixed_point import div_down
from protocol.series import STRIKE_UNIT, decode_series
from protocol.types import MAX_SLICES, Market, Phase, Slice

FLAG_AUTHORITY = 1
FLAG_CALL = 1
FLAG_BUY = 2
MARK_HEAD = 5  # tag, underlying, previous, time, index
SLICE_ITEMS = 7


class Kind(IntEnum):
    """The low four bits of a row's first item."""

    DEPOSIT = 1
    ORDER = 2
    TRADE = 3
    CANCEL = 4
    WITHDRAW = 5
    MARK = 6


class Layout(NamedTuple):
    """`items` with the tag, or 0 for a MARK, whose length varies."""

    phase: Phase
    items: int
    flags: int  # the largest value of the flags
    steps: int  # deducted from the allowance


LAYOUTS = {
    Kind.DEPOSIT: Layout(Phase.DEPOSIT, 4, 0, 2),
    Kind.ORDER: Layout(Phase.ORDER, 9, FLAG_CALL | FLAG_BUY, 2),
    Kind.TRADE: Layout(Phase.TERMS, 6, 0, 5),
    Kind.CANCEL: Layout(Phase.CANCEL, 3, FLAG_AUTHORITY, 2),
    Kind.WITHDRAW: Layout(Phase.WITHDRAW, 4, FLAG_AUTHORITY, 2),
    Kind.MARK: Layout(Phase.MARK, 0, 0, 2),
}


_LAYOUTS_BY_TAG = {kind | flags << 4: layout for kind, layout in LAYOUTS.items() for flags in range(layout.flags + 1)}


def get_layout(items: tuple[int, ...]) -> Layout | None:
    """The layout that the row follows, or None: unknown kind or flags, wrong number of items."""
    layout = _LAYOUTS_BY_TAG.get(items[0]) if items else None
    if layout is None or len(items) == layout.items:
        return layout
    return layout if layout.items == 0 and is_mark_length(len(items)) else None


def is_mark_length(count: int) -> bool:
    """Whole slices, one to sixteen."""
    return any(count == MARK_HEAD + SLICE_ITEMS * slices for slices in range(1, MAX_SLICES + 1))


def build_deposit(account: int, owner: int, amount: int) -> tuple[int, ...]:
    """Only the vault may: L1 writes this row."""
    return (Kind.DEPOSIT, account, owner, amount)


def build_order(account: int, series: int, is_buy: int, price: int, lots: int, nonce: int, valid_until: int) -> tuple[int, ...]:
    """`price` is the limit per lot in 1e-6 USD; the strike must be a multiple of 0.01 USD."""
    underlying, expiry, strike, is_call = decode_series(series)
    cents = strike_to_cents(strike)
    return (
        Kind.ORDER | (FLAG_CALL * is_call | FLAG_BUY * is_buy) << 4,
        account,
        underlying,
        expiry,
        cents,
        price,
        lots,
        nonce,
        valid_until,
    )


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
