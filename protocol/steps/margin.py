"""MAKER and TAKER: may this side of the trade have what the trade gives it? Twin: contracts/steps/margin.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.margin import check_trade, get_slice, is_stale
from protocol.positions import apply_lots, get_lots, is_bounded
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
    return a._replace(cash=cash, positions=apply_lots(a.positions, trade.series, lots))


def check_opening(series: int, a: Account, markets: tuple[Market, Market]) -> Code:
    """A position is opened only at a strike between a tenth of the forward and ten times it; closing is always possible."""
    if get_lots(a.positions, series):
        return Code.OK
    underlying, expiry, strike, _ = decode_series(series)
    item = get_slice(markets[underlying], expiry)
    if item is None or 10 * strike < item.forward or strike > 10 * item.forward:
        return Code.STRIKE
    return Code.OK


def check_side(trade: Trade, a: Account, markets: tuple[Market, Market], clock: int, is_maker: bool, rules: Rules) -> Code:
    """Bounds first, so that what follows cannot overflow on L1; then margin."""
    after = compute_side(trade, a, is_maker)
    code = check_opening(trade.series, a, markets)
    if code != Code.OK:
        return code
    if not is_bounded(after.positions):
        return Code.POSITIONS
    compute_margin = rules.kernel.compute_margin
    before, then = compute_margin(a.cash, a.positions, markets), compute_margin(after.cash, after.positions, markets)
    stale = is_stale(after.positions, markets, clock, rules.params.mark_max_age_s)
    return check_trade(before, then, bool(a.flag), stale)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """The same for both sides; the phase says which."""
    trade = pre.trade
    assert trade is not None
    is_maker = h.phase == Phase.MAKER
    # READ
    g = view.get_globals()
    a = view.get_account(trade.maker if is_maker else trade.taker)
    markets = view.get_markets()
    # CHECK
    code = check_side(trade, a, markets, g.clock, is_maker, rules)
    if code != Code.OK:
        return next_row(h), code
    # WRITE
    return h._replace(phase=Phase.TAKER if is_maker else Phase.COMMIT), Code.OK
