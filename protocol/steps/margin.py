"""MAKER and TAKER: may this side of the trade have what the trade gives it? Twin: contracts/steps/margin.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.margin import check_trade
from protocol.positions import apply_lots, get_lots
from protocol.rules import Rules
from protocol.series import decode_series
from protocol.state import View
from protocol.types import Account, Header, Market, Phase, Trade

ARGUMENTS = ("(uint256,uint256,uint256,uint256,uint256,int256,uint256,uint256)",)  # trade
TOUCHES = ("globals", "holder", "markets")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The trade behind the scratch."""
    return (tuple(pre.trade or ()),)


def compute_side(trade: Trade, a: Account, is_maker: bool) -> Account:
    """The account after its side of the trade: the buyer pays the premium, the taker the fee."""
    lots = trade.maker_lots if is_maker else -trade.maker_lots
    cash = a.cash - lots * trade.price - (0 if is_maker else trade.fee)
    return a.settle(cash, apply_lots(a.positions, trade.series, lots))


def check_opening(series: int, a: Account, markets: tuple[Market, Market], rules: Rules) -> Code:
    """A position is opened only at a strike between a tenth of the forward and ten times it; closing is always possible."""
    if get_lots(a.positions, series):
        return Code.OK
    strike = decode_series(series).strike
    quote = rules.kernel.get_quote(series, markets)
    if quote is None or 10 * strike < quote.slice.forward or strike > 10 * quote.slice.forward:
        return Code.STRIKE
    return Code.OK


def check(view: View, trade: Trade, is_maker: bool, rules: Rules) -> tuple[Account, Code]:
    """One side after the trade, and whether it may be so. Bounds first, so that what follows cannot overflow on L1; then margin."""
    # READ
    clock = view.get_globals().clock
    index = trade.maker if is_maker else trade.taker
    a = view.get_account(index)
    markets = view.get_markets()
    # COMPUTE
    after = compute_side(trade, a, is_maker)
    # CHECK
    code = check_opening(trade.series, a, markets, rules)
    if code != Code.OK:
        return after, code
    risk = rules.kernel.compute_side(index, a, after, trade.series, markets)
    if not risk.is_bounded:
        return after, Code.POSITIONS
    oldest = min([markets[of].mark_time for of in risk.held], default=clock)
    is_stale = clock - oldest > rules.params.mark_max_age_s
    return after, check_trade(risk.before, risk.after, bool(a.flag), is_stale)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """The same for both sides; the phase says which."""
    assert pre.trade is not None
    is_maker = h.phase == Phase.MAKER
    _, code = check(view, pre.trade, is_maker, rules)
    if code != Code.OK:
        return next_row(h), code
    return h._replace(phase=Phase.TAKER if is_maker else Phase.COMMIT), Code.OK
