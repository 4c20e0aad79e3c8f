"""Sources: where the log goes on, what open gates do, real time steps."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.twin.cell import load_cell
from cloud.twin.logs import Log
from cloud.twin.pack import CLOSED, SensorError, Sensors
from hil.inject import Injection
from hil.logs import Cursor
from hil.plant import ModelSource, Plant, PlantConfig, make_plant

EXACT = Sensors(SensorError(), SensorError(), SensorError(), SensorError())


def made_log(soc: bool = True) -> Log:
    """Two hours at 1 Hz with a gap of a minute, from full to empty, pulses included."""
    time_s = np.concatenate((np.arange(0.0, 3600.0), np.arange(3660.0, 7200.0)))
    current_a = np.where(np.arange(len(time_s)) // 10 % 2 == 0, -2.5, -0.2)
    cell = load_cell("lg_hg2")
    held = np.concatenate(([0.0], np.cumsum(current_a[:-1] * np.diff(time_s)))) / 3600
    level = 1.0 + held / cell.capacity_ah
    return Log(
        "made", "made", time_s, current_a, cell.ocv(level), np.full(len(time_s), 25.0), level if soc else None
    )


def plant(kind: str = "model", **options: object) -> Plant:
    config = PlantConfig(sensor_errors=EXACT, **options)  # type: ignore[arg-type]
    return make_plant(kind, load_cell("lg_hg2"), made_log(), config)


@pytest.mark.parametrize("kind", ["model", "replay"])
@pytest.mark.parametrize("start", [0.95, 0.5, 0.3])
def test_it_starts_at_the_chosen_charge_rested(kind: str, start: float) -> None:
    made = plant(kind, start_soc=start)
    assert made.soc == pytest.approx(start, abs=0.001)
    readings = made.advance(20)
    assert not readings.current_ma.any()
    cell = load_cell("lg_hg2")
    rest_v = float(cell.ocv(start))
    if kind == "model":  # it was driven down: the rest voltage after a discharge
        rest_v -= float(cell.hysteresis(np.asarray(start)))
    assert readings.cell_mv.mean() == pytest.approx(1000 * rest_v, abs=6)


@pytest.mark.parametrize("kind", ["model", "replay"])
def test_the_drive_waits_for_the_contactors(kind: str) -> None:
    made = plant(kind, start_soc=0.6)
    before = made.soc
    for _ in range(50):
        assert not made.advance(20).current_ma.any()
    assert made.soc == before
    made.gates = CLOSED
    ticks = sum(len(made.advance(20).current_ma) for _ in range(600))
    assert ticks >= 0.9 * 600 * 20
    assert made.soc < before


def test_reference_and_current_agree() -> None:
    made = plant(start_soc=0.7)
    made.gates = CLOSED
    before = made.soc
    moved_ah = sum(float(made.advance(20).current_ma.sum()) for _ in range(2000)) * 0.005 / 3600 / 1000
    assert isinstance(made.source, ModelSource)
    mean_capacity_ah = 1 / float((1 / made.source.pack.model.capacity_ah).mean())
    assert made.soc - before == pytest.approx(moved_ah / mean_capacity_ah, abs=2e-5)


def test_a_gap_in_the_log_takes_its_time() -> None:
    log = made_log()
    cursor = Cursor(log, 3599)
    assert cursor.span(100_000) == 61 * 200
    cursor.pass_by(61 * 200)
    assert cursor.row == 3600
    assert cursor.span(500) == 200
    while not cursor.finished:
        cursor.pass_by(cursor.span(10_000))
    assert cursor.current_a == 0.0
    assert cursor.span(77) == 77


def test_replayed_cells_mean_the_log() -> None:
    made = plant("replay", start_soc=0.6)
    made.gates = CLOSED
    assert made.source.cursor is not None
    log, row = made_log(), made.source.cursor.row
    readings = made.advance(4)
    assert readings.cell_mv.mean() == pytest.approx(1000 * log.voltage_v[row], abs=0.5)
    assert np.ptp(readings.cell_mv) > 2
    with pytest.raises(ValueError, match="no soc column"):
        make_plant("replay", load_cell("lg_hg2"), made_log(soc=False), PlantConfig())


def test_a_start_below_the_log_is_refused() -> None:
    with pytest.raises(ValueError, match="before the start SoC of 1%"):
        plant(start_soc=0.01)


def test_cells_and_temps_come_when_due() -> None:
    made = plant(start_soc=0.6)
    assert made.advance(3).cells_at == [0]
    assert made.advance(20).cells_at == [4, 8, 12, 16, 20]
    assert made.advance(20).temps_at == [40]


def test_faults_of_readings() -> None:
    made = plant(start_soc=0.6)
    stuck = Injection("stuck", "cell_mv", 4, 100, index=2)
    readings = made.advance(8)
    stuck.alter(readings)
    Injection("set", "cell_mv", 4, index=1, value=4300).alter(readings)
    Injection("offset", "current_ma", 6, 7, value=-500).alter(readings)
    assert readings.cell_mv[1, 1] == 4300
    assert readings.cell_mv[0, 1] != 4300
    assert readings.current_ma.tolist() == [0, 0, 0, 0, 0, 0, -500, 0]
    held = int(readings.cell_mv[1, 2])
    made.gates = CLOSED
    later = made.advance(20)
    stuck.alter(later)
    assert set(later.cell_mv[:, 2].tolist()) == {held}
