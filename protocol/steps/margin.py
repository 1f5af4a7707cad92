"""MAKER, TAKER and BIDDER: may this side of the trade have what the trade gives it? Twin: contracts/steps/margin.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.margin import check_trade
from protocol.positions import apply_legs, get_lots, is_shrinking
from protocol.rules import Rules
from protocol.series import UNDERLYING_SHIFT, decode_series
from protocol.state import View
from protocol.steps.terms import MAKER_REDUCES, TAKER_REDUCES
from protocol.types import Account, Header, Market, Phase, Trade, encode_legs

ARGUMENTS = ("(uint256,uint256,uint256,uint256,uint256[4],int256,int256,uint256,uint256,int256,int256,uint256)",)  # trade
TOUCHES = ("globals", "holder", "markets")
NEXT = {Phase.MAKER: Phase.TAKER, Phase.TAKER: Phase.COMMIT, Phase.BIDDER: Phase.TARGET}


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The trade behind the scratch."""
    assert pre.trade is not None
    return ((*pre.trade[:4], encode_legs(pre.trade.legs), *pre.trade[5:]),)


def compute_side(trade: Trade, a: Account, is_maker: bool) -> Account:
    """The account after its side of the trade: the buyer pays the price, the taker the fee."""
    units = trade.units if is_maker else -trade.units
    cash = a.cash - units * trade.price - (0 if is_maker else trade.fee)
    return a.settle(cash, apply_legs(a.positions, trade.legs, units))


def check_opening(legs: tuple[int, ...], a: Account, markets: tuple[Market, Market], rules: Rules) -> Code:
    """A position is opened only at a strike between a tenth of the forward and ten times it; closing is always possible."""
    for leg in legs:
        series = leg >> 32
        if get_lots(a.positions, series):
            continue
        strike = decode_series(series).strike
        quote = rules.kernel.get_quote(series, markets)
        if quote is None or 10 * strike < quote.slice.forward or strike > 10 * quote.slice.forward:
            return Code.STRIKE
    return Code.OK


def check_shrinking(trade: Trade, a: Account, markets: tuple[Market, Market], clock: int, is_maker: bool) -> Code:
    """Positions may only become smaller where the order says so, and while the market of a leg is halted."""
    is_reduce_only = trade.flags & (MAKER_REDUCES if is_maker else TAKER_REDUCES) != 0
    is_halted = clock < max([markets[leg >> 32 >> UNDERLYING_SHIFT].halted_until for leg in trade.legs])
    if not (is_reduce_only or is_halted) or is_shrinking(a.positions, trade.legs, trade.units if is_maker else -trade.units):
        return Code.OK
    return Code.REDUCE_ONLY if is_reduce_only else Code.HALTED


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
    code = check_opening(trade.legs, a, markets, rules)
    if code != Code.OK:
        return after, code
    risk = rules.kernel.compute_side(index, a, after, trade.legs, markets)
    if not risk.is_bounded:
        return after, Code.POSITIONS
    code = check_shrinking(trade, a, markets, clock, is_maker)
    if code != Code.OK:
        return after, code
    oldest = min([markets[of].mark_time for of in risk.held], default=clock)
    is_stale = clock - oldest > rules.params.mark_max_age_s
    return after, check_trade(risk.before, risk.after, bool(a.flag), is_stale)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """The same for every side; the phase says which. A bidder is a taker: the flagged account is the maker."""
    assert pre.trade is not None
    _, code = check(view, pre.trade, h.phase == Phase.MAKER, rules)
    if code != Code.OK:
        return next_row(h), code
    return h._replace(phase=NEXT[Phase(h.phase)]), Code.OK
