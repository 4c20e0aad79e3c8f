"""Each cell's state of charge against simulated strings whose cells are known.

The simulator is the twin's cell model. Cells differ in state of charge, capacity, resistance and temperature;
their voltages are seen through channels with an offset each, noise and rounding, once a second, while the
current is a mean over the second. All of the string differs from the cell file, as in bench/power.py. The
device is told the mean's state of charge with an error and that the cells are alike; it drives for half an
hour. Judged from ten minutes on: a cell's difference to the mean, and its state of charge.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from bms.estimate.differences import Differences
from bms.estimate.ekf import Ekf
from bms.tables.params import CHEMISTRIES, defaults

from bench.power import another
from bench.row import Row
from cloud.twin.cell import CellFile, load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.model import CellModel
from cloud.twin.table import Array

CELLS = ("lg_hg2", "panasonic_pf", "a123_26650")
AMBIENT_C = (-10.0, 0.0, 25.0, 40.0)
SERIES = 8
STRINGS = 3
DRIVE_S, JUDGED_S = 1800, 600
PARTS = 2
"""Steps a second: the current is a mean, the voltages are those of its end."""
SOC, CAPACITY, RESISTANCE, TEMPERATURE_K = 0.05, 0.03, 0.1, 1.0
"""Largest difference of a cell to the string's middle; evenly drawn."""
OFFSET_V, NOISE_V = (0.001, 0.003), (0.002, 0.005)
"""Of a channel, either sign; of a reading."""
SEED = 11


@dataclass(frozen=True)
class Found:
    """Errors in points of SoC, shape (seconds, strings, cells), from JUDGED_S on, and deviations told."""

    difference: Array
    difference_sigma: Array
    soc: Array
    soc_sigma: Array

    @property
    def within(self) -> float:
        """Share of differences within 2 sigma."""
        return float((np.abs(self.difference) <= 2 * self.difference_sigma).mean())

    @property
    def soc_within(self) -> float:
        """Share of states of charge within 2 sigma."""
        return float((np.abs(self.soc) <= 2 * self.soc_sigma).mean())


@dataclass(frozen=True)
class Seen:
    """What the sensors of n strings saw, and the truth.

    Shapes: `current_a`, `temperature_c` (seconds, n); `cell_mv`, `soc` (seconds, n, SERIES); `told_soc` (n,).
    """

    current_a: Array
    temperature_c: Array
    cell_mv: Array
    soc: Array
    told_soc: Array


def strings(cell: CellFile, ambient_c: float, n: int, random: np.random.Generator) -> CellModel:
    """A model of n strings, cell after cell."""
    size = (n, SERIES)

    def around(middle: Array, apart: float) -> Array:
        return (middle[:, None] + random.uniform(-apart, apart, size)).ravel()

    soc = random.uniform(0.35, 0.9, n)
    one = np.ones(n)
    return CellModel(
        another(cell, random),
        np.clip(around(soc, SOC), 0.02, 0.98),
        temperature_c=around(ambient_c * one, TEMPERATURE_K),
        capacity_scale=around(one, CAPACITY),
        resistance_scale=around(random.uniform(0.9, 1.3, n), RESISTANCE),
    )


def drive(cell: CellFile, ambient_c: float, n: int, random: np.random.Generator) -> Seen:
    """n strings on a random drive, twice as much out as in, kept off the voltage limits."""
    model = strings(cell, ambient_c, n, random)
    ambient = model.temperature_c.copy()
    limits = defaults(CHEMISTRIES.index(cell.chemistry))
    least_v, most_v = limits["cell_uv_mv"] / 1000, limits["cell_ov_mv"] / 1000
    ohm = sum(float(r[0]) for r in cell.resistances(np.array([0.5]), np.array([ambient_c])))
    most_a = min(3 * cell.capacity_ah, 0.35 / ohm)
    offset_a = random.uniform(-0.005, 0.005, n) * cell.capacity_ah
    offset_v = random.uniform(*OFFSET_V, (n, SERIES)) * random.choice((-1, 1), (n, SERIES))
    noise_v = random.uniform(*NOISE_V, n)[:, None]
    soc = model.soc.reshape(n, SERIES)
    told = np.clip(soc.mean(axis=1) + random.normal(0, 0.05, n), 0, 1)
    volts = model.terminal_v().reshape(n, SERIES)
    current_a = np.zeros(n)
    rows: list[tuple[Array, Array, Array, Array]] = []
    for _ in range(DRIVE_S):
        mean_a = np.zeros(n)
        for _ in range(PARTS):
            wish = random.uniform(-1, 1, n) ** 2 * most_a * np.where(random.random(n) < 0.33, 1, -1)
            change = random.random(n) < 0.3 / PARTS
            current_a = np.where(change, wish * (random.random(n) < 0.8), current_a)
            soc = model.soc.reshape(n, SERIES)
            full = (volts.max(axis=1) > most_v - 0.05) | (soc.max(axis=1) > 0.98)
            empty = (volts.min(axis=1) < least_v + 0.2) | (soc.min(axis=1) < 0.03)
            current_a = np.where((full & (current_a > 0)) | (empty & (current_a < 0)), 0.0, current_a)
            volts = model.step(np.repeat(current_a, SERIES), 1 / PARTS, ambient).reshape(n, SERIES)
            mean_a += current_a / PARTS
        seen_v = volts + offset_v + noise_v * random.standard_normal((n, SERIES))
        temperature_c = model.temperature_c.reshape(n, SERIES).mean(axis=1)
        rows.append((mean_a + offset_a, temperature_c, np.rint(1000 * seen_v), model.soc.reshape(n, SERIES)))
    parts = [np.array(part) for part in zip(*rows, strict=True)]
    return Seen(parts[0], parts[1], parts[2], parts[3], told)


def estimated(cell: CellFile, block: bytes, seen: Seen, n: int) -> Array:
    """What the device tells of string n: difference, its sigma, SoC, its sigma; (seconds, SERIES, 4)."""
    ekf = Ekf(round(1000 * cell.capacity_ah), block)
    ekf.start(round(10_000 * seen.told_soc[n]), 500, True)
    cells = Differences(SERIES, block)
    told: list[list[tuple[int, int, int, int]]] = []
    for current_a, temperature_c, row in zip(
        seen.current_a[:, n], seen.temperature_c[:, n], seen.cell_mv[:, n], strict=True
    ):
        cell_mv = array("H", [int(mv) for mv in row])
        ekf.observe(1000, round(1000 * current_a), (sum(cell_mv) << 4) // SERIES, round(10 * temperature_c))
        cells.follow(ekf.words, cell_mv)
        told.append([
            (cells.difference_cpct(i), cells.deviation_cpct(i), cells.soc_cpct[i], cells.sigma_cpct[i])
            for i in range(SERIES)
        ])  # fmt: skip
    return np.array(told, dtype=np.float64)


def judged(name: str, ambient_c: float, n: int = STRINGS, seed: int = SEED) -> Found:
    """Errors of n strings of a cell type at a temperature."""
    cell = load_cell(name)
    random = np.random.default_rng([seed, CELLS.index(name), round(ambient_c) + 100])
    seen = drive(cell, ambient_c, n, random)
    block = device_block(cell)
    told = np.stack([estimated(cell, block, seen, i) for i in range(n)], axis=1)[JUDGED_S:] / 100
    soc = 100 * seen.soc[JUDGED_S:]
    difference = soc - soc.mean(axis=2, keepdims=True)
    return Found(told[..., 0] - difference, told[..., 1], told[..., 2] - soc, told[..., 3])


def _row(label: str, found: Found) -> Row:
    error = np.abs(found.difference)
    note = (
        f"p95 {np.quantile(error, 0.95):.2f}, max {error.max():.2f}, within 2 sigma "
        f"{100 * found.within:.1f} %, mean sigma {found.difference_sigma.mean():.2f}"
    )
    return Row(f"{label}: difference, mean error", float(error.mean()), "points", note)


def _pooled(label: str, found: list[Found]) -> Iterator[Row]:
    pool = Found(
        *(np.concatenate([getattr(f, name).ravel() for f in found]) for name in Found.__annotations__)
    )
    yield _row(label, pool)
    yield Row(f"{label}: differences within 2 sigma", 100 * pool.within, "%", "", ">= 93")
    error = np.abs(pool.soc)
    note = f"p95 {np.quantile(error, 0.95):.2f}, max {error.max():.2f}"
    yield Row(f"{label}: a cell's SoC, mean error", float(error.mean()), "points", note)
    yield Row(f"{label}: a cell's SoC within 2 sigma", 100 * pool.soc_within, "%")


def run() -> list[Row]:
    """Rows by cell type and temperature, and over all temperatures."""
    rows: list[Row] = []
    for name in CELLS:
        found = [judged(name, ambient_c) for ambient_c in AMBIENT_C]
        rows += [_row(f"{name} {at:g} degC", one) for at, one in zip(AMBIENT_C, found, strict=True)]
        rows += list(_pooled(name, found))
    return rows
