"""FETCH: admits the next row, or leaves rows that have ended. Twin: contracts/steps/fetch.vy."""

from protocol.codec.rows import decode_row
from protocol.codes import Code
from protocol.keccak import compute_array_hash
from protocol.machine import Preimages, is_admitted, next_source
from protocol.operations import count_signatures, get_layout
from protocol.rules import Rules
from protocol.state import View
from protocol.types import Header

ARGUMENTS = ("bytes",)  # rows
TOUCHES = ("globals",)


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    """All of the rows: L1 knows them only by one hash."""
    return (pre.rows,)


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    """Admits a row while its source has steps left; a broken one drops the rest. A frozen one still takes its signatures."""
    # READ
    g = view.get_globals()
    pre.items = ()
    # CHECK
    if h.offset >= len(pre.rows):
        return next_source(h), Code.OK
    if not is_admitted(h.authority, g.allowance, rules.params):
        return next_source(h), Code.ALLOWANCE
    # COMPUTE
    items, offset = decode_row(pre.rows, h.offset)
    if items is None:
        return next_source(h), Code.MALFORMED
    layout = get_layout(items)
    # WRITE
    if layout is None:
        view.put_globals(g.spend(1))
        return h._replace(offset=offset), Code.MALFORMED
    if g.shutdown and layout.is_frozen:
        view.put_globals(g.spend(1))
        taken = count_signatures(layout, items[0], rules.params.quorum)
        return h._replace(offset=offset, signature=h.signature + taken), Code.FROZEN
    view.put_globals(g.spend(layout.steps))
    pre.items = items
    return h._replace(offset=offset, phase=layout.phase, scratch=compute_array_hash(items)), Code.OK
