"""SHUTDOWN: the first freezes the exchange, the second turns everything into cash. Twin: contracts/steps/shutdown.vy."""

from protocol.codes import Code
from protocol.machine import Preimages, next_row, open_scan
from protocol.rules import Rules
from protocol.state import View
from protocol.types import INBOX_AUTHORITY, Header, Mode, Sweep

ARGUMENTS = ()
TOUCHES = ("globals",)


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """Nothing but the state: the row says no more than its kind."""
    return ()


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """In between, the oracles may sign one more mark, and expiries may settle."""
    authority = h.authority
    h = next_row(h)
    # READ
    g = view.get_globals()
    # CHECK
    if g.shutdown == 0:
        if authority != INBOX_AUTHORITY:
            return h, Code.AUTHORITY
        view.put_globals(g._replace(shutdown=g.clock))
        return h, Code.OK
    if g.is_settled or g.clock < g.shutdown + rules.params.shutdown_s:
        return h, Code.SHUTDOWN_TIME
    # WRITE
    if g.accounts:
        return open_scan(h, pre, Sweep(mode=Mode.SHUTDOWN_TALLY)), Code.OK
    view.put_globals(g._replace(is_settled=1))
    return h, Code.OK
