"""What the device's SoC filter is measured against at the simple end: counting, and looking up."""

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
