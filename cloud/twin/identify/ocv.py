"""Rest curve from slow discharges and charges: branches, their mean at each temperature, their gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cloud.twin.identify.read import charge_ah
from cloud.twin.logs import Log
from cloud.twin.table import Array

SOC = np.linspace(0.0, 1.0, 101)
SAME_K = 4.0  # temperatures closer than this belong to one row
_SLOWEST, _FASTEST = 1 / 150, 1 / 8  # of 1C: what counts as a slow branch


@dataclass(frozen=True)
class Branch:
    """A slow constant-current pass. `charge_ah` counts from its start; `soc` where the log tells it.

    `begins_at` is the charge taken out, in Ah, when it began: 0 for a discharge from full; None: from empty.
    """

    current_a: float
    temperature_c: float
    charge_ah: Array
    voltage_v: Array
    soc: Array | None
    begins_at: float | None


@dataclass(frozen=True)
class RestCurve:
    """At one temperature, over SOC: mean of the branches, half their gap (with the ohmic part), current."""

    temperature_c: float
    ocv_v: Array
    half_gap_v: Array | None
    current_a: float
    capacity_ah: float | None  # from full to the lower limit; None where no full discharge was seen


def branches(log: Log, capacity_ah: float) -> list[Branch]:
    """Slow passes of one sign over at least 40 % of the capacity, small pauses aside."""
    i = log.current_a
    slow = (np.abs(i) > _SLOWEST * capacity_ah) & (np.abs(i) < _FASTEST * capacity_ah)
    side = np.where(slow, np.sign(i), 0.0)
    edges = np.flatnonzero(np.diff(side) != 0) + 1
    found: list[Branch] = []
    for a, b in zip([0, *edges.tolist()], [*edges.tolist(), len(i)], strict=True):
        if side[a] == 0 or b - a < 20:
            continue
        level = float(np.median(i[a:b]))
        # A charge's taper at constant voltage is no part of its branch.
        steady = np.flatnonzero(np.abs(i[a:b] - level) < 0.1 * abs(level))
        part = slice(a, a + int(steady[-1]) + 1)
        moved = np.abs(charge_ah(log.time_s[part], i[part]))
        if moved[-1] > 0.4 * capacity_ah:
            temperature_c = float(np.median(log.temperature_c[part]))
            soc = None if log.soc is None else log.soc[part]
            before = found[-1] if found else None
            taken = float(before.charge_ah[-1]) if before and before.current_a < 0 < level else None
            taken = 0.0 if level < 0 else taken
            found.append(Branch(level, temperature_c, moved, log.voltage_v[part], soc, taken))
    return found


def slope_of(ocv_v: Array) -> Array:
    """Derivative of a curve on SOC, in V for the whole range."""
    return np.asarray(np.gradient(ocv_v, SOC[1]), dtype=np.float64)


def cluster(temperatures: list[float]) -> list[float]:
    """Rows of temperature: means of groups whose neighbours lie within SAME_K."""
    groups: list[list[float]] = []
    for t in sorted(temperatures):
        if groups and t - groups[-1][0] < SAME_K:
            groups[-1].append(t)
        else:
            groups.append([t])
    return [float(np.mean(group)) for group in groups]


def _nearest(rows: list[float], t: float) -> int:
    return int(np.abs(np.asarray(rows) - t).argmin())


def rest_curves(logs: list[Log], rated_ah: float, reference_ah: dict[float, float]) -> list[RestCurve]:
    """One curve a temperature. `reference_ah`: capacities that logs' own SoC columns are based on."""
    found = [branch for log in logs for branch in branches(log, rated_ah)]
    rows = cluster([branch.temperature_c for branch in found])
    curves: list[RestCurve] = []
    top_v = max((float(b.voltage_v.max()) for b in found), default=0.0)
    for row, t in enumerate(rows):
        here = [b for b in found if _nearest(rows, b.temperature_c) == row]
        down = [b for b in here if b.current_a < 0]
        up = [b for b in here if b.current_a > 0]
        curves.append(_curve(t, down, up, top_v, rated_ah, _close(reference_ah, t)))
    return curves


def _close(reference_ah: dict[float, float], t: float) -> float | None:
    near = [(abs(at - t), ah) for at, ah in reference_ah.items() if abs(at - t) < 2 * SAME_K]
    return min(near)[1] if near else None


def _curve(
    t: float, down: list[Branch], up: list[Branch], top_v: float, rated_ah: float, reference_ah: float | None
) -> RestCurve:
    capacity = None
    lower = upper = None
    longest = max(down, key=lambda b: b.charge_ah[-1]) if down else None
    if longest is not None:
        whole = longest.voltage_v[0] > top_v - 0.15 and longest.charge_ah[-1] > 0.75 * rated_ah
        capacity = float(longest.charge_ah[-1]) if whole else None
    q = reference_ah or capacity or rated_ah
    if longest is not None:
        lower = _over_soc(_soc_of(longest, q), longest.voltage_v)
    if up:
        most = max(up, key=lambda b: b.charge_ah[-1])
        upper = _aligned(_soc_of(most, q), most.voltage_v, lower)
    current_a = abs((down or up)[0].current_a)
    if lower is not None and upper is not None:
        gap = upper - lower
        return RestCurve(t, lower + gap / 2, np.maximum(gap / 2, 0.0), current_a, capacity)
    only = lower if lower is not None else upper
    assert only is not None  # noqa: S101  # a row exists because a branch does
    return RestCurve(t, only, None, current_a, capacity)


def _soc_of(branch: Branch, capacity_ah: float) -> Array:
    if branch.soc is not None:
        return branch.soc
    start = 0.0 if branch.begins_at is None else 1.0 - branch.begins_at / capacity_ah
    return start + np.sign(branch.current_a) * branch.charge_ah / capacity_ah


def _over_soc(soc: Array, voltage_v: Array) -> Array:
    """Voltage on SOC, rising; a low end that the pass just missed is continued by its last slope."""
    order = np.argsort(soc)
    s: Array = soc[order]
    v: Array = np.maximum.accumulate(voltage_v[order])
    out = np.interp(SOC, s, v)
    if 0 < s[0] < 0.05:
        slope = float(np.asarray(np.interp(s[0] + 0.01, s, v), dtype=np.float64) - v[0]) / 0.01
        out[s[0] > SOC] = (v[0] + slope * (SOC - s[0]))[s[0] > SOC]
    return np.maximum(out, v[0] - 0.2)


def _aligned(soc: Array, voltage_v: Array, lower: Array | None) -> Array:
    """Charge branch on SOC.

    Its counter may have drifted against the discharge's (a tester's offset of milliampere over 20 h): it is
    shifted a little and stretched so that the gap to the discharge branch changes slowly with SoC.
    """
    if lower is None:
        return _over_soc(soc, voltage_v)
    shift, stretch, level = 0.0, 1.0, 0.02
    slope = slope_of(lower)
    for _ in range(8):
        moved = soc[0] + shift + stretch * (soc - soc[0])
        upper = np.interp(SOC, moved, voltage_v)
        low, high = moved[0] + 0.06, min(moved[-1], 0.95)
        inside = (low < SOC) & (high > SOC)
        x = SOC[inside] - 0.5
        # upper(s) - lower(s) = gap(s) + slope (a + b s)
        design = np.stack((x**0, x, x**2, slope[inside], slope[inside] * SOC[inside]), axis=1)
        vary = max(0.008, 0.25 * abs(level))
        prior = np.diag([0, 1 / vary, 1 / vary, 1 / 0.003, 1 / 0.1]) * 0.003
        right = np.concatenate(((upper - lower)[inside], prior @ [0, 0, 0, -shift, 1 - stretch]))
        weigh = np.clip(1 / np.maximum(slope[inside], 0.5), 0.1, 2)
        left = np.vstack((design * weigh[:, None], prior))
        right[: len(x)] *= weigh
        level, _, _, a, b = np.linalg.lstsq(left, right, rcond=None)[0].tolist()
        shift, stretch = shift + 0.7 * a, stretch * (1 + 0.7 * b)
    moved = soc[0] + shift + stretch * (soc - soc[0])
    upper = np.interp(SOC, moved, voltage_v)
    reached = np.flatnonzero((moved[0] <= SOC) & (moved[-1] >= SOC))
    first, last = int(reached[0]), int(reached[-1])
    # Where the limit ended the charge early the gap goes on as it was.
    upper[:first] = lower[:first] + upper[first] - lower[first]
    upper[last + 1 :] = lower[last + 1 :] + upper[last] - lower[last]
    return np.maximum(upper, lower)
