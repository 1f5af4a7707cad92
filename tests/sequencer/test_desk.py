"""When the desk writes snapshots: under load too, and never of a machine that failed half way."""

from pathlib import Path

import pytest
import trio

from node.clock import Clock
from node.store import Store
from sequencer.desk import Desk
from sequencer.events import MessagesQueued
from sequencer.journal import decode_event
from sequencer.machine import Fault, Machine, build_settings
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
