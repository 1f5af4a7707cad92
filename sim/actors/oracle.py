"""The oracle: signs what a source says, underlying by underlying, as often as the rules allow and its pace asks; and what expires, at the
average of the index over the half hour before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from protocol.codes import Code
from protocol.steps.settle import round_price
from protocol.types import Market

AVERAGE_S = 1_800  # before expiry, chain seconds
KEEP_S = 2 * AVERAGE_S  # how long the index is remembered
Listing = tuple[int, int]  # underlying, expiry
Sample = tuple[int, int]  # time, index price

# -- events


@dataclass(frozen=True, slots=True)
class MarketsRead:
    """What the source says at chain time `now`."""

    now: int
    markets: Mapping[int, Market]


@dataclass(frozen=True, slots=True)
class MarkTaken:
    """The sequencer has applied a mark of this time."""

    underlying: int
    time: int


@dataclass(frozen=True, slots=True)
class MarkRefused:
    """By the rules, with this code; or by nobody's fault, with 0. `last` is the market's last mark by the sequencer's word."""

    underlying: int
    code: int
    last: int


@dataclass(frozen=True, slots=True)
class SettleAnswered:
    """The sequencer's word on a settlement: `Code.OK`, or why not."""

    listing: Listing
    code: int


# -- effects


@dataclass(frozen=True, slots=True)
class SubmitMark:
    """To be signed by a quorum. `previous` is the time of the mark before."""

    underlying: int
    previous: int
    market: Market


@dataclass(frozen=True, slots=True)
class SubmitSettle:
    """To be signed by a quorum. `price` in 1e-6 USD a unit."""

    listing: Listing
    price: int


@dataclass(frozen=True, slots=True)
class Oracle:
    """`last` by underlying: time of the last mark that was taken; `waiting` are those on their way, `settling` settlements. `listed` has
    every expiry of the source that is not settled yet, `samples` the index as it was seen."""

    gap_s: int  # between two marks, chain seconds
    last: Mapping[int, int] = field(default_factory=dict)
    waiting: frozenset[int] = frozenset()
    refusals: int = 0
    listed: frozenset[Listing] = frozenset()
    settling: frozenset[Listing] = frozenset()
    samples: Mapping[int, tuple[Sample, ...]] = field(default_factory=dict)


Event = MarketsRead | MarkTaken | MarkRefused | SettleAnswered


def advance(oracle: Oracle, event: Event) -> tuple[Oracle, list[SubmitMark | SubmitSettle]]:
    """One mark of an underlying at a time: the next one names it."""
    match event:
        case MarketsRead(now, markets):
            return _read(_remember(oracle, now, markets), now, markets)
        case MarkTaken(underlying, time):
            return replace(oracle, last={**oracle.last, underlying: time}, waiting=oracle.waiting - {underlying}), []
        case MarkRefused(underlying, code, last):
            kept = {**oracle.last, underlying: last} if code == Code.MARK_TIME else oracle.last
            return replace(oracle, last=kept, waiting=oracle.waiting - {underlying}, refusals=oracle.refusals + 1), []
        case SettleAnswered(listing, code):
            is_over = code in (Code.OK, Code.SERIES)  # it is settled: by us, or by somebody before us
            listed = oracle.listed - {listing} if is_over else oracle.listed
            return replace(oracle, listed=listed, settling=oracle.settling - {listing}), []


def _read(oracle: Oracle, now: int, markets: Mapping[int, Market]) -> tuple[Oracle, list[SubmitMark | SubmitSettle]]:
    marks = [
        SubmitMark(of, oracle.last.get(of, 0), market)
        for of, market in sorted(markets.items())
        if of not in oracle.waiting and market.mark_time >= oracle.last.get(of, 0) + oracle.gap_s
    ]
    due = [(listing, compute_average(oracle, listing)) for listing in sorted(oracle.listed - oracle.settling) if now >= listing[1]]
    settles = [SubmitSettle(listing, price) for listing, price in due if price]
    waiting = oracle.waiting | {mark.underlying for mark in marks}
    settling = oracle.settling | {settle.listing for settle in settles}
    return replace(oracle, waiting=waiting, settling=settling), [*marks, *settles]


def _remember(oracle: Oracle, now: int, markets: Mapping[int, Market]) -> Oracle:
    samples = {
        of: (*(one for one in oracle.samples.get(of, ()) if one[0] > now - KEEP_S), (market.mark_time, market.index_price))
        for of, market in markets.items()
    }
    listed = oracle.listed | {(of, item.expiry) for of, market in markets.items() for item in market.slices}
    return replace(oracle, samples={**oracle.samples, **samples}, listed=listed)


def compute_average(oracle: Oracle, listing: Listing) -> int:
    """Of the index over the half hour before expiry, 1e-6 USD a unit, as a SETTLE has it; 0 where nothing was seen of it: then this
    oracle does not sign. Samples count the same, as they come at an even pace."""
    underlying, expiry = listing
    seen = [index for time, index in oracle.samples.get(underlying, ()) if expiry - AVERAGE_S <= time < expiry]
    return round_price(sum(seen) // len(seen)) if seen else 0
