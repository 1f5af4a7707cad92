"""TERMS: the first step of a TRADE, which checks everything but margin. Twin: contracts/steps/terms.vy."""

from collections.abc import Sequence

from protocol.codes import Code
from protocol.fixed_point import div_up
from protocol.kernel import Quote
from protocol.legs import unpack_leg
from protocol.machine import Preimages, next_row
from protocol.params import Fees, Params
from protocol.quotes import MAX_REF, get_quote_order, has_quote
from protocol.rules import Rules
from protocol.series import UNDERLYING_SHIFT
from protocol.state import EMPTY_ORDER, EMPTY_PAGE, View
from protocol.types import FILL_OR_KILL, LOTS_PER_UNIT, POST_ONLY, REDUCE_ONLY, Header, Market, Order, Phase, Trade, compute_trade_hash

ARGUMENTS = ("uint256[]",)  # items
TOUCHES = ("globals", "markets", "account", "order", "account", "order")
MILLION = 1_000_000
MAKER_REDUCES, TAKER_REDUCES = 1, 2  # flags of a trade


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row."""
    return (pre.items,)


def compute_fee(legs: Sequence[int], quotes: Sequence[Quote], price: int, lots: int, fees: Sequence[Fees]) -> int:
    """Of the taker: so much of the forward, at most so much of the premium, at least the minimum. Each term rounds up, against the taker.

    A combo pays for its legs, whatever their net price is: its terms are sums over them, a leg's premium being its mark.
    """
    share = premium = least = 0
    for leg, quote in zip(legs, quotes, strict=True):
        series, ratio = unpack_leg(leg)
        rate, size = fees[series >> UNDERLYING_SHIFT], abs(ratio) * lots
        share += div_up(quote.slice.forward * size * rate.forward_ppm, MILLION * LOTS_PER_UNIT)
        value = quote.mark if len(legs) > 1 else price * LOTS_PER_UNIT
        premium += div_up(value * size * rate.premium_ppm, MILLION * LOTS_PER_UNIT)
        least = max(least, rate.minimum)
    return max(least, min(share, premium))


def check_orders(m: Order, t: Order, generations: tuple[int, int], lots: int, clock: int) -> Code:
    """Whether two registered orders may meet for `lots` at the maker's price; `generations` of maker and taker."""
    if (m.generation, t.generation) != generations:
        return Code.GENERATION
    if m.valid_until < clock or t.valid_until < clock:
        return Code.EXPIRED
    if m.legs != t.legs:
        return Code.SERIES
    if m.is_buy == t.is_buy:
        return Code.SIDE
    if (t.price < m.price) if t.is_buy else (t.price > m.price):
        return Code.LIMIT
    if lots == 0:
        return Code.LOTS
    if lots > m.lots - m.filled or lots > t.lots - t.filled:
        return Code.OVERFILL
    if t.flags & POST_ONLY:
        return Code.POST_ONLY
    if is_broken(m, lots) or is_broken(t, lots):
        return Code.FILL_OR_KILL
    return Code.OK


def is_broken(o: Order, lots: int) -> bool:
    """An order that fills in one trade or not at all, and would not."""
    return o.flags & FILL_OR_KILL != 0 and (o.filled != 0 or lots != o.lots)


def check_price(legs: Sequence[int], quotes: Sequence[Quote], price: int) -> Code:
    """|price - mark| <= 5 % of the gross mark + 0.5 % of the gross forward, per unit; exact, without a division."""
    mark = gross = forward = 0
    for leg, quote in zip(legs, quotes, strict=True):
        _, ratio = unpack_leg(leg)
        mark += ratio * quote.mark
        gross += abs(ratio) * quote.mark
        forward += abs(ratio) * quote.slice.forward
    return Code.BAND if 1_000 * abs(price * LOTS_PER_UNIT - mark) > 50 * gross + 5 * forward else Code.OK


def read_orders(view: View, items: tuple[int, ...]) -> tuple[Order, Order, tuple[int, int], Code]:
    """What maker and taker have in their slots, with the generations of both."""
    _, maker_index, maker_slot, taker_index, taker_slot, _ = items
    ref, slot = maker_slot >> view.params.slot_depth, view.params.get_slot(maker_slot)
    # READ
    maker = view.get_account(maker_index)
    m = EMPTY_ORDER if ref else view.get_order(maker_index, slot)
    page = view.get_page(maker_index, slot) if ref else EMPTY_PAGE
    taker, t = view.get_account(taker_index), view.get_order(taker_index, taker_slot)
    # CHECK
    generations = maker.generation, taker.generation
    if maker.owner == taker.owner:
        return m, t, generations, Code.SELF_TRADE
    if m.nonce + page.nonce == 0 or t.nonce == 0:
        return m, t, generations, Code.ORDER
    if ref:
        if page.sheet != maker.sheet or not has_quote(page, ref):
            return m, t, generations, Code.SHEET
        m = get_quote_order(page, ref)
    return m, t, generations, Code.OK if m.lots else Code.ORDER


def check_row(items: tuple[int, ...], accounts: int, params: Params) -> Code:
    """Whether the row names two accounts that are there, and slots that may be."""
    _, maker, maker_slot, taker, taker_slot, _ = items
    if maker >= accounts or taker >= accounts:
        return Code.ACCOUNT
    if maker == taker:
        return Code.SELF_TRADE
    return Code.ORDER if taker_slot >= params.order_slots or maker_slot >> params.slot_depth > MAX_REF else Code.OK


def check_trade(m: Order, t: Order, lots: int, clock: int, markets: tuple[Market, Market], rules: Rules) -> tuple[int, Code]:
    """The fee, if the markets and the taker let the trade be."""
    found = [rules.kernel.get_quote(leg >> 32, markets) for leg in m.legs]
    quotes = [quote for quote in found if quote is not None and clock < quote.slice.expiry]
    if len(quotes) < len(m.legs):
        return 0, Code.SERIES
    code = check_price(m.legs, quotes, m.price)
    if code != Code.OK:
        return 0, code
    fee = compute_fee(m.legs, quotes, m.price, lots, rules.params.fees)
    return fee, Code.FEE if fee > t.fee_cap * lots else Code.OK


def make_trade(items: tuple[int, ...], m: Order, t: Order, fee: int) -> Trade:
    """What the margin steps go on with."""
    _, maker, maker_slot, taker, taker_slot, lots = items
    flags = MAKER_REDUCES * (m.flags & REDUCE_ONLY != 0) | TAKER_REDUCES * (t.flags & REDUCE_ONLY != 0)
    return Trade(maker, maker_slot, taker, taker_slot, m.legs, lots if m.is_buy else -lots, m.price, fee, flags)


def compute_terms(view: View, items: tuple[int, ...], rules: Rules) -> tuple[Trade | None, Code]:
    """The trade that the row stands for, if two live orders agree on it."""
    lots = items[5]
    # READ
    g = view.get_globals()
    code = check_row(items, g.accounts, rules.params)
    if code != Code.OK:
        return None, code
    markets = view.get_markets()
    m, t, generations, code = read_orders(view, items)
    # CHECK
    code = code or check_orders(m, t, generations, lots, g.clock)
    if code != Code.OK:
        return None, code
    fee, code = check_trade(m, t, lots, g.clock, markets, rules)
    if code != Code.OK:
        return None, code
    # COMPUTE
    return make_trade(items, m, t, fee), Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Writes nothing: the trade goes on to its margin steps in the scratch."""
    trade, code = compute_terms(view, pre.items, rules)
    if trade is None:
        return next_row(h), code
    pre.trade = trade
    return h._replace(phase=Phase.MAKER, scratch=compute_trade_hash(trade)), Code.OK
