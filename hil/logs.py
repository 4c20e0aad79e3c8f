"""Measured logs: reading, checking and choosing the input of a run.

A log is one cell's test as CSV or Parquet with `time_s, current_a, voltage_v, temperature_c` and, where
known, `soc` (0..1). Positive current charges. Steps need not be constant: a row holds until the next one.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cloud.twin.cell import Array, CellFile, cell_names, load_cell
from hil.link import TICK_MS

# Loaded so that the type checker takes them as Any: pyarrow carries no types.
pa: Any = importlib.import_module("pyarrow")
pa_csv: Any = importlib.import_module("pyarrow.csv")
pa_parquet: Any = importlib.import_module("pyarrow.parquet")

COLUMNS = ("time_s", "current_a", "voltage_v", "temperature_c")
_PLAUSIBLE = {
    "time_s": (-1e12, 1e12),
    "current_a": (-5000.0, 5000.0),
    "voltage_v": (0.0, 6.0),
    "temperature_c": (-60.0, 150.0),
    "soc": (-0.2, 1.2),
}


class LogError(ValueError):
    """A log that cannot be used; the message names file, column, row, and what would be right."""


@dataclass(frozen=True)
class Log:
    """One cell's log: columns of equal length, time rising. `soc` is None where the file has none."""

    name: str
    source: str
    time_s: Array
    current_a: Array
    voltage_v: Array
    temperature_c: Array
    soc: Array | None
    simulated: bool = False

    @property
    def capacity_ah(self) -> float | None:
        """Capacity on which the log's own soc column is based; None without one or without a swing."""
        if self.soc is None or np.ptp(self.soc) < 0.1:
            return None
        held_ah = np.concatenate(([0.0], np.cumsum(self.current_a[:-1] * np.diff(self.time_s)))) / 3600
        slope = np.polyfit(self.soc, held_ah, 1)[0]
        return float(slope) if slope > 0 else None


class Cursor:
    """A place in a log, counted in ticks."""

    def __init__(self, log: Log, row: int) -> None:
        self.log = log
        self.row = row
        self._row_ticks = np.diff(
            np.rint((log.time_s - log.time_s[0]) * 1000 / TICK_MS).astype(np.int64)
        ).tolist()
        self._left: int = self._row_ticks[row] if row < len(self._row_ticks) else 0

    @property
    def finished(self) -> bool:
        """The log is over; its last row is for the end of the last interval."""
        return self.row >= len(self._row_ticks)

    def span(self, ticks: int) -> int:
        """Of `ticks`, how many lie in the present row; all when the log is over."""
        return ticks if self.finished else max(1, min(ticks, self._left))

    def pass_by(self, ticks: int) -> None:
        """Move on by `ticks` (at most `span`)."""
        self._left -= ticks
        while self._left <= 0 and not self.finished:
            self.row += 1
            self._left += self._row_ticks[self.row] if not self.finished else 0

    @property
    def current_a(self) -> float:
        """The log's current here; 0 when it is over."""
        return 0.0 if self.finished else float(self.log.current_a[self.row])


def _columns(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(pa_parquet.read_schema(path).names)
    with path.open(encoding="utf-8", errors="replace") as file:
        return [name.strip().strip('"') for name in file.readline().split(",")]


def _table(path: Path) -> Any:
    if path.suffix == ".parquet":
        return pa_parquet.read_table(path)
    if path.suffix == ".csv":
        return pa_csv.read_csv(path)
    raise LogError(f"{path}: a log is a .csv or .parquet file, not {path.suffix or 'without a suffix'!r}")


def read_log(path: Path) -> Log:
    """Read and check one log. Raises LogError for whatever would make a run meaningless."""
    if not path.is_file():
        raise LogError(f"{path}: no such file")
    try:
        table = _table(path)
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        found = ", ".join(table.column_names)
        raise LogError(
            f"{path}: column {missing[0]!r} is missing; a log needs {', '.join(COLUMNS)}; found: {found}"
        )
    wanted = [*COLUMNS, *(["soc"] if "soc" in table.column_names else [])]
    data = {name: _column(path, table, name) for name in wanted}
    time_s = data["time_s"]
    if len(time_s) < 2:
        raise LogError(f"{path}: {len(time_s)} rows; a log needs at least 2")
    back = np.flatnonzero(np.diff(time_s) <= 0)
    if len(back):
        row = int(back[0]) + 1
        raise LogError(
            f"{path}: column 'time_s', row {row + 1}: {time_s[row]:g} does not come after {time_s[row - 1]:g}"
        )
    return Log(path.stem, str(path), *(data[name] for name in COLUMNS), soc=data.get("soc"))


def _column(path: Path, table: Any, name: str) -> Array:
    try:
        values = np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowException as error:
        raise LogError(f"{path}: column {name!r} is not numbers: {str(error).splitlines()[0]}") from error
    low, high = _PLAUSIBLE[name]
    wrong = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(wrong):
        row = int(wrong[0])
        what = "is missing or not a number" if np.isnan(values[row]) else f"is {values[row]:g}"
        raise LogError(f"{path}: column {name!r}, row {row + 1} {what}; must be {low:g} to {high:g}")
    return values


def _drive_like(log: Log) -> bool:
    """A full-range drive: about 1 Hz, swinging current both ways, from nearly full to below a third."""
    if log.soc is None or len(log.time_s) < 1000 or float(np.median(np.diff(log.time_s))) > 2.0:
        return False
    swing = float(np.abs(log.current_a).max())
    restless = float((np.abs(np.diff(log.current_a)) > 0.05 * swing).mean())
    both_ways = log.current_a.max() > 0.1 * swing and log.current_a.min() < -0.5 * swing
    return restless > 0.04 and bool(both_ways) and log.soc[0] > 0.9 and log.soc[-1] < 0.33


def _distance_from_room(log: Log) -> int:
    return int(abs(float(log.temperature_c.mean()) - 25.0) // 5)


def find_drive(folder: Path, *, short: bool = False) -> Log:
    """The drive cycle to use from a folder of logs, by content: nearest to room temperature, then by folder,
    then by duration (`short`) or path. Files that are no usable log are passed over.

    Raises LogError if none is left.
    """
    if not folder.is_dir():
        raise LogError(f"{folder}: no such folder")
    found: list[tuple[tuple[int, str, float, str], Log]] = []
    looked = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".parquet", ".csv") and p.is_file()):
        looked += 1
        try:
            if not {*COLUMNS, "soc"} <= set(_columns(path)):
                continue
            log = read_log(path)
        except (LogError, OSError, pa.ArrowException):
            continue
        if _drive_like(log):
            length = float(log.time_s[-1]) if short else 0.0
            found.append(((_distance_from_room(log), str(path.parent), length, path.name), log))
    if not found:
        raise LogError(
            f"{folder}: none of {looked} .csv/.parquet files is a drive cycle with {', '.join(COLUMNS)}, soc"
        )
    return min(found, key=lambda item: item[0])[1]


def choose_log(data: Path | None, state_dir: Path, *, short: bool = False) -> Log:
    """The input of a run: `data` (file or folder), else CELLKEEPER_DATA, else a simulated log (cached)."""
    if data is None and os.environ.get("CELLKEEPER_DATA"):
        data = Path(os.environ["CELLKEEPER_DATA"])
        if not data.exists():
            raise LogError(f"CELLKEEPER_DATA names {data}, which does not exist")
    if data is None:
        from hil.simulate import simulated_log

        return simulated_log(state_dir)
    return find_drive(data, short=short) if data.is_dir() else read_log(data)


def matching_cell(log: Log) -> CellFile:
    """The cell file whose rest curve lies nearest to the log; the default cell where the log has no soc."""
    cells = [load_cell(name) for name in cell_names()]
    if log.soc is None:
        return load_cell("lg_hg2")
    calm = np.abs(log.current_a) <= np.quantile(np.abs(log.current_a), 0.3)
    soc, voltage_v = log.soc[calm], log.voltage_v[calm]
    return min(cells, key=lambda cell: float(np.abs(cell.ocv(soc) - voltage_v).mean()))
