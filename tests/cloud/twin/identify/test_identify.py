"""Identification of a simulated cell: what is found lies at the truth, and inside its own bounds."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.twin.cell import CellFile
from cloud.twin.identify.build import Identified, Measured, identify
from cloud.twin.identify.score import score
from cloud.twin.identify.thermal import thermal
from tests.cloud.twin.identify.made import cut, drive, pulses, slow, truth

TRUE = truth()
SOC = np.array([0.15, 0.3, 0.5, 0.7, 0.9])


def found(tests: Measured) -> Identified:
    return identify(tests, "made", "nmc", lambda _line: None)


@pytest.fixture(scope="module")
def fitted() -> Identified:
    drives = [drive(TRUE, 25.0, 1), drive(TRUE, -10.0, 3)]
    return found(Measured([slow(TRUE, -10.0), slow(TRUE, 25.0)], [pulses(TRUE, 25.0)], drives, 3.1))


def far(fit: CellFile, name: str, row: int, at: np.ndarray) -> np.ndarray:
    """Distance to the truth in the fit's own standard deviations, at the nodes `at` of one row."""
    t = np.full(len(at), fit.r_temperature_c[row])
    true = TRUE.resistances(fit.r_soc[at], t)[int(name[1])]
    values, sigma = np.asarray(getattr(fit, name))[row, at], np.asarray(fit.uncertainty[name])[row, at]
    return np.abs(values - true) / sigma


def test_the_simulated_cell_is_found(fitted: Identified) -> None:
    cell, warm = fitted.cell, np.full(5, 25.0)
    assert cell.capacity_ah == pytest.approx(3.0, rel=0.01)
    assert float(cell.capacity(np.asarray(-10.0))) == pytest.approx(2.85, rel=0.01)
    assert cell.ocv(SOC, warm) == pytest.approx(TRUE.ocv(SOC, warm), abs=0.004)
    r0, r1, r2 = cell.resistances(SOC, warm)
    true0, true1, true2 = TRUE.resistances(SOC, warm)
    assert r0 == pytest.approx(true0, rel=0.03)
    assert r1 == pytest.approx(true1, rel=0.12)
    assert r2 == pytest.approx(true2, rel=0.2)
    warmest = np.array([25.0])
    for mine, true in zip(cell.taus(warmest), TRUE.taus(warmest), strict=True):
        assert mine == pytest.approx(true, rel=0.12)
    assert cell.hysteresis(SOC) == pytest.approx(TRUE.hysteresis(SOC), abs=0.003)
    scores = {run.name: score(cell, run).rmse_above_10_mv for run in fitted.runs}
    assert max(scores.values()) < 7.0, scores


def test_its_bounds_cover_the_truth(fitted: Identified) -> None:
    cell = fitted.cell
    nodes = np.flatnonzero((cell.r_soc > 0.12) & (cell.r_soc < 0.95))
    rows = range(len(cell.r_temperature_c))
    distances = np.concatenate([far(cell, f"r{k}_ohm", row, nodes) for k in range(3) for row in rows])
    assert (distances < 2.5).mean() > 0.8
    ocv_sigma = np.asarray(cell.uncertainty["ocv_v"])[-1]
    at = np.arange(15, 96, 5)
    error_v = np.abs(cell.ocv_v[-1] - TRUE.ocv(cell.ocv_soc, np.full(101, cell.ocv_temperature_c[-1])))
    assert (
        error_v[at] < 2.5 * ocv_sigma[at] + 0.003
    ).mean() > 0.8  # and the file's hysteresis, known to 2 mV
    assert (np.asarray(cell.uncertainty["r1_ohm"])[-1, nodes] < 0.3 * cell.r1_ohm[-1, nodes]).all()


def test_the_thermal_constants_come_from_its_warming(fitted: Identified) -> None:
    heat = thermal(TRUE, fitted.runs)
    assert heat.heat_capacity_j_k == pytest.approx(45.0, rel=0.25)
    assert heat.thermal_resistance_k_w == pytest.approx(8.0, rel=0.25)
    assert heat.rmse_k is not None
    assert heat.rmse_k < 0.5


def test_drive_logs_of_one_temperature_at_another_rate_are_enough() -> None:
    log = drive(TRUE, 25.0, 5, step_s=2.0)
    cell = found(Measured([], [], [log], 3.0)).cell
    assert cell.capacity_ah == 3.0
    middle = SOC[1:]
    assert cell.ocv(middle) == pytest.approx(TRUE.ocv(middle), abs=0.03)
    r0 = cell.resistances(middle, np.full(4, 25.0))[0]
    assert r0 == pytest.approx(TRUE.resistances(middle, np.full(4, 25.0))[0], rel=0.1)
    cold = cell.resistances(SOC, np.full(5, -10.0))[0] / cell.resistances(SOC, np.full(5, 25.0))[0]
    assert (cold > 2).all()  # the usual Arrhenius law stands in
    assert np.asarray(cell.uncertainty["ocv_v"]).shape == cell.ocv_v.shape


def test_a_log_that_begins_anywhere_is_anchored_by_its_rest() -> None:
    whole = pulses(TRUE, 25.0)
    begin = int(np.flatnonzero(np.abs(whole.current_a) > 0)[622 * 4]) - 60  # at the end of a rest, half empty
    runs = found(Measured([slow(TRUE, 25.0)], [], [cut(whole, begin)], 3.0)).runs
    moved = np.concatenate(([0.0], np.cumsum((whole.current_a[1:] + whole.current_a[:-1]) / 2))) / 3600 / 3.0
    assert runs[0].soc[0] == pytest.approx(1.0 + moved[begin], abs=0.02)
