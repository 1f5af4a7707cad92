"""Names of instruments, as people know them: `BTC-27MAR26-100000-C`, and the series that a name stands for.

A name without a time of day expires at 08:00 UTC. An expiry at another second is written out: `BTC-27MAR26T093000-100000-C`. A strike that
is not whole dollars has a `d` for its point, so that a name has no dot: `ETH-27MAR26-2500d5-P`. One series has exactly one name.

A combination is named by its legs with their lots in one unit: `1xBTC-27MAR26-100000-C,-1xBTC-27MAR26-110000-C`. Legs ascend by
underlying, expiry, strike, put before call, and the first one is bought: selling the combination is its other side. So it has one name.
"""

import re
from datetime import UTC, datetime
from itertools import pairwise

from node.errors import NodeCode, NodeError
from protocol.legs import pack_leg, pack_plain, unpack_leg
from protocol.series import MAX_STRIKE, STRIKE_UNIT, Series, decode_series, encode_series
from protocol.types import MAX_LEGS, MAX_RATIO, UNDERLYINGS

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EXPIRY_HOUR = 8  # UTC, as on Deribit
USD = 1_000_000
CENTURY = 2000
FIRST_EXPIRY = int(datetime(CENTURY, 1, 1, tzinfo=UTC).timestamp())
END_EXPIRY = int(datetime(CENTURY + 100, 1, 1, tzinfo=UTC).timestamp())
NAME = re.compile(r"([A-Z]{3,4})-(\d{1,2})([A-Z]{3})(\d{2})(?:T(\d{2})(\d{2})(\d{2}))?-(\d{1,8})(?:d(\d{1,2}))?-([CP])", re.ASCII)

RATIO = re.compile(r"-?[1-9]\d{0,2}", re.ASCII)


def encode_expiry(expiry: int) -> str:
    """`27MAR26`, with a time of day unless it is 08:00:00. Years 2000 to 2099."""
    if not FIRST_EXPIRY <= expiry < END_EXPIRY:
        raise NodeError(NodeCode.INSTRUMENT, f"no name for an expiry at {expiry}: only years {CENTURY} to {CENTURY + 99} have one")
    when = datetime.fromtimestamp(expiry, UTC)
    day = f"{when.day}{MONTHS[when.month - 1]}{when.year - CENTURY:02}"
    return day if (when.hour, when.minute, when.second) == (EXPIRY_HOUR, 0, 0) else f"{day}T{when:%H%M%S}"


def encode_instrument(series: int) -> str:
    """The name of a series."""
    underlying, expiry, strike, is_call = decode_series(series)
    if underlying >= len(UNDERLYINGS):
        raise NodeError(NodeCode.INSTRUMENT, f"no underlying has the number {underlying}")
    whole, part = divmod(strike, USD)
    cents = part // STRIKE_UNIT
    text = f"{whole}d{cents:02}".rstrip("0") if cents else f"{whole}"
    return f"{UNDERLYINGS[underlying]}-{encode_expiry(expiry)}-{text}-{'C' if is_call else 'P'}"


def decode_instrument(name: str) -> int:
    """The series; `NodeError` for whatever `encode_instrument` would not have written."""
    match = NAME.fullmatch(name)
    if match is None or match[1] not in UNDERLYINGS or match[3] not in MONTHS:
        raise NodeError(NodeCode.INSTRUMENT, f"not an instrument: {name[:40]!r}; they look like BTC-27MAR26-100000-C")
    clock = (int(match[5]), int(match[6]), int(match[7])) if match[5] else (EXPIRY_HOUR, 0, 0)
    try:
        when = datetime(CENTURY + int(match[4]), MONTHS.index(match[3]) + 1, int(match[2]), *clock, tzinfo=UTC)
    except ValueError:
        raise NodeError(NodeCode.INSTRUMENT, f"no such date: {name!r}") from None
    strike = int(match[8]) * USD + int((match[9] or "0").ljust(2, "0")) * STRIKE_UNIT
    series = encode_series(UNDERLYINGS.index(match[1]), int(when.timestamp()), strike, int(match[10] == "C"))
    if not 0 < strike <= MAX_STRIKE or encode_instrument(series) != name:
        raise NodeError(NodeCode.INSTRUMENT, f"not an instrument: {name!r}")
    return series


def encode_legs(legs: tuple[int, ...]) -> str:
    """The name of packed legs: of the series itself, for the only leg of a plain order."""
    if legs == pack_plain(legs[0] >> 32):
        return encode_instrument(legs[0] >> 32)
    pairs = map(unpack_leg, legs)
    return ",".join(f"{ratio}x{encode_instrument(series)}" for series, ratio in pairs)


def decode_legs(name: str) -> tuple[int, ...]:
    """The legs, packed; `NodeError` for whatever `encode_legs` would not have written."""
    if "x" not in name:
        return pack_plain(decode_instrument(name))
    parts = [part.partition("x") for part in name.split(",")]
    if not all(RATIO.fullmatch(ratio) and abs(int(ratio)) <= MAX_RATIO for ratio, _, _ in parts):
        raise NodeError(NodeCode.INSTRUMENT, f"a leg is its lots, 1 to {MAX_RATIO}, and its name: 1xBTC-27MAR26-100000-C")
    series = [decode_instrument(leg) for _, _, leg in parts]
    is_canonical = all(one < other for one, other in pairwise(series)) and parts[0][0][0] != "-"
    if not 2 <= len(parts) <= MAX_LEGS or not is_canonical:
        raise NodeError(NodeCode.INSTRUMENT, f"a combination has 2 to {MAX_LEGS} legs, ascending, the first one bought")
    return tuple(pack_leg(leg, int(ratio)) for leg, (ratio, _, _) in zip(series, parts, strict=True))


def get_terms(name: str) -> Series:
    """Underlying, expiry, strike and kind of a name."""
    return decode_series(decode_instrument(name))
