"""Measured logs: reading and checking them.

A log is one cell's test as CSV or Parquet with `time_s, current_a, voltage_v, temperature_c` and, where
known, `soc` (0..1). Positive current charges. Steps need not be constant: a row holds until the next one.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cloud.twin.table import Array

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


def columns_of(path: Path) -> list[str]:
    """Names of the columns of a log that need not be good."""
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


def read_log(path: Path, *, temperature_c: float | None = None, repeats: bool = False) -> Log:
    """Read and check one log. Raises LogError for whatever would make a run meaningless.

    `temperature_c` stands in for a missing column of that name. With `repeats`, of several rows of one time
    (a change that the tester logged twice) the last is kept.
    """
    if not path.is_file():
        raise LogError(f"{path}: no such file")
    try:
        table = _table(path)
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    given = COLUMNS if temperature_c is None or "temperature_c" in table.column_names else COLUMNS[:3]
    missing = [name for name in given if name not in table.column_names]
    if missing:
        found = ", ".join(table.column_names)
        raise LogError(
            f"{path}: column {missing[0]!r} is missing; a log needs {', '.join(COLUMNS)}; found: {found}"
        )
    wanted = [*given, *(["soc"] if "soc" in table.column_names else [])]
    data = {name: _column(path, table, name) for name in wanted}
    if "temperature_c" not in data:
        data["temperature_c"] = np.full(len(data["time_s"]), temperature_c)
    if repeats:
        last = np.append(np.diff(data["time_s"]) != 0, True)
        data = {name: values[last] for name, values in data.items()}
    _check_time(path, data["time_s"])
    return Log(path.stem, str(path), *(data[name] for name in COLUMNS), soc=data.get("soc"))


def _check_time(path: Path, time_s: Array) -> None:
    if len(time_s) < 2:
        raise LogError(f"{path}: {len(time_s)} rows; a log needs at least 2")
    back = np.flatnonzero(np.diff(time_s) <= 0)
    if len(back):
        row = int(back[0]) + 1
        raise LogError(
            f"{path}: column 'time_s', row {row + 1}: {time_s[row]:g} does not come after {time_s[row - 1]:g}"
        )


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
