"""What positions are worth at their marks. Twin: contracts/lib/marks.vy."""

from collections.abc import Sequence
from typing import NamedTuple

from protocol.fixed_point import div_down, div_up
from protocol.margin import compute_mark
from protocol.series import decode_series
from protocol.types import LOTS_PER_UNIT, Market, Position


class LotMark(NamedTuple):
    """1e-6 USD a lot: of a long, and of a short."""

    down: int
    up: int


class Values(NamedTuple):
    """1e-6 USD, none negative: what the longs fetch, what buying the shorts back costs."""

    longs: int
    shorts: int


def compute_lot_mark(series: int, markets: Sequence[Market]) -> LotMark:
    """Nothing for a series that its market does not carry."""
    underlying, _, _, _ = decode_series(series)
    mark = (compute_mark(series, markets[underlying]) if underlying < len(markets) else None) or 0
    return LotMark(div_down(mark, LOTS_PER_UNIT), div_up(mark, LOTS_PER_UNIT))


def compute_values(positions: Sequence[Position], markets: Sequence[Market]) -> Values:
    """As the margin counts them: a mark a lot is rounded against the holder."""
    longs = shorts = 0
    for series, lots in positions:
        mark = compute_lot_mark(series, markets)
        longs += max(lots, 0) * mark.down
        shorts += max(-lots, 0) * mark.up
    return Values(longs, shorts)


def compute_worth_down(positions: Sequence[Position], markets: Sequence[Market]) -> int:
    """Both sides at the mark rounded down, so that over all accounts it sums to zero."""
    return sum(lots * compute_lot_mark(series, markets).down for series, lots in positions)
