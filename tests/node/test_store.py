"""The store: durable when it says so, whatever kills the process; refuses what it cannot read."""

import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trio

from node.errors import NodeCode, NodeError
from node.store import Items, SenderJournal, Store

WRITER = textwrap.dedent(
    """
    import sys, trio
    from pathlib import Path
    from node.store import Store

    async def write(store, task):
        number = 0
        while True:
            number += 1
            last = await store.append([b"%d/%d/a" % (task, number), b"%d/%d/b" % (task, number)])
            sys.stdout.write(f"{last} {task} {number}\\n")
            sys.stdout.flush()

    async def main():
        store = Store(Path(sys.argv[1]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            for task in range(8):
                nursery.start_soon(write, store, task)

    trio.run(main)
    """
)


async def append_all(path: Path, groups: list[list[bytes]]) -> list[int]:
    """Each group by a task of its own, so that they share commits."""
    store = Store(path)
    numbers: list[int] = []

    async def append(group: list[bytes]) -> None:
        numbers.append(await store.append(group))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        async with trio.open_nursery() as writers:
            for group in groups:
                writers.start_soon(append, group)
        nursery.cancel_scope.cancel()
    store.close()
    return numbers


async def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    numbers = await append_all(path, [[b"%d" % i, b"%d+" % i] for i in range(50)])
    assert sorted(numbers) == list(range(2, 101, 2))
    store = Store(path)
    records = list(store.read())
    assert [number for number, _ in records] == list(range(1, 101))
    assert {record for _, record in records} == {b"%d" % i for i in range(50)} | {b"%d+" % i for i in range(50)}
    assert all(records[at + 1][1] == records[at][1] + b"+" for at in range(0, 100, 2))
    store.close()


async def test_snapshots_replace_the_journal_before_them(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    await append_all(path, [[b"%d" % i for i in range(10)]])
    store = Store(path)
    assert store.load_snapshot() is None
    await store.save_snapshot(4, b"four")
    await store.save_snapshot(8, b"eight")
    assert store.load_snapshot() == (8, b"eight")
    assert [number for number, _ in store.read(8)] == [9, 10]
    with pytest.raises(NodeError) as refused:
        list(store.read(2))
    assert refused.value.code is NodeCode.STORE_CORRUPT
    store.close()
    reopened = Store(path)
    assert reopened.last == 10
    reopened.close()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(200)]
        process.kill()
        told += process.stdout.readlines()
    acknowledged = [tuple(map(int, line.split())) for line in told if line.endswith("\n")]
    store = Store(path)
    records = dict(store.read())
    store.close()
    assert len(acknowledged) >= 200
    for last, task, number in acknowledged:
        assert records[last - 1] == b"%d/%d/a" % (task, number)
        assert records[last] == b"%d/%d/b" % (task, number)


async def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    await append_all(path, [[b"one"], [b"two"]])
    database = sqlite3.connect(path)
    database.execute("UPDATE journal SET record = x'00' WHERE number = 2")
    database.commit()
    database.close()
    store = Store(path)
    with pytest.raises(NodeError) as refused:
        list(store.read())
    store.close()
    assert refused.value.code is NodeCode.STORE_CORRUPT
    assert "record 2" in refused.value.message


async def test_a_damaged_snapshot__the_one_before_and_the_journal_have_everything(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    await append_all(path, [[b"%d" % i for i in range(10)]])
    store = Store(path)
    await store.save_snapshot(4, b"four")
    await store.save_snapshot(8, b"eight")
    database = sqlite3.connect(path)
    database.execute("UPDATE snapshots SET record = x'00' WHERE number = 8")
    database.commit()
    assert store.load_snapshot() == (4, b"four")
    assert [number for number, _ in store.read(4)] == [5, 6, 7, 8, 9, 10]
    database.execute("UPDATE snapshots SET record = x'00'")
    database.commit()
    database.close()
    with pytest.raises(NodeError) as refused:
        store.load_snapshot()
    assert refused.value.code is NodeCode.STORE_CORRUPT
    store.close()


def test_files_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_bytes(b"not a database at all" * 100)
    other = tmp_path / "other.sqlite"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE someone (elses INTEGER)")
    database.close()
    newer = tmp_path / "newer.sqlite"
    Items(newer).close()
    database = sqlite3.connect(newer)
    database.execute("PRAGMA user_version=99")
    database.close()
    for path, code in ((text, NodeCode.STORE_CORRUPT), (other, NodeCode.STORE_VERSION), (newer, NodeCode.STORE_VERSION)):
        with pytest.raises(NodeError) as refused:
            Store(path)
        assert refused.value.code is code, path


def test_one_process_a_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    with pytest.raises(NodeError) as refused:
        Store(tmp_path / "store.sqlite")
    assert refused.value.code is NodeCode.STORE_LOCKED
    store.close()
    Store(tmp_path / "store.sqlite").close()


def test_items_and_the_senders_journal(tmp_path: Path) -> None:
    items = Items(tmp_path / "items.sqlite")
    journal = SenderJournal(items)
    journal.save(300, b"later")
    journal.save(2, b"first")
    journal.save(2, b"replaced")
    items.put("claim", b"x", b"y")
    items.close()
    items = Items(tmp_path / "items.sqlite")
    journal = SenderJournal(items)
    assert journal.load() == [b"replaced", b"later"]
    journal.delete(2)
    assert journal.load() == [b"later"]
    assert items.get("claim", b"x") == b"y"
    assert items.get("claim", b"z") is None
    items.close()


@pytest.mark.parametrize("kind", [Store, Items])
def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path, kind: type[Store] | type[Items]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken.sqlite.lock").mkdir()
    for path in (tmp_path / "file" / "store.sqlite", tmp_path / "file" / "below" / "store.sqlite", tmp_path / "taken.sqlite"):
        with pytest.raises(NodeError) as refused:
            kind(path)
        assert refused.value.code == NodeCode.STORE_UNREADABLE


def test_what_cannot_be_written_is_refused_with_a_code(tmp_path: Path) -> None:
    """As on a full disk: SQLite is given no room."""
    items = Items(tmp_path / "items.sqlite")
    items.put("kind", b"a", b"kept")
    (pages,) = items._database.execute("PRAGMA page_count").fetchone()
    items._database.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(NodeError) as refused:
        items.put("kind", b"b", bytes(1 << 16))
    assert refused.value.code == NodeCode.STORE_FULL
    assert items.list_items("kind") == [(b"a", b"kept")]
    items.close()
