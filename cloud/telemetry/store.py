"""SQL of stored samples. `pack` is a row that belongs to the caller's tenant (packs.service.row_of)."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from bms.tables.signals import STREAMS

from cloud.telemetry import columns

_KEYS = "time_utc_ms, device_ms, boots.boot_id AS boot_id, seq"


def latest(db: sqlite3.Connection, stream: str, pack: int) -> dict[str, Any] | None:
    """The newest sample of a stream."""
    row = db.execute(
        f"SELECT {_KEYS}, {columns.names(stream)} FROM {stream} AS s JOIN boots ON boots.id = s.boot"  # noqa: S608
        " WHERE s.pack = ? ORDER BY time_utc_ms DESC, seq DESC LIMIT 1",
        (pack,),
    ).fetchone()
    return None if row is None else dict(row)


def count(db: sqlite3.Connection, stream: str, pack: int, from_ms: int, to_ms: int, most: int) -> int:
    """Samples of from_ms..to_ms, counted up to `most`."""
    query = (
        f"SELECT count(*) FROM (SELECT 1 FROM {stream} WHERE pack = ?"  # noqa: S608
        " AND time_utc_ms >= ? AND time_utc_ms < ? LIMIT ?)"
    )
    return db.execute(query, (pack, from_ms, to_ms, most)).fetchone()[0]


def history(
    db: sqlite3.Connection,
    stream: str,
    pack: int,
    from_ms: int,
    to_ms: int,
    bucket_ms: int,
    names: Sequence[str],
) -> list[tuple[Any, ...]]:
    """(time_utc_ms, *names) ascending; with a bucket, the newest sample of each."""
    wanted = "".join(f', "{name}"' for name in names)
    where = "WHERE pack = ? AND time_utc_ms >= ? AND time_utc_ms < ?"
    if bucket_ms == 0:
        query = f"SELECT time_utc_ms{wanted} FROM {stream} {where} ORDER BY time_utc_ms"  # noqa: S608
        return [tuple(row) for row in db.execute(query, (pack, from_ms, to_ms))]
    # beside max() SQLite takes the other columns from the row that has the maximum
    query = (
        f"SELECT max(time_utc_ms){wanted} FROM {stream} {where}"  # noqa: S608
        " GROUP BY (time_utc_ms - ?) / ? ORDER BY 1"
    )
    return [tuple(row) for row in db.execute(query, (pack, from_ms, to_ms, from_ms, bucket_ms))]


def add_reference(db: sqlite3.Connection, pack: int, rows: Sequence[tuple[int, float]]) -> int:
    """Reference measurements (time_utc_ms, soc); the same time again replaces."""
    db.executemany(
        "INSERT OR REPLACE INTO reference (pack, time_utc_ms, soc) VALUES (?, ?, ?)",
        [(pack, *row) for row in rows],
    )
    return len(rows)


def reference(db: sqlite3.Connection, pack: int, from_ms: int, to_ms: int) -> list[tuple[int, float]]:
    """(time_utc_ms, soc) of from_ms..to_ms ascending, with one measurement beyond each end."""
    query = """
SELECT time_utc_ms, soc FROM reference WHERE pack = :pack AND time_utc_ms BETWEEN
  coalesce((SELECT max(time_utc_ms) FROM reference WHERE pack = :pack AND time_utc_ms < :from), :from) AND
  coalesce((SELECT min(time_utc_ms) FROM reference WHERE pack = :pack AND time_utc_ms > :to), :to)
ORDER BY time_utc_ms
"""
    rows = db.execute(query, {"pack": pack, "from": from_ms, "to": to_ms})
    return [(row[0], row[1]) for row in rows]


def latest_reference(db: sqlite3.Connection, pack: int) -> tuple[int, float] | None:
    """The newest (time_utc_ms, soc)."""
    query = "SELECT time_utc_ms, soc FROM reference WHERE pack = ? ORDER BY time_utc_ms DESC LIMIT 1"
    row = db.execute(query, (pack,)).fetchone()
    return None if row is None else (row[0], row[1])


def integrity(db: sqlite3.Connection, pack: int) -> list[dict[str, Any]]:
    """Per boot and stream, counted from the rows themselves."""
    found: list[dict[str, Any]] = []
    for stream in STREAMS:
        query = f"""
SELECT b.id AS boot, b.boot_id, b.time_source, b.offset_ms, '{stream}' AS stream, min(seq) AS min_seq,
       max(seq) AS max_seq, count(*) AS stored, count(DISTINCT seq) AS "distinct",
       coalesce(max(n.duplicates), 0) AS duplicates_ignored, coalesce(max(n.conflicts), 0) AS conflicts
FROM boots b JOIN {stream} s ON s.boot = b.id LEFT JOIN streams n ON n.boot = b.id AND n.stream = '{stream}'
WHERE b.pack = ? GROUP BY b.id ORDER BY b.boot_id
"""  # noqa: S608
        found += [dict(row) for row in db.execute(query, (pack,))]
    for entry in found:
        entry["gaps"] = _gaps(db, entry["stream"], entry.pop("boot"))
    return found


def _gaps(db: sqlite3.Connection, stream: str, boot: int) -> list[tuple[int, int]]:
    query = f"""
SELECT before + 1, seq - 1 FROM
  (SELECT seq, lag(seq, 1, -1) OVER (ORDER BY seq) AS before FROM {stream} WHERE boot = ?)
WHERE seq > before + 1
"""  # noqa: S608
    return [(row[0], row[1]) for row in db.execute(query, (boot,))]
