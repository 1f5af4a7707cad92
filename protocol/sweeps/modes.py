"""The modes of a scan, and the way from one to the next. Twin: contracts/lib/tour.vy.

The cursor goes over the accounts whose bit is set: users first, then the pool's slots, which are the last places of the account tree.
"""

from collections.abc import Callable
from typing import NamedTuple

from protocol.keccak import ZERO, compute_array_hash
from protocol.machine import Preimages, next_row
from protocol.params import Params
from protocol.rules import Rules
from protocol.state import View, get_word_index
from protocol.sweeps import deleverage, flag, request, settle, shutdown
from protocol.sweeps.tour import End, Tour, Visit
from protocol.types import WORD_ACCOUNTS, Account, Bitmap, Globals, Header, Mode, Phase, Sweep, compute_sweep_hash


class Work(NamedTuple):
    """What a mode does: over which bitmap, to each account, and at its end."""

    bitmap: Bitmap
    visit: Callable[[int, Account, Tour, Rules], Visit]
    end: Callable[[Tour], End]


WORK: dict[Mode, Work] = {
    Mode.FLAG: Work(Bitmap.RISKY, flag.visit, flag.end),
    Mode.REQUEST: Work(Bitmap.REQUEST, request.visit, request.end),
    Mode.SETTLE_TALLY: Work(Bitmap.HOLDER, settle.tally, settle.end_tally),
    Mode.SETTLE_PAY: Work(Bitmap.HOLDER, settle.pay, settle.end_pay),
    Mode.SHUTDOWN_TALLY: Work(Bitmap.HOLDER, shutdown.tally, shutdown.end_tally),
    Mode.SHUTDOWN_PAY: Work(Bitmap.HOLDER, shutdown.pay, shutdown.end_pay),
    Mode.ADL_TALLY: Work(Bitmap.HOLDER, deleverage.tally, deleverage.end_tally),
    Mode.ADL_CUT: Work(Bitmap.HOLDER, deleverage.cut, deleverage.end_cut),
}


def get_next(word: int, cursor: int) -> int:
    """The first account from `cursor` on whose bit is set in its word, or the first account of the next word."""
    rest = word >> (cursor & 255)
    if rest == 0:
        return (cursor >> 8 << 8) + WORD_ACCOUNTS
    return cursor + (rest & -rest).bit_length() - 1


def get_visited(view: View, sweep: Sweep) -> int | None:
    """Whom the next SCAN step visits; None where the cursor's word has nobody left."""
    word = view.get_word(get_word_index(WORK[Mode(sweep.mode)].bitmap, sweep.cursor, view.params))
    index = get_next(word, sweep.cursor)
    return index if index >> 8 == sweep.cursor >> 8 else None


def skip_unopened(cursor: int, accounts: int, params: Params) -> int:
    """Past the last user the cursor is at the first slot."""
    return params.max_accounts if accounts <= cursor < params.max_accounts else cursor


def is_over(cursor: int, mode: int, g: Globals, params: Params) -> bool:
    """Whether a mode has visited all; REQUEST has nothing to do at the slots."""
    return cursor >= params.max_accounts + (0 if mode == Mode.REQUEST else g.slots)


def go_on(h: Header, view: View, pre: Preimages, tour: Tour) -> Header:
    """After a step of a scan: to the next account, to the next mode, or out of it. The tour has moved past what the step visited."""
    cursor = skip_unopened(tour.sweep.cursor, tour.globals.accounts, view.params)
    end = End(tour.put_sweep(cursor=cursor), Phase.SCAN)
    if is_over(cursor, tour.sweep.mode, tour.globals, view.params):
        end = WORK[Mode(tour.sweep.mode)].end(end.tour)
        if end.tour.markets is not tour.markets:
            view.put_markets(end.tour.markets)
    return enter(h, view, pre, end)


def enter(h: Header, view: View, pre: Preimages, end: End) -> Header:
    """Writes what the tour carries, and goes to the end's phase."""
    g, sweep, lines, _ = end.tour
    view.put_globals(g)
    if end.phase == Phase.FETCH:
        pre.sweep, pre.lines = Sweep(), ()
        return next_row(h)
    pre.sweep = sweep._replace(lines=compute_array_hash(lines) if lines else ZERO)
    pre.lines = lines
    return h._replace(phase=end.phase, scratch=compute_sweep_hash(pre.sweep))
