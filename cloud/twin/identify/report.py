"""What identification leaves behind: the cell file, a table of errors, a plot."""

from __future__ import annotations

import importlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.identify.ocv import SOC, RestCurve
from cloud.twin.identify.read import Run
from cloud.twin.identify.score import Score, predict

_DECIMALS = {
    "ocv_v": 4,
    "hysteresis_v": 4,
    "ocv_temperature_c": 1,
    "r_temperature_c": 2,
    "capacity_temperature_c": 1,
}
_LAST = ("uncertainty", "fit")


def rounded(value: Any, digits: int | None = None) -> Any:
    """The same value with lists for arrays and five significant digits, or `digits` decimals."""
    if isinstance(value, dict):
        items: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {key: rounded(item) for key, item in items.items()}
    if isinstance(value, np.ndarray | list | tuple):
        parts: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return [rounded(item, digits) for item in parts]
    if isinstance(value, float):  # numpy.float64 is one
        number = float(value)
        return round(number, digits) if digits is not None else float(f"{number:.4g}")
    return value


def write_cell(cell: CellFile, path: Path) -> None:
    """Write the cell file: one field a line, so that two files can be compared."""
    own = {item.name: getattr(cell, item.name) for item in fields(CellFile)}
    lines: list[str] = []
    for key in [k for k in own if k not in _LAST] + list(_LAST):
        value = rounded(own[key], _DECIMALS.get(key))
        if key in _LAST:
            inner = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()]
            text = "{\n" + ",\n".join(inner) + "\n }" if inner else "{}"
        else:
            text = json.dumps(value)
        lines.append(f" {json.dumps(key)}: {text}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def summary(scores: list[Score]) -> dict[str, Any]:
    """Errors as they stand in a cell file: by log, in mV."""
    return {
        s.name: {
            "temperature_c": round(s.temperature_c, 1),
            "rmse_mv": round(s.rmse_mv, 1),
            "rmse_above_10_mv": round(s.rmse_above_10_mv, 1) if np.isfinite(s.rmse_above_10_mv) else None,
            "mean_mv": round(s.mean_mv, 1),
        }
        for s in scores
    }


def pooled_mv(scores: list[Score], *, above_10: bool = False) -> float:
    """Root of the mean square over logs, each counting once, in mV; nan-free part where SoC is above 0.1."""
    values = [s.rmse_above_10_mv if above_10 else s.rmse_mv for s in scores]
    return float(np.sqrt(np.nanmean(np.square(values))))


def plot(cell: CellFile, runs: list[Run], curves: list[RestCurve], path: Path) -> None:
    """Rest curves, resistances, and measured against predicted voltage of the worst-fitted run."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    plt: Any = importlib.import_module("matplotlib.pyplot")
    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    ocv, resistance, errors, trace = axes.flat
    for t, row, sigma in zip(cell.ocv_temperature_c, cell.ocv_v, cell.uncertainty["ocv_v"], strict=True):
        (line,) = ocv.plot(SOC, row, label=f"{t:.0f} °C", lw=1)
        ocv.fill_between(SOC, row - 2 * sigma, row + 2 * sigma, alpha=0.2, color=line.get_color())
    for curve in curves:
        ocv.plot(SOC, curve.ocv_v, "k:", lw=0.5)
    ocv.set(xlabel="SoC", ylabel="OCV, V", title=f"{cell.name}: rest voltage, 2 sigma")
    ocv.legend(fontsize=8)
    for k, style in enumerate(("-", "--", ":")):
        for n, t in enumerate(cell.r_temperature_c):
            label = f"R{k} {t:.0f} °C"
            values = 1000 * getattr(cell, f"r{k}_ohm")[n]
            resistance.semilogy(cell.r_soc, values, style, color=f"C{n}", lw=1, label=label)
    resistance.set(xlabel="SoC", ylabel="milliohm", title="R0, R1, R2")
    resistance.legend(fontsize=6, ncols=3)
    worst, largest = runs[0], -1.0
    for run in runs:
        e_mv = 1000 * (run.voltage_v - predict(cell, run))
        errors.plot(run.soc, e_mv, lw=0.3)
        spread = float(np.std(e_mv))
        if spread > largest:
            worst, largest = run, spread
    errors.set(xlabel="SoC", ylabel="mV", title="measured - predicted, all runs", ylim=(-150, 150))
    hours = (worst.time_s - worst.time_s[0]) / 3600
    trace.plot(hours, worst.voltage_v, lw=0.6, label="measured")
    trace.plot(hours, predict(cell, worst), lw=0.6, label="predicted")
    trace.set(xlabel="h", ylabel="V", title=f"worst: {worst.name}")
    trace.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
