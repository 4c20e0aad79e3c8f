"""From logs to the start of the fit: capacity over temperature, rest curves, grids, first guesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cloud.twin.identify.anchor import Curve, runs_of
from cloud.twin.identify.ocv import SAME_K, SOC, RestCurve, cluster
from cloud.twin.identify.read import Run
from cloud.twin.identify.state import Knowledge, Layout
from cloud.twin.logs import Log, LogError
from cloud.twin.table import Array, Table

_R_ROWS_K = 8.0  # resistances of one row: logs whose median temperatures are closer than this


@dataclass(frozen=True)
class Capacity:
    """Capacity at temperatures, its doubt, and where it comes from."""

    temperature_c: Array
    ah: Array
    sigma_ah: Array
    source: str

    def at(self, temperature_c: float) -> float:
        """Ah at a temperature, held beyond the ends."""
        return float(np.interp(temperature_c, self.temperature_c, self.ah))


def reference_ah(logs: list[Log]) -> dict[float, float]:
    """Capacities that the logs' own SoC columns are based on, by temperature: median of the logs near it."""
    found = [(float(np.median(log.temperature_c)), log.capacity_ah) for log in logs]
    known = [(t, ah) for t, ah in found if ah is not None]
    rows = cluster([t for t, _ in known])
    groups = {row: [ah for t, ah in known if abs(t - row) < SAME_K] for row in rows}
    return {row: float(np.median(ahs)) for row, ahs in groups.items() if ahs}


def capacity_of(reference: dict[float, float], curves: list[RestCurve], rated_ah: float) -> Capacity:
    """Capacity over temperature: the logs' SoC columns, slow full discharges, else the rated one."""
    rows = dict(reference)
    sources = ["the logs' own soc"] if rows else []
    for curve in curves:
        near = any(abs(curve.temperature_c - t) < 2 * SAME_K for t in rows)
        if curve.capacity_ah is not None and not near:
            rows[curve.temperature_c] = curve.capacity_ah
            sources.append("slow full discharges")
    if not rows:
        return Capacity(np.array([25.0]), np.array([rated_ah]), np.array([0.05 * rated_ah]), "as given")
    order = sorted(rows)
    ah = np.array([rows[t] for t in order])
    for t, value in zip(order, ah.tolist(), strict=True):
        if not 0.5 * rated_ah < value < 1.3 * rated_ah:
            raise LogError(
                f"the logs hold {value:.3g} Ah at {t:.0f} degC, --capacity-ah says {rated_ah:g}: "
                "it must be the cell's capacity in Ah, and the logs those of one cell"
            )
    text = " and ".join(dict.fromkeys(sources))
    return Capacity(np.array(order), ah, 0.01 * ah, text)


def full_voltage(logs: list[Log], curves: list[RestCurve]) -> float:
    """Voltage of a full cell at the end of its charge: the highest that lasts in any log."""
    tops = [float(np.quantile(log.voltage_v, 0.9995)) for log in logs]
    tops += [float(curve.ocv_v[-1]) for curve in curves]
    return max(tops)


def anchored(logs: list[Log], curves: list[RestCurve], capacity: Capacity, top_v: float) -> list[Run]:
    """All runs of the logs with their SoC."""
    rest = _rest_soc(curves) if curves else None
    return [run for log in logs for run in runs_of(log, top_v, capacity.at, rest)]


def _rest_soc(curves: list[RestCurve]) -> Curve:
    rows = np.array([curve.temperature_c for curve in curves])
    table = Table(rows, SOC, np.array([curve.ocv_v for curve in curves]))

    def soc(voltage_v: Array, temperature_c: float) -> Array:
        rising = np.maximum.accumulate(table.at(np.asarray(temperature_c), SOC) + 1e-9 * np.arange(len(SOC)))
        return np.interp(voltage_v, rising, SOC)

    return soc


def step_resistance(run: Run) -> float | None:
    """Median of voltage step over current step between rows at most 2 s apart; None without such steps."""
    di, dv, dt = np.diff(run.current_a), np.diff(run.voltage_v), np.diff(run.time_s)
    big = (np.abs(di) > 0.25 * np.abs(run.current_a).max()) & (dt < 2.1)
    if big.sum() < 3:
        return None
    value = float(np.median(dv[big] / di[big]))
    return value if value > 0 else None


def _r_rows(runs: list[Run]) -> Array:
    groups: list[list[tuple[float, int]]] = []
    for run in sorted(runs, key=lambda r: float(np.median(r.temperature_c))):
        item = (float(np.median(run.temperature_c)), len(run.time_s))
        if groups and item[0] - groups[-1][0][0] < _R_ROWS_K:
            groups[-1].append(item)
        else:
            groups.append([item])
    return np.array([np.average([t for t, _ in g], weights=[n for _, n in g]) for g in groups])


def _r0_guess(runs: list[Run], rows: Array, rated_ah: float) -> Array:
    near = [int(np.abs(rows - np.median(run.temperature_c)).argmin()) for run in runs]
    found = [step_resistance(run) for run in runs]
    guess = np.full(len(rows), np.nan)
    for row in range(len(rows)):
        values = [r for r, at in zip(found, near, strict=True) if at == row and r is not None]
        if values:
            guess[row] = np.median(values)
    known = np.flatnonzero(~np.isnan(guess))
    if not len(known):
        return np.full(len(rows), 0.06 / rated_ah)  # a usual cell: 20 milliohm at 3 Ah
    return np.interp(np.arange(len(rows)), known, guess[known])


def knowledge(runs: list[Run], curves: list[RestCurve], rated_ah: float) -> Knowledge:
    """Grids and first guesses for the fit."""
    r_c = _r_rows(runs)
    r0 = _r0_guess(runs, r_c, rated_ah)
    ocv_c, own = _ocv_rows(runs, curves)
    start_sigma = np.array([0.001 if run.given else run.start_sigma for run in runs])
    layout = Layout(ocv_c, r_c, len(runs))
    if curves:
        table = Table(np.array([c.temperature_c for c in curves]), SOC, np.array([c.ocv_v for c in curves]))
        base = np.array([table.at(np.asarray(t), SOC) for t in ocv_c])
        # tight: drives of one mean current would put what they polarise into the rest curve
        sigma = np.where(own, 0.003, 0.012) + 0.25 * _gap_at(curves, ocv_c)
        gap = hysteresis_of(curves, lambda _t: float(2.5 * r0[-1]))
    else:
        base, sigma = _from_runs(runs, ocv_c, r_c, r0), np.full(len(ocv_c), 0.08)
        gap = np.zeros(len(SOC))
    return Knowledge(layout, base, sigma, gap, 0.03, r0, start_sigma)


def _gap_at(curves: list[RestCurve], ocv_c: Array) -> Array:
    """Median half gap at each temperature: the wider, the less its middle is the rest voltage."""
    known = [(c.temperature_c, float(np.median(c.half_gap_v))) for c in curves if c.half_gap_v is not None]
    if not known:
        return np.full(len(ocv_c), 0.04)
    return np.interp(ocv_c, [t for t, _ in known], [gap for _, gap in known])


def _ocv_rows(runs: list[Run], curves: list[RestCurve]) -> tuple[Array, Array]:
    rows = [(curve.temperature_c, True) for curve in curves]
    for t in cluster([float(np.median(run.temperature_c)) for run in runs]):
        if all(abs(t - at) > 1.5 * SAME_K for at, _ in rows):
            rows.append((t, False))
    rows.sort()
    return np.array([t for t, _ in rows]), np.array([own for _, own in rows])


def hysteresis_of(curves: list[RestCurve], resistance: Callable[[float], float]) -> Array:
    """Half the gap between charge and discharge less its ohmic part, from the warm curves; over SOC, in V."""
    gaps = [(c.temperature_c, c.half_gap_v, c.current_a) for c in curves]
    whole = [(t, gap - i * resistance(t)) for t, gap, i in gaps if gap is not None]
    if not whole:
        return np.zeros(len(SOC))
    warmest = max(t for t, _ in whole)
    gap = np.median([g for t, g in whole if t > min(15.0, warmest - 1)], axis=0)
    gap = np.clip(gap, 0.0, None)
    gap = np.minimum(gap, 1.5 * float(np.median(gap[15:95])) + 0.004)  # at the ends it is misalignment
    return np.convolve(np.pad(gap, 4, mode="edge"), np.full(9, 1 / 9), mode="valid")


def _from_runs(runs: list[Run], ocv_c: Array, r_c: Array, r0: Array) -> Array:
    """Without an OCV test: voltage less an ohmic guess, averaged in bins of SoC, rising."""
    soc = np.concatenate([run.soc for run in runs])
    guess = [np.interp(run.temperature_c, r_c, r0) for run in runs]
    rest = np.concatenate([r.voltage_v - 2 * r.current_a * g for r, g in zip(runs, guess, strict=True)])
    edges = np.linspace(-0.0125, 1.0125, 42)
    place = np.digitize(soc, edges) - 1
    filled = [k for k in range(41) if (place == k).sum() > 3]
    bins = [(edges[k : k + 2].mean(), np.median(rest[place == k])) for k in filled]
    if len(bins) < 8:
        low, high = float(soc.min()), float(soc.max())
        raise LogError(
            f"the logs cover SoC {low:.2f} to {high:.2f} only; give an --ocv test, or logs over more of it"
        )
    at, value = np.array([b[0] for b in bins]), np.maximum.accumulate([b[1] for b in bins])
    return np.repeat(np.interp(SOC, at, value)[None], len(ocv_c), axis=0)
