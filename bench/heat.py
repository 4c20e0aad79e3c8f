"""Core temperature and its forecast against a cylinder that is solved in shells.

The plant: heat of the twin's cell model, the same everywhere inside, conducted through shells to the surface
and from there to an ambient. Conductivity, cooling, heat capacity and resistances are others than the device
is told, its sensor sits on the surface and is off by an offset, the ambient it is told by another.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from bms.estimate.circuit import Circuit
from bms.estimate.drops import Drops
from bms.estimate.ekf import Ekf
from bms.estimate.thermal import Thermal

from bench.power import AMBIENT_C, CELLS, SEED, another
from bench.row import Row
from cloud.twin.cell import load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.model import CellModel
from cloud.twin.table import Array
from cloud.twin.thermal_table import inner_resistance_k_w, thermal_block

SHELLS = 12
DRIVE_S = 1800
FORECAST_S = 60
LOAD_S = 90
RESISTANCE, INNER, OUTER = 0.12, 0.25, 0.25
"""Largest relative difference from what the device is told: electric, core to surface, surface to ambient."""
COUNT = 6


@dataclass(frozen=True)
class Heated:
    """One drive: core of the plant and of the device with its sigma by second; errors of each forecast."""

    core_c: Array
    told_c: Array
    sigma_k: Array
    surface_error_k: Array
    core_error_k: Array


class Cylinder:
    """Shells of equal volume; `inner_k_w` is from axis to surface when all are heated alike."""

    def __init__(self, heat_j_k: float, inner_k_w: float, outer_k_w: float, start_c: float) -> None:
        middles = np.sqrt((np.arange(SHELLS) + 0.5) / SHELLS)
        per_log = 2 * inner_k_w  # 1 / (2 pi k L), as inner_k_w = 1 / (4 pi k L)
        self._between = 1 / (per_log * np.log(middles[1:] / middles[:-1]))
        self._out = 1 / (outer_k_w + per_log * math.log(1 / middles[-1]))
        self._skin = per_log * math.log(1 / middles[-1])
        self._shell_j_k = heat_j_k / SHELLS
        self.temperature_c = np.full(SHELLS, start_c)
        self.surface_c = start_c

    def step(self, heat_w: float, ambient_c: float, span_s: float = 1.0, parts: int = 5) -> None:
        """Explicit, in parts short against the shells' time constants."""
        for _ in range(parts):
            t = self.temperature_c
            flow = self._between * (t[:-1] - t[1:])
            out = self._out * (t[-1] - ambient_c)
            net = np.full(SHELLS, heat_w / SHELLS)
            net[:-1] -= flow
            net[1:] += flow
            net[-1] -= out
            self.temperature_c = t + net * span_s / parts / self._shell_j_k
            self.surface_c = float(self.temperature_c[-1] - out * self._skin)


def heat_w(model: CellModel, current_a: float) -> float:
    """What the cell loses now."""
    r0, r1, r2 = (float(r[0]) for r in model.resistances())
    goal1, _ = model.cell.goals(current_a, np.array([r1]), np.array([r2]))
    chord1 = float(goal1[0]) / current_a if current_a else r1
    return current_a**2 * r0 + float(model.v1_v[0]) ** 2 / chord1 + float(model.v2_v[0]) ** 2 / r2


def heated(name: str, ambient_c: float, random: np.random.Generator) -> Heated:
    """A hard random drive, out and in alike, of one cell."""
    cell = load_cell(name)
    true = another(cell, random)
    block, capacity_mah = device_block(cell), round(1000 * cell.capacity_ah)
    model = CellModel(
        true, 0.6, temperature_c=ambient_c, resistance_scale=random.uniform(1 - RESISTANCE, 1 + RESISTANCE)
    )
    plant = Cylinder(
        true.heat_capacity_j_k,
        inner_resistance_k_w(cell) * random.uniform(1 - INNER, 1 + INNER),
        cell.thermal_resistance_k_w * random.uniform(1 - OUTER, 1 + OUTER),
        ambient_c,
    )
    circuit, ekf, thermal = Circuit(block), Ekf(capacity_mah, block), Thermal(thermal_block(cell))
    drops = Drops(circuit, 1)
    ekf.start(6000, 300, True)
    offset_c, ambient_offset_c = random.uniform(-0.5, 0.5), random.uniform(-2, 2)
    ohm = sum(float(r[0]) for r in cell.resistances(np.array([0.5]), np.array([ambient_c])))
    most_a = min(5 * cell.capacity_ah, 0.6 / ohm)
    current_a = 0.0
    rows: list[tuple[float, ...]] = []
    for t in range(DRIVE_S):
        if t % LOAD_S == 0:
            # a forecast is of the present load: that holds until it is judged
            current_a = float(random.uniform(0.3, 1) * most_a) * (1 if model.soc[0] < 0.5 else -1)
            current_a *= float(random.random() < 0.8)
        volt = float(model.step(current_a, 1.0, ambient_c)[0])
        plant.step(heat_w(model, current_a), ambient_c)
        model.temperature_c = np.array([plant.temperature_c.mean()])
        seen_dc = round(10 * (plant.surface_c + offset_c) + random.normal(0, 0.5))
        seen_16mv = round(16_000 * volt + random.normal(0, 11))
        ekf.observe(1000, round(1000 * current_a), seen_16mv, seen_dc)
        drops.follow(ekf.words, array("i", [seen_16mv]))
        thermal.observe(1000, drops.heat_q8, seen_dc, round(10 * (ambient_c + ambient_offset_c)))
        if t % LOAD_S == LOAD_S - FORECAST_S - 1:
            thermal.forecast()
        rows.append(
            (
                plant.temperature_c[0], thermal.core_dc / 10, thermal.sigma_dc / 10, plant.surface_c,
                thermal.forecast_core_dc / 10, thermal.forecast_surface_dc / 10,
            )
        )  # fmt: skip
    core, told, sigma, surface, next_core, next_surface = np.array(rows).T
    made = np.arange(LOAD_S - FORECAST_S, DRIVE_S, LOAD_S) - 1
    come = made[:, None] + np.arange(FORECAST_S + 1)
    return Heated(
        core, told, sigma,
        next_surface[made] - surface[come].max(axis=1),
        next_core[made] - core[come].max(axis=1),
    )  # fmt: skip


def run() -> list[Row]:
    """Rows by cell and over all temperatures."""
    rows: list[Row] = []
    for name in CELLS:
        drives = [
            heated(
                name, ambient_c, np.random.default_rng([SEED, n, CELLS.index(name), round(ambient_c) + 100])
            )
            for ambient_c in AMBIENT_C
            for n in range(COUNT)
        ]
        rows += _rows(name, drives)
    return rows


def _rows(name: str, drives: list[Heated]) -> Iterator[Row]:
    wrong = np.concatenate([d.told_c - d.core_c for d in drives])
    sigma = np.concatenate([d.sigma_k for d in drives])
    note = f"{len(drives)} drives of {DRIVE_S // 60} min, inside resistance +-{INNER:.0%}"
    yield Row(f"{name}: core temperature, RMS", float(np.sqrt((wrong**2).mean())), "K", note)
    yield Row(f"{name}: core temperature, largest error", float(np.abs(wrong).max()), "K")
    yield Row(
        f"{name}: core within 2 sigma", 100 * float((np.abs(wrong) <= 2 * sigma).mean()), "%", "", ">= 95"
    )
    for what, errors in (
        ("surface", [d.surface_error_k for d in drives]),
        ("core", [d.core_error_k for d in drives]),
    ):
        all_of = np.abs(np.concatenate(errors))
        yield Row(
            f"{name}: {what} in 60 s, RMS", float(np.sqrt((all_of**2).mean())), "K", "forecast, constant load"
        )
        yield Row(f"{name}: {what} in 60 s, largest error", float(all_of.max()), "K")
