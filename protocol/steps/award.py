"""AWARD: the only step of a BID that writes. Twin: contracts/steps/award.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.rules import Rules
from protocol.state import View
from protocol.steps.commit import put_bits
from protocol.steps.margin import ARGUMENTS, compute_side, get_inputs
from protocol.types import Header

__all__ = ["ARGUMENTS", "TOUCHES", "get_inputs", "step"]
TOUCHES = ("globals", "holder", "holder", "word", "word", "word", "word")


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """The target stays flagged until the next mark's scan: a bid may have restored its margin, and may not have."""
    assert pre.trade is not None
    # READ
    trade = pre.trade
    view.get_globals()
    target, bidder = view.get_account(trade.maker), view.get_account(trade.taker)
    # COMPUTE
    target = compute_side(trade, target, True)
    bidder = compute_side(trade, bidder, False)._replace(nonce=trade.nonce)
    # WRITE
    view.put_account(trade.maker, target)
    view.put_account(trade.taker, bidder)
    put_bits(view, trade.maker, target)
    put_bits(view, trade.taker, bidder)
    return next_row(h), Code.OK
