"""The cell model: charge, closed forms, cell files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.twin.cell import CellFile, CellFileError, cell_names, load_cell
from cloud.twin.model import CellModel

currents = st.floats(-20, 6)
steps = st.lists(st.tuples(currents, st.floats(0.001, 120)), min_size=1, max_size=20)


def plain(cell: CellFile) -> CellFile:
    """The same cell with resistances that depend on neither SoC nor temperature."""
    flat = np.full_like(cell.r0_ohm, 0.02)
    tau1_s, tau2_s = (np.full_like(tau, tau[0]) for tau in (cell.tau1_s, cell.tau2_s))
    return replace(
        cell,
        ocv_v=np.repeat(cell.ocv_v[-1:], len(cell.ocv_v), axis=0),
        r0_ohm=flat, r1_ohm=flat, r2_ohm=flat, tau1_s=tau1_s, tau2_s=tau2_s, activation_k=(0.0, 0.0, 0.0),
    )  # fmt: skip


@pytest.mark.parametrize("name", cell_names())
def test_every_cell_file_loads_rises_and_cites_its_source(name: str) -> None:
    cell = load_cell(name)
    assert (np.diff(cell.ocv_v, axis=1) >= 0).all()
    assert cell.source
    assert cell.fit["train_rmse_above_10_mv"] < 20
    assert cell.fit["test_rmse_above_10_mv"] < 35
    soc = np.array([0.1, 0.5, 0.9])
    assert cell.soc_of_ocv(cell.ocv(soc)) == pytest.approx(soc, abs=0.02)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_charge_is_conserved(profile: list[tuple[float, float]]) -> None:
    cell = load_cell("lg_hg2")
    model = CellModel(cell, np.array([0.5, 0.6]), capacity_scale=np.array([1.0, 0.8]))
    for current_a, dt_s in profile:
        model.step(current_a, dt_s, 25.0)
    moved_ah = sum(current_a * dt_s for current_a, dt_s in profile) / 3600
    assert (model.soc - [0.5, 0.6]) * model.capacity_ah == pytest.approx([moved_ah, moved_ah], abs=1e-9)


@given(currents, st.floats(0.01, 600), st.integers(2, 50))
@settings(max_examples=60, deadline=None)
def test_one_long_step_equals_many_short_ones(current_a: float, span_s: float, parts: int) -> None:
    cell = plain(load_cell("lg_hg2"))
    once, often = CellModel(cell, 0.5), CellModel(cell, 0.5)
    for model in (once, often):
        model.step(-3.0, 30.0, 20.0)
    once.step(current_a, span_s, 20.0)
    for _ in range(parts):
        often.step(current_a, span_s / parts, 20.0)
    for name in ("soc", "v1_v", "v2_v", "hysteresis"):
        assert getattr(once, name) == pytest.approx(getattr(often, name), abs=1e-10)


def test_advance_gives_the_voltages_of_single_steps() -> None:
    cell = plain(load_cell("panasonic_pf"))
    together, single = CellModel(cell, np.array([0.4, 0.7])), CellModel(cell, np.array([0.4, 0.7]))
    block = together.advance(-2.0, 0.005, 20, 25.0)
    rows = np.array([single.step(-2.0, 0.005, 25.0) for _ in range(20)])
    assert block == pytest.approx(rows, abs=1e-9)


def test_a_rested_cell_stands_at_its_ocv_and_its_ambient() -> None:
    cell = load_cell("lg_hg2")
    model = CellModel(cell, 0.6, temperature_c=30.0)
    for _ in range(60):
        model.step(-6.0, 10.0, 10.0)
    loaded_v = float(model.terminal_v()[0])
    warm_c = float(model.temperature_c[0])
    model.rest(20_000, 10.0)
    settled_v = cell.ocv(model.soc, model.temperature_c) - cell.hysteresis(model.soc)
    assert model.terminal_v()[0] == pytest.approx(settled_v[0], abs=1e-4)
    assert model.terminal_v()[0] > loaded_v
    assert pytest.approx(model.temperature_c[0], abs=1e-3) == 10.0
    assert warm_c > 12.0


def test_cold_cells_have_more_resistance_and_heat_comes_from_current() -> None:
    cell = load_cell("lg_hg2")
    warm, cold = CellModel(cell, 0.5, temperature_c=25.0), CellModel(cell, 0.5, temperature_c=-10.0)
    assert cold.resistances()[0] > 2 * warm.resistances()[0]
    warm.step(-10.0, 300.0, 25.0)
    assert warm.temperature_c[0] > 26.0


def test_beyond_full_the_voltage_goes_on_rising() -> None:
    cell = load_cell("lg_hg2")
    assert cell.ocv(1.05) > cell.ocv(1.0)
    assert cell.ocv(-0.05) < cell.ocv(0.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tau1_s": [0.0] * 5}, "tau1_s must be above 0; its least value is 0"),
        ({"heat_capacity_j_k": -1.0}, "heat_capacity_j_k is -1.0, must be above 0"),
        ({"capacity_temperature_c": [40.0, 25.0]}, "capacity_temperature_c must be a rising list"),
        ({"activation_k": [1.0, 2.0]}, "activation_k has 2 values, must have 3"),
        ({"ocv_v": [[float("nan")]]}, "ocv_v holds a value that is not a finite number"),
        ({"ocv_soc": [0.0, 0.5, 0.4]}, "ocv_soc must be a rising list"),
        ({"r0_ohm": [[0.01]]}, r"r0_ohm has shape \[1, 1\], must have"),
        ({"capacity_ah": "much"}, "capacity_ah must be a number"),
        ({"capacity_ah": None}, "capacity_ah holds a value that is not a finite number"),
        ({"capacity": 3}, "field 'capacity' is not one of a cell file's"),
    ],
)
def test_a_bad_cell_file_is_named(tmp_path: Path, change: dict[str, object], says: str) -> None:
    raw = json.loads((Path(__file__).parents[3] / "cloud/twin/cells/lg_hg2.json").read_text())
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**raw, **change}))
    with pytest.raises(CellFileError, match=says) as caught:
        load_cell(path)
    assert "bad.json" in str(caught.value)


def test_an_unknown_cell_lists_the_known() -> None:
    with pytest.raises(CellFileError, match="lg_hg2"):
        load_cell("unobtainium")
