"""SCAN: one account of the mandatory scan, or one bitmap word without any. Twin: contracts/steps/scan.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row
from protocol.margin import Margin
from protocol.rules import Rules
from protocol.state import View
from protocol.types import WORD_ACCOUNTS, Account, Header, is_risky

ARGUMENTS = ()
TOUCHES = ("globals", "word", "holder", "markets")


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """Nothing but the state."""
    return ()


def get_next(word: int, cursor: int) -> int:
    """The first account from `cursor` on whose bit is set in its word, or the first account of the next word."""
    rest = word >> (cursor & 255)
    if rest == 0:
        return (cursor >> 8 << 8) + WORD_ACCOUNTS
    return cursor + (rest & -rest).bit_length() - 1


def compute_flag(a: Account, margin: Margin, mark: int) -> Account:
    """Flags below maintenance, unflags at or above it. A flag kills the account's orders."""
    is_healthy = margin.equity >= margin.maintenance and a.cash >= 0
    if a.flag and is_healthy:
        return a._replace(flag=0)
    if not a.flag and (a.cash < 0 or (margin.has_short and not is_healthy)):
        return a._replace(flag=mark, generation=a.generation + 1)
    return a


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """The sequencer has no say in it: every set bit is visited, in index order."""
    # READ
    g = view.get_globals()
    word = view.get_word(g.cursor >> 8)
    index = get_next(word, g.cursor)
    cursor = index
    if index >> 8 == g.cursor >> 8:
        a = view.get_account(index)
        markets = view.get_markets()
        # COMPUTE
        after = compute_flag(a, rules.kernel.compute_margin(a.cash, a.positions, markets), g.marks)
        # WRITE
        view.put_account(index, after)
        if not is_risky(a.cash, a.positions):
            view.put_word(index >> 8, word & ~(1 << (index & 255)))
        cursor = index + 1
    is_over = cursor >= g.accounts
    view.put_globals(g._replace(cursor=0 if is_over else cursor, allowance=g.allowance - 1))
    return (next_row(h) if is_over else h), Code.OK
