"""Power, energy and core temperature against simulated cells. What is missed says so."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bench import energy, heat
from bench.power import CELLS, SEED, SIDES, WITHIN, Verdict, verdict
from cloud.twin.table import Array

TEN_SECONDS = 1
AMBIENT_C = (-10.0, 25.0)
COUNT = 5


@cache
def verdicts() -> list[Verdict]:
    """Few strings of every cell, cold and warm."""
    return [verdict(name, ambient_c, COUNT) for name in CELLS for ambient_c in AMBIENT_C]


def excess(horizon: int) -> Array:
    """Told over true minus 1 of all of them, both directions."""
    return np.concatenate([v.excess(side, horizon) for v in verdicts() for side in range(len(SIDES))])


def test_ten_second_limits_are_near_the_truth() -> None:
    assert len(excess(TEN_SECONDS)) >= 40
    assert float(np.abs(excess(TEN_SECONDS)).mean()) <= WITHIN


@pytest.mark.xfail(strict=True, reason="27 % of limits lie more than 5 % below the truth, bound 5 %")
def test_nearly_all_ten_second_limits_are_within_five_percent() -> None:
    assert float((np.abs(excess(TEN_SECONDS)) > WITHIN).mean()) <= 0.05


def test_ten_second_limits_are_hardly_ever_above_the_truth() -> None:
    assert float((excess(TEN_SECONDS) > 0).mean()) <= 0.01


def test_core_temperature_and_forecast() -> None:
    drive = heat.heated("lg_hg2", 0.0, np.random.default_rng(SEED))
    wrong = np.abs(drive.told_c - drive.core_c)
    assert float(wrong.max()) <= 2.0
    assert float((wrong <= 2 * drive.sigma_k).mean()) >= 0.95
    assert float(np.abs(drive.surface_error_k).max()) <= 2.5
    assert float(np.abs(drive.core_error_k).max()) <= 2.5


@pytest.mark.parametrize("constant", energy.CONSTANT)
def test_energy_left(constant: str) -> None:
    found = energy.energies("panasonic_pf", 10.0, constant, 4)
    wrong = np.abs(found.told_wh - found.true_wh)
    assert float(wrong.max()) <= 0.04 * found.full_wh
    assert bool((wrong <= 2.5 * found.sigma_wh).all())
