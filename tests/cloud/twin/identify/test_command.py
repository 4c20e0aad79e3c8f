"""`cellkeeper identify` as people call it: from files to a cell file, and what it says to bad ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cloud.twin.cell import load_cell
from cloud.twin.identify.command import identify_command
from cloud.twin.logs import Log
from tests.cloud.twin.identify.made import cut, drive, pulses, slow, truth, write

TRUE = truth()


@pytest.fixture(scope="module")
def logs() -> dict[str, Log]:
    return {"slow": slow(TRUE, 25.0), "drive": drive(TRUE, 25.0, 1, step_s=2.0), "pulses": pulses(TRUE, 25.0)}


def call(*args: str | Path) -> Result:
    return CliRunner().invoke(identify_command, [str(arg) for arg in args])


def test_files_become_a_cell_file_a_plot_and_a_table(logs: dict[str, Log], tmp_path: Path) -> None:
    out, picture = tmp_path / "cell.json", tmp_path / "cell.svg"
    first = write(logs["drive"], tmp_path / "a drive.csv")
    second = write(drive(TRUE, 25.0, 9, step_s=2.0), tmp_path / "b.parquet")
    result = call(
        "--ocv", write(logs["slow"], tmp_path / "s.csv"), "--drive", first, second,
        "--test", write(drive(TRUE, 25.0, 8, step_s=2.0), tmp_path / "t.parquet"),
        "--capacity-ah", "3", "--out", out, "--plot", picture, "--source", "made up",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "reading 2/2: b.parquet" in result.output
    assert "round 1/8" in result.output
    assert "not fitted" in result.output
    cell = load_cell(out)
    assert cell.source == "made up"
    assert cell.chemistry == "nmc"
    assert cell.fit["files"]["drive"] == ["a drive", "b"]
    assert cell.fit["test"]["t"]["rmse_above_10_mv"] < 6
    assert cell.capacity_ah == pytest.approx(3.0, rel=0.01)
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    assert out.stat().st_size < 40_000


def test_the_sign_can_be_declared(logs: dict[str, Log], tmp_path: Path) -> None:
    turned = replace(logs["pulses"], current_a=-logs["pulses"].current_a)
    path, out = write(turned, tmp_path / "turned.parquet"), tmp_path / "cell.json"
    options = ("--pulse", path, "--capacity-ah", "3", "--out", out)
    refused = call(*options)
    assert refused.exit_code == 1
    for part in ("turned.parquet", "column 'current_a'", "row ", "--discharge-positive"):
        assert part in refused.output
    assert not out.exists()
    assert call(*options, "--discharge-positive").exit_code == 0


def broken(log: Log, column: str, row: int, value: float) -> Log:
    values = np.array(getattr(log, column))
    values[row] = value
    return replace(log, **{column: values})


@pytest.mark.parametrize(
    ("column", "row", "value", "says"),
    [
        ("voltage_v", 40, float("nan"), "column 'voltage_v', row 41 is missing or not a number"),
        ("temperature_c", 3, 400.0, "column 'temperature_c', row 4 is 400; must be -60 to 150"),
        ("time_s", 70, 12.0, "column 'time_s', row 71: 12 does not come after 69"),
    ],
)
def test_a_bad_row_is_named(
    logs: dict[str, Log], tmp_path: Path, column: str, row: int, value: float, says: str
) -> None:
    path = write(broken(logs["pulses"], column, row, value), tmp_path / "bad.parquet")
    result = call("--pulse", path, "--capacity-ah", "3", "--out", tmp_path / "cell.json")
    assert result.exit_code == 1
    assert says in result.output
    assert "bad.parquet" in result.output


def test_what_the_logs_cannot_tell_is_said(logs: dict[str, Log], tmp_path: Path) -> None:
    out = tmp_path / "cell.json"
    drive_file, slow_file = write(logs["drive"], tmp_path / "d.csv"), write(logs["slow"], tmp_path / "s.csv")
    none = call("--ocv", slow_file, "--capacity-ah", "3", "--out", out)
    assert "no --pulse and no --drive log" in none.output
    quick = call("--ocv", drive_file, "--drive", drive_file, "--capacity-ah", "3", "--out", out)
    assert "no slow discharge or charge (C/150 to C/8, here 0.02 to 0.375 A)" in quick.output
    other = call("--ocv", slow_file, "--drive", drive_file, "--capacity-ah", "30", "--out", out)
    assert other.exit_code == 1
    middle = write(cut(logs["drive"], 1500), tmp_path / "m.csv")
    anywhere = call("--drive", middle, drive_file, "--capacity-ah", "3", "--out", out)
    assert "its state of charge cannot be told" in anywhere.output
    assert "m.csv" in anywhere.output


def test_a_log_without_temperature_takes_it_from_its_spec(logs: dict[str, Log], tmp_path: Path) -> None:
    path = tmp_path / "cold.csv"
    lines = write(logs["pulses"], tmp_path / "all.csv").read_text().splitlines()
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines) + "\n")
    out = tmp_path / "cell.json"
    refused = call("--pulse", path, "--capacity-ah", "3", "--out", out)
    assert "column 'temperature_c' is missing" in refused.output
    assert "cold.csv@25" in refused.output
    assert call("--pulse", f"{path}@-5", "--capacity-ah", "3", "--out", out).exit_code == 0
    assert load_cell(out).r_temperature_c.tolist() == [-5.0]
