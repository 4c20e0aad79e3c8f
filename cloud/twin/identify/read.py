"""Logs as identification uses them: checked, split at gaps, thinned, with a state of charge for every row."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from cloud.twin.logs import Log, LogError, read_log
from cloud.twin.table import Array, Index

GAP_S = 1200.0  # a step longer than this hides what happened in it
_SPEC = re.compile(r"(?P<path>.+?)(?:@(?P<at>-?\d+(?:\.\d+)?))?$")


@dataclass(frozen=True)
class Run:
    """An unbroken piece of a log; `given`: its SoC is the log's own; `start_sigma`: doubt about its start."""

    name: str
    time_s: Array
    current_a: Array
    voltage_v: Array
    temperature_c: Array
    soc: Array
    start_sigma: float
    given: bool

    @property
    def charge_ah(self) -> Array:
        """Ah since the start of the run, current taken as linear between rows."""
        return charge_ah(self.time_s, self.current_a)


def charge_ah(time_s: Array, current_a: Array) -> Array:
    """Ah charged since the first row; same shape."""
    mean_a = (current_a[1:] + current_a[:-1]) / 2
    return np.concatenate(([0.0], np.cumsum(mean_a * np.diff(time_s)))) / 3600


def read_spec(spec: str, discharge_positive: bool = False) -> Log:
    """The log that `FILE` or `FILE@TEMPERATURE` names, positive current charging. Raises LogError."""
    match = None if Path(spec).is_file() else _SPEC.fullmatch(spec)
    path, at = (Path(match["path"]), match["at"]) if match else (Path(spec), None)
    try:
        log = read_log(path, temperature_c=None if at is None else float(at), repeats=True)
    except LogError as error:
        if "'temperature_c' is missing" in str(error):
            raise LogError(f"{error}; or give the chamber's temperature in degC: {path}@25") from error
        raise
    if discharge_positive:
        log = replace(log, current_a=-log.current_a)
    _check_sign(log, discharge_positive)
    return log


def _check_sign(log: Log, flipped: bool) -> None:
    """A cell's voltage rises with the charging current: refuse a log in which it falls."""
    step_a, step_v = np.diff(log.current_a), np.diff(log.voltage_v)
    big = np.abs(step_a) > 0.2 * max(float(np.abs(log.current_a).max()), 1e-9)
    if big.sum() >= 5:
        slope = float((step_a[big] * step_v[big]).sum())
    else:
        moved = charge_ah(log.time_s, log.current_a)
        slope = float(((moved - moved.mean()) * (log.voltage_v - log.voltage_v.mean())).sum())
    if slope < 0:
        row = int(np.abs(log.current_a).argmax())
        advice = "leave out" if flipped else "positive current must charge; use"
        raise LogError(
            f"{log.source}: column 'current_a', row {row + 1} is {log.current_a[row]:g}: voltage falls when "
            f"the current rises, so its sign is the other way round; {advice} --discharge-positive"
        )


def pieces(log: Log) -> list[slice]:
    """The unbroken parts of a log: cut where a row is missing for longer than GAP_S."""
    cuts = np.flatnonzero(np.diff(log.time_s) > GAP_S) + 1
    edges = [0, *cuts.tolist(), len(log.time_s)]
    return [slice(a, b) for a, b in pairwise(edges) if b - a >= 10]


def thin(time_s: Array, current_a: Array, voltage_v: Array) -> Index:
    """Rows worth fitting, as indices: every step of current or voltage, else one a second, in rests fewer."""
    scale_a = max(float(np.abs(current_a).max()), 1e-9)
    keep = [0]
    last_t, last_i, last_v = time_s[0], current_a[0], voltage_v[0]
    rows = zip(time_s.tolist(), current_a.tolist(), voltage_v.tolist(), strict=True)
    for k, (t, i, v) in enumerate(rows):
        if k == 0:
            continue
        span, calm = t - last_t, abs(i - last_i) < 0.01 * scale_a
        if (span < 0.95 and calm) or (span < 10 and calm and abs(v - last_v) < 5e-4):
            continue
        if k - 1 > keep[-1] and not calm:
            keep.append(k - 1)  # the step begins at the row before
        keep.append(k)
        last_t, last_i, last_v = t, i, v
    return np.asarray(keep, dtype=np.intp)
