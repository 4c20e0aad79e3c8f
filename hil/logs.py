"""Choosing the input of a run: the drive cycle to use from a folder of logs, and the cell that fits it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cloud.twin.cell import CellFile, cell_names, load_cell
from cloud.twin.logs import COLUMNS, Log, LogError, columns_of, pa, read_log
from hil.link import TICK_MS


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
            if not {*COLUMNS, "soc"} <= set(columns_of(path)):
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
