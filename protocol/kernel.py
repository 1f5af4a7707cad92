"""The costly pure functions of the steps, so that a leap can bring faster ones that give the same, bit for bit."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from protocol.margin import Margin, compute_margin, compute_mark, get_slice
from protocol.positions import is_bounded
from protocol.series import decode_series
from protocol.signing import get_signer
from protocol.types import Account, Market, Position, Slice


class Quote(NamedTuple):
    """What the markets say of one series: its mark in 1e-6 USD a unit, rounded down, and its expiry's slice."""

    mark: int
    slice: Slice


def get_quote(series: int, markets: Sequence[Market]) -> Quote | None:
    """None where the series is not listed. The underlying must exist: the ORDER step has checked it."""
    terms = decode_series(series)
    market = markets[terms.underlying]
    item, mark = get_slice(market, terms.expiry), compute_mark(series, market)
    return None if item is None or mark is None else Quote(mark, item)


class SideRisk(NamedTuple):
    """What a trade does to one account: margin before and after, whether what it then holds is bounded, and in which underlyings.

    Where it is not bounded, margin after and underlyings mean nothing.
    """

    before: Margin
    after: Margin
    is_bounded: bool
    held: Collection[int]


class Kernel(Protocol):
    """`index` is only a name for the account, by which results may be remembered."""

    @property
    def get_signer(self) -> Callable[[bytes, bytes | None], int]: ...

    def get_quote(self, series: int, markets: Sequence[Market]) -> Quote | None: ...

    def compute_margin(self, cash: int, positions: Sequence[Position], markets: Sequence[Market]) -> Margin: ...

    def compute_side(self, index: int, before: Account, after: Account, legs: Sequence[int], markets: Sequence[Market]) -> SideRisk: ...


class ReferenceKernel:
    """The definitions themselves."""

    get_signer = staticmethod(get_signer)
    get_quote = staticmethod(get_quote)
    compute_margin = staticmethod(compute_margin)

    def compute_side(self, index: int, before: Account, after: Account, legs: Sequence[int], markets: Sequence[Market]) -> SideRisk:
        """`legs` are what is traded, packed: nothing else differs between the two."""
        del index, legs
        return SideRisk(
            self.compute_margin(before.cash, before.positions, markets),
            self.compute_margin(after.cash, after.positions, markets),
            is_bounded(after.positions),
            frozenset(decode_series(item).underlying for item, _ in after.positions),
        )


REFERENCE = ReferenceKernel()
