"""Logs: what is refused and how it is said; how an input is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cloud.twin.cell import load_cell
from cloud.twin.logs import LogError, pa, pa_parquet, read_log
from hil.logs import choose_log, find_drive, matching_cell
from hil.simulate import drive_profile


def columns(n: int = 4) -> dict[str, list[float]]:
    return {
        "time_s": [float(k) for k in range(n)],
        "current_a": [-1.0] * n,
        "voltage_v": [3.7] * n,
        "temperature_c": [25.0] * n,
    }


def write_csv(path: Path, data: dict[str, list[object]] | dict[str, list[float]]) -> Path:
    rows = zip(*data.values(), strict=True)
    path.write_text("\n".join([",".join(data), *(",".join(str(v) for v in row) for row in rows)]) + "\n")
    return path


def drive(path: Path, temperature_c: float, seconds: int = 9000) -> Path:
    """A made-up drive cycle of the LG cell, as Parquet."""
    cell = load_cell("lg_hg2")
    current_a = drive_profile(seconds, cell.capacity_ah)
    soc = 1.0 + np.concatenate(([0.0], np.cumsum(current_a[:-1]))) / 3600 / cell.capacity_ah
    keep = soc > 0.1
    data = {
        "time_s": np.arange(seconds)[keep],
        "current_a": current_a[keep],
        "voltage_v": cell.ocv(soc)[keep],
        "temperature_c": np.full(int(keep.sum()), temperature_c),
        "soc": soc[keep],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pa_parquet.write_table(pa.table(data), path)
    return path


def test_a_good_log_reads_the_same_from_both_formats(tmp_path: Path) -> None:
    a = read_log(write_csv(tmp_path / "a.csv", columns()))
    pa_parquet.write_table(pa.table(columns()), tmp_path / "a.parquet")
    b = read_log(tmp_path / "a.parquet")
    assert a.voltage_v.tolist() == b.voltage_v.tolist() == [3.7] * 4
    assert a.soc is None
    assert a.capacity_ah is None
    assert not a.simulated


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"voltage_v": None}, "column 'voltage_v' is missing"),
        ({"current_a": [0.0, "", 0.0, 0.0]}, "column 'current_a', row 2 is missing or not a number"),
        ({"current_a": [0.0, "nan", 0.0, 0.0]}, "column 'current_a', row 2 is missing or not a number"),
        ({"time_s": [0.0, 1.0, 1.0, 2.0]}, "column 'time_s', row 3: 1 does not come after 1"),
        ({"time_s": [0.0, 2.0, 1.0, 3.0]}, "column 'time_s', row 3: 1 does not come after 2"),
        ({"voltage_v": [3.7, 3.7, 3.7, 3700.0]}, "column 'voltage_v', row 4 is 3700; must be 0 to 6"),
        ({"temperature_c": [25.0, 298.0, 25.0, 25.0]}, "column 'temperature_c', row 2 is 298"),
        ({"current_a": ["a", "b", "c", "d"]}, "column 'current_a' is not numbers"),
    ],
)
def test_a_bad_log_is_named_with_column_and_row(tmp_path: Path, change: dict[str, object], says: str) -> None:
    data = {k: v for k, v in {**columns(), **change}.items() if v is not None}
    path = write_csv(tmp_path / "bad.csv", data)  # type: ignore[arg-type]
    with pytest.raises(LogError) as caught:
        read_log(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_are_no_logs(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no such file"):
        read_log(tmp_path / "none.csv")
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    with pytest.raises(LogError, match="cannot be read"):
        read_log(tmp_path / "x.parquet")
    (tmp_path / "x.txt").write_text("time_s\n")
    with pytest.raises(LogError, match=r"not '\.txt'"):
        read_log(tmp_path / "x.txt")


def test_a_folder_gives_its_drive_cycle_by_content(tmp_path: Path) -> None:
    drive(tmp_path / "a" / "aaa.parquet", -10.0)
    wanted = drive(tmp_path / "b" / "zzz.parquet", 24.0)
    write_csv(tmp_path / "b" / "calm.csv", columns(2000))
    (tmp_path / "b" / "broken.parquet").write_bytes(b"broken")
    log = find_drive(tmp_path)
    assert log.source == str(wanted)
    assert log.capacity_ah == pytest.approx(load_cell("lg_hg2").capacity_ah, rel=0.01)
    assert matching_cell(log).name == "LG 18650HG2"


def test_a_folder_without_a_drive_cycle_says_so(tmp_path: Path) -> None:
    write_csv(tmp_path / "calm.csv", columns(2000))
    with pytest.raises(LogError, match=r"none of 1"):
        find_drive(tmp_path)


def test_the_option_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = write_csv(tmp_path / "a.csv", columns())
    b = write_csv(tmp_path / "b.csv", columns())
    monkeypatch.setenv("CELLKEEPER_DATA", str(b))
    assert choose_log(a, tmp_path).name == "a"
    assert choose_log(None, tmp_path).name == "b"
    monkeypatch.setenv("CELLKEEPER_DATA", str(tmp_path / "gone"))
    with pytest.raises(LogError, match=r"CELLKEEPER_DATA names .*gone"):
        choose_log(None, tmp_path)
