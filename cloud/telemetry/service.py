"""Samples as the API gives them: numbers in SI, arrays as lists, time in UTC."""

import sqlite3
from bisect import bisect_right
from typing import Any

from bms.tables.signals import CELLS, SIGNALS, TELE

from cloud.clock import now_ms
from cloud.errors import InvalidError
from cloud.telemetry import columns, store
from cloud.telemetry.schemas import (
    CellsSample,
    History,
    Integrity,
    Latest,
    Reference,
    StreamIntegrity,
    TeleSample,
)

MAX_POINTS = 2000
REFERENCE_GAP_MS = 120_000
"""Between reference measurements further apart than this nothing is interpolated."""
_ROWS = {row.name: row for row in SIGNALS}


def _parsed(sample: dict[str, Any] | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    return {
        name: columns.from_cell(_ROWS[name], value) if name in _ROWS else value
        for name, value in sample.items()
    }


def latest_tele(db: sqlite3.Connection, pack: int) -> dict[str, Any] | None:
    """The newest pack sample."""
    return _parsed(store.latest(db, TELE, pack))


def latest(db: sqlite3.Connection, pack: int, pack_id: str) -> Latest:
    """The newest pack sample, cell arrays and reference SoC."""
    tele, cells, found = (
        latest_tele(db, pack),
        _parsed(store.latest(db, CELLS, pack)),
        store.latest_reference(db, pack),
    )
    return Latest(
        pack_id=pack_id,
        tele=tele and TeleSample.model_validate(tele),
        cells=cells and CellsSample.model_validate(cells),
        reference=found and Reference(time_utc_ms=found[0], soc=found[1]),
    )


def span(from_ms: int | None, to_ms: int | None, hours: float) -> tuple[int, int]:
    """[from, to) of a request; `hours` back from the end when there is no beginning. Raises InvalidError."""
    # samples of this millisecond are part of what is known now
    end = now_ms() + 1 if to_ms is None else to_ms
    begin = end - int(hours * 3_600_000) if from_ms is None else from_ms
    if begin >= end:
        raise InvalidError(f"from is {begin} and to is {end}: from must be earlier")
    return begin, end


def fields(text: str | None) -> list[str]:
    """Names of scalar tele columns, all of them by default. Raises InvalidError naming what is not one."""
    known = [row.name for row in columns.COLUMNS[TELE]]
    if text is None:
        return [row.name for row in columns.COLUMNS[TELE] if not row.array]
    wanted = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    wrong = [name for name in wanted if name not in known]
    if wrong or not wanted:
        raise InvalidError(f"fields has {', '.join(wrong) or 'nothing'}; it can have {', '.join(known)}")
    return wanted


def history(
    db: sqlite3.Connection, pack: int, pack_id: str, begin: int, end: int, points: int, names: list[str]
) -> History:
    """At most `points` samples of [begin, end), and the reference SoC at their times."""
    bucket_ms = 0
    if store.count(db, TELE, pack, begin, end, points + 1) > points:
        bucket_ms = -(-(end - begin) // points)
    rows = store.history(db, TELE, pack, begin, end, bucket_ms, names)
    times = [row[0] for row in rows]
    table: dict[str, list[Any]] = {"time_utc_ms": times}
    for at, name in enumerate(names, 1):
        table[name] = [columns.from_cell(_ROWS[name], row[at]) for row in rows]
    known = store.reference(db, pack, begin, end)
    if known:
        table["soc_reference"] = [interpolate(known, time) for time in times]
    return History(
        pack_id=pack_id, from_ms=begin, to_ms=end, bucket_ms=bucket_ms, points=len(rows), columns=table
    )


def interpolate(known: list[tuple[int, float]], time_ms: int) -> float | None:
    """SoC at a time from ascending (time_utc_ms, soc), linear; None outside or across a long pause."""
    at = bisect_right(known, time_ms, key=lambda entry: entry[0])
    if at == 0:
        return None
    before_ms, before = known[at - 1]
    if before_ms == time_ms:
        return before
    if at == len(known) or known[at][0] - before_ms > REFERENCE_GAP_MS:
        return None
    after_ms, after = known[at]
    return before + (after - before) * (time_ms - before_ms) / (after_ms - before_ms)


def integrity(db: sqlite3.Connection, pack: int, pack_id: str) -> Integrity:
    """What is stored, per boot and stream."""
    streams = [StreamIntegrity.model_validate(entry) for entry in store.integrity(db, pack)]
    return Integrity(pack_id=pack_id, streams=streams)
