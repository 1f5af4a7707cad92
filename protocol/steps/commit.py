"""COMMIT: the only step of a TRADE that writes. Twin: contracts/steps/commit.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.rules import Rules
from protocol.state import View
from protocol.steps.margin import compute_side
from protocol.types import Account, Header, Trade, is_risky

ARGUMENTS = ("(uint256,uint256,uint256,uint256,uint256,int256,uint256,uint256)",)  # trade
TOUCHES = ("globals", "holder", "order", "holder", "order", "word", "word")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The trade behind the scratch."""
    return (tuple(pre.trade or ()),)


def put_bit(view: View, index: int, a: Account) -> None:
    """Keeps the bitmap of the accounts that the scan visits. A flagged account stays in it: only the scan can take its flag away."""
    word = view.get_word(index >> 8)
    bit = 1 << (index & 255)
    after = word | bit if a.flag or is_risky(a.cash, a.positions) else word & ~bit
    if after != word:
        view.put_word(index >> 8, after)


def apply_trade(view: View, trade: Trade, maker: Account, taker: Account) -> None:
    """Both sides as the trade leaves them, the fee, what is filled, and the bits of both accounts. The checks are behind it."""
    lots = abs(trade.maker_lots)
    g = view.get_globals()
    view.put_globals(g.collect(trade.fee))
    view.put_account(trade.maker, maker)
    view.put_order(trade.maker, trade.maker_slot, view.get_order(trade.maker, trade.maker_slot).fill(lots))
    view.put_account(trade.taker, taker)
    view.put_order(trade.taker, trade.taker_slot, view.get_order(trade.taker, trade.taker_slot).fill(lots))
    put_bit(view, trade.maker, maker)
    put_bit(view, trade.taker, taker)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Nothing came between the checks and this."""
    assert pre.trade is not None
    # READ
    trade = pre.trade
    view.get_globals()
    maker = view.get_account(trade.maker)
    view.get_order(trade.maker, trade.maker_slot)
    taker = view.get_account(trade.taker)
    # WRITE
    apply_trade(view, trade, compute_side(trade, maker, True), compute_side(trade, taker, False))
    return next_row(h), Code.OK
