"""Heat capacity and thermal resistance of the cell, from how its own losses warm it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.identify.basis import low_pass
from cloud.twin.identify.read import Run
from cloud.twin.table import Array

_LEAST_SWING_K = 1.5
_USUAL_J_K_AH = 20.0  # heat capacity of usual cells for each Ah: 15 (18650) to 35 (LFP 26650)
_USUAL_TAU_S = 1000.0


@dataclass(frozen=True)
class Thermal:
    """One-node model with its doubt; `rmse_k` is None where no log warmed enough and usual values stand."""

    heat_capacity_j_k: float
    thermal_resistance_k_w: float
    heat_capacity_sigma: float
    thermal_resistance_sigma: float
    rmse_k: float | None


def thermal(cell: CellFile, runs: list[Run]) -> Thermal:
    """Fit T of the runs that warm by more than 1.5 K: chamber and start free for each run."""
    warm = [r for r in runs if np.ptp(r.temperature_c) > _LEAST_SWING_K and r.time_s[-1] - r.time_s[0] > 600]
    if not warm:
        capacity = _USUAL_J_K_AH * cell.capacity_ah
        return Thermal(capacity, _USUAL_TAU_S / capacity, 0.5 * capacity, 0.5 * _USUAL_TAU_S / capacity, None)
    taus = np.geomspace(60.0, 6000.0, 40)
    found = [_at(cell, warm, float(tau)) for tau in taus]
    best = int(np.argmin([f[0] for f in found]))
    squares, resistance, sigma = found[best]
    count = sum(len(run.time_s) for run in warm)
    effective = max(len(warm) * 8.0, 10.0)  # a log's temperature is one slow curve: some eight free points
    spread = squares / effective
    distance = np.abs(np.log(taus / taus[best]))
    near = distance[np.array([f[0] for f in found]) - squares < spread]
    tau_doubt = max(float(near.max()), 0.06)
    r_doubt = float(np.hypot(sigma / max(resistance, 1e-9), tau_doubt / 2))
    capacity = float(taus[best]) / resistance
    return Thermal(
        capacity,
        resistance,
        capacity * float(np.hypot(r_doubt, tau_doubt)),
        resistance * r_doubt,
        float(np.sqrt(squares / count)),
    )


def _at(cell: CellFile, runs: list[Run], tau_s: float) -> tuple[float, float, float]:
    """Sum of squares, thermal resistance and its doubt at one time constant: linear least squares."""
    numerator = denominator = total = 0.0
    parts: list[tuple[Array, Array]] = []
    for run in runs:
        dt_s = np.diff(run.time_s, prepend=run.time_s[0])
        fall = np.exp(-dt_s / tau_s)
        heat_w = run.current_a * (run.voltage_v - cell.ocv(run.soc, run.temperature_c))
        response = low_pass(fall, (1 - fall) * np.maximum(heat_w, 0.0))
        settle = np.exp(-(run.time_s - run.time_s[0]) / tau_s)
        free = np.stack((settle, 1 - settle), axis=1)  # start and chamber: projected out
        basis, _ = np.linalg.qr(free)
        x = response - basis @ (basis.T @ response)
        y = run.temperature_c - basis @ (basis.T @ run.temperature_c)
        parts.append((x, y))
        numerator, denominator = numerator + float(x @ y), denominator + float(x @ x)
    resistance = max(numerator / max(denominator, 1e-12), 1e-3)
    each = [float(x @ y) / max(float(x @ x), 1e-12) for x, y in parts]
    for x, y in parts:
        e = y - resistance * x
        total += float(e @ e)
    sigma = float(np.std(each) / np.sqrt(len(each))) if len(each) > 1 else 0.1 * resistance
    return total, resistance, sigma
