"""SQL of the ingest: packs, boots, samples, stored ranges and poison. Runs in the writer thread."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from bms.tables.signals import STREAMS

from cloud.ingest.clock import Clock
from cloud.ingest.decode import Sample
from cloud.ingest.ranges import Ranges
from cloud.telemetry import columns
from cloud.telemetry.columns import Cell

POISON_ROWS = 10_000
"""Poison messages kept; the oldest go first."""
POISON_BYTES = 65_536

_INSERT = {
    stream: (
        f"INSERT INTO {stream} (boot, seq, pack, time_utc_ms, device_ms, {columns.names(stream)})"  # noqa: S608
        f" VALUES (?, ?, ?, ?, ?{', ?' * len(columns.COLUMNS[stream])})"
    )
    for stream in STREAMS
}
_SELECT = {
    stream: f"SELECT device_ms, {columns.names(stream)} FROM {stream} WHERE boot = ? AND seq = ?"  # noqa: S608
    for stream in STREAMS
}


def find_pack(db: sqlite3.Connection, tenant: str, name: str) -> tuple[int, str, int | None] | None:
    """(row, site, row of the current boot) of a pack."""
    query = "SELECT id, site, current_boot FROM packs WHERE tenant = ? AND name = ?"
    return db.execute(query, (tenant, name)).fetchone()


def add_pack(db: sqlite3.Connection, tenant: str, site: str, name: str, seen_ms: int) -> int:
    """A pack that has not been heard of before."""
    query = "INSERT INTO packs (tenant, site, name, last_seen_ms) VALUES (?, ?, ?, ?) RETURNING id"
    return db.execute(query, (tenant, site, name, seen_ms)).fetchone()[0]


def move_pack(db: sqlite3.Connection, pack: int, site: str) -> None:
    """The pack now reports from another site."""
    db.execute("UPDATE packs SET site = ? WHERE id = ?", (site, pack))


def set_current_boot(db: sqlite3.Connection, pack: int, boot: int) -> None:
    """The boot that the pack is in."""
    db.execute("UPDATE packs SET current_boot = ? WHERE id = ?", (boot, pack))


def set_seen(db: sqlite3.Connection, pack: int, online: bool, seen_ms: int) -> None:
    """When a pack was last heard of, and whether it is connected."""
    db.execute(
        "UPDATE packs SET online = ?, last_seen_ms = max(last_seen_ms, ?) WHERE id = ?",
        (online, seen_ms, pack),
    )


def all_offline(db: sqlite3.Connection) -> None:
    """Nobody is known to be connected until the broker says so again."""
    db.execute("UPDATE packs SET online = 0 WHERE online")


def find_boot(db: sqlite3.Connection, pack: int, boot_id: str) -> tuple[int, int, str] | None:
    """(row, offset_ms, time_source) of a boot."""
    query = "SELECT id, offset_ms, time_source FROM boots WHERE pack = ? AND boot_id = ?"
    return db.execute(query, (pack, boot_id)).fetchone()


def add_boot(db: sqlite3.Connection, pack: int, boot_id: str, clock: Clock, seen_ms: int) -> int:
    """A boot that has not been heard of before."""
    query = (
        "INSERT INTO boots (pack, boot_id, first_seen_ms, offset_ms, time_source)"
        " VALUES (?, ?, ?, ?, ?) RETURNING id"
    )
    return db.execute(query, (pack, boot_id, seen_ms, clock.offset_ms, clock.source)).fetchone()[0]


def set_birth(db: sqlite3.Connection, boot: int, about: dict[str, Any]) -> None:
    """What the pack said of itself at this boot."""
    db.execute("UPDATE boots SET birth = ? WHERE id = ?", (json.dumps(about), boot))


def set_clock(db: sqlite3.Connection, boot: int, clock: Clock) -> None:
    """A better offset: the times of the boot's samples follow it."""
    db.execute(
        "UPDATE boots SET offset_ms = ?, time_source = ? WHERE id = ?", (clock.offset_ms, clock.source, boot)
    )
    for stream in STREAMS:
        db.execute(
            f"UPDATE {stream} SET time_utc_ms = device_ms + ? WHERE boot = ?",  # noqa: S608
            (clock.offset_ms, boot),
        )


def neighbours(db: sqlite3.Connection, pack: int, boot_id: str) -> tuple[int | None, int | None]:
    """UTC of the last sample of the boot before `boot_id`, and of the start of the boot after it."""
    before = db.execute(
        "SELECT id, offset_ms FROM boots WHERE pack = ? AND boot_id < ? ORDER BY boot_id DESC LIMIT 1",
        (pack, boot_id),
    ).fetchone()
    after = db.execute(
        "SELECT offset_ms FROM boots WHERE pack = ? AND boot_id > ? ORDER BY boot_id LIMIT 1", (pack, boot_id)
    ).fetchone()
    last: int | None = None
    if before is not None:
        # in one boot device time grows with seq, so the last of each stream are the latest
        ends = (
            db.execute(
                f"SELECT time_utc_ms FROM {stream} WHERE boot = ? ORDER BY seq DESC LIMIT 1",  # noqa: S608
                (before[0],),
            ).fetchone()
            for stream in STREAMS
        )
        last = max((end[0] for end in ends if end is not None), default=before[1])
    return last, None if after is None else after[0]


def insert(
    db: sqlite3.Connection,
    stream: str,
    boot: int,
    pack: int,
    offset_ms: int,
    rows: Sequence[tuple[int, Sample]],
) -> None:
    """Samples with their seq; none of them may be stored already."""
    db.executemany(
        _INSERT[stream],
        [(boot, seq, pack, offset_ms + row.device_ms, row.device_ms, *row.cells) for seq, row in rows],
    )


def stored(db: sqlite3.Connection, stream: str, boot: int, seq: int) -> tuple[Cell, ...]:
    """device_ms and the columns of a stored sample."""
    return tuple(db.execute(_SELECT[stream], (boot, seq)).fetchone())


def count(db: sqlite3.Connection, stream: str, boot: int, duplicates: int, conflicts: int) -> None:
    """Add to the counters of a stream."""
    db.execute(
        "INSERT INTO streams (boot, stream, duplicates, conflicts) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET duplicates = duplicates + excluded.duplicates, conflicts = conflicts + excluded.conflicts",
        (boot, stream, duplicates, conflicts),
    )


def add_conflict(
    db: sqlite3.Connection, pack: int, boot: int, stream: str, seq: int, time_utc_ms: int, detail: str
) -> bool:
    """Note that a key came with other content; False when this very content is noted already."""
    cursor = db.execute(
        "INSERT INTO conflicts (pack, boot, stream, seq, time_utc_ms, detail) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (pack, boot, stream, seq, time_utc_ms, detail),
    )
    return cursor.rowcount == 1


def add_black_box(
    db: sqlite3.Connection, pack: int, records: Sequence[tuple[int, int, bytes]], seen_ms: int
) -> None:
    """Records of (boot number, incident, raw); one that is known already is left as it is."""
    db.executemany(
        "INSERT INTO black_box (pack, boot_number, incident, record, seen_ms) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(pack, *record, seen_ms) for record in records],
    )


def load_ranges(db: sqlite3.Connection, boot: int, stream: str) -> Ranges:
    """What is stored of a stream."""
    query = "SELECT first_seq, last_seq FROM ranges WHERE boot = ? AND stream = ?"
    return Ranges(db.execute(query, (boot, stream)).fetchall())


def save_ranges(db: sqlite3.Connection, boot: int, stream: str, ranges: Ranges) -> None:
    """Replace what is noted as stored of a stream."""
    db.execute("DELETE FROM ranges WHERE boot = ? AND stream = ?", (boot, stream))
    db.executemany(
        "INSERT INTO ranges (boot, stream, first_seq, last_seq) VALUES (?, ?, ?, ?)",
        [(boot, stream, first, last) for first, last in ranges],
    )


def add_poison(db: sqlite3.Connection, topic: str, payload: bytes, reason: str, seen_ms: int) -> None:
    """Keep a message aside with the reason; the same bytes again only count."""
    db.execute(
        "INSERT INTO poison (topic, reason, sha256, payload, first_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET count = count + 1, last_ms = excluded.last_ms",
        (topic[:1024], reason, hashlib.sha256(payload).digest(), payload[:POISON_BYTES], seen_ms, seen_ms),
    )
    db.execute("DELETE FROM poison WHERE id <= (SELECT max(id) FROM poison) - ?", (POISON_ROWS,))
