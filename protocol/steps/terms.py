"""TERMS: the first step of a TRADE, which checks everything but margin. Twin: contracts/steps/terms.vy."""

from protocol.codes import Code
from protocol.fixed_point import div_up
from protocol.kernel import Quote
from protocol.machine import Preimages, next_row
from protocol.rules import Rules
from protocol.state import View
from protocol.types import LOTS_PER_UNIT, Account, Header, Order, Phase, Trade, compute_trade_hash

ARGUMENTS = ("uint256[]",)  # items
TOUCHES = ("globals", "markets", "account", "order", "account", "order")
MIN_FEE = 50_000  # 0.05 USD


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The row."""
    return (pre.items,)


def compute_fee(forward: int, price: int, lots: int) -> int:
    """3 basis points of the forward, at most 12.5 % of the premium, at least 0.05 USD. Rounded up, against the taker."""
    share = div_up(forward * lots * 3, 10_000 * LOTS_PER_UNIT)
    return max(MIN_FEE, min(share, div_up(price * lots, 8)))


def check_orders(m: Order, t: Order, maker: Account, taker: Account, lots: int, clock: int) -> Code:
    """Whether two registered orders may meet for `lots` at the maker's price."""
    if m.lots == 0 or t.lots == 0:
        return Code.ORDER
    if m.generation != maker.generation or t.generation != taker.generation:
        return Code.GENERATION
    if m.valid_until < clock or t.valid_until < clock:
        return Code.EXPIRED
    if m.series != t.series:
        return Code.SERIES
    if m.is_buy == t.is_buy:
        return Code.SIDE
    if (t.price < m.price) if t.is_buy else (t.price > m.price):
        return Code.LIMIT
    if lots == 0:
        return Code.LOTS
    if lots > m.lots - m.filled or lots > t.lots - t.filled:
        return Code.OVERFILL
    return Code.OK


def check_price(quote: Quote | None, price: int, clock: int) -> Code:
    """Listed, not expired, and |price - mark| <= 5 % of the mark + 0.5 % of the forward, per unit; exact, without a division."""
    if quote is None or clock >= quote.slice.expiry:
        return Code.SERIES
    if 1_000 * abs(price * LOTS_PER_UNIT - quote.mark) > 50 * quote.mark + 5 * quote.slice.forward:
        return Code.BAND
    return Code.OK


def _compute_trade(items: tuple[int, ...], m: Order, forward: int) -> Trade:
    _, maker, maker_slot, taker, taker_slot, lots = items
    maker_lots = lots if m.is_buy else -lots
    return Trade(maker, maker_slot, taker, taker_slot, m.series, maker_lots, m.price, compute_fee(forward, m.price, lots))


def compute_terms(view: View, items: tuple[int, ...], rules: Rules) -> tuple[Trade | None, Code]:
    """The trade that the row stands for, if two live orders agree on it."""
    _, maker_index, maker_slot, taker_index, taker_slot, lots = items
    # READ
    g = view.get_globals()
    if maker_index >= g.accounts or taker_index >= g.accounts:
        return None, Code.ACCOUNT
    if maker_index == taker_index:
        return None, Code.SELF_TRADE
    if maker_slot >= rules.params.order_slots or taker_slot >= rules.params.order_slots:
        return None, Code.ORDER
    markets = view.get_markets()
    maker, m = view.get_account(maker_index), view.get_order(maker_index, maker_slot)
    taker, t = view.get_account(taker_index), view.get_order(taker_index, taker_slot)
    # CHECK
    if maker.owner == taker.owner:
        return None, Code.SELF_TRADE
    code = check_orders(m, t, maker, taker, lots, g.clock)
    if code != Code.OK:
        return None, code
    quote = rules.kernel.get_quote(m.series, markets)
    code = check_price(quote, m.price, g.clock)
    if quote is None or code != Code.OK:
        return None, code
    # COMPUTE
    return _compute_trade(items, m, quote.slice.forward), Code.OK


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Writes nothing: the trade goes on to its margin steps in the scratch."""
    trade, code = compute_terms(view, pre.items, rules)
    if trade is None:
        return next_row(h), code
    pre.trade = trade
    return h._replace(phase=Phase.MAKER, scratch=compute_trade_hash(trade)), Code.OK
