"""What may be read of the markets: instruments, books, tickers. Money is an integer of 1e-6 USD, amounts are lots, times chain seconds.

Greeks and volatilities are shown as numbers for people; nothing is decided by them.
"""

import math
from typing import Any

from node.instruments import encode_instrument, encode_legs
from protocol.legs import pack_plain, unpack_leg
from protocol.margin import compute_mark, get_slice
from protocol.pricing import Greeks, compute_greeks
from protocol.series import STRIKE_UNIT, decode_series, encode_series
from protocol.svi import compute_surface, compute_surface_v
from protocol.types import LOTS_PER_UNIT, UNDERLYINGS
from sequencer.book import Resting
from sequencer.events import Legs
from sequencer.machine import Machine
from sequencer.orders import is_plain
from sequencer.rfqs import Rfq

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
    """A grid for each expiry that is listed, be it that it waits for its settlement, and whatever has an order."""
    found = {leg >> 32 for legs in machine.book.list_legs() for leg in legs}
    for number, market in enumerate(machine.state.markets):
        for item in market.slices:
            for strike in build_grid(item.forward):
                found |= {encode_series(number, item.expiry, strike, is_call) for is_call in (0, 1)}
    return sorted(series for series in found if underlying is None or decode_series(series).underlying == underlying)


def list_combos(machine: Machine) -> list[dict[str, Any]]:
    """Combinations that have an order."""
    found = sorted(legs for legs in machine.book.list_legs() if not is_plain(legs))
    return [{"instrument_name": encode_legs(legs), "legs": view_legs(legs)} for legs in found]


def view_legs(legs: Legs) -> list[dict[str, Any]]:
    """With the lots of each in one unit."""
    return [{"instrument_name": encode_instrument(series), "ratio": ratio} for series, ratio in map(unpack_leg, legs)]


def view_instrument(machine: Machine, series: int) -> dict[str, Any]:
    """The terms behind a name. `state`: open, halted (positions may only become smaller), settling (expired, and not yet paid)."""
    underlying, expiry, strike, is_call = decode_series(series)
    clock, market = machine.state.globals.clock, machine.state.markets[underlying]
    item, is_halted = get_slice(market, expiry), clock < market.halted_until
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
        "state": "settling" if expiry <= clock else "halted" if is_halted else "open",
        "halted_until": market.halted_until if is_halted else None,
        "closing_price": (item.close or None) if item else None,
    }


def view_book(machine: Machine, legs: Legs, depth: int) -> dict[str, Any]:
    """Levels of (price, amount), best first."""
    return {
        "instrument_name": encode_legs(legs),
        "bids": machine.book.get_depth(legs, 1, depth),
        "asks": machine.book.get_depth(legs, 0, depth),
        "timestamp": machine.state.globals.clock,
    }


def view_rfq(machine: Machine, rfq: Rfq) -> dict[str, Any]:
    """With the answers of both sides, best first."""

    def view_answer(order: Resting) -> dict[str, Any]:
        return {"order_id": f"{order.account}-{order.nonce}", "price": order.price, "amount": order.left}

    bids, asks = ([view_answer(order) for order in machine.book.list_side(rfq.legs, is_buy, rfq.number)] for is_buy in (1, 0))
    name = encode_legs(rfq.legs)
    return {"rfq_id": rfq.number, "instrument_name": name, "amount": rfq.lots, "valid_until": rfq.valid_until, "bids": bids, "asks": asks}


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


def view_best(machine: Machine, legs: Legs) -> dict[str, Any]:
    """The first level of both sides."""
    bid, ask = machine.book.get_depth(legs, 1, 1), machine.book.get_depth(legs, 0, 1)
    return {
        "best_bid_price": bid[0][0] if bid else None,
        "best_bid_amount": bid[0][1] if bid else 0,
        "best_ask_price": ask[0][0] if ask else None,
        "best_ask_amount": ask[0][1] if ask else 0,
    }


def view_ticker(machine: Machine, legs: Legs) -> dict[str, Any]:
    """Marks, the best of both sides, Greeks; of a combination its legs' tickers, and its mark a unit, rounded down."""
    if not is_plain(legs):
        tickers = [view_ticker(machine, pack_plain(leg >> 32)) | {"ratio": unpack_leg(leg)[1]} for leg in legs]
        marks = [compute_mark(leg >> 32, machine.state.markets[decode_series(leg >> 32).underlying]) for leg in legs]
        known = [mark for mark in marks if mark is not None]
        total = sum(unpack_leg(leg)[1] * mark for leg, mark in zip(legs, known, strict=False))
        mark = total // LOTS_PER_UNIT if len(known) == len(legs) else None
        return {"instrument_name": encode_legs(legs), "mark_price": mark, **view_best(machine, legs), "legs": tickers}
    series = legs[0] >> 32
    underlying, expiry, _, is_call = decode_series(series)
    market = machine.state.markets[underlying]
    item, mark, found = get_slice(market, expiry), compute_mark(series, market), find_greeks(machine, series)
    return {
        "instrument_name": encode_instrument(series),
        "timestamp": market.mark_time,
        "index_price": market.index_price,
        "underlying_price": item.forward if item else None,
        "mark_price": None if mark is None else mark // LOTS_PER_UNIT,
        "mark_iv": found[1] if found else None,
        **view_best(machine, legs),
        "greeks": encode_greeks(found[0], is_call, item.forward) if found and item else None,
    }
