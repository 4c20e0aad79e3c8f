"""What should trip: each row's criterion in floating point on noise-free signals, vectorised.

For every row a signal at the row's own sample rate, and how far noise and rounding can put a reading off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bms.tables import faults
from numpy.typing import NDArray

from hil.campaigns.samples import Noise, Truth

WINDOW_TEMPS = 30
"""Samples of TEMPS over which a rise is taken."""
NEAR_S = 60.0
"""A trip belongs to a crossing of the limit that is not farther away."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Crossing:
    """Where a row's noise-free signal lies beyond its limit, and so far that any noise leaves it there."""

    row: faults.Fault
    beyond: Mask
    surely: Mask


def _rise_dc(temperature_c: NDArray[np.float64]) -> NDArray[np.float64]:
    rise = np.zeros_like(temperature_c)
    rise[WINDOW_TEMPS:] = 10 * (temperature_c[WINDOW_TEMPS:] - temperature_c[:-WINDOW_TEMPS])
    return rise


def _signals(truth: Truth, noise: Noise) -> dict[str, tuple[NDArray[np.float64], float]]:
    """Of each signal its noise-free values and how far a reading can be from them."""
    cells_mv = 1000 * truth.cell_v[::4]
    three, half = 3.0, 0.5
    cell = three * noise.cell_mv + half
    temp = three * noise.temp_dc + half
    temps_dc = 10 * truth.temperature_c[::20]
    zero = np.zeros_like(cells_mv)
    return {
        "current_ma": (1000 * truth.current_a, three * noise.current_ma + half),
        "pack_mv": (1000 * truth.cell_v * noise.series, three * noise.pack_mv + half),
        "cell_max_mv": (cells_mv, cell),
        "cell_min_mv": (cells_mv, cell),
        "spread_mv": (zero, 2 * cell),
        "sum_error_mv": (zero, noise.series * cell + three * noise.pack_mv),
        "temp_max_dc": (temps_dc, temp),
        "temp_min_dc": (temps_dc, temp),
        "rise_dc": (_rise_dc(truth.temperature_c[::20]), 2 * temp),
    }


def crossings(truth: Truth, noise: Noise, limits: dict[str, int]) -> list[Crossing]:
    """One for every row that samples of FAST, CELLS or TEMPS can trip; the others never should."""
    signals = _signals(truth, noise)
    found: list[Crossing] = []
    for row in faults.FAULTS:
        if row.group == faults.SELF or row.signal not in signals:
            n = len(truth.current_a[:: {faults.CELLS: 4, faults.TEMPS: 20}.get(row.group, 1)])
            never = np.zeros(n, dtype=bool)
            found.append(Crossing(row, never, never))
            continue
        values, reach = signals[row.signal]
        limit = faults.level(row, row.limit, limits, noise.series)
        above = values - limit if row.compare == faults.ABOVE else limit - values
        beyond, surely = above > 0, above > reach
        if row.when == faults.CHARGING:
            current_a = truth.current_a[::20]
            charging_a = limits["rest_current_ma"] / 1000
            margin_a = (3 * noise.current_ma + 0.5) / 1000
            beyond, surely = (
                beyond & (current_a > charging_a - margin_a),
                surely & (current_a > charging_a + margin_a),
            )
        found.append(Crossing(row, beyond, surely))
    return found


def _runs(mask: Mask, at_least: int) -> list[tuple[int, int]]:
    """(first, one past the last) of each run of at least so many."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= at_least]


def judge(
    crossing: Crossing, raised: list[int], active: list[tuple[int, int]]
) -> tuple[list[int], list[int]]:
    """False trips: ticks at which the row rose with no crossing near; missed ones: by when it was due.

    `raised` are ticks from 1, `active` the spans in which the row was active.
    """
    row = crossing.row
    period = faults.PERIOD_MS[row.group] // 5
    near = int(NEAR_S * 200 / period)
    count = np.concatenate(([0], np.cumsum(crossing.beyond)))
    false: list[int] = []
    for tick in raised:
        at = (tick - 1) // period
        low, high = max(0, at - near), min(len(crossing.beyond), at + near + 1)
        if count[high] == count[low]:
            false.append(tick)
    missed: list[int] = []
    for first, last in _runs(crossing.surely, row.fresh + 1):
        due = (first + row.fresh) * period + 1
        until = (last - 1) * period + 1
        if not any(begin <= due and end >= until for begin, end in active):
            missed.append(due)
    return false, missed
