"""The machine's memory at one point of its journal. The state itself is kept once, as the base; what came after it is applied again."""

from typing import Any

from node.errors import NodeCode, NodeError
from protocol.codec.frames import Batch, Frame, Message, compute_record
from protocol.rules import Rules
from protocol.types import Record
from sequencer.book import Resting
from sequencer.chain import Base, Entry, Status
from sequencer.engine import Closed, OpenBatch, Row
from sequencer.journal import VERSION, decode, dump_state, encode, load_state
from sequencer.machine import Machine, Settings

ORDER_FIELDS = tuple(Resting.__dataclass_fields__)


def dump_machine(machine: Machine) -> bytes:
    """With the open batch as the rows that it holds. Not while a rebuild is due: the state is then not what the chain amounts to."""
    assert not machine.is_dirty, "rebuild first"
    base, engine = machine.base, machine.engine
    head = (machine.next_entry, machine.head_time, machine.head_number, machine.matcher.fills)
    counts = (base.batches, base.consumed, base.last_time, base.chain)
    chain = [
        (entry.number, tuple(entry.content), int(entry.status), entry.attempt, None if entry.record is None else tuple(entry.record))
        for entry in machine.chain
    ]
    orders = [tuple(getattr(order, name) for name in ORDER_FIELDS) for order in machine.book.list_orders()]
    queue = list(engine.queue.items())
    is_open = engine.batch is not None
    return encode(
        (VERSION, head, counts, dump_state(base.state), chain, _dump_open(machine) if is_open else None, orders, queue,
         machine.matcher.dump_memory(), (engine.last_time, engine.unmarked))
    )  # fmt: skip


def _dump_open(machine: Machine) -> tuple[Any, ...]:
    batch, frame = machine.engine.batch, machine.engine.frame
    assert batch is not None
    content = (batch.opened, batch.message_start, batch.messages, batch.frames, batch.rows, batch.size)
    return content, None if frame is None else (frame.time, frame.kept)


def load_machine(record: bytes, rules: Rules, settings: Settings) -> Machine:
    """Raises `NodeError` for a record of another version or a state that has another root."""
    version, *fields = decode(record)
    if version != VERSION:
        raise NodeError(NodeCode.STORE_VERSION, f"a snapshot of version {version}, this program reads {VERSION}")
    head, counts, state, chain, opened, orders, queue, memory, tail = fields
    base = Base(load_state(state, rules.params), *counts)
    machine = Machine(rules, settings, base.state.copy())
    machine.base = base
    machine.next_entry, machine.head_time, machine.head_number, machine.matcher.fills = head
    engine = machine.engine
    engine.queue = {number: Message(*message) for number, message in queue}
    engine.consumed, engine.last_time = base.consumed, base.last_time
    for number, content, status, attempt, landed in chain:
        entry = Entry(number, _load_closed(content), Status(status), attempt, place=base.batches + len(machine.chain))
        entry.record = None if landed is None else Record(*landed)
        c = entry.content
        shown = entry.record or compute_record(0, c.first, c.last, c.message_start, c.messages, c.frames)
        engine.apply_batch(Batch(shown, c.messages, c.frames))
        machine.chain.append(entry)
    if opened is not None:
        _load_open(machine, *opened)
    engine.last_time, engine.unmarked = tail
    for fields in orders:
        machine.book.add(Resting(*fields))
    machine.matcher.load_memory(memory)
    machine.check_shut()
    machine.is_dirty = False  # it was not when it was written down
    return machine


def _load_closed(fields: Any) -> Closed:
    first, last, message_start, messages, frames, rows, size = fields
    return Closed(
        first,
        last,
        message_start,
        tuple(Message(*message) for message in messages),
        tuple(Frame(*frame) for frame in frames),
        tuple(Row(*row) for row in rows),
        size,
    )


def _load_open(machine: Machine, content: Any, frame: Any) -> None:
    opened, message_start, messages, frames, rows, size = content
    engine = machine.engine
    batch = OpenBatch(opened, message_start, [Message(*m) for m in messages], [Frame(*f) for f in frames], [Row(*r) for r in rows], size)
    engine.restore(batch, None if frame is None else (frame[0], [Row(*row) for row in frame[1]]))
