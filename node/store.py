"""Where a daemon's memory survives: SQLite with a write-ahead log and synchronous=FULL, one file per daemon.

The journal is a sequence of records that are only appended; `await append(...)` returns when they are on the disk. Writers that wait at
the same time share one commit, so the cost of syncing falls with the load. SQLite with synchronous=NORMAL could lose acknowledged work on
power loss.

A record carries a checksum, a file its schema's version. What cannot be read is refused with a code: starting on half a journal would be a
lie.
"""

import fcntl
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import trio

from node.errors import NodeCode, NodeError

VERSION = 1
APPLICATION = 0x53545244  # "STRD"
MAX_WAITING = 1024  # appends that wait for a commit; more wait for a place
MAX_GROUP = 512  # appends of one commit
BUSY_S = 5.0
SCHEMA = """
CREATE TABLE journal (number INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
CREATE TABLE snapshots (number INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
CREATE TABLE items (
    kind TEXT NOT NULL, name BLOB NOT NULL, checksum INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (kind, name)
) STRICT;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """Created if it is not there. Raises `NodeError` for a file that is not ours, of another version, or damaged."""
    try:
        database = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        _check_schema(database, path)
    except sqlite3.DatabaseError as error:
        raise NodeError(NodeCode.STORE_CORRUPT, f"{path} is not a usable database: {error}") from error
    return database


def _check_schema(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0 and version == 0:
        database.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id={APPLICATION}; PRAGMA user_version={VERSION}; COMMIT;")
        return
    if application != APPLICATION:
        raise NodeError(NodeCode.STORE_VERSION, f"{path} belongs to another program")
    if version != VERSION:
        raise NodeError(NodeCode.STORE_VERSION, f"{path} has schema version {version}, this program reads {VERSION}")
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise NodeError(NodeCode.STORE_CORRUPT, f"{path} is damaged: {verdict}")


def lock_file(path: Path) -> IO[bytes]:
    """One process per store. The lock goes with the process, however it dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("ab")
    except OSError as error:
        raise NodeError(NodeCode.STORE_UNREADABLE, f"cannot use {path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise NodeError(NodeCode.STORE_LOCKED, f"another process uses {path.with_suffix('')}") from None
    return handle


def check_record(path: Path, place: str, checksum: int, record: bytes) -> bytes:
    """The record if it is what was written."""
    if zlib.crc32(record) != checksum:
        raise NodeError(NodeCode.STORE_CORRUPT, f"{path}: {place} fails its checksum")
    return record


@dataclass
class _Append:
    records: Sequence[bytes]
    done: trio.Event = field(default_factory=trio.Event)
    last: int = 0
    error: BaseException | None = None


class Store:
    """Journal, snapshots and named items of one daemon.

    Resource handling: open it, start `run` in a nursery, close it after the nursery. Records are numbered from 1 without gaps.
    Error handling: a commit that fails (disk full, I/O error) is a `NodeError` for every append that was in it, and ends `run`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = lock_file(path.with_suffix(path.suffix + ".lock"))
        try:
            self._database = open_database(path)
            self._next = self._find_last() + 1
        except NodeError:
            self._lock.close()
            raise
        self._send, self._receive = trio.open_memory_channel[_Append](MAX_WAITING)

    def close(self) -> None:
        """After `run` has ended."""
        self._database.close()
        self._lock.close()

    @property
    def last(self) -> int:
        """Number of the last durable record; 0 for none."""
        return self._next - 1

    def _find_last(self) -> int:
        (snapshot,) = self._database.execute("SELECT coalesce(max(number), 0) FROM snapshots").fetchone()
        (journal,) = self._database.execute("SELECT coalesce(max(number), 0) FROM journal").fetchone()
        return max(int(snapshot), int(journal))

    # -- journal

    async def append(self, records: Sequence[bytes]) -> int:
        """The number of the last of these records, once all are durable."""
        item = _Append(records)
        await self._send.send(item)
        await item.done.wait()
        if item.error is not None:
            raise item.error
        return item.last

    async def run(self) -> None:
        """Commits what waits, as long as it is not cancelled. A commit that has begun is finished."""
        async for first in self._receive:
            group = [first]
            while len(group) < MAX_GROUP:
                try:
                    group.append(self._receive.receive_nowait())
                except trio.WouldBlock:
                    break
            try:
                await trio.to_thread.run_sync(self._commit, group)
            except sqlite3.Error as error:
                failure = NodeError(NodeCode.STORE_FULL, f"cannot write {self.path}: {error}")
                for item in group:
                    item.error = failure
                raise failure from error
            finally:
                for item in group:
                    item.done.set()

    def _commit(self, group: Sequence[_Append]) -> None:
        number = self._next
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for item in group:
                rows = [(number + at, zlib.crc32(record), record) for at, record in enumerate(item.records)]
                self._database.executemany("INSERT INTO journal VALUES (?, ?, ?)", rows)
                number += len(rows)
                item.last = number - 1
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._next = number

    def read(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Records above `after` in order, each checked; a missing one is `STORE_CORRUPT`."""
        expected = after + 1
        cursor = self._database.execute("SELECT number, checksum, record FROM journal WHERE number > ? ORDER BY number", (after,))
        for number, checksum, record in cursor:
            if number != expected:
                raise NodeError(NodeCode.STORE_CORRUPT, f"{self.path}: record {expected} is missing")
            yield number, check_record(self.path, f"record {number}", checksum, record)
            expected += 1

    # -- snapshots

    async def save_snapshot(self, number: int, record: bytes, keep: int = 2) -> None:
        """What the records up to `number` amount to. The newest `keep` snapshots stay, and the journal after the oldest of them."""
        await trio.to_thread.run_sync(self._save_snapshot, number, record, keep)

    def _save_snapshot(self, number: int, record: bytes, keep: int) -> None:
        """A connection of its own: commits of the journal go on in another thread."""
        database = open_database(self.path)
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", (number, zlib.crc32(record), record))
            kept = database.execute("SELECT number FROM snapshots ORDER BY number DESC LIMIT ?", (keep,)).fetchall()
            oldest = min(row[0] for row in kept)
            database.execute("DELETE FROM snapshots WHERE number < ?", (oldest,))
            if len(kept) == keep:
                database.execute("DELETE FROM journal WHERE number <= ?", (oldest,))
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise NodeError(NodeCode.STORE_FULL, f"cannot write {self.path}: {error}") from error
        finally:
            database.close()

    def load_snapshot(self) -> tuple[int, bytes] | None:
        """The newest that is what was written: the journal goes back to the oldest, so nothing is lost by a damaged one."""
        rows = self._database.execute("SELECT number, checksum, record FROM snapshots ORDER BY number DESC").fetchall()
        for number, checksum, record in rows:
            if zlib.crc32(record) == checksum:
                return number, record
        if rows:
            raise NodeError(NodeCode.STORE_CORRUPT, f"{self.path}: no snapshot has its checksum")
        return None


class Items:
    """Small records by kind and name, in a file of their own, each durable when `put` returns: what is rarely written and must not be
    lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = lock_file(path.with_suffix(path.suffix + ".lock"))
        try:
            self._database = open_database(path)
        except NodeError:
            self._lock.close()
            raise

    def close(self) -> None:
        """Nothing waits to be written."""
        self._database.close()
        self._lock.close()

    def put(self, kind: str, name: bytes, record: bytes) -> None:
        """Replaces."""
        self._write("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", (kind, name, zlib.crc32(record), record))

    def get(self, kind: str, name: bytes) -> bytes | None:
        """None if it was never put."""
        row = self._database.execute("SELECT checksum, record FROM items WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return None if row is None else check_record(self.path, f"{kind} {name.hex()}", *row)

    def delete(self, kind: str, name: bytes) -> None:
        """Whether it is there or not."""
        self._write("DELETE FROM items WHERE kind = ? AND name = ?", (kind, name))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise NodeError(NodeCode.STORE_FULL, f"cannot write {self.path}: {error}") from error

    def list_items(self, kind: str) -> list[tuple[bytes, bytes]]:
        """(name, record) by name."""
        rows = self._database.execute("SELECT name, checksum, record FROM items WHERE kind = ? ORDER BY name", (kind,)).fetchall()
        return [(name, check_record(self.path, f"{kind} {name.hex()}", checksum, record)) for name, checksum, record in rows]


class SenderJournal:
    """The journal that an L1 sender asks for: intents by number, durable when `save` or `delete` returns."""

    KIND = "intent"

    def __init__(self, items: Items) -> None:
        self._items = items

    def load(self) -> Sequence[bytes]:
        """By number."""
        return [record for _, record in self._items.list_items(self.KIND)]

    def save(self, number: int, record: bytes) -> None:
        """Replaces."""
        self._items.put(self.KIND, number.to_bytes(8, "big"), record)

    def delete(self, number: int) -> None:
        """Forgets a finished intent."""
        self._items.delete(self.KIND, number.to_bytes(8, "big"))
