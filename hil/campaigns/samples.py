"""Measured drives as the samples that a front end would send: interpolated, noisy, quantised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bms.tables import params
from numpy.typing import NDArray

from cloud.twin.cell import cell_names, load_cell
from cloud.twin.logs import LogError, pa, pa_csv, pa_parquet

RATE_HZ = 200
SENSORS = 4
SERIES = 12
DRIVE_STEP_S = 2.0
_NEEDED = ("time_s", "current_a", "voltage_v")
_ROOM_C = 25.0
_CELL_AH = 3.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the sensors, each cut at 3 sigma; and the cells in series."""

    current_ma: float = 10.0
    pack_mv: float = 5.0
    cell_mv: float = 0.7
    temp_dc: float = 0.5
    series: int = SERIES


@dataclass(frozen=True)
class Truth:
    """Noise-free signals of a piece of a drive at 200 Hz: one cell's, standing for all in the string."""

    current_a: Floats
    cell_v: Floats
    temperature_c: Floats


@dataclass(frozen=True)
class Drive:
    """A measured drive, at its own steps; gaps are still gaps."""

    name: str
    chemistry: int
    time_s: Floats
    current_a: Floats
    cell_v: Floats
    temperature_c: Floats

    @property
    def seconds(self) -> int:
        """Whole seconds."""
        return int(self.time_s[-1] - self.time_s[0])

    def truth(self, begin_s: int, seconds: int) -> Truth:
        """A piece of it, gaps interpolated."""
        t: Floats = float(self.time_s[0]) + begin_s + np.arange(seconds * RATE_HZ) / RATE_HZ
        return Truth(
            np.interp(t, self.time_s, self.current_a),
            np.interp(t, self.time_s, self.cell_v),
            np.interp(t, self.time_s, self.temperature_c),
        )


def drives(folder: Path) -> Iterator[Drive]:
    """Every drive below a folder of logs, by content: current that swings at a step of 2 s or less."""
    for path in log_files(folder):
        if drive := read_drive(path, folder):
            yield drive


def log_files(folder: Path) -> list[Path]:
    """Every file below a folder that may hold a log, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".parquet", ".csv"))


def read_drive(path: Path, folder: Path) -> Drive | None:
    """The drive in a file; None when it holds none. A whole pack's log is brought to one cell of 3 Ah."""
    try:
        return _read_drive(path, folder)
    except (LogError, OSError, pa.ArrowException):
        return None


def _read_drive(path: Path, folder: Path) -> Drive | None:
    names = _names(path)
    if not set(_NEEDED) <= set(names):
        return None
    table: Any = (pa_parquet.read_table if path.suffix == ".parquet" else pa_csv.read_csv)(path)
    wanted = [*_NEEDED, *(name for name in ("temperature_c", "soc", "bms_soc_pct") if name in names)]
    read: dict[str, Floats] = {
        name: np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)) for name in wanted
    }
    sound = np.all([np.isfinite(column) for column in read.values()], axis=0)
    data = {name: column[sound] for name, column in read.items()}
    rising = np.flatnonzero(np.diff(data["time_s"], prepend=-np.inf) > 0)
    data = {name: column[rising] for name, column in data.items()}
    time_s, current_a, voltage_v = data["time_s"], data["current_a"], data["voltage_v"]
    if len(time_s) < 100 or float(np.median(np.diff(time_s))) > DRIVE_STEP_S:
        return None
    swing = float(np.abs(current_a).max())
    if (np.abs(np.diff(current_a)) > 0.05 * swing).mean() < 0.1:
        return None
    if float(np.median(voltage_v)) > 6:
        voltage_v = voltage_v / round(float(voltage_v.max()) / 4.15)
        current_a = current_a * _CELL_AH / _capacity_ah(data, current_a)
    temperature_c = data.get("temperature_c", np.full_like(time_s, _ROOM_C))
    chemistry = _chemistry(path, voltage_v)
    return Drive(path.relative_to(folder).as_posix(), chemistry, time_s, current_a, voltage_v, temperature_c)


def _chemistry(path: Path, voltage_v: Floats) -> int:
    known = [name for name in cell_names() if name in path.as_posix()]
    if known:
        return params.CHEMISTRIES.index(load_cell(known[0]).chemistry)
    return params.LFP if float(np.median(voltage_v)) < 3.4 else params.NMC


def _names(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(pa_parquet.read_schema(path).names)
    with path.open(encoding="utf-8", errors="replace") as file:
        return [name.strip().strip('"') for name in file.readline().split(",")]


def _capacity_ah(data: dict[str, Floats], current_a: Floats) -> float:
    """Charge moved for the change of SoC that the pack's own counter saw."""
    soc = data["soc"] if "soc" in data else data["bms_soc_pct"] / 100 if "bms_soc_pct" in data else None
    held_ah = np.concatenate(([0.0], np.cumsum(current_a[:-1] * np.diff(data["time_s"])))) / 3600
    if soc is None or np.ptp(soc) < 0.02:
        raise LogError("a pack's log without a swing of SoC: its capacity is not known")
    return float(np.polyfit(soc, held_ah, 1)[0])


def encode(truth: Truth, noise: Noise, rng: np.random.Generator) -> bytes:
    """The samples as hil/campaigns/feeder.py reads them, a block a second."""

    def noisy(values: Floats, sigma: float) -> Floats:
        return np.rint(values + sigma * np.clip(rng.standard_normal(values.shape), -3, 3))

    n = len(truth.current_a)
    fast = np.zeros((n, 4), dtype="<i4")
    fast[:, 0] = noisy(1000 * truth.current_a, noise.current_ma)
    fast[:, 1] = noisy(1000 * truth.cell_v * noise.series, noise.pack_mv)
    cells = noisy(np.repeat(1000 * truth.cell_v[::4, None], noise.series, axis=1), noise.cell_mv)
    temps = noisy(np.repeat(10 * truth.temperature_c[::20, None], SENSORS, axis=1), noise.temp_dc)
    seconds = n // RATE_HZ
    parts = (
        fast.reshape(seconds, -1).view(np.uint8),
        cells.astype("<u2").reshape(seconds, -1).view(np.uint8),
        temps.astype("<i2").reshape(seconds, -1).view(np.uint8),
    )
    return np.concatenate(parts, axis=1).tobytes()
