"""Which logs train, which are watched in training, which test: always whole logs, never parts of one.

A split is a JSON file: `folder` (below the data folder), `capacity_ah`, names of logs under `train`, `watch`,
`test`, and `ambient_c`: what a name begins with (up to its first underscore) -> chamber temperature.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bms.estimate.lstm_features import RATE_MAX, RATE_ONE

from cloud.training.features import Samples
from cloud.twin.logs import Log, read_log

SPLITS = Path(__file__).parent / "splits"
_KEYS = ("folder", "capacity_ah", "train", "watch", "test", "ambient_c")
_HOLD_S = 120
"""A row of a log holds until the next one, but no longer than this."""


class SplitError(ValueError):
    """A split that cannot be used; says what is wrong."""


@dataclass(frozen=True)
class Named:
    """A log and its chamber's temperature."""

    log: Log
    ambient_c: float


@dataclass(frozen=True)
class Split:
    """Logs of one cell type."""

    name: str
    capacity_ah: float
    train: list[Named]
    watch: list[Named]
    test: list[Named]


def read_split(name: str, data: Path) -> Split:
    """The split `name` (a shipped one, or a path) over the logs in `data`. Raises SplitError, LogError."""
    path = SPLITS / f"{name}.json" if "/" not in name and not name.endswith(".json") else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SPLITS.glob("*.json")))
        raise SplitError(f"{name}: no such split; there are {known}, or give a file's path")
    spec: dict[str, Any] = json.loads(path.read_text("utf-8"))
    missing = [
        key for key in ("folder", "capacity_ah", "train", "watch", "test", "ambient_c") if key not in spec
    ]
    if missing:
        raise SplitError(f"{path}: {missing[0]!r} is missing")
    parts = [set(spec[kind]) for kind in ("train", "watch", "test")]
    twice = (parts[0] & parts[1]) | (parts[0] & parts[2]) | (parts[1] & parts[2])
    if twice:
        raise SplitError(f"{path}: {sorted(twice)[0]} stands in two parts; a log belongs to one")
    folder = data / spec["folder"]
    folder = folder if folder.is_dir() else data
    kinds = [
        [_read(folder, log, spec["ambient_c"]) for log in spec[kind]] for kind in ("train", "watch", "test")
    ]
    return Split(path.stem, float(spec["capacity_ah"]), *kinds)


def _read(folder: Path, name: str, ambient_c: dict[str, float]) -> Named:
    path = next((p for p in (folder / f"{name}.parquet", folder / f"{name}.csv") if p.is_file()), None)
    if path is None:
        raise SplitError(f"{folder}: no {name}.parquet or .csv")
    known = [value for key, value in ambient_c.items() if name.startswith(f"{key}_") or f"_{key}_" in name]
    if len(known) != 1:
        raise SplitError(f"{name}: {len(known)} entries of ambient_c fit its name; one must")
    log = read_log(path, temperature_c=float(known[0]), repeats=True)
    if log.soc is None:
        raise SplitError(f"{path}: no column soc to learn from")
    return Named(log, float(known[0]))


def samples(log: Log, capacity_ah: float, soc: bool = True) -> Samples:
    """The log as the device samples it, once a second; where it has no row, without a voltage."""
    if capacity_ah <= 0:
        raise ValueError(f"capacity_ah is {capacity_ah:g}; it must be above 0")
    time_s = np.rint(log.time_s - log.time_s[0]).astype(np.int64)
    keep = np.append(np.diff(time_s) > 0, True)
    at = time_s[keep]
    n = int(at[-1]) + 1
    source = np.searchsorted(at, np.arange(n), side="right") - 1
    rows = np.flatnonzero(keep)[source]
    fresh = np.zeros(n, dtype=bool)
    fresh[at] = True
    held = np.arange(n) - at[source] < _HOLD_S
    capacity_mah = round(capacity_ah * 1000)
    rate = np.rint(log.current_a[rows] * 1000).astype(np.int64) * RATE_ONE // capacity_mah
    return Samples(
        rate=np.clip(np.where(held, rate, 0), -RATE_MAX, RATE_MAX),
        v=np.where(fresh, np.rint(log.voltage_v[rows] * 1000).astype(np.int64) * 16, 0),
        temp=np.clip(np.rint(log.temperature_c[rows] * 10).astype(np.int64), -600, 1500),
        soc=log.soc[rows] if soc and log.soc is not None else np.full(n, np.nan),
        rows=np.flatnonzero(keep),
        seconds=at,
    )
