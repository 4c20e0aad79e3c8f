"""The filter to beat: two RC pairs, three states, constant noise, tuned to each cell type; double precision.

All runs go side by side, a lane each, a step a row of the logs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.table import Array
from hil.replay import Run

_DEGREES = np.arange(-40.0, 81.0)
_GRID = np.linspace(0.0, 1.0, 101)
_START = np.diag([0.3, 0.01, 0.01]) ** 2


@dataclass(frozen=True)
class Noise:
    """Of a measurement in V; variances that SoC (1) and each RC voltage (V) gain in a second."""

    volt: float
    soc: float
    pair: float


UNTUNED = Noise(0.04, 1e-7, 1e-5)
CHOICES = {
    "volt": (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32),
    "soc": (1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6),
    "pair": (1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6),
}


def tuned(cost: Callable[[Noise], float], rounds: int = 2) -> Noise:
    """The noise with the least cost, found by going through the CHOICES of one value after the other."""
    best = UNTUNED
    known: dict[Noise, float] = {}
    for name, values in list(CHOICES.items()) * rounds:
        some = [replace(best, **{name: value}) for value in values]
        for noise in some:
            if noise not in known:
                known[noise] = cost(noise)
        best = min(some, key=known.__getitem__)
    return best


class _Tables:
    """The cell over whole degrees and percents, to look up many lanes at once."""

    def __init__(self, cell: CellFile) -> None:
        degrees, soc = np.meshgrid(_DEGREES, _GRID, indexing="ij")
        self.ocv_v = np.stack([cell.ocv(_GRID, float(t)) for t in _DEGREES])
        self.slope_v = np.diff(self.ocv_v, axis=1) * 100
        self.r_ohm = np.stack(cell.resistances(soc, degrees), axis=-1)
        self.tau_s = np.stack(cell.taus(_DEGREES), axis=-1)
        self.capacity_as = 3600 * cell.capacity(_DEGREES)


def ekf_soc(lanes: list[Run], cell: CellFile, noise: Noise) -> list[Array]:
    """SoC of each run, 0..1, a value a row of its log."""
    tables = _Tables(cell)
    rows = max(len(run.log.time_s) for run in lanes)

    def padded(name: str) -> Array:
        columns = [np.asarray(getattr(run.log, name)) for run in lanes]
        return np.stack([np.pad(column, (0, rows - len(column)), mode="edge") for column in columns], axis=1)

    current_a, volt_v = padded("current_a"), padded("voltage_v")
    dt_s = np.diff(padded("time_s"), axis=0, prepend=padded("time_s")[:1] - 1.0)
    degree = np.clip(np.rint(padded("temperature_c") - _DEGREES[0]), 0, len(_DEGREES) - 1).astype(np.int64)
    walk = np.array([noise.soc, noise.pair, noise.pair])
    x = np.array([(run.start_soc, 0.0, 0.0) for run in lanes])
    p = np.repeat(_START[None], len(lanes), axis=0)
    a, h = np.ones_like(x), np.ones_like(x)
    found = np.empty((rows, len(lanes)))
    for n in range(rows):
        at, i, dt = degree[n], current_a[n], dt_s[n]
        place = np.clip((x[:, 0] * 100).astype(np.int64), 0, 99)
        r = tables.r_ohm[at, place]
        a[:, 1:] = np.exp(-dt[:, None] / tables.tau_s[at])
        x[:, 1:] = a[:, 1:] * x[:, 1:] + (1 - a[:, 1:]) * r[:, 1:] * i[:, None]
        x[:, 0] += i * dt / tables.capacity_as[at]
        p *= a[:, :, None] * a[:, None, :]
        p[:, (0, 1, 2), (0, 1, 2)] += walk * dt[:, None]
        h[:, 0] = tables.slope_v[at, place]
        ph = (p * h[:, None, :]).sum(axis=2)
        open_v = tables.ocv_v[at, place] + (x[:, 0] - place / 100) * h[:, 0]
        missed_v = volt_v[n] - open_v - x[:, 1] - x[:, 2] - r[:, 0] * i
        gain = ph / ((h * ph).sum(axis=1) + noise.volt**2)[:, None]
        x += gain * missed_v[:, None]
        p -= gain[:, :, None] * ph[:, None, :]
        found[n] = x[:, 0]
    clipped = np.clip(found, 0.0, 1.0)
    return [clipped[: len(run.log.time_s), k] for k, run in enumerate(lanes)]
