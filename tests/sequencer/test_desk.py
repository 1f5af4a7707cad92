"""When the desk writes snapshots: under load too, and never of a machine that failed half way. When a batch counts as lost."""

from pathlib import Path
from typing import cast

import pytest
import trio

from l1.sender import Sender
from l1.shapes import Receipt
from node.clock import Clock
from node.store import Store
from protocol.codec.frames import compute_record
from sequencer.chain import Fault, Status
from sequencer.desk import Desk
from sequencer.events import BatchLanded, BlockSeen, ClockElapsed, MessagesQueued
from sequencer.journal import decode_event
from sequencer.machine import Machine, build_settings
from sequencer.runtime import Poster
from sequencer.snapshot import dump_machine, load_machine
from tests.sequencer.test_machine import MARK
from tests.sequencer.world import START, USD, build_deposits, build_mark_event, build_order_event, build_rules


def open_desk(path: Path) -> tuple[Desk, Store]:
    rules = build_rules()
    store = Store(path / "store.sqlite")
    return Desk(Machine(rules, build_settings(rules)), store, Clock(wall_start=0, chain_start=START, wall=lambda: 0)), store


async def test_snapshots_are_written_while_orders_keep_coming(tmp_path: Path) -> None:
    """Something always waits then; a journal without an end would take a restart for ever."""
    desk, store = open_desk(tmp_path)
    desk.snapshot_records = 20
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        nursery.start_soon(desk.run)
        await desk.submit([MessagesQueued(START, 0, build_deposits(4, 1_000_000 * USD, START)), build_mark_event(START, START, 0)])

        async def keep_trading(account: int) -> None:
            for nonce in range(1, 60):
                await desk.submit([build_order_event(START + 1, account, account & 1, MARK, 1, nonce)])

        async with trio.open_nursery() as traders:
            for account in range(4):
                traders.start_soon(keep_trading, account)
        found = store.load_snapshot()
        nursery.cancel_scope.cancel()
    assert found is not None
    number, record = found
    assert number > 100
    rules = build_rules()
    again = load_machine(record, rules, build_settings(rules))
    for _, event in store.read(number):
        again.apply(decode_event(event))
    store.close()
    assert dump_machine(again) == dump_machine(desk.machine)


async def test_a_machine_that_failed_half_way_is_not_written_down(tmp_path: Path) -> None:
    """What crashes the daemon is not in the journal, so its traces must not be in a snapshot either."""
    desk, store = open_desk(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        nursery.start_soon(desk.run)
        deposits = build_deposits(4, 1_000_000 * USD, START)
        await desk.submit([MessagesQueued(START, 0, deposits[:2])])
        other = build_deposits(4, 5 * USD, START)
        with pytest.raises(Fault):
            await desk.submit([MessagesQueued(START, 1, (deposits[1], deposits[2], other[1])), MessagesQueued(START, 9, other)])
        await desk.save_snapshot()
        assert store.load_snapshot() is None
        nursery.cancel_scope.cancel()
    store.close()


class RevertedSender:
    """Its transaction is in block 7 and was reverted there: the same batch, sent before a reorganisation, stood before it."""

    async def submit(self, to: bytes, data: bytes, value: int, gas: int, key: str) -> int:
        return 1

    async def wait(self, number: int) -> Receipt:
        return Receipt(b"", 7, b"", False, 0, 0, None, ())


async def test_a_revert_is_told_after_what_landed_in_its_block(tmp_path: Path) -> None:
    """Else the batch that landed would be taken for lost, and all behind it built anew."""
    desk, store = open_desk(tmp_path)
    poster = Poster(cast(Sender, RevertedSender()), b"", desk, lambda _event, _fields: None)
    desk.on_post = poster.post
    async with trio.open_nursery() as nursery:
        for task in (store.run, desk.run, poster.run):
            nursery.start_soon(task)
        messages = build_deposits(4, 1_000_000 * USD, START)
        await desk.submit([MessagesQueued(START, 0, messages), ClockElapsed(START + 20), BlockSeen(START + 20, 6, START + 20)])
        (entry,) = desk.machine.chain
        await trio.sleep(0.3)
        assert [entry.status for entry in desk.machine.chain] == [Status.POSTED]
        record = compute_record(0, entry.content.first, entry.content.last, 0, messages, ())
        await desk.submit([BatchLanded(START + 21, record, None)])
        await desk.submit([BlockSeen(START + 21, 7, START + 21)])
        await trio.sleep(0.3)
        assert [entry.status for entry in desk.machine.chain] == [Status.LANDED]
        assert not desk.machine.is_dirty
        nursery.cancel_scope.cancel()
    store.close()
