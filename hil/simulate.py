"""A log simulated with PyBaMM, for people without measured data: labelled so wherever it appears."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cloud.twin.logs import Log, LogError, pa, pa_parquet, read_log
from cloud.twin.table import Array

NAME = "simulated-chen2020"
_CAPACITY_AH = 5.0
_START_SOC = 0.95
"""Leaves room for regeneration below the cell's upper voltage."""
_HINT = (
    "no log given; to simulate one PyBaMM is needed: pip install 'cellkeeper[twin]', or name a log by --data"
)


def drive_profile(seconds: int, capacity_ah: float, seed: int = 7) -> Array:
    """Current in A, 1 Hz, discharge negative: a synthetic car's speed turned into power with regeneration.

    Speed goes between random targets with bounded acceleration; power = rolling + air + inertia, scaled so
    that the mean discharge is about C/3; peaks stay below 1.6C, which is what the cell of Chen2020 bears.
    """
    rng = np.random.default_rng(seed)
    speed = np.zeros(seconds)
    goal, left = 0.0, 0
    for k in range(1, seconds):
        if left == 0:
            goal = float(rng.choice([0.0, 8.0, 14.0, 20.0, 28.0], p=[0.2, 0.2, 0.25, 0.2, 0.15]))
            left = int(rng.integers(15, 70))
        left -= 1
        speed[k] = speed[k - 1] + np.clip(goal - speed[k - 1], -1.6, 1.2)
    accel = np.diff(speed, prepend=0.0)
    mass_kg = 1500.0
    power_w = speed * (0.01 * mass_kg * 9.81 + 0.4 * speed**2 + mass_kg * accel)
    power_w = np.where(power_w < 0, 0.5 * power_w, power_w) + 400.0
    current_a = -power_w / power_w.mean() * capacity_ah / 3
    return np.clip(current_a, -1.6 * capacity_ah, 0.4 * capacity_ah)


def simulated_log(state_dir: Path) -> Log:
    """The simulated drive cycle, from nearly full to nearly empty; made once and kept in `state_dir`."""
    path = state_dir / f"{NAME}.parquet"
    if not path.exists():
        sys.stderr.write("no measured log: simulating a drive cycle with PyBaMM once (some seconds)\n")
        state_dir.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        pa_parquet.write_table(pa.table(_simulate()), partial)
        partial.rename(path)
    log = read_log(path)
    return Log(
        NAME, "simulated with PyBaMM (SPMe, Chen2020)", log.time_s, log.current_a, log.voltage_v,
        log.temperature_c, log.soc, simulated=True,
    )  # fmt: skip


def _simulate() -> dict[str, Array]:
    try:
        pybamm: Any = importlib.import_module("pybamm")
    except ImportError as error:
        raise LogError(_HINT) from error
    model = pybamm.lithium_ion.SPMe({"thermal": "lumped"})
    values = pybamm.ParameterValues("Chen2020")
    current_a = drive_profile(12_000, _CAPACITY_AH)
    held_ah = -np.concatenate(([0.0], np.cumsum(current_a[:-1]))) / 3600
    keep = int(np.searchsorted(held_ah, 0.85 * _CAPACITY_AH))
    current_a = current_a[:keep]
    time_s = np.arange(len(current_a), dtype=np.float64)
    values["Current function [A]"] = pybamm.Interpolant(time_s, -current_a, pybamm.t)
    simulation = pybamm.Simulation(model, parameter_values=values, solver=pybamm.IDAKLUSolver())
    solution = simulation.solve([0.0, float(time_s[-1])], initial_soc=_START_SOC, t_interp=time_s)
    last = len(solution.t)
    capacity_ah = float(values["Nominal cell capacity [A.h]"])
    return {
        "time_s": solution.t,
        "current_a": current_a[:last],
        "voltage_v": solution["Terminal voltage [V]"].entries,
        "temperature_c": solution["X-averaged cell temperature [K]"].entries - 273.15,
        "soc": _START_SOC - held_ah[:last] / capacity_ah,
    }
