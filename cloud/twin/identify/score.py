"""How well a cell file predicts a log's terminal voltage, given its current, temperature and SoC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.identify.basis import low_pass
from cloud.twin.identify.fit import hysteresis_path
from cloud.twin.identify.read import Run
from cloud.twin.table import Array


@dataclass(frozen=True)
class Score:
    """Errors of the predicted voltage: over all rows and over those with SoC above 0.1, in mV."""

    name: str
    temperature_c: float
    rmse_mv: float
    rmse_above_10_mv: float
    mean_mv: float
    worst_mv: float


def predict(cell: CellFile, run: Run) -> Array:
    """Terminal voltage of each row; the pairs start relaxed, current is linear between rows."""
    soc, t = run.soc, run.temperature_c
    r0, r1, r2 = cell.resistances(soc, t)
    dt_s = np.diff(run.time_s, prepend=run.time_s[0])
    mean_a = run.current_a.copy()
    mean_a[1:] = (run.current_a[1:] + run.current_a[:-1]) / 2
    voltage_v = cell.ocv(soc, t) + run.current_a * r0
    voltage_v = voltage_v + hysteresis_path(run, soc, cell.hysteresis_soc) * cell.hysteresis(soc)
    for goal, tau_s in zip(cell.goals(mean_a, r1, r2), cell.taus(t), strict=True):
        fall = np.exp(-dt_s / tau_s)
        voltage_v = voltage_v + low_pass(fall, (1 - fall) * goal)
    return voltage_v


def score(cell: CellFile, run: Run) -> Score:
    """Errors of one run, weighted by the time that each row stands for."""
    e_mv = 1000 * (run.voltage_v - predict(cell, run))
    span_s = np.clip(np.diff(run.time_s, prepend=run.time_s[0]), 0.0, 60.0)
    above = run.soc > 0.1

    def rms(part: Array, weight: Array) -> float:
        return float(np.sqrt(np.average(part**2, weights=weight))) if weight.sum() > 0 else float("nan")

    return Score(
        run.name,
        float(np.median(run.temperature_c)),
        rms(e_mv, span_s),
        rms(e_mv[above], span_s[above]),
        float(np.average(e_mv, weights=span_s)),
        float(np.abs(e_mv).max()),
    )
