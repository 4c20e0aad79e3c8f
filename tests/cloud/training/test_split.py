"""Splits: whole logs, each in one part; a log becomes a sample a second."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud.training.split import SPLITS, SplitError, read_split, samples
from cloud.twin.logs import Log

SPEC: dict[str, Any] = {
    "folder": "cell", "capacity_ah": 2.0, "train": ["25C_a"], "watch": [], "test": ["m5C_b"],
    "ambient_c": {"25C": 25, "5C": 5, "m5C": -5},
}  # fmt: skip


def folder(tmp_path: Path, spec: dict[str, Any]) -> str:
    for name in ("25C_a", "m5C_b"):
        rows = "\n".join(f"{t},-1.0,3.{t},{1 - t / 9}" for t in range(5))
        (tmp_path / f"{name}.csv").write_text(f"time_s,current_a,voltage_v,soc\n{rows}\n")
    (tmp_path / "split.json").write_text(json.dumps(spec))
    return str(tmp_path / "split.json")


def test_a_split_of_ones_own(tmp_path: Path) -> None:
    split = read_split(folder(tmp_path, SPEC), tmp_path)
    assert [n.ambient_c for n in (*split.train, *split.test)] == [25.0, -5.0]
    assert split.test[0].log.temperature_c.tolist() == [-5.0] * 5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train": ["25C_a", "m5C_b"]}, "m5C_b stands in two parts"),
        ({"train": ["25C_missing"]}, "no 25C_missing.parquet or .csv"),
        ({"ambient_c": {"40C": 40}}, "0 entries of ambient_c fit its name"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(SplitError, match=says):
        read_split(folder(tmp_path, SPEC | change), tmp_path)


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"no such split; there are .*lg_hg2"):
        read_split("nothing", tmp_path)
    spec = {k: v for k, v in SPEC.items() if k != "watch"}
    with pytest.raises(SplitError, match="'watch' is missing"):
        read_split(folder(tmp_path, spec), tmp_path)


@pytest.mark.parametrize("path", sorted(SPLITS.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_splits_hold_whole_files_back(path: Path) -> None:
    spec = json.loads(path.read_text())
    names = spec["train"] + spec["watch"] + spec["test"]
    assert len(names) == len(set(names))
    assert spec["train"]
    assert spec["test"]


def test_seconds_without_a_row_have_no_voltage_and_at_last_no_current() -> None:
    time_s = np.array([0.0, 1.0, 4.0, 5.0, 305.0])
    ones = np.ones(5)
    log = Log("x", "x", time_s, -2.0 * ones, 3.5 * ones, 25 * ones, soc=np.linspace(1, 0.6, 5))
    found = samples(log, 2.0)
    assert len(found.v) == 306
    assert found.v[[0, 1, 4, 5, 305]].tolist() == [56_000] * 5
    assert (np.delete(found.v, [0, 1, 4, 5, 305]) == 0).all()
    assert found.rate[2] == -4096
    assert found.rate[100] == -4096
    assert found.rate[200] == 0
