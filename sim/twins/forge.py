"""Witnesses that lie: bytes changed at random, and whole witnesses of another state or another operation under the honest header."""

import random
from collections.abc import Iterable

from protocol.codec.frames import Batch, compute_record
from protocol.keccak import WORD, encode_word
from protocol.machine import Preimages
from protocol.operations import get_layout
from protocol.state import State
from protocol.steps import MODULES
from protocol.types import Account, Market, Order, Page, Phase, Sweep, compute_record_hash, encode_header
from protocol.witness import Recorder, prove_step
from sim.twins.replay import Start

HEADER_BYTES = 16 * WORD
NEAR = 0.8  # of the lies about an account: one that the step reads
Touches = list[tuple[str, int, int]]  # kind, index, slot


def find_touches(start: Start) -> Touches:
    """What the honest step reads."""
    recorder = Recorder(start.state.copy())
    MODULES[Phase(start.header.phase)].step(start.header, recorder, start.pre.copy(), start.rules)
    return recorder.touches


def _choose(found: Iterable[int], touched: Iterable[int], rng: random.Random) -> int:
    """One of those that are there, mostly one that the step reads."""
    every = sorted(found)
    near = sorted({*every} & {*touched})
    return rng.choice(near if near and rng.random() < NEAR else every)


def _choose_account(state: State, touches: Touches, rng: random.Random) -> int:
    return _choose(state.accounts, [index for kind, index, _ in touches if kind == "account"], rng)


def _choose_entry(state: State, touches: Touches, rng: random.Random) -> tuple[int, int]:
    """Account and slot."""
    places = [(index, slot) for kind, index, slot in touches if kind in ("order", "entry")]
    index = _choose(state.orders, [index for index, _ in places], rng)
    return index, _choose(state.orders[index], [slot for of, slot in places if of == index], rng)


def _choose_word(state: State, touches: Touches, rng: random.Random) -> int:
    return _choose(state.words, [index for kind, index, _ in touches if kind == "word"], rng)


def mutate(arguments: bytes, rng: random.Random) -> bytes:
    """Something behind the header is another: a bit, a byte, a word, two words swapped, the end cut off."""
    raw = bytearray(arguments)
    at = rng.randrange(HEADER_BYTES, len(raw))
    word = at // WORD * WORD
    match rng.randrange(6):
        case 0:
            raw[at] ^= 1 << rng.randrange(8)
        case 1:
            raw[at] = rng.randrange(256)
        case 2:
            raw[word : word + WORD] = encode_word(rng.choice((0, 1, 2, WORD, 2**31, 2**64, 2**255, -1)))
        case 3:
            value = int.from_bytes(raw[word : word + WORD], "big")
            raw[word : word + WORD] = encode_word(value + rng.choice((-WORD, -1, 1, WORD)))
        case 4:
            other = rng.randrange(HEADER_BYTES, len(raw)) // WORD * WORD
            raw[word : word + WORD], raw[other : other + WORD] = raw[other : other + WORD], raw[word : word + WORD]
        case _:
            del raw[at:]
    return bytes(raw)


def _falsify_account(state: State, touches: Touches, rng: random.Random) -> None:
    index = _choose_account(state, touches, rng)
    a = state.get_account(index)
    richer = a._replace(cash=a.cash + rng.choice((1, 10**12, -(10**12))))
    changes: list[Account] = [
        richer,
        a._replace(flag=0 if a.flag else 1),
        a._replace(nonce=a.nonce ^ 1),
        a._replace(generation=a.generation ^ 1),
        a._replace(session=a.session ^ 3 << 200, sheet=a.sheet ^ 1),
        a._replace(shares=a.shares + 10**9),
        a._replace(request=-a.request - 1, request_time=a.request_time >> 1),
    ]
    if a.positions:
        turned = tuple((series, -lots) for series, lots in a.positions)
        changes += 2 * [a._replace(positions=a.positions[1:]), a._replace(positions=turned)]  # twice: behind a hash of their own
    state.put_account(index, rng.choice(changes))


def _falsify_market(m: Market, rng: random.Random) -> Market:
    if rng.random() < 0.3:
        slices = tuple(item._replace(close=item.close + 100) for item in m.slices)
        return m._replace(slices=slices, halted_until=rng.choice((0, 1 << 39)), low=m.low + 1, high_before=m.high_before >> 1)
    return m._replace(
        mark_time=rng.choice((m.mark_time, m.mark_time + 61)),
        slices=tuple(item._replace(forward=item.forward + rng.choice((0, 1, item.forward >> 2))) for item in m.slices),
    )


def _falsify_entry(entry: Order | Page) -> Order | Page:
    if isinstance(entry, Page):
        return entry._replace(filled=0, nonce=entry.nonce >> 1, max_lots=entry.max_lots + 1)
    return entry._replace(filled=0, nonce=entry.nonce >> 1, price=entry.price + 1)


def _put_entry(state: State, index: int, slot: int, entry: Order | Page) -> None:
    if isinstance(entry, Page):
        state.put_page(index, slot, entry)
    else:
        state.put_order(index, slot, entry)


def falsify_state(state: State, touches: Touches, rng: random.Random) -> None:
    """One leaf is another."""
    g = state.get_globals()
    match rng.randrange(5):
        case 0:
            fresh = (
                g._replace(clock=g.clock + 61),
                g._replace(allowance=-g.allowance),
                g._replace(accrued=g.accrued + 1),
                g._replace(fees=g.fees + 1),
                g._replace(accounts=g.accounts + 1),
                g._replace(pool=g.pool + 10**12, fund=g.fund + 10**12, debt=0),
                g._replace(shares=g.shares + 1, slots_equity=0, requests=g.requests + 1),
                g._replace(slots=g.slots + 1, free_slot=1),
                g._replace(shutdown=0 if g.shutdown else g.clock, is_settled=1 - g.is_settled),
                g._replace(marks=g.marks + 20, balance=0),
            )
            state.put_globals(rng.choice(fresh))
        case 1 if state.accounts:
            _falsify_account(state, touches, rng)
        case 2 if state.orders:
            index, slot = _choose_entry(state, touches, rng)
            _put_entry(state, index, slot, _falsify_entry(state.orders[index][slot]))
        case 3 if state.words:
            index = _choose_word(state, touches, rng)
            state.put_word(index, rng.choice((0, state.get_word(index) ^ 1 << rng.randrange(256))))
        case _:
            first, second = state.get_markets()
            state.put_markets((_falsify_market(first, rng), _falsify_market(second, rng)))


def lie_in_place(state: State, touches: Touches, rng: random.Random) -> None:
    """One struct is another, but every hash above it stays: only the check that binds this struct to its hash can find out.

    What the step writes goes on from the lie, so that all later proofs fit it.
    """
    state.get_root()
    honest = {index: state.get_positions_hash(index) for index in state.accounts}
    match rng.randrange(5):
        case 0 if state.accounts:
            # a slot without an order has a zero leaf: nothing may hide behind it
            slots = state.orders.setdefault(_choose_account(state, touches, rng), {})
            for slot in range(state.params.order_slots):
                slots.setdefault(slot, Order(nonce=(1 << 64) - 1))
        case 1 if state.orders:
            index, slot = _choose_entry(state, touches, rng)
            state.orders[index][slot] = _falsify_entry(state.orders[index][slot])
        case 2 if state.words:
            index = _choose_word(state, touches, rng)
            state.words[index] = rng.choice((0, state.words[index] ^ 1 << rng.randrange(256)))
        case 3:
            # nor behind a market without a mark
            first, second = state.markets
            state.markets = (
                _falsify_market(first, rng) if first.mark_time else second._replace(mark_time=0),
                _falsify_market(second, rng) if second.mark_time else first._replace(mark_time=0),
            )
        case _ if state.accounts:
            other = state.copy()
            _falsify_account(other, touches, rng)
            for index, account in other.accounts.items():
                if account is not state.accounts[index]:
                    state.accounts[index] = account
                    state._positions_hashes[index] = account.positions, honest[index]


def _falsify_batch(batch: Batch, rng: random.Random) -> Batch:
    record, messages, frames = batch
    match rng.randrange(3):
        case 0:
            late = record.last + rng.randrange(1, 99)
            more = record._replace(message_count=record.message_count + 1, frame_count=record.frame_count + 1)
            return Batch(more._replace(first=late, last=late), messages, frames)
        case 1:
            messages = tuple(item._replace(time=item.time + 1) for item in messages)
            frames = tuple(item._replace(time=record.first) for item in frames)
        case _:
            messages, frames = messages[-1:] + messages[:-1], frames[-1:] + frames[:-1]
    # with a record of its own, or with the old one that does not fit it
    fresh = compute_record(record.number, record.first, record.last, record.message_start, messages, frames)
    return Batch(rng.choice((record, fresh)), messages, frames)


def _falsify_sweep(w: Sweep, state: State, rng: random.Random) -> Sweep:
    other = rng.choice(sorted(state.accounts))
    return rng.choice(
        (
            w._replace(cursor=w.cursor + 1),
            w._replace(mode=w.mode ^ 1),
            w._replace(bankrupt=other + 1, account=other),
            w._replace(equity=w.equity + 1),
            w._replace(maintenance=w.maintenance + 1),
            w._replace(loss=0, deficit=w.deficit + 1),
            w._replace(price=w.price + 100, total=w.total + 1, before=w.before + 1),
            w._replace(pot=w.pot + 1, shares=w.shares + 1),
        )
    )


def falsify_preimages(pre: Preimages, state: State, rng: random.Random) -> Preimages:
    """Something that is behind a hash of the header is another."""
    pre = pre.copy()
    at = rng.randrange(1, len(pre.items)) if len(pre.items) > 1 else 0
    if pre.trade is not None:
        t = pre.trade
        pre.trade = rng.choice(
            (
                t._replace(price=t.price + 1),
                t._replace(units=-t.units),
                t._replace(flags=0, nonce=t.nonce + 1, equity=t.equity + 1),
                t._replace(fee=0),
                t._replace(maker=t.taker, maker_slot=t.taker_slot, taker=t.maker, taker_slot=t.maker_slot),
            )
        )
    elif pre.lines and rng.random() < 0.5:
        lines = list(pre.lines)
        at = rng.randrange(len(lines))
        lines[at] += rng.choice((1, 1 << 64, 1 << 128))
        pre.lines = tuple(rng.choice((lines, lines[2:], lines + lines[-2:])))
    elif pre.sweep != Sweep():
        pre.sweep = _falsify_sweep(pre.sweep, state, rng)
    elif at and rng.random() < 0.5:
        lie = (*pre.items[:at], rng.choice((pre.items[at] ^ 1, pre.items[at] >> 1, 0)), *pre.items[at + 1 :])
        if get_layout(lie) is not None:  # of another length than it says no step ever sees a row
            pre.items = lie
    elif pre.signatures and rng.random() < 0.5:
        cut = rng.randrange(len(pre.signatures))
        pre.signatures = rng.choice((b"", pre.signatures[:cut], pre.signatures[65:] + pre.signatures[:65], pre.signatures[::-1]))
    elif pre.batches:
        pre.batches = tuple(_falsify_batch(batch, rng) for batch in pre.batches)
        pre.record_hashes = [compute_record_hash(batch.record) for batch in pre.batches]
    elif pre.rows:
        pre.rows = rng.choice((pre.rows[:-1], pre.rows + b"\xc0", bytes(len(pre.rows)), pre.rows[1:] + pre.rows[:1]))
    return pre


def falsify(start: Start, honest: bytes, rng: random.Random) -> bytes:
    """The honest header, and behind it a witness that is right in itself, but not for this header.

    Random bytes only ever break one link of a chain of hashes; this lies all along the chain, so that only its first link can find out.
    """
    h, state, pre, rules = start
    state, touches = state.copy(), find_touches(start)
    if rng.random() < 0.6 or not (pre.items or pre.trade or pre.batches or pre.rows or pre.sweep != Sweep()):
        (lie_in_place if rng.random() < 0.5 else falsify_state)(state, touches, rng)
    else:
        pre = falsify_preimages(pre, state, rng)
    root = start.state.get_root()
    witness = prove_step(h._replace(state=root), state, pre.copy(), rules)
    assert honest[:HEADER_BYTES] == encode_header(h._replace(state=root))
    return honest[:HEADER_BYTES] + witness.arguments[HEADER_BYTES:]
