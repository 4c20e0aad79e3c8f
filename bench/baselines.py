"""What the device's SoC filter is measured against: counting, looking up, and a textbook filter in floats."""

from __future__ import annotations

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.table import Array
from hil.replay import Run


def _dt_s(run: Run) -> Array:
    return np.diff(run.log.time_s, prepend=run.log.time_s[0] - 1.0)


def coulomb_soc(run: Run, cell: CellFile) -> Array:
    """Charge counted from what the run is told."""
    log = run.log
    return run.start_soc + np.cumsum(log.current_a * _dt_s(run) / (3600 * cell.capacity(log.temperature_c)))


def ocv_soc(run: Run, cell: CellFile) -> Array:
    """SoC read off the OCV, the ohmic drop taken away."""
    log = run.log
    r0 = cell.resistances(np.full_like(log.current_a, 0.5), log.temperature_c)[0]
    soc = np.empty_like(log.current_a)
    for t in np.unique(np.round(log.temperature_c)):
        rows = np.round(log.temperature_c) == t
        soc[rows] = cell.soc_of_ocv(log.voltage_v[rows] - log.current_a[rows] * r0[rows], float(t))
    return np.clip(soc, 0.0, 1.0)


_NOISE_V = 0.04
_WALK = np.array([1e-7, 1e-5, 1e-5])
_START = np.diag([0.3, 0.01, 0.01]) ** 2


def ekf_soc(run: Run, cell: CellFile) -> Array:
    """Extended Kalman filter with two RC pairs and constant noise, not tuned to a cell; double precision."""
    log = run.log
    grid = np.linspace(0.0, 1.0, 101)
    dt = _dt_s(run)
    x, p = np.array([run.start_soc, 0.0, 0.0]), _START.copy()
    out = np.empty_like(log.time_s)
    tables: dict[int, tuple[Array, ...]] = {}
    for n, (i, v, t) in enumerate(zip(log.current_a, log.voltage_v, log.temperature_c, strict=True)):
        key = round(float(t))
        if key not in tables:
            at = np.full_like(grid, key)
            taus = cell.taus(np.array([float(key)]))
            tables[key] = (cell.ocv(grid, key), *cell.resistances(grid, at), *taus, cell.capacity(at[:1]))
        ocv, r0, r1, r2, tau1, tau2, capacity = tables[key]
        place = min(99, max(0, int(x[0] * 100)))
        a1, a2 = np.exp(-dt[n] / tau1[0]), np.exp(-dt[n] / tau2[0])
        x = np.array(
            [
                x[0] + i * dt[n] / (3600 * capacity[0]),
                a1 * x[1] + (1 - a1) * r1[place] * i,
                a2 * x[2] + (1 - a2) * r2[place] * i,
            ]
        )
        a = np.array([1.0, a1, a2])
        p = p * np.outer(a, a) + np.diag(_WALK) * dt[n]
        h = np.array([(ocv[place + 1] - ocv[place]) * 100, 1.0, 1.0])
        ph = p @ h
        expected = (
            ocv[place] + (x[0] * 100 - place) * (ocv[place + 1] - ocv[place]) + x[1] + x[2] + r0[place] * i
        )
        gain = ph / (h @ ph + _NOISE_V**2)
        x = x + gain * (v - expected)
        p = p - np.outer(gain, ph)
        out[n] = x[0]
    return np.clip(out, 0.0, 1.0)
