"""The oracle: signs what a source says, underlying by underlying, as often as the rules allow and its pace asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from protocol.codes import Code
from protocol.types import Market

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


# -- effects


@dataclass(frozen=True, slots=True)
class SubmitMark:
    """To be signed by a quorum. `previous` is the time of the mark before."""

    underlying: int
    previous: int
    market: Market


@dataclass(frozen=True, slots=True)
class Oracle:
    """`last` by underlying: time of the last mark that was taken; `waiting` are those on their way."""

    gap_s: int  # between two marks, chain seconds
    last: Mapping[int, int] = field(default_factory=dict)
    waiting: frozenset[int] = frozenset()
    refusals: int = 0


def advance(oracle: Oracle, event: MarketsRead | MarkTaken | MarkRefused) -> tuple[Oracle, list[SubmitMark]]:
    """One mark of an underlying at a time: the next one names it."""
    match event:
        case MarketsRead(_, markets):
            due = [
                SubmitMark(of, oracle.last.get(of, 0), market)
                for of, market in sorted(markets.items())
                if of not in oracle.waiting and market.mark_time >= oracle.last.get(of, 0) + oracle.gap_s
            ]
            return replace(oracle, waiting=oracle.waiting | {mark.underlying for mark in due}), due
        case MarkTaken(underlying, time):
            return replace(oracle, last={**oracle.last, underlying: time}, waiting=oracle.waiting - {underlying}), []
        case MarkRefused(underlying, code, last):
            kept = {**oracle.last, underlying: last} if code == Code.MARK_TIME else oracle.last
            return replace(oracle, last=kept, waiting=oracle.waiting - {underlying}, refusals=oracle.refusals + 1), []
