"""What may be read of accounts: positions, margins, orders, auctions, the backstop pool. Units as in `views`."""

from collections.abc import Sequence
from typing import Any

from node.instruments import encode_instrument, encode_legs
from protocol.auction import AUCTION_MARKS, DISCOUNT_PERCENT
from protocol.fixed_point import mul_div_down
from protocol.margin import compute_margin, compute_mark, get_slice
from protocol.params import Params
from protocol.pool import VIRTUAL, compute_minted
from protocol.series import decode_series
from protocol.sessions import ADDRESS_MASK, EXPIRY_MASK, EXPIRY_SHIFT, SCOPE_SHIFT
from protocol.state import State, get_word_index
from protocol.types import (
    LOTS_PER_UNIT,
    POST_ONLY,
    REDUCE_ONLY,
    UNDERLYINGS,
    WORD_ACCOUNTS,
    Account,
    Bitmap,
    Globals,
    Market,
    Position,
)
from sequencer.book import Resting
from sequencer.engine import Engine
from sequencer.machine import Machine
from sequencer.views import encode_greeks, find_greeks


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


def view_order(order: Resting) -> dict[str, Any]:
    """One that rests, in public or as an answer to a request for quotes."""
    return {
        "order_id": f"{order.account}-{order.nonce}",
        "instrument_name": encode_legs(order.legs),
        "direction": "buy" if order.is_buy else "sell",
        "price": order.price,
        "amount": order.lots,
        "filled_amount": order.lots - order.left,
        "order_state": "open",
        "post_only": bool(order.flags & POST_ONLY),
        "reduce_only": bool(order.flags & REDUCE_ONLY),
    } | ({"rfq_id": order.rfq} if order.rfq else {})


def view_session(account: Account) -> dict[str, Any] | None:
    """The key that may sign beside the owner's; `scope` is a sum: 1 trade, 2 withdraw."""
    session = account.session
    if not session:
        return None
    key, expiry = session & ADDRESS_MASK, session >> EXPIRY_SHIFT & EXPIRY_MASK
    return {"key": f"0x{key:040x}", "scope": session >> SCOPE_SHIFT, "expiry": expiry}


def view_account(index: int, account: Account) -> dict[str, Any]:
    """What a signer must know."""
    return {
        "account": index,
        "owner": f"0x{account.owner:040x}",
        "generation": account.generation,
        "nonce": account.nonce,
        "session": view_session(account),
    }


def view_request(account: Account, params: Params) -> dict[str, Any] | None:
    """On its way into the pool with cash, or out of it with shares."""
    if not account.request:
        return None
    kind, amount = ("enter", account.request) if account.request > 0 else ("leave", -account.request)
    return {"kind": kind, "amount": amount, "due": account.request_time + params.pool_delay_s}


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
        "sheet": view_sheet(machine, index),
        "pool_shares": account.shares,
        "pool_request": view_request(account, machine.rules.params),
    }


def view_sheet(machine: Machine, index: int) -> dict[str, Any] | None:
    """Of quotes that rest, the account's newest."""
    sheet = machine.matcher.sheets.by_account.get(index)
    return None if sheet is None else {"nonce": sheet.nonce, "valid_until": sheet.valid_until, "left": sheet.left}


def view_pool(g: Globals) -> dict[str, Any]:
    """Of the backstop pool. A share counts as 1e-6: prices are of a million shares, on the way in and on the way out."""
    minted = compute_minted(VIRTUAL, max(g.pool, 0), g.slots_equity, g.shares)
    return {
        "cash": g.pool,
        "slots_equity": g.slots_equity,
        "shares": g.shares,
        "requests": g.requests,
        "exit_price": mul_div_down(VIRTUAL, max(g.pool, 0) + g.slots_equity + VIRTUAL, g.shares + VIRTUAL),
        "shares_per_usd": minted,
        "insurance_fund": g.fund,
        "debt": g.debt,
    }


def view_auction(machine: Machine, index: int) -> dict[str, Any]:
    """What may be bid for. The discount is a share of what a unit's maintenance would be alone; it grows with the marks since the flag."""
    state = machine.state
    account = state.get_account(index)
    margin = machine.rules.kernel.compute_margin(account.cash, account.positions, state.markets)
    age = max(state.globals.marks - account.flag, 0)
    return {
        "account": index,
        "marks": age,
        "discount_percent": DISCOUNT_PERCENT * min(age, AUCTION_MARKS) / AUCTION_MARKS,
        "equity": margin.equity,
        "maintenance_margin": margin.maintenance,
        "positions": [{"instrument_name": encode_instrument(series), "size": lots} for series, lots in account.positions],
    }


class Auctions:
    """Flagged accounts with positions. A mark flags, and between two marks only bids and trades change what they hold."""

    def __init__(self) -> None:
        self._markets: Sequence[Market] | None = None
        self._flagged: list[int] = []

    def find(self, machine: Machine) -> list[int]:
        """Indices, ascending."""
        state = machine.state
        if self._markets is not state.markets:
            self._markets, self._flagged = state.markets, self._find(state)
        accounts = ((index, state.get_account(index)) for index in self._flagged)
        return [index for index, account in accounts if account.flag and account.positions]

    @staticmethod
    def _find(state: State) -> list[int]:
        """By the bits of the risky, not by all accounts."""
        found = []
        for first in range(0, state.globals.accounts, WORD_ACCOUNTS):
            word = state.get_word(get_word_index(Bitmap.RISKY, first, state.params))
            found += [first + bit for bit in range(WORD_ACCOUNTS) if word >> bit & 1 and state.get_account(first + bit).flag]
        return found


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
