"""Random starts of the steps that load batches and rows: OPEN, MESSAGE, INFLATE, FETCH."""

import zlib
from collections.abc import Callable

from protocol.codec.frames import Batch, Frame, Message, compute_inbox_root, compute_record
from protocol.codec.inflate import MAX_FRAME_BYTES, encode_frame
from protocol.codec.rows import MAX_ITEMS, encode_row
from protocol.keccak import keccak
from protocol.machine import Preimages
from protocol.operations import (
    BID_HEAD,
    COMBO_HEAD,
    LAYOUTS,
    LEG_ITEMS,
    MARK_HEAD,
    PAGE_HEAD,
    QUOTE_ITEMS,
    SHEET_HEAD,
    SLICE_ITEMS,
    Kind,
)
from protocol.rules import Rules
from protocol.types import INBOX_AUTHORITY, MAX_LEGS, MAX_PAGES, MAX_QUOTES, MAX_SLICES, VAULT_AUTHORITY, Phase, Record, compute_record_hash
from sim.twins.deflate import make_frame
from sim.twins.dice import FILLER, Dice
from sim.twins.replay import Start
from sim.twins.worlds import NOW, make_header, make_world

MakeStart = Callable[[Dice, Rules], Start]
MAX_ROWS = 8_192


def make_record(dice: Dice) -> Record:
    """Of a batch whose contents do not matter."""
    counts = dice.choice(((0, 1), (1, 0), (256, 16), (3, 2), (0, 0)))
    return Record(dice.randrange(2**32), NOW, NOW + 600, dice.randrange(2**32), counts[0], dice.make_hash(), counts[1], dice.make_hash())


def make_open(dice: Dice, rules: Rules) -> Start:
    """Any batch of an epoch."""
    count = dice.choice((1, 2, 3, 1 << 3))
    pre = Preimages([Batch(make_record(dice), (), ()) for _ in range(count)])
    header = make_header(
        dice, Phase.OPEN, batches=count, batch=dice.randrange(count), record=bytes(32), rows=bytes(32), signatures=bytes(32)
    )
    header = header._replace(
        inbox=compute_inbox_root(pre.record_hashes, rules.params.batch_depth), message=0, messages=0, frame=0, frames=0
    )
    world = make_world(dice, rules, False)
    return Start(header._replace(offset=0, signature=0), world.state, pre, rules)


def make_message(dice: Dice, rules: Rules) -> Start:
    """Times before, at and after the clock; of the batch, before, at and after what has accrued."""
    world = make_world(dice, rules, False)
    count = dice.choice((1, 2, 5, 256)) if dice.chance(0.1) else dice.choice((1, 2, 5))
    clock = world.state.globals.clock
    times = (0, clock - 1, clock, clock + 1, clock + 12, clock + 10**6, 2**40, 2**64 - 1)
    rows, signatures = dice.randbytes(dice.choice((0, 30, 1_024))), FILLER[: 65 * dice.choice((0, 1, 32))]
    authority = dice.choice((VAULT_AUTHORITY, INBOX_AUTHORITY, dice.getrandbits(160)))
    messages = tuple(Message(dice.choice(times), authority, rows[: dice.randrange(1_025)], signatures) for _ in range(count))
    first = dice.choice((0, NOW - 10**5, NOW - 3_600, NOW, NOW, NOW + 12, NOW + 10**6, 2**64 - 1))
    record = compute_record(dice.randrange(99), first, first + 60, 5, messages, ())
    header = make_header(dice, Phase.MESSAGE, batch=1, record=compute_record_hash(record), message=dice.randrange(count), messages=count)
    return Start(header, world.state, Preimages([Batch(record, messages, ())]), rules)


def make_items(dice: Dice) -> tuple[int, ...]:
    """Of a row that FETCH takes: any kind, flags and number of items that there may be."""
    kind = dice.choice(list(Kind))
    layout = LAYOUTS[kind]
    tag = kind | (dice.getrandbits(5) & layout.flags) << 4
    small = [dice.randrange(300) for _ in range(MAX_ITEMS)]
    pages = dice.randrange(1, MAX_PAGES + 1)
    match kind:
        case Kind.MARK:
            count = MARK_HEAD + SLICE_ITEMS * dice.choice((1, 2, MAX_SLICES))
        case Kind.COMBO:
            count = COMBO_HEAD + LEG_ITEMS * dice.choice((2, 3, MAX_LEGS))
        case Kind.BID:
            count = BID_HEAD + LEG_ITEMS * dice.choice((1, 2, MAX_LEGS))
        case Kind.SHEET:
            small[3:5] = pages, dice.randrange(pages)
            count = SHEET_HEAD + pages - 1 + PAGE_HEAD + QUOTE_ITEMS * dice.choice((0, 1, MAX_QUOTES))
        case _:
            count = layout.items
    return (tag, *small[: count - 1])


def make_row(dice: Dice) -> bytes:
    """Of any kind, right or wrong."""
    small = [dice.randrange(300) for _ in range(5)]
    good = make_items(dice)
    rows = (
        *(good, good, good),
        (*good, 1),
        good[:-1],
        (good[0] + 16 * dice.randrange(64), *good[1:]),
        (good[0], *(dice.make_number() for _ in good[1:])),
        (dice.choice((0, 7, 14, 15, 17, 18, 33, 66, 68, 84, 100, 255, 256, 8 + 2**255)), *small[: dice.randrange(5)]),
        tuple(dice.make_number() for _ in range(dice.choice((0, 1, 4, 6, 9, MAX_ITEMS)))),
    )
    row = encode_row(dice.choice(rows)[:MAX_ITEMS])
    if dice.chance(0.25):
        raw = bytearray(row)
        raw[dice.choice((0, 0, 1, dice.randrange(len(raw)))) % len(raw)] = dice.choice(
            (0, 127, 128, 129, 160, 161, 184, 192, 247, 248, 249, 250, 255)
        )
        row = bytes(raw)
    return row


def make_rows(dice: Dice, count: int) -> list[bytes]:
    """At most what a frame holds."""
    rows: list[bytes] = []
    for _ in range(count):
        row = make_row(dice)
        if sum(map(len, rows)) + len(row) > MAX_ROWS:
            break
        rows.append(row)
    return rows


def make_data(dice: Dice) -> bytes:
    """Of a frame: rows as DEFLATE, broken in some ways, or noise."""
    rows = b"".join(make_rows(dice, dice.choices((0, 1, 5, 40, 400), (2, 5, 8, 4, 1))[0]))
    match dice.randrange(8):
        case 0 | 1 | 2:
            return encode_frame(rows)
        case 3:
            data = bytearray(encode_frame(rows))
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            return bytes(data)
        case 4:
            data = bytearray(encode_frame(rows))
            return bytes(data[: dice.randrange(1, len(data) + 1)] + dice.choice((b"", b"\0")))
        case 5:
            level = dice.choice((0, 1, 9))
            packer = zlib.compressobj(
                level, zlib.DEFLATED, -15, 9, dice.choice((zlib.Z_FIXED, zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY))
            )
            return (packer.compress(rows * dice.choice((1, 1, 200))) + packer.flush())[:MAX_FRAME_BYTES]
        case 6:
            return make_frame(dice)[:MAX_FRAME_BYTES] or b"\0"
        case _:
            return dice.randbytes(dice.choice((1, 2, 30, 300)))


def make_inflate(dice: Dice, rules: Rules) -> Start:
    """Times inside and outside the batch's bounds."""
    world = make_world(dice, rules, False)
    count = dice.choice((1, 2, 3, 16))
    frames = tuple(
        Frame(dice.choice((0, NOW - 1, NOW, NOW + 30, NOW + 61, 2**64 - 1)), make_data(dice), FILLER[: 65 * dice.choice((0, 1, 33))])
        for _ in range(min(count, 3))
    )
    frames += frames[:1] * (count - len(frames))
    record = compute_record(dice.randrange(99), NOW, NOW + dice.choice((0, 60, 10**5)), 5, (), frames)
    header = make_header(dice, Phase.INFLATE, batch=1, record=compute_record_hash(record), frame=dice.randrange(count), frames=count)
    return Start(header, world.state, Preimages([Batch(record, (), frames)]), rules)


def make_fetch(dice: Dice, rules: Rules) -> Start:
    """At the start of a row; now and then where no row starts."""
    world = make_world(dice, rules, False)
    rows = make_rows(dice, dice.choices((0, 1, 4, 20, 300), (1, 4, 4, 3, 1))[0])
    whole = b"".join(rows)[: dice.choice((MAX_ROWS, MAX_ROWS, 700))]
    offset = min(sum(map(len, rows[: dice.randrange(len(rows) + 1)])), len(whole))
    if dice.chance(0.1):
        offset = dice.randrange(len(whole) + 1)
    if dice.chance(0.25):
        world.state.put_globals(world.state.globals._replace(shutdown=NOW))
    authority = dice.choice((0, 0, VAULT_AUTHORITY, INBOX_AUTHORITY, dice.getrandbits(160)))
    header = make_header(dice, Phase.FETCH, rows=keccak(whole), offset=offset, authority=authority)
    pre = Preimages([])
    pre.rows = whole
    return Start(header, world.state, pre, rules)
