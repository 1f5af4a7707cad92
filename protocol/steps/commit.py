"""COMMIT: the only step of a TRADE that writes. Twin: contracts/steps/commit.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.quotes import fill_quote
from protocol.rules import Rules
from protocol.state import View, put_bit
from protocol.steps.margin import ARGUMENTS, compute_side, get_inputs
from protocol.types import Account, Bitmap, Header, Trade, is_holder, is_risky

__all__ = ["ARGUMENTS", "TOUCHES", "apply_trade", "get_inputs", "step"]
TOUCHES = ("globals", "holder", "order", "holder", "order", "word", "word", "word", "word")


def put_bits(view: View, index: int, a: Account) -> None:
    """Keeps the bitmaps of the accounts that scans visit. A flagged account stays RISKY: only the scan can take its flag away."""
    put_bit(view, Bitmap.RISKY, index, bool(a.flag) or is_risky(a.cash, a.positions))
    put_bit(view, Bitmap.HOLDER, index, is_holder(a))


def put_fill(view: View, index: int, slot: int, lots: int) -> None:
    """What has been filled of an order, or of the quote of a page that the slot names."""
    ref, at = slot >> view.params.slot_depth, view.params.get_slot(slot)
    if ref:
        view.put_page(index, at, fill_quote(view.get_page(index, at), ref, lots))
    else:
        view.put_order(index, at, view.get_order(index, at).fill(lots))


def apply_trade(view: View, trade: Trade, maker: Account, taker: Account) -> None:
    """Both sides as the trade leaves them, the fee, what is filled, and the bits of both accounts. The checks are behind it."""
    lots = abs(trade.units)
    view.put_globals(view.get_globals().collect(trade.fee))
    view.put_account(trade.maker, maker)
    put_fill(view, trade.maker, trade.maker_slot, lots)
    view.put_account(trade.taker, taker)
    put_fill(view, trade.taker, trade.taker_slot, lots)
    put_bits(view, trade.maker, maker)
    put_bits(view, trade.taker, taker)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Nothing came between the checks and this."""
    assert pre.trade is not None
    # READ
    trade = pre.trade
    view.get_globals()
    maker = view.get_account(trade.maker)
    view.get_order(trade.maker, rules.params.get_slot(trade.maker_slot))
    taker = view.get_account(trade.taker)
    # WRITE
    apply_trade(view, trade, compute_side(trade, maker, True), compute_side(trade, taker, False))
    return next_row(h), Code.OK
