"""The store: one SQLite file in WAL mode, one writer thread, readers apart.

A write is a function of a connection, run as one transaction in the writer thread. `synchronous=FULL`
makes a commit survive a power cut too: an acknowledgement is sent on nothing less.
"""

import asyncio
import contextlib
import fcntl
import queue
import sqlite3
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Concatenate, ParamSpec, TypeVar

from bms.tables.signals import STREAMS

from cloud.errors import StartError
from cloud.telemetry import columns

P = ParamSpec("P")
T = TypeVar("T")

_STREAM_TABLE = """
CREATE TABLE {stream} (
    boot INTEGER NOT NULL REFERENCES boots(id),
    seq INTEGER NOT NULL,
    pack INTEGER NOT NULL REFERENCES packs(id),
    time_utc_ms INTEGER NOT NULL,
    device_ms INTEGER NOT NULL,
    PRIMARY KEY (boot, seq)
) WITHOUT ROWID;
CREATE INDEX {stream}_by_time ON {stream}(pack, time_utc_ms);
"""

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE tokens (
    sha256 BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, tenant TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE packs (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, site TEXT NOT NULL, name TEXT NOT NULL,
    current_boot INTEGER REFERENCES boots(id), online INTEGER NOT NULL DEFAULT 0,
    last_seen_ms INTEGER NOT NULL,
    UNIQUE (tenant, name)
);
CREATE TABLE boots (
    id INTEGER PRIMARY KEY, pack INTEGER NOT NULL REFERENCES packs(id), boot_id TEXT NOT NULL,
    first_seen_ms INTEGER NOT NULL, offset_ms INTEGER NOT NULL, time_source TEXT NOT NULL, birth TEXT,
    UNIQUE (pack, boot_id)
);
CREATE TABLE ranges (
    boot INTEGER NOT NULL REFERENCES boots(id), stream TEXT NOT NULL, first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL, PRIMARY KEY (boot, stream, first_seq)
) WITHOUT ROWID;
CREATE TABLE streams (
    boot INTEGER NOT NULL REFERENCES boots(id), stream TEXT NOT NULL,
    duplicates INTEGER NOT NULL DEFAULT 0, conflicts INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (boot, stream)
) WITHOUT ROWID;
CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY, pack INTEGER NOT NULL REFERENCES packs(id),
    boot INTEGER NOT NULL REFERENCES boots(id), stream TEXT NOT NULL,
    seq INTEGER NOT NULL, time_utc_ms INTEGER NOT NULL, detail TEXT NOT NULL,
    UNIQUE (boot, stream, seq, detail)
);
CREATE TABLE poison (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, reason TEXT NOT NULL, sha256 BLOB NOT NULL,
    payload BLOB NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 1, UNIQUE (topic, sha256)
);
CREATE TABLE reference (
    pack INTEGER NOT NULL REFERENCES packs(id), time_utc_ms INTEGER NOT NULL, soc REAL NOT NULL,
    PRIMARY KEY (pack, time_utc_ms)
) WITHOUT ROWID;
"""
    + "".join(_STREAM_TABLE.format(stream=stream) for stream in STREAMS),
    """
CREATE TABLE black_box (
    pack INTEGER NOT NULL REFERENCES packs(id), boot_number INTEGER NOT NULL, incident INTEGER NOT NULL,
    record BLOB NOT NULL, seen_ms INTEGER NOT NULL, PRIMARY KEY (pack, boot_number, incident, record)
) WITHOUT ROWID;
""",
)
"""Numbered steps: step n takes the file from version n to n + 1. Never edit one that was released."""


class Database:
    """Opens, migrates and locks the file `path`; raises StartError when another process serves it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(path)
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            self._write_connection = self._writer.submit(self._open_writer).result()
        except BaseException:
            self._writer.shutdown()
            self._lock.close()
            raise

    def _open_writer(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, isolation_level=None)
        except sqlite3.Error as error:
            raise StartError(f"cannot open the store {self.path}: {error}") from error
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            migrate(connection, self.path)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise StartError(f"the store {self.path} is not usable: {error}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    async def write(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(connection, *args)` as one transaction in the writer thread; all or nothing."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: self._transact(work, *args, **kwargs))

    def write_now(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write`, for callers that may block."""
        return self._writer.submit(lambda: self._transact(work, *args, **kwargs)).result()

    def _transact(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        connection = self._write_connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection, *args, **kwargs)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    @contextlib.contextmanager
    def reader(self) -> Generator[sqlite3.Connection, None, None]:
        """A read-only connection, for one caller at a time."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = sqlite3.connect(
                f"file:{self.path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        """Finish what the writer has begun, and let the file go."""
        self._writer.submit(self._write_connection.close).result()
        self._writer.shutdown()
        while not self._idle.empty():
            self._idle.get_nowait().close()
        self._lock.close()


def _lock(path: Path) -> IO[bytes]:
    # the ingest keeps what is stored in memory: a second process on the same file would not know
    lock = path.with_suffix(".lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StartError(
            f"the store {path} is in use by another `cellkeeper serve`; end it or choose another --state-dir"
        ) from error
    return lock


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the newest version, then add columns for signals that are new in the table."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StartError(
            f"the store {path} has version {version}, this program knows up to {len(MIGRATIONS)}: update it"
        )
    for number in range(version, len(MIGRATIONS)):
        connection.executescript(f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")
    for stream in STREAMS:
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({stream})")}
        for row in columns.COLUMNS[stream]:
            if row.name not in present:
                connection.execute(f'ALTER TABLE {stream} ADD COLUMN "{row.name}" {columns.sql_type(row)}')
