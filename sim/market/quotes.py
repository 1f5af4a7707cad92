"""Quotes of options, in US dollars, whatever they were recorded in.

The format read is Tardis.dev's `options_chain`: one row a change of one instrument's best bid and ask. Two conventions of price occur
in one file:

- inverse (`BTC-2DEC20-19500-C`): prices in coin a coin, in dollars times the forward of that expiry (`underlying_price`);
- linear (`BTC_USDC-27JUN25-100000-C`): prices are dollars already.

Implied volatilities are in percent. Times are microseconds since 1970, or ISO dates in UTC.
"""

import csv
import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

MICROS = 1_000_000
COLUMNS = ("symbol", "timestamp", "type", "strike_price", "expiration", "underlying_price")
SIDES = ("bid_price", "bid_amount", "bid_iv", "ask_price", "ask_amount", "ask_iv", "mark_iv")


class QuoteFileError(Exception):
    """The file is not what it should be; the message says where."""

    code = "E_QUOTES"


@dataclass(frozen=True)
class Quote:
    """One instrument at one instant. Prices and strike in USD a unit, amounts in units of the underlying; None where there is none."""

    time_us: int
    underlying: str
    expiry: int
    strike: float
    is_call: bool
    forward: float
    bid: float | None
    bid_amount: float
    ask: float | None
    ask_amount: float
    iv: float | None  # mid of bid and ask, else the mark's; 0.6 is 60 %


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def parse_time_us(text: str) -> int:
    """Raises ValueError."""
    if text.isdigit():
        return int(text)
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return int(moment.timestamp()) * MICROS + moment.microsecond


def _parse_number(text: str) -> float | None:
    """None for an empty field; raises ValueError for anything that is not a finite number."""
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"not finite: {text}")
    return value


def _get_iv(row: dict[str, str]) -> float | None:
    bid, ask, mark = (_parse_number(row.get(name, "")) for name in ("bid_iv", "ask_iv", "mark_iv"))
    iv = (bid + ask) / 2 if bid and ask else mark
    return iv / 100 if iv else None


def parse_quote(row: dict[str, str]) -> Quote:
    """One row. Raises ValueError or KeyError for what cannot be one."""
    coin = row["symbol"].split("-")[0]
    forward = _parse_number(row["underlying_price"])
    strike = _parse_number(row["strike_price"])
    if forward is None or strike is None or forward <= 0 or strike <= 0:
        raise ValueError("forward and strike must be positive")
    if row["type"] not in ("call", "put"):
        raise ValueError(f"neither call nor put: {row['type']}")
    scale = 1.0 if "_" in coin else forward
    bid, ask = (_parse_number(row.get(name, "")) for name in ("bid_price", "ask_price"))
    return Quote(
        time_us=parse_time_us(row["timestamp"]),
        underlying=coin.split("_")[0],
        expiry=parse_time_us(row["expiration"]) // MICROS,
        strike=strike,
        is_call=row["type"] == "call",
        forward=forward,
        bid=bid * scale if bid else None,
        bid_amount=_parse_number(row.get("bid_amount", "")) or 0.0,
        ask=ask * scale if ask else None,
        ask_amount=_parse_number(row.get("ask_amount", "")) or 0.0,
        iv=_get_iv(row),
    )


def read_quotes(path: Path, underlyings: tuple[str, ...]) -> Iterator[Quote]:
    """The file's quotes of these underlyings, in its order. Raises QuoteFileError at the first row that is broken, with its line."""
    try:
        with _open(path) as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise QuoteFileError(f"{path.name}: not an options_chain file: no column {', '.join(missing)}")
            for line, row in enumerate(reader, start=2):
                if (row["symbol"] or "").split("-")[0].split("_")[0] not in underlyings:
                    continue
                try:
                    yield parse_quote(row)
                except (ValueError, KeyError, AttributeError) as error:
                    raise QuoteFileError(f"{path.name}, line {line}: {error}") from error
    except OSError as error:
        raise QuoteFileError(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, UnicodeDecodeError, csv.Error) as error:
        raise QuoteFileError(f"{path.name}: {error}") from error
