"""State of charge for every row of a log: its own column, a full charge in it, or its rest voltage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cloud.twin.identify.read import Run, charge_ah, pieces, thin
from cloud.twin.logs import Log, LogError
from cloud.twin.table import Array

Curve = Callable[[Array, float], Array]  # (voltage, temperature) -> SoC
FULL_SIGMA, REST_SIGMA, LOADED_SIGMA = 0.005, 0.02, 0.1


def full_row(log: Log, part: slice, full_v: float, capacity_ah: float) -> int | None:
    """Row of this part at which the cell is full: its charge has tapered off at the top voltage."""
    v, i = log.voltage_v[part], log.current_a[part]
    at_top = np.flatnonzero((v > full_v - 0.012) & (i >= -0.002 * capacity_ah) & (i < capacity_ah / 15))
    if len(at_top):
        return part.start + int(at_top[-1] if i.max() > 0.02 * capacity_ah else at_top[0])
    resting = abs(float(i[0])) < 0.04 * capacity_ah
    return part.start if resting and v[0] > full_v - 0.05 else None


def runs_of(log: Log, full_v: float, capacity: Callable[[float], float], rest_soc: Curve | None) -> list[Run]:
    """The log's unbroken pieces with SoC; `capacity`: Ah at a temperature. LogError without an anchor."""
    found: list[Run] = []
    for number, part in enumerate(pieces(log)):
        temperature_c = float(np.median(log.temperature_c[part]))
        capacity_ah = capacity(temperature_c)
        moved = charge_ah(log.time_s[part], log.current_a[part]) / capacity_ah
        if log.soc is not None:
            soc, sigma = log.soc[part], FULL_SIGMA
        else:
            start, sigma = _start(log, part, moved, full_v, capacity_ah, rest_soc)
            soc = start + moved
        rows = thin(log.time_s[part], log.current_a[part], log.voltage_v[part])
        t, i, v, temperature = (
            column[part][rows] for column in (log.time_s, log.current_a, log.voltage_v, log.temperature_c)
        )
        name = log.name if number == 0 else f"{log.name} part {number + 1}"
        found.append(Run(name, t, i, v, temperature, soc[rows], sigma, log.soc is not None))
    return found


def _start(
    log: Log, part: slice, moved: Array, full_v: float, capacity_ah: float, rest_soc: Curve | None
) -> tuple[float, float]:
    row = full_row(log, part, full_v, capacity_ah)
    if row is not None:
        return 1.0 - float(moved[row - part.start]), FULL_SIGMA
    if rest_soc is None:
        top = part.start + int(log.voltage_v[part].argmax())
        raise LogError(
            f"{log.source}: its state of charge cannot be told: no OCV test is given, the log has no 'soc' "
            f"column and is never full (column 'voltage_v', row {top + 1} is {log.voltage_v[top]:g}, its "
            f"highest; a full cell here rests near {full_v:g}); give an --ocv test, or a log that begins full"
        )
    small = np.abs(log.current_a[part]) < 0.05 * capacity_ah
    row = int(small.argmax()) if small[:600].any() else 0
    sigma = REST_SIGMA if small[row] else LOADED_SIGMA
    temperature_c = float(log.temperature_c[part][row])
    soc = float(rest_soc(log.voltage_v[part][row : row + 1], temperature_c)[0])
    return soc - float(moved[row]), sigma
