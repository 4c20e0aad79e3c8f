"""State of power against simulated strings whose true limits are known.

The simulator is the twin's cell model. What the device is told of a cell is the shipped cell file; what is
simulated has other resistances, time constants, capacity and cells that differ within the string, and is seen
through sensors with offset, gain, noise and rounding. The device filters a random drive, then tells its
limits; the true ones are found by halving an interval, each try from the same true state.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from bms.estimate.circuit import Circuit
from bms.estimate.drops import Drops
from bms.estimate.ekf import Ekf
from bms.estimate.sop import HORIZONS_MS, Limits, Sop
from bms.tables.params import CHEMISTRIES, defaults
from numpy.typing import NDArray

from bench.row import Row
from cloud.twin.cell import CellFile, load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.model import CellModel
from cloud.twin.table import Array

CELLS = ("lg_hg2", "panasonic_pf", "a123_26650")
AMBIENT_C = (-10.0, 0.0, 10.0, 25.0, 40.0)
SERIES = 4
DRIVE_S = 900
MOST_C = 15.0
"""Currents beyond this are not looked at, in C."""
RESISTANCE, PAIR, TAU, CAPACITY, HEAT = 0.12, 0.03, 0.1, 0.03, 0.1
"""Largest relative difference from the cell file: all resistances, each, tau, capacity, heat capacity."""
LEAST_SOC, MOST_SOC = 0.02, 0.98
PER_BATCH = 10
COUNT, SEED = 60, 5
WITHIN = 0.05
SIDES = ("charge", "discharge")


@dataclass(frozen=True)
class Strings:
    """n true strings of SERIES cells at the end of a drive, and what the device's sensors saw of it.

    Shapes: `seen_a`, `seen_c` (DRIVE_S, n), `seen_v` (DRIVE_S, n, SERIES), `told_soc` (n,).
    """

    model: CellModel
    ambient_c: float
    least_v: float
    most_v: float
    seen_a: Array
    seen_v: Array
    seen_c: Array
    told_soc: Array


@dataclass(frozen=True)
class Verdict:
    """Limits in A by (string, direction, horizon): what the device told, and what was true."""

    told_a: Array
    true_a: Array
    capacity_ah: float

    def excess(self, side: int, horizon: int) -> Array:
        """Told over true minus 1, where voltage or SoC decides and the limit is no mere trickle."""
        told, true = self.told_a[:, side, horizon], self.true_a[:, side, horizon]
        keep = (true < 0.99 * MOST_C * self.capacity_ah) & (true > 0.02 * self.capacity_ah)
        return told[keep] / true[keep] - 1


def another(cell: CellFile, random: np.random.Generator) -> CellFile:
    """A cell type that the cell file describes only nearly."""
    pair = random.uniform(1 - PAIR, 1 + PAIR, 3)
    tau = random.uniform(1 - TAU, 1 + TAU, 2)
    return replace(
        cell,
        r0_ohm=cell.r0_ohm * pair[0],
        r1_ohm=cell.r1_ohm * pair[1],
        r2_ohm=cell.r2_ohm * pair[2],
        tau1_s=cell.tau1_s * tau[0],
        tau2_s=cell.tau2_s * tau[1],
        heat_capacity_j_k=cell.heat_capacity_j_k * random.uniform(1 - HEAT, 1 + HEAT),
    )


def true_strings(cell: CellFile, ambient_c: float, n: int, random: np.random.Generator) -> CellModel:
    """A model of n strings, cell after cell."""
    size = n * SERIES

    def strings(low: float, high: float, cells: float) -> Array:
        return np.repeat(random.uniform(low, high, n), SERIES) + random.normal(0, cells, size)

    return CellModel(
        another(cell, random),
        np.clip(strings(0.1, 0.95, 0.005), 0.0, 1.0),
        temperature_c=ambient_c + random.normal(0, 0.3, size),
        capacity_scale=strings(1 - CAPACITY, 1 + CAPACITY, 0.005),
        resistance_scale=strings(1 - RESISTANCE, 1 + RESISTANCE, 0.03),
    )


def driven(cell: CellFile, ambient_c: float, n: int, random: np.random.Generator) -> Strings:
    """n strings after a random drive, twice as much out as in, kept off the voltage limits."""
    limits = defaults(CHEMISTRIES.index(cell.chemistry))
    least_v, most_v = limits["cell_uv_mv"] / 1000, limits["cell_ov_mv"] / 1000
    model = true_strings(cell, ambient_c, n, random)
    told = np.clip(model.soc.reshape(n, SERIES).mean(axis=1) + random.normal(0, 0.05, n), 0, 1)
    ohm = sum(float(r[0]) for r in cell.resistances(np.array([0.5]), np.array([ambient_c])))
    most_a = min(3 * cell.capacity_ah, 0.35 / ohm)
    offset_a = random.uniform(-0.005, 0.005, n) * cell.capacity_ah
    gain = 1 + random.uniform(-0.003, 0.003, n)
    offset_v = random.uniform(-0.001, 0.001, (n, SERIES))
    offset_c = random.uniform(-0.5, 0.5, n)
    seen_a, seen_v, seen_c = np.zeros((DRIVE_S, n)), np.zeros((DRIVE_S, n, SERIES)), np.zeros((DRIVE_S, n))
    current_a = np.zeros(n)
    volts = model.terminal_v().reshape(n, SERIES)
    for t in range(DRIVE_S):
        change = random.random(n) < 0.15
        wish = random.uniform(-1, 1, n) ** 2 * most_a * np.where(random.random(n) < 0.33, 1, -1)
        current_a = np.where(change, wish * (random.random(n) < 0.8), current_a)
        soc = model.soc.reshape(n, SERIES)
        full = (volts.max(axis=1) > most_v - 0.05) | (soc.max(axis=1) > MOST_SOC - 0.01)
        empty = (volts.min(axis=1) < least_v + 0.2) | (soc.min(axis=1) < LEAST_SOC + 0.01)
        current_a = np.where((full & (current_a > 0)) | (empty & (current_a < 0)), 0.0, current_a)
        volts = model.step(np.repeat(current_a, SERIES), 1.0, ambient_c).reshape(n, SERIES)
        seen_a[t] = current_a * gain + offset_a + random.normal(0, 0.002, n) * cell.capacity_ah
        seen_v[t] = np.round(volts + offset_v + random.normal(0, 0.0007, (n, SERIES)), 3)
        seen_c[t] = model.temperature_c.reshape(n, SERIES).mean(axis=1) + offset_c
    return Strings(model, ambient_c, least_v, most_v, seen_a, seen_v, seen_c, told)


def device_limits(cell: CellFile, strings: Strings) -> Limits:
    """The limits that the device keeps: those of the simulator."""
    limits = Limits()
    limits.least_mv, limits.most_mv = round(1000 * strings.least_v), round(1000 * strings.most_v)
    limits.charge_ma = limits.discharge_ma = round(MOST_C * 1000 * cell.capacity_ah)
    limits.least_cpct, limits.most_cpct = round(LEAST_SOC * 10_000), round(MOST_SOC * 10_000)
    limits.charge_low_dc = limits.discharge_low_dc = -400
    limits.charge_high_dc = limits.discharge_high_dc = 900
    limits.heat_q8 = round(256 * cell.heat_capacity_j_k / cell.capacity_ah)
    limits.cool_ds = round(10 * cell.heat_capacity_j_k * cell.thermal_resistance_k_w)
    return limits


def filtered(cell: CellFile, block: bytes, strings: Strings, n: int) -> tuple[Sop, int]:
    """The device after the drive of string n, its limits not yet worked out, and the last temperature."""
    capacity_mah = round(1000 * cell.capacity_ah)
    ekf, circuit = Ekf(capacity_mah, block), Circuit(block)
    drops = Drops(circuit, SERIES)
    sop = Sop(circuit, SERIES, capacity_mah, device_limits(cell, strings))
    ekf.start(round(10_000 * strings.told_soc[n]), 800, True)
    temp_dc = 0
    for t in range(DRIVE_S):
        volts = array("i", np.rint(strings.seen_v[t, n] * 16_000).astype(int).tolist())
        temp_dc = round(10 * strings.seen_c[t, n])
        ekf.observe(1000, round(1000 * strings.seen_a[t, n]), sum(volts) // SERIES, temp_dc)
        drops.follow(ekf.words, volts)
    sop.observe(ekf.words, drops, ekf.sigma_cpct, temp_dc, temp_dc, round(10 * strings.ambient_c))
    return sop, temp_dc


def told_limits(cell: CellFile, block: bytes, strings: Strings, n: int) -> Array:
    """What the device tells of string n after its drive: A, shape (2, 3)."""
    sop, _ = filtered(cell, block, strings, n)
    sop.solve()
    return np.array([sop.charge_ma, sop.discharge_ma]) / 1000


def true_limit(strings: Strings, side: int, span_s: float) -> Array:
    """Largest current in A, one a string, that keeps every cell inside voltage and SoC for `span_s`."""
    n = len(strings.told_soc)
    low, high = np.zeros(n), np.full(n, MOST_C * strings.model.cell.capacity_ah)
    for _ in range(18):
        middle = (low + high) / 2
        fits = keeps(strings, middle if side == 0 else -middle, span_s)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low


def keeps(strings: Strings, current_a: Array, span_s: float) -> NDArray[np.bool_]:
    """Whether each string keeps its limits at that current."""
    model = deepcopy(strings.model)
    each = np.repeat(current_a, SERIES)
    fits = np.ones(len(each), dtype=bool)
    for _ in range(round(span_s)):
        volts = model.step(each, 1.0, strings.ambient_c)
        fits &= (volts >= strings.least_v) & (volts <= strings.most_v)
        fits &= np.where(each > 0, model.soc <= MOST_SOC, model.soc >= LEAST_SOC)
    return np.asarray(fits.reshape(-1, SERIES).all(axis=1))


def verdict(name: str, ambient_c: float, count: int = COUNT) -> Verdict:
    """Limits told and true of `count` strings."""
    cell = load_cell(name)
    block = device_block(cell)
    random = np.random.default_rng([SEED, CELLS.index(name), round(ambient_c) + 100])
    told: list[Array] = []
    true: list[Array] = []
    for _ in range(max(1, count // PER_BATCH)):
        n = min(PER_BATCH, count)
        strings = driven(cell, ambient_c, n, random)
        told += [told_limits(cell, block, strings, i) for i in range(n)]
        spans_s = [ms / 1000 for ms in HORIZONS_MS]
        limits = [[true_limit(strings, side, span_s) for span_s in spans_s] for side in range(2)]
        true += list(np.moveaxis(np.array(limits), 2, 0))
    return Verdict(np.array(told), np.array(true), cell.capacity_ah)


def _rows(name: str, ambient_c: float, found: Verdict) -> Iterator[Row]:
    for side, direction in enumerate(SIDES):
        for at, ms in enumerate(HORIZONS_MS):
            excess = found.excess(side, at)
            if not len(excess):
                continue
            label = f"{name} {ambient_c:g} degC, {direction} {ms // 1000} s"
            short = (
                f"{len(excess)} strings; mean {100 * excess.mean():.2f} %, largest {100 * excess.max():.2f} %"
            )
            yield Row(f"{label}: above the truth", 100 * float((excess > 0).mean()), "%", short, "<= 1")
            low = -100 * float(np.quantile(excess, 0.05))
            yield Row(f"{label}: below the truth in 95 %", low, "%", "by at most so much", "<= 5")


def run() -> list[Row]:
    """Rows by cell, temperature, direction and horizon, and over all of them."""
    rows: list[Row] = []
    found: list[Verdict] = []
    for name in CELLS:
        for ambient_c in AMBIENT_C:
            found.append(verdict(name, ambient_c))
            rows += _rows(name, ambient_c, found[-1])
    return rows + list(_pooled(found))


def _pooled(found: list[Verdict]) -> Iterator[Row]:
    for at, ms in enumerate(HORIZONS_MS):
        excess = np.concatenate([v.excess(side, at) for v in found for side in range(len(SIDES))])
        label = f"all, {ms // 1000} s"
        yield Row(
            f"{label}: above the truth", 100 * float((excess > 0).mean()), "%", f"{len(excess)}", "<= 1"
        )
        yield Row(f"{label}: mean distance", 100 * float(np.abs(excess).mean()), "%", "", "<= 5")
        yield Row(f"{label}: within 5 %", 100 * float((np.abs(excess) <= WITHIN).mean()), "%")
