"""SCAN: one account of a scan, or one bitmap word without any. Twin: contracts/steps/scan.vy.

A scan visits every account whose bit is set, in index order, and the sequencer has no say in it. What happens there is in
`protocol/sweeps/`, one module a mode; the way from account to account is in `protocol/sweeps/modes.py`.
"""

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.state import View, get_word_index, put_bit
from protocol.sweeps.modes import WORK, enter, get_next, go_on
from protocol.sweeps.tour import End, Tour
from protocol.types import Account, Bitmap, Header, Mode, Phase

SWEEP_TYPE = "(uint256,uint256,uint256,uint256,uint256,int256,int256,int256,int256,int256,uint256,uint256,int256,int256,bytes32)"
ARGUMENTS = (SWEEP_TYPE, "uint256[]")  # sweep, lines
TOUCHES = ("globals", "word", "holder", "markets", "word")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """The scan behind the scratch."""
    return (tuple(pre.sweep), pre.lines)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Always applies."""
    # READ
    g = view.get_globals()
    cursor = pre.sweep.cursor
    work = WORK[Mode(pre.sweep.mode)]
    place = get_word_index(work.bitmap, cursor, rules.params)
    word = view.get_word(place)
    index = get_next(word, cursor)
    is_visit = index >> 8 == cursor >> 8
    before = view.get_account(index) if is_visit else Account()
    tour = Tour(g.spend(1), pre.sweep, pre.lines, view.get_markets())
    if not is_visit:
        return go_on(h, view, pre, tour.put_sweep(cursor=index)), Code.OK
    # COMPUTE
    visit = work.visit(index, before, tour.put_sweep(cursor=index + 1), rules)
    # WRITE
    if visit.account is not before:
        view.put_account(index, visit.account)
    if not visit.keeps_bit:
        view.put_word(place, word & ~(1 << (index & 255)))
        if index >= rules.params.max_accounts and pre.sweep.mode == Mode.FLAG:
            put_bit(view, Bitmap.HOLDER, index, False)
    if visit.is_ripe:
        return enter(h, view, pre, End(visit.tour, Phase.TAKEOVER)), Code.OK
    return go_on(h, view, pre, visit.tour), Code.OK
