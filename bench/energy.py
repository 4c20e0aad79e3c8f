"""Remaining energy under a stated load against what simulated strings then gave.

Strings, sensors and drive are those of bench/power.py; then the load runs until the first cell is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from bms.estimate import soe
from bms.estimate.circuit import Circuit

from bench.power import (
    AMBIENT_C,
    CELLS,
    LEAST_SOC,
    PER_BATCH,
    SEED,
    SERIES,
    Strings,
    device_limits,
    driven,
    filtered,
)
from bench.row import Row
from cloud.twin.cell import CellFile, load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.table import Array

LOADS_C = (0.5, 1.5)
STEP_S = 5.0
COUNT = 20
CONSTANT = ("current", "power")
TYPICAL_V = {"nmc": 3.6, "nca": 3.6, "lfp": 3.2}


@dataclass(frozen=True)
class Energies:
    """Wh by string and load: told, its sigma, true; and of a full string at its nominal voltage."""

    told_wh: Array
    sigma_wh: Array
    true_wh: Array
    full_wh: float


def load_of(cell: CellFile, rate_c: float, constant: str) -> float:
    """The load in A, or in W of the string."""
    current_a = rate_c * cell.capacity_ah
    return current_a if constant == "current" else current_a * SERIES * TYPICAL_V[cell.chemistry]


def true_energy(strings: Strings, load: float, constant: str) -> Array:
    """Wh that each string gives until its first cell is empty, shape (n,)."""
    model = deepcopy(strings.model)
    n = len(strings.told_soc)
    energy, alive = np.zeros(n), np.ones(n, dtype=bool)
    volts = model.rest_v().reshape(n, SERIES)
    while alive.any():
        wanted = np.full(n, load) if constant == "current" else load / volts.sum(axis=1)
        current_a = np.where(alive, wanted, 0.0)
        volts = model.step(np.repeat(-current_a, SERIES), STEP_S, strings.ambient_c).reshape(n, SERIES)
        soc = model.soc.reshape(n, SERIES)
        alive &= (volts.min(axis=1) >= strings.least_v) & (soc.min(axis=1) >= LEAST_SOC)
        energy += np.where(alive, current_a * volts.sum(axis=1), 0.0) * STEP_S / 3600
    return energy


def energies(name: str, ambient_c: float, constant: str, count: int = COUNT) -> Energies:
    """Told and true for `count` strings under each of LOADS_C."""
    cell = load_cell(name)
    block = device_block(cell)
    random = np.random.default_rng([SEED, 1, CELLS.index(name), round(ambient_c) + 100])
    told: list[list[tuple[float, float]]] = []
    true: list[Array] = []
    for _ in range(max(1, count // PER_BATCH)):
        strings = driven(cell, ambient_c, min(count, PER_BATCH), random)
        loads = [load_of(cell, rate_c, constant) for rate_c in LOADS_C]
        true += list(np.array([true_energy(strings, load, constant) for load in loads]).T)
        for n in range(len(strings.told_soc)):
            sop, temp_dc = filtered(cell, block, strings, n)
            state = soe.Soe(
                Circuit(block), SERIES, round(1000 * cell.capacity_ah), device_limits(cell, strings)
            )
            row: list[tuple[float, float]] = []
            for load in loads:
                kind = CONSTANT.index(constant)
                state.solve(sop.first_empty, temp_dc, round(10 * ambient_c), round(1000 * load), kind)
                row.append((state.energy_mwh / 1000, state.sigma_mwh / 1000))
            told.append(row)
    both = np.array(told)
    full_wh = SERIES * cell.capacity_ah * TYPICAL_V[cell.chemistry]
    return Energies(both[..., 0], both[..., 1], np.array(true), full_wh)


def _rows(name: str, constant: str, found: list[Energies]) -> Iterator[Row]:
    told = np.concatenate([e.told_wh for e in found])
    sigma = np.concatenate([e.sigma_wh for e in found])
    true = np.concatenate([e.true_wh for e in found])
    for at, rate_c in enumerate(LOADS_C):
        wrong = 100 * (told - true)[:, at] / found[0].full_wh
        label = f"{name}: energy left at constant {constant}, {rate_c:g} C"
        note = f"{len(wrong)} strings, {AMBIENT_C[0]:g} to {AMBIENT_C[-1]:g} degC; % of a full string"
        yield Row(f"{label}, mean error", float(np.abs(wrong).mean()), "%", note)
        yield Row(f"{label}, largest error", float(np.abs(wrong).max()), "%", f"mean {wrong.mean():+.2f} %")
    inside = np.abs(told - true) <= 2 * sigma
    yield Row(f"{name}: energy within 2 sigma, constant {constant}", 100 * float(inside.mean()), "%")


def run() -> list[Row]:
    """Rows by cell and kind of load."""
    rows: list[Row] = []
    for name in CELLS:
        for constant in CONSTANT:
            rows += _rows(name, constant, [energies(name, ambient_c, constant) for ambient_c in AMBIENT_C])
    return rows
