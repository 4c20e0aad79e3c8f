"""Partial cycles of aged cells, simulated once and kept: drives and charges, with rests between."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cloud.twin.aged import Aged, electrodes, measured_ah, simulate
from cloud.twin.table import Array

CYCLES = 10
LEAST_DEPTH, MOST_DEPTH = 0.3, 0.8
LOWEST, HIGHEST = 0.05, 0.9
REST_S = (1200, 2400)
DRIVE_TIMES, DRIVE_C, CHARGE_C = 2.0, 2.0, 0.5
"""The synthetic drive's current is doubled (C/3 on average), held below this C-rate; the charge's C-rate."""

Drive = Callable[[int, float, int], Array]
"""(seconds, capacity_ah, seed) -> current in A of each second."""


@dataclass(frozen=True)
class Cycled:
    """What really happened to a cell: current (mean of each second), voltage, temperature; its capacity."""

    aged: Aged
    lithium_share: float
    capacity_ah: float
    current_a: Array
    voltage_v: Array
    temperature_c: Array


def draw(random: np.random.Generator, least: float = 0.8, spread: float = 0.005) -> tuple[Aged, float]:
    """A cell that has `least` to all of its capacity, and the share of the loss that is lithium's.

    The share is anything from none to all of it; the rest is active material of both electrodes, which
    differ by `spread` (one sigma) from the type's. Up to 20 mOhm have been added, about as much again as the
    fresh cell has.
    """
    soh, share = random.uniform(least, 1.0), random.uniform(0.0, 1.0)
    even = soh ** (1 - share)
    lithium = electrodes().without_lithium(1 - soh**share).lithium
    negative, positive = 1 + spread * random.standard_normal(2)
    added_ohm = 0.02 * random.uniform(0, 1)
    return Aged(even * negative, even * positive, even * lithium, added_ohm), float(share)


def current(
    random: np.random.Generator, capacity_ah: float, rated_ah: float, drive: Drive, cycles: int
) -> tuple[float, Array]:
    """SoC at the start, and the current of `cycles` partial cycles, each second."""
    parts: list[Array] = [_rest(random)]
    bounds = [_bounds(random) for _ in range(cycles)]
    soc = first = bounds[0][1]
    for n, (low, _) in enumerate(bounds):
        high = bounds[(n + 1) % cycles][1]
        high = max(high, low + LEAST_DEPTH)
        seconds = 6 * 3600
        run = DRIVE_TIMES * drive(seconds, rated_ah, int(random.integers(1 << 30)))
        run = np.maximum(run, -DRIVE_C * rated_ah)
        # regeneration into a full cell is not taken
        run = np.minimum(run, 0.0 if soc > 0.85 else 0.2 * rated_ah)
        moved = np.cumsum(run) / 3600 / capacity_ah
        parts += [run[: int((moved > low - soc).argmin())], _rest(random)]
        filled = int((high - low) * capacity_ah * 3600 / (CHARGE_C * rated_ah))
        parts += [np.full(filled, CHARGE_C * rated_ah), _rest(random)]
        soc = high
    return first, np.concatenate(parts)


def _bounds(random: np.random.Generator) -> tuple[float, float]:
    depth = random.uniform(LEAST_DEPTH, MOST_DEPTH)
    low = random.uniform(LOWEST, HIGHEST - depth)
    return low, low + depth


def _rest(random: np.random.Generator) -> Array:
    return np.zeros(int(random.integers(*REST_S)))


def made_by() -> str:
    """Name of what the simulated values depend on: this file and aged.py."""
    here = Path(__file__)
    sources = (here, here.with_name("aged.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def cycled(seed: int, drive: Drive, folder: Path, cycles: int = CYCLES) -> Cycled:
    """Cell number `seed` of the population; kept in `folder` until what makes it changes."""
    path = folder / f"{made_by()}-{cycles}-{seed}.npz"
    if not path.exists():
        random = np.random.default_rng(seed)
        aged, share = draw(random)
        ambient_c = float(random.uniform(15, 35))
        own_ah, rated_ah = (electrodes().window(some)[0] for some in (aged, Aged()))
        first, flows = current(random, own_ah, rated_ah, drive, cycles)
        _, voltage, temperature = simulate(aged, first, flows, ambient_c)
        # a sample of the device is the mean over its second
        columns: dict[str, Any] = {
            name: ((values[1:] + values[:-1]) / 2).astype(np.float32)
            for name, values in (("current_a", flows), ("voltage_v", voltage), ("temperature_c", temperature))
        }
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(
            partial, share=share, capacity_ah=measured_ah(aged), aged=list(asdict(aged).values()), **columns
        )
        partial.rename(path)
    with np.load(path) as kept:
        return Cycled(
            Aged(*kept["aged"].tolist()),
            float(kept["share"]),
            float(kept["capacity_ah"]),
            *(kept[name].astype(np.float64) for name in ("current_a", "voltage_v", "temperature_c")),
        )
