"""What may be read of the machine: instruments, books, tickers, accounts. Money is an integer of 1e-6 USD, amounts are lots, times chain
seconds.

Greeks and volatilities are shown as numbers for people; nothing is decided by them.
"""

import math
from typing import Any

from node.instruments import encode_instrument
from protocol.margin import compute_margin, compute_mark, get_slice
from protocol.pricing import Greeks, compute_greeks
from protocol.series import STRIKE_UNIT, decode_series, encode_series
from protocol.svi import compute_surface, compute_surface_v
from protocol.types import LOTS_PER_UNIT, UNDERLYINGS, Account, Position
from sequencer.engine import Engine
from sequencer.machine import Machine

ONE = 1 << 38  # Q38, the kernel's unit
GRID_STEPS = 10  # strikes on either side of the forward that are listed without anybody having asked
GRID_SHARE = 0.02  # of the forward: about one step
YEAR_S = 31_536_000


def build_grid(forward: int) -> list[int]:
    """Round strikes around a forward: steps of 1, 2 or 5 times a power of ten."""
    wanted = max(forward * GRID_SHARE, STRIKE_UNIT)
    power = 10 ** math.floor(math.log10(wanted))
    step = max(next(m * power for m in (1, 2, 5, 10) if m * power >= wanted), STRIKE_UNIT)
    step -= step % STRIKE_UNIT
    middle = round(forward / step)
    return [(middle + at) * step for at in range(-GRID_STEPS, GRID_STEPS + 1) if middle + at > 0]


def list_series(machine: Machine, underlying: int | None) -> list[int]:
    """Live ones: a grid for each expiry, and whatever has an order."""
    clock = machine.state.globals.clock
    found = {order.series for order in machine.book.orders.values()}
    for number, market in enumerate(machine.state.markets):
        for item in market.slices:
            if item.expiry > clock:
                for strike in build_grid(item.forward):
                    found |= {encode_series(number, item.expiry, strike, is_call) for is_call in (0, 1)}
    return sorted(series for series in found if underlying is None or decode_series(series).underlying == underlying)


def view_instrument(series: int) -> dict[str, Any]:
    """The terms behind a name."""
    underlying, expiry, strike, is_call = decode_series(series)
    return {
        "instrument_name": encode_instrument(series),
        "base_currency": UNDERLYINGS[underlying],
        "quote_currency": "USD",
        "expiration_timestamp": expiry,
        "strike": strike,
        "option_type": "call" if is_call else "put",
        "contract_size": 1 / LOTS_PER_UNIT,
        "tick_size": 1,
        "min_trade_amount": 1,
    }


def view_book(machine: Machine, series: int, depth: int) -> dict[str, Any]:
    """Levels of (price, amount), best first."""
    return {
        "instrument_name": encode_instrument(series),
        "bids": machine.book.get_depth(series, 1, depth),
        "asks": machine.book.get_depth(series, 0, depth),
        "timestamp": machine.state.globals.clock,
    }


def find_greeks(machine: Machine, series: int) -> tuple[Greeks, float] | None:
    """Sensitivities a unit, and the volatility; None without a live slice."""
    underlying, expiry, strike, _ = decode_series(series)
    market = machine.state.markets[underlying]
    item = get_slice(market, expiry)
    if item is None:
        return None
    surface = compute_surface(item)
    v = compute_surface_v(surface, strike)
    seconds = max(expiry - market.mark_time, 0)
    return compute_greeks(surface.forward, strike, v, seconds), v / ONE / math.sqrt(seconds / YEAR_S) if seconds else 0.0


def encode_greeks(greeks: Greeks, is_call: int, forward: int, units: float = 1.0) -> dict[str, float]:
    """Delta in units of the underlying, gamma a dollar of forward, vega a point of volatility and theta a day, both in USD."""
    return {
        "delta": units * (greeks.delta / ONE - (0 if is_call else 1)),
        "gamma": units * greeks.gamma_f / ONE / (forward / 1e6),
        "vega": units * greeks.vega / 1e8,
        "theta": units * greeks.theta / 1e6,
    }


def view_ticker(machine: Machine, series: int) -> dict[str, Any]:
    """Marks, the best of both sides, Greeks."""
    underlying, expiry, _, is_call = decode_series(series)
    market = machine.state.markets[underlying]
    item, mark, found = get_slice(market, expiry), compute_mark(series, market), find_greeks(machine, series)
    bid, ask = machine.book.get_depth(series, 1, 1), machine.book.get_depth(series, 0, 1)
    return {
        "instrument_name": encode_instrument(series),
        "timestamp": market.mark_time,
        "index_price": market.index_price,
        "underlying_price": item.forward if item else None,
        "mark_price": None if mark is None else mark // LOTS_PER_UNIT,
        "mark_iv": found[1] if found else None,
        "best_bid_price": bid[0][0] if bid else None,
        "best_bid_amount": bid[0][1] if bid else 0,
        "best_ask_price": ask[0][0] if ask else None,
        "best_ask_amount": ask[0][1] if ask else 0,
        "greeks": encode_greeks(found[0], is_call, item.forward) if found and item else None,
    }


def view_position(machine: Machine, position: Position) -> dict[str, Any]:
    """`size` in lots, negative for short; `mark_price` a lot, rounded down."""
    series, lots = position
    underlying, expiry, _, is_call = decode_series(series)
    market = machine.state.markets[underlying]
    item, mark, found = get_slice(market, expiry), compute_mark(series, market), find_greeks(machine, series)
    greeks = encode_greeks(found[0], is_call, item.forward, lots / LOTS_PER_UNIT) if found and item else {}
    return {
        "instrument_name": encode_instrument(series),
        "size": lots,
        "direction": "buy" if lots > 0 else "sell",
        "mark_price": None if mark is None else mark // LOTS_PER_UNIT,
        **greeks,
    }


def view_positions(machine: Machine, index: int) -> list[dict[str, Any]]:
    """In the order of the series."""
    return [view_position(machine, position) for position in machine.state.get_account(index).positions]


def view_account(index: int, account: Account) -> dict[str, Any]:
    """What a signer must know."""
    return {
        "account": index,
        "owner": "0x" + account.owner.to_bytes(20, "big").hex(),
        "generation": account.generation,
        "nonce": account.nonce,
    }


def view_summary(machine: Machine, index: int) -> dict[str, Any]:
    """Margins by the rules, Greeks by underlying."""
    account = machine.state.get_account(index)
    margin = compute_margin(account.cash, account.positions, machine.state.markets)
    totals: dict[str, dict[str, float]] = {}
    for series, lots in account.positions:
        sums = totals.setdefault(UNDERLYINGS[decode_series(series).underlying], dict.fromkeys(("delta", "gamma", "vega", "theta"), 0.0))
        shown = view_position(machine, (series, lots))
        for name in sums:
            sums[name] += shown.get(name, 0.0)
    return view_account(index, account) | {
        "cash": account.cash,
        "equity": margin.equity,
        "maintenance_margin": margin.maintenance,
        "initial_margin": margin.initial,
        "available_funds": max(min(account.cash, margin.equity - margin.initial if margin.has_short else account.cash), 0),
        "is_flagged": bool(account.flag),
        "greeks": totals,
        "open_orders": len(machine.book.by_account.get(index, ())),
    }


class Owners:
    """Accounts by their owner's address; an owner has one. Read along as they are opened: a stranger's question must not cost a search."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._indices: dict[int, int] = {}
        self._known = 0

    def find(self, machine: Machine, owner: int) -> int | None:
        """The account's index."""
        if self._engine is not machine.engine:  # a rebuild may have given indices to others
            self._engine, self._known = machine.engine, 0
            self._indices.clear()
        for index in range(self._known, machine.state.globals.accounts):
            self._indices[machine.state.get_account(index).owner] = index
        self._known = machine.state.globals.accounts
        return self._indices.get(owner)
