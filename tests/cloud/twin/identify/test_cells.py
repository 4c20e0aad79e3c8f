"""The shipped cell files: their splits, and their errors on the measured logs where those are present."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import numpy as np
import pytest

from cloud.twin.cell import CELLS_DIR, cell_names, load_cell
from cloud.twin.identify.anchor import runs_of
from cloud.twin.identify.prepare import full_voltage
from cloud.twin.identify.read import read_spec
from cloud.twin.identify.score import score

DATA = os.environ.get("CELLKEEPER_DATA", "")
KINDS = ("--ocv", "--pulse", "--drive", "--test")


def files(name: str) -> dict[str, list[str]]:
    """The logs in a cell's .args file, by option."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    kind = ""
    for word in shlex.split((CELLS_DIR / f"{name}.args").read_text()):
        if word.startswith("--"):
            kind = word
        elif kind in found:
            found[kind].append(word)
    return found


@pytest.mark.parametrize("name", cell_names())
def test_no_log_is_both_fitted_and_tested(name: str) -> None:
    found = files(name)
    fitted = {spec for kind in KINDS[:3] for spec in found[kind]}
    assert found["--test"]
    assert not fitted & set(found["--test"])
    cell = load_cell(name)
    stems = {Path(spec.split("@")[0]).stem for spec in found["--test"]}
    assert set(cell.fit["test"]) == stems


@pytest.mark.parametrize("name", cell_names())
def test_every_value_has_its_uncertainty(name: str) -> None:
    cell = load_cell(name)
    for field, sigma in cell.uncertainty.items():
        assert np.shape(sigma) == np.shape(getattr(cell, field)), field
        assert np.all(np.asarray(sigma) > 0), field


@pytest.mark.skipif(not DATA, reason="CELLKEEPER_DATA names no measured logs")
@pytest.mark.parametrize("name", cell_names())
def test_the_errors_in_the_file_are_those_on_the_logs(name: str) -> None:
    cell, specs = load_cell(name), files(name)["--test"]
    if not all((Path(DATA) / spec.split("@")[0]).is_file() for spec in specs):
        pytest.skip(f"{DATA} does not hold the test logs of {name}")
    logs = [read_spec(str(Path(DATA) / spec)) for spec in specs]
    top_v = full_voltage(logs, [])
    for log in logs:
        for run in runs_of(log, top_v, lambda t: float(cell.capacity(np.asarray(t))), None):
            stated = cell.fit["test"][run.name]
            assert score(cell, run).rmse_mv == pytest.approx(stated["rmse_mv"], abs=0.5), run.name
