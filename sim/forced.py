"""What traders and oracles force in by L1 when there is no sequencer: rows signed from a known state, one message each."""

from collections.abc import Sequence

from coincurve import PrivateKey

from protocol.codec.frames import Message
from protocol.margin import compute_mark
from protocol.operations import build_withdraw
from protocol.rules import Rules
from protocol.series import decode_series
from protocol.state import State
from sim.scribe import Scribe

ALL = 1 << 58  # more than any account has, 1e-6 USD: a withdrawal pays what is free


def open_scribe(rules: Rules, state: State, keys: Sequence[PrivateKey], oracles: Sequence[PrivateKey], now: int) -> Scribe:
    """Signs for everybody from a known state on: `keys` by account."""
    scribe = Scribe(rules.params, now, len(keys), rules.domain)
    scribe.keys, scribe.oracles = list(keys), list(oracles)
    for index in range(len(keys)):
        slots = state.orders.get(index, {})
        scribe.nonces[index] = max([state.get_account(index).nonce, *(entry.nonce for entry in slots.values())])
    scribe.mark_times = [market.mark_time for market in state.get_markets()]
    return scribe


def take_message(scribe: Scribe) -> Message:
    """The rows so far as one forced message; who sends it is for the sender to say."""
    scribe.force(0)
    (message,) = scribe.close_queue(0).messages
    return message


def find_pair(state: State) -> tuple[int, int, int]:
    """Series, an account that has sold it and one that has bought it: the dearest there is."""
    market, _ = state.get_markets()
    sides: dict[int, tuple[list[int], list[int]]] = {}
    for index, account in state.accounts.items():
        for series, lots in account.positions:
            if index < state.params.max_accounts and decode_series(series)[0] == 0:
                sides.setdefault(series, ([], []))[lots > 0].append(index)
    series = max((series for series, (short, long) in sides.items() if short and long), key=lambda one: compute_mark(one, market) or 0)
    short, long = sides[series]
    return series, short[0], long[0]


def write_trade(scribe: Scribe, state: State) -> Message:
    """Two traders close a lot between them at the mark: both orders, both signatures and the trade in one message."""
    series, short, long = find_pair(state)
    price = max((compute_mark(series, state.get_markets()[0]) or 0) // 100, 1)
    bid = scribe.order(short, series, 1, price, 1, state.get_account(short).generation)
    ask = scribe.order(long, series, 0, price, 1, state.get_account(long).generation)
    scribe.trade(short, bid, long, ask, 1)
    return take_message(scribe)


def write_withdrawal(scribe: Scribe, index: int, amount: int = ALL) -> Message:
    """Needs no signature: who sends it on L1 is the owner."""
    scribe.add(build_withdraw(index, amount, scribe.take_nonce(index), True))
    return take_message(scribe)


def write_last_marks(scribe: Scribe, state: State, shut_at: int) -> Message:
    """By the oracles, of the shutdown's time: what everything is worth."""
    for underlying, market in enumerate(state.get_markets()):
        if market.mark_time:
            live = tuple(item for item in market.slices if item.expiry > shut_at)
            scribe.mark(underlying, market._replace(mark_time=shut_at, slices=live))
    return take_message(scribe)


def write_settlement(scribe: Scribe) -> Message:
    """Anyone's, once the day after the shutdown is over."""
    scribe.shutdown()
    return take_message(scribe)


def compute_left(state: State) -> dict[str, int]:
    """Who the vault's money still belongs to when all withdrawals are paid, 1e-6 USD."""
    g = state.globals
    users = sum(account.cash + max(account.request, 0) for account in state.accounts.values())
    return {"users": users, "pool": g.pool, "fund": g.fund, "fees": g.fees, "debt": -g.debt}
