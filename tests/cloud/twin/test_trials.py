"""The sensor errors and the late start that estimators are tried with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cloud.twin.logs import Log
from cloud.twin.trials import LATE_START, late, truth, wrong_current, wrong_voltage

N = 11
LOG = Log(
    "made",
    "made",
    np.arange(float(N)),
    np.full(N, -2.0),
    np.full(N, 3.7),
    np.full(N, 25.0),
    soc=np.linspace(1.0, 0.0, N),
)


def test_the_current_is_off_by_offset_and_gain() -> None:
    assert wrong_current(LOG, 3.0).current_a == pytest.approx(-2.0 * 1.005 + 0.017 * 3.0)


def test_the_voltage_is_5_mv_high() -> None:
    assert wrong_voltage(LOG).voltage_v == pytest.approx(3.705)


def test_a_late_start_begins_where_the_reference_has_fallen_to_it() -> None:
    begun = late(LOG)
    assert truth(begun)[0] <= LATE_START < truth(LOG)[N - len(truth(begun)) - 1]
    assert len(begun.time_s) == len(begun.current_a) == len(begun.temperature_c) == len(truth(begun))


def test_a_log_without_reference_is_named() -> None:
    with pytest.raises(ValueError, match="made: no reference"):
        truth(replace(LOG, soc=None))
