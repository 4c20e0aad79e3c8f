"""The baselines are worth beating: they find a state of charge. They are tuned on nothing held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.accuracy import SETS, Held, fitted
from bench.network_baseline import Fnn, features
from bench.textbook_ekf import CHOICES, UNTUNED, Noise, ekf_soc, tuned
from cloud.twin.cell import CellFile, load_cell
from cloud.twin.logs import Log
from hil.replay import Run

CELL = load_cell("lg_hg2")


def drive(cell: CellFile, start: float, seed: int, rows: int = 4000) -> Log:
    """Random steps of current at 25 degC through the cell's circuit."""
    rng = np.random.default_rng(seed)
    current_a = np.repeat(rng.uniform(-1.5, 0.6, rows // 40), 40) * cell.capacity_ah
    soc = start + np.cumsum(current_a) / (3600 * cell.capacity_ah)
    temperature_c = np.full(rows, 25.0)
    r0, r1, r2 = cell.resistances(soc, temperature_c)
    tau1, tau2 = (float(tau[0]) for tau in cell.taus(temperature_c[:1]))
    v1, v2 = np.zeros(rows), np.zeros(rows)
    for n in range(1, rows):
        v1[n] = v1[n - 1] + (current_a[n] * r1[n] - v1[n - 1]) * (1 - np.exp(-1 / tau1))
        v2[n] = v2[n - 1] + (current_a[n] * r2[n] - v2[n - 1]) * (1 - np.exp(-1 / tau2))
    voltage_v = cell.ocv(soc, 25.0) + v1 + v2 + r0 * current_a
    return Log("drive", "drive", np.arange(float(rows)), current_a, voltage_v, temperature_c, soc=soc)


def test_the_filter_finds_what_it_was_told_wrong() -> None:
    log = drive(CELL, 0.9, 1)
    assert log.soc is not None
    found = ekf_soc([Run(log, 0.6)], CELL, UNTUNED)[0]
    assert np.abs(found - log.soc)[600:].max() < 0.02


def test_lanes_do_not_touch_one_another() -> None:
    runs = [Run(drive(CELL, 0.9, 1), 0.6), Run(drive(CELL, 0.7, 2, 2400), 0.7)]
    together = ekf_soc(runs, CELL, UNTUNED)
    assert [len(soc) for soc in together] == [4000, 2400]
    for run, soc in zip(runs, together, strict=True):
        assert np.allclose(ekf_soc([run], CELL, UNTUNED)[0], soc, atol=1e-12)


def test_tuning_goes_to_the_least_cost() -> None:
    best = Noise(0.16, 1e-8, 1e-7)
    found = tuned(
        lambda noise: sum(
            abs(np.log(getattr(noise, name) / getattr(best, name))) for name in ("volt", "soc", "pair")
        )
    )
    assert found == best
    assert all(getattr(found, name) in CHOICES[name] for name in CHOICES)


def test_the_network_learns_from_whole_drives() -> None:
    network = Fnn([drive(CELL, 0.95, seed) for seed in range(6)], CELL.capacity_ah)
    log = drive(CELL, 0.9, 99)
    assert log.soc is not None
    assert np.abs(network.soc(log) - log.soc).mean() < 0.05


def test_averages_are_over_what_came_before() -> None:
    log = drive(CELL, 0.9, 1, 1200)
    made = features(log)
    assert made.shape == (1200, 5)
    assert made[0, 3] == pytest.approx(log.voltage_v[0])
    assert made[1000, 4] == pytest.approx(log.current_a[501:1001].mean())


@pytest.mark.parametrize("held", SETS.values(), ids=SETS)
def test_nothing_held_back_is_known(held: Held) -> None:
    known = fitted(held)
    assert len(known.logs) >= 3
    assert {ambient_c for _, ambient_c in known.logs} <= {-25, -20, -10, 0, 5, 10, 25, 40, 45}
    assert not {name for name, _ in known.logs} & {name for name, _ in held.logs}
    assert all(Path(name).name == name for name, _ in known.logs)
