"""Positions of an account: an ascending tuple of (series, lots) without zeros."""

from bisect import bisect_left

from protocol.series import decode_series
from protocol.types import LOTS_BIAS, MAX_ACCOUNT_LOTS, MAX_LOTS, MAX_POSITIONS, Position

LOTS_MASK = (1 << 32) - 1


def get_lots(positions: tuple[Position, ...], series: int) -> int:
    """Zero where nothing is held."""
    at = bisect_left(positions, (series,))
    return positions[at][1] if at < len(positions) and positions[at][0] == series else 0


def apply_lots(positions: tuple[Position, ...], series: int, change: int) -> tuple[Position, ...]:
    """The positions after `change` lots more of `series`; a position that becomes zero is gone."""
    at = bisect_left(positions, (series,))
    if at < len(positions) and positions[at][0] == series:
        lots = positions[at][1] + change
        middle = ((series, lots),) if lots else ()
        return positions[:at] + middle + positions[at + 1 :]
    return (*positions[:at], (series, change), *positions[at:]) if change else positions


def apply_legs(positions: tuple[Position, ...], legs: tuple[int, ...], units: int) -> tuple[Position, ...]:
    """The positions after `units` more of every leg (negative: fewer)."""
    for leg in legs:
        positions = apply_lots(positions, leg >> 32, ((leg & LOTS_MASK) - LOTS_BIAS) * units)
    return positions


def is_shrinking(positions: tuple[Position, ...], legs: tuple[int, ...], units: int) -> bool:
    """Whether every leg's position becomes smaller, and none changes its side."""
    for leg in legs:
        held = get_lots(positions, leg >> 32)
        change = ((leg & LOTS_MASK) - LOTS_BIAS) * units
        if held * change >= 0 or abs(change) > abs(held):
            return False
    return True


def has_expired(positions: tuple[Position, ...], clock: int) -> bool:
    """Whether one of them waits for its settlement."""
    return any(decode_series(series).expiry <= clock for series, _ in positions)


def is_bounded(positions: tuple[Position, ...]) -> bool:
    """At most 128 positions, 2**20 lots in one, 2**26 in all: what keeps every sum of the margin inside 63 bits."""
    if len(positions) > MAX_POSITIONS:
        return False
    total = 0
    for _, lots in positions:
        size = abs(lots)
        if size > MAX_LOTS:
            return False
        total += size
    return total <= MAX_ACCOUNT_LOTS
