"""Tests of a simulated cell whose parameters are known, as logs and as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cloud.twin.cell import KELVIN, CellFile, load_cell
from cloud.twin.identify.basis import R_KNOTS
from cloud.twin.identify.read import Run
from cloud.twin.identify.score import predict
from cloud.twin.logs import Log, pa, pa_parquet
from cloud.twin.table import Array

SOC = np.linspace(0, 1, 101)
TEMPERATURES = np.array([-10.0, 25.0])


def truth() -> CellFile:
    """A cell with smooth tables: 3 Ah, two rows of temperature, 6 mV of hysteresis, straight first pair."""
    shape = 1.0 + 0.8 * np.exp(-R_KNOTS / 0.1)
    warmth = 1 / (TEMPERATURES + KELVIN) - 1 / (25.0 + KELVIN)
    rows = [
        base * np.exp(k * warmth)[:, None] * shape for base, k in ((0.02, 2200), (0.012, 3000), (0.02, 2200))
    ]
    ocv = load_cell("lg_hg2").ocv(SOC, 25.0)
    return CellFile(
        name="made",
        chemistry="nmc",
        capacity_ah=3.0,
        capacity_temperature_c=TEMPERATURES,
        capacity_ratio=np.array([0.95, 1.0]),
        ocv_temperature_c=TEMPERATURES,
        ocv_soc=SOC,
        ocv_v=np.array([ocv - 0.006 * np.sin(np.pi * SOC), ocv]),
        hysteresis_v=np.full(101, 0.006),
        hysteresis_soc=0.03,
        r_temperature_c=TEMPERATURES,
        r_soc=R_KNOTS,
        r0_ohm=rows[0],
        r1_ohm=rows[1],
        r2_ohm=rows[2],
        tau1_s=np.array([20.0, 12.0]),
        tau2_s=np.array([350.0, 250.0]),
        activation_k=(2200.0, 3000.0, 2200.0),
        reference_c=25.0,
        heat_capacity_j_k=45.0,
        thermal_resistance_k_w=8.0,
    )


def _warmed(cell: CellFile, run: Run, ambient_c: float) -> Array:
    """Temperature of the cell under the losses i (v - OCV) that it has at the run's temperature."""
    loss_w = run.current_a * (predict(cell, run) - cell.ocv(run.soc, run.temperature_c))
    tau_s = cell.heat_capacity_j_k * cell.thermal_resistance_k_w
    goal_c = (ambient_c + np.maximum(loss_w, 0.0) * cell.thermal_resistance_k_w).tolist()
    fall = np.exp(-np.diff(run.time_s) / tau_s).tolist()
    out = [ambient_c]
    for goal, kept in zip(goal_c[1:], fall, strict=True):
        out.append(goal + (out[-1] - goal) * kept)
    return np.array(out)


def log(
    cell: CellFile, name: str, time_s: Array, current_a: Array, start: float, ambient_c: float, seed: int
) -> Log:
    """What a tester would record of the cell, with 1 mV of noise; no soc column."""
    mean_a = (current_a[1:] + current_a[:-1]) / 2
    moved = np.concatenate(([0.0], np.cumsum(mean_a * np.diff(time_s)))) / 3600
    soc = start + moved / float(cell.capacity(np.asarray(ambient_c)))
    run = Run(name, time_s, current_a, np.zeros_like(soc), np.full(len(soc), ambient_c), soc, 0.0, True)
    for _ in range(3):  # losses depend on the temperature that they make
        run = replace(run, temperature_c=_warmed(cell, run, ambient_c))
    noise = 0.001 * np.random.default_rng(seed).standard_normal(len(soc))
    return Log(name, name, time_s, current_a, predict(cell, run) + noise, run.temperature_c, None)


def slow(cell: CellFile, ambient_c: float) -> Log:
    """C/20 discharge from full and charge back, a row a minute."""
    capacity = float(cell.capacity(np.asarray(ambient_c)))
    t = np.arange(0, 41 * 3600, 60.0)
    down, up = t < 20 * 3600, (t > 20.5 * 3600) & (t < 40.4 * 3600)
    current_a = np.where(down, -capacity / 20, np.where(up, capacity / 20, 0.0))
    return log(cell, f"slow {ambient_c:.0f}", t, current_a, 1.0, ambient_c, 1)


def drive(cell: CellFile, ambient_c: float, seed: int, end: float = 0.08, step_s: float = 1.0) -> Log:
    """Restless current from full to `end`, then ten minutes of rest."""
    rng = np.random.default_rng(seed)
    t = np.arange(0, 9000.0, step_s)
    level = np.repeat(rng.normal(-1.4, 2.2, len(t) // 8 + 1), 8)[: len(t)]
    current_a = np.clip(level, -9.0, 3.0)
    moved = np.cumsum(current_a) * step_s / 3600 / float(cell.capacity(np.asarray(ambient_c)))
    stop = int(np.argmax(moved < end - 1.0)) or len(t)
    current_a[0] = 0.0
    current_a[stop:] = 0.0
    n = min(len(t), stop + int(600 / step_s))
    return log(cell, f"drive {ambient_c:.0f} {seed}", t[:n], current_a[:n], 1.0, ambient_c, seed)


def pulses(cell: CellFile, ambient_c: float) -> Log:
    """Ten times: a pulse of 10 s at 1C, ten minutes of rest, 9 % of charge at C/2, half an hour of rest."""
    parts: list[Array] = [np.zeros(60)]
    for _ in range(10):
        parts += [np.full(10, -3.0), np.zeros(600), np.full(612, -1.5), np.zeros(1800)]
    current_a = np.concatenate(parts)
    return log(
        cell, f"pulses {ambient_c:.0f}", np.arange(len(current_a), dtype=float), current_a, 1.0, ambient_c, 3
    )


def write(log: Log, path: Path, *, soc: bool = False) -> Path:
    """As a file: Parquet or CSV by the suffix."""
    columns = {
        "time_s": log.time_s,
        "current_a": log.current_a,
        "voltage_v": log.voltage_v,
        "temperature_c": log.temperature_c,
    }
    if soc and log.soc is not None:
        columns["soc"] = log.soc
    if path.suffix == ".parquet":
        pa_parquet.write_table(pa.table(columns), path)
    else:
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        path.write_text(
            "\n".join([",".join(columns), *(",".join(f"{v:.6g}" for v in row) for row in rows)]) + "\n"
        )
    return path


def cut(whole: Log, begin: int) -> Log:
    """The log from row `begin` on, as if recording had begun there."""
    return replace(
        whole,
        time_s=whole.time_s[begin:] - whole.time_s[begin],
        current_a=whole.current_a[begin:],
        voltage_v=whole.voltage_v[begin:],
        temperature_c=whole.temperature_c[begin:],
    )
