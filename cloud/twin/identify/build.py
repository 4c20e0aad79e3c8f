"""The whole way from logs to a cell file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.identify.basis import OCV_KNOTS, R_KNOTS, bilinear
from cloud.twin.identify.fit import Fitted, covariance, fit
from cloud.twin.identify.ocv import SOC, RestCurve, rest_curves
from cloud.twin.identify.prepare import (
    Capacity,
    anchored,
    capacity_of,
    full_voltage,
    hysteresis_of,
    knowledge,
    reference_ah,
)
from cloud.twin.identify.read import Run
from cloud.twin.identify.state import Knowledge
from cloud.twin.logs import Log, LogError
from cloud.twin.table import Array

REFERENCE_C = 25.0


@dataclass(frozen=True)
class Measured:
    """What was measured: logs by kind, and the rated capacity."""

    ocv: list[Log]
    pulse: list[Log]
    drive: list[Log]
    rated_ah: float


@dataclass(frozen=True)
class Identified:
    """A cell file, the runs it was fitted to, and the capacity behind their SoC."""

    cell: CellFile
    runs: list[Run]
    curves: list[RestCurve]
    capacity: Capacity
    top_v: float


def identify(tests: Measured, name: str, chemistry: str, tell: Callable[[str], None]) -> Identified:
    """Fit a cell file to tests. Raises LogError where they do not tell enough."""
    dynamic = [*tests.pulse, *tests.drive]
    if not dynamic:
        raise LogError("no --pulse and no --drive log: resistances and time constants need at least one")
    reference = reference_ah([*dynamic, *tests.ocv])
    curves = rest_curves(tests.ocv, tests.rated_ah, reference)
    if tests.ocv and not curves:
        low_a, high_a = tests.rated_ah / 150, tests.rated_ah / 8
        raise LogError(
            f"{tests.ocv[0].source}: column 'current_a': the --ocv logs hold no slow discharge or charge "
            f"(C/150 to C/8, here {low_a:.3g} to {high_a:.3g} A) over 40 % of the capacity"
        )
    capacity = capacity_of(reference, curves, tests.rated_ah)
    tell(f"capacity: {capacity.at(REFERENCE_C):.3f} Ah at 25 degC ({capacity.source})")
    top_v = full_voltage([*dynamic, *tests.ocv], curves)
    runs = anchored(dynamic, curves, capacity, top_v)
    known = knowledge(runs, curves, capacity.at(REFERENCE_C))
    first = fit(known, runs, rounds=8, tell=tell)
    if curves:
        known.hysteresis_v = hysteresis_of(curves, lambda t: _dc_resistance(known, first, t))
        known.hysteresis_soc = _best(known, runs, first, "hysteresis_soc", (0.01, 0.03, 0.08))
        mean_mv, percent = 1000 * float(known.hysteresis_v.mean()), 100 * known.hysteresis_soc
        tell(f"hysteresis: {mean_mv:.1f} mV, turns within {percent:.0f} % of charge")
    known.knee_v = _best(known, runs, first, "knee_v", (0.0, 0.05, 0.08, 0.15))
    tell(f"first pair bends at {1000 * known.knee_v:.0f} mV" if known.knee_v else "first pair is straight")
    last = fit(known, runs, rounds=8, tell=tell, start=first)
    cell = _cell(known, last, covariance(known, runs, last), capacity)
    return Identified(replace(cell, name=name, chemistry=chemistry), runs, curves, capacity, top_v)


def _dc_resistance(known: Knowledge, fitted: Fitted, temperature_c: float) -> float:
    lay = known.layout
    row = int(np.abs(lay.r_c - temperature_c).argmin())
    total = 0.0
    for which in range(3):
        nodes = fitted.theta[lay.r(which) : lay.r(which + 1)].reshape(len(lay.r_c), -1)[row]
        middle = np.asarray(np.interp(np.array([0.3, 0.5, 0.7]), R_KNOTS, nodes), dtype=np.float64)
        total += float(np.exp(middle).mean())
    return total


def _best(known: Knowledge, runs: list[Run], start: Fitted, name: str, choices: tuple[float, ...]) -> float:
    """Of some values of one constant, that with the least misfit after a few more rounds."""
    costs: dict[float, float] = {}
    for value in choices:
        trial = replace(known, **{name: value})
        costs[value] = fit(trial, runs, rounds=2, tell=lambda _line: None, start=start).cost
    return min(costs, key=lambda value: costs[value])


def _cell(known: Knowledge, fitted: Fitted, spread: Array, capacity: Capacity) -> CellFile:
    lay, theta = known.layout, fitted.theta
    sigma = np.sqrt(np.diag(spread))
    points = [bilinear(lay.ocv_c, OCV_KNOTS, np.full(len(SOC), t), SOC) for t in lay.ocv_c]
    ocv = np.array([base + p.matrix @ theta[p.active] for base, p in zip(known.base_v, points, strict=True)])
    ocv_sigma = np.array([p.matrix @ sigma[p.active] for p in points])
    r = [np.exp(theta[lay.r(k) : lay.r(k + 1)]).reshape(len(lay.r_c), -1) for k in range(3)]
    r_sigma = [r[k] * sigma[lay.r(k) : lay.r(k + 1)].reshape(len(lay.r_c), -1) for k in range(3)]
    tau = [np.exp(theta[lay.tau(k) : lay.tau(k + 1)]) for k in range(2)]
    tau_sigma = [tau[k] * sigma[lay.tau(k) : lay.tau(k + 1)] for k in range(2)]
    at_reference = capacity.at(REFERENCE_C)
    uncertainty: dict[str, Any] = {
        "capacity_ah": float(np.interp(REFERENCE_C, capacity.temperature_c, capacity.sigma_ah)),
        "capacity_ratio": capacity.sigma_ah / at_reference,
        "ocv_v": ocv_sigma,
        "hysteresis_v": 0.3 * known.hysteresis_v + 0.001,
        **{f"r{k}_ohm": r_sigma[k] for k in range(3)},
        **{f"tau{k + 1}_s": tau_sigma[k] for k in range(2)},
    }
    return CellFile(
        name="",
        chemistry="",
        capacity_ah=at_reference,
        capacity_temperature_c=capacity.temperature_c,
        capacity_ratio=capacity.ah / at_reference,
        ocv_temperature_c=lay.ocv_c,
        ocv_soc=SOC,
        ocv_v=_rising(ocv),
        hysteresis_v=known.hysteresis_v,
        hysteresis_soc=known.hysteresis_soc,
        r_temperature_c=lay.r_c,
        r_soc=R_KNOTS,
        r0_ohm=r[0],
        r1_ohm=r[1],
        r2_ohm=r[2],
        tau1_s=tau[0],
        tau2_s=tau[1],
        knee_v=known.knee_v,
        activation_k=fitted.activation_k,
        reference_c=REFERENCE_C,
        heat_capacity_j_k=1.0,
        thermal_resistance_k_w=1.0,
        uncertainty=uncertainty,
    )


def _rising(ocv_v: Array) -> Array:
    """Rest voltage rises with SoC: at least 20 microvolt a percent, so that it can be inverted."""
    ramp = 2e-5 * np.arange(ocv_v.shape[1], dtype=np.float64)
    rising: Array = np.maximum.accumulate(ocv_v - ramp, axis=1)
    return rising + ramp
