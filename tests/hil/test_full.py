"""The whole campaign: a journal of what was done, goes on where it was, parts side by side."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cloud.twin.logs import Log, pa, pa_parquet
from hil import full
from hil.full import FullOptions, Part, run_full


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drive_log: Log) -> None:
    columns = ("time_s", "current_a", "voltage_v", "temperature_c", "soc")
    (tmp_path / "logs").mkdir()
    table = pa.table({name: getattr(drive_log, name) for name in columns})
    pa_parquet.write_table(table, tmp_path / "logs" / "drive.parquet")
    monkeypatch.setattr(full, "JOURNAL", tmp_path / "full.jsonl")
    monkeypatch.setattr(full, "RESULTS", tmp_path / "results.json")


def options(tmp_path: Path, *only: str, jobs: int = 2, fresh: bool = False) -> FullOptions:
    return FullOptions(("cpython",), 3, 1, 1, tmp_path / "logs", tmp_path, fresh, only, jobs)


def tried(tmp_path: Path) -> list[str]:
    return [json.loads(line)["name"] for line in (tmp_path / "full.jsonl").read_text().splitlines()]


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    only = ("scenario/cpython/lost_measurement", "scenario/cpython/cell_over_voltage/")
    console = Console(quiet=True)
    assert run_full(options(tmp_path, only[0]), console) == 0
    assert len(tried(tmp_path)) == 1
    assert run_full(options(tmp_path, *only), console) == 0
    assert len(tried(tmp_path)) == 2
    assert run_full(options(tmp_path, only[0], fresh=True), console) == 0
    assert len(tried(tmp_path)) == 1


def test_a_line_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    only = "scenario/cpython/lost_measurement"
    console = Console(quiet=True)
    run_full(options(tmp_path, only), console)
    path = tmp_path / "full.jsonl"
    path.write_text(path.read_text()[:-20] + "\n")
    assert run_full(options(tmp_path, only), console) == 0
    assert json.loads(path.read_text().splitlines()[-1])["name"].startswith(only)


def test_failures_are_counted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parts(_: FullOptions) -> list[Part]:
        return [
            Part(f"scenario/made/{n}", lambda n=n: {"passed": n % 2 == 0, "detail": "made"}) for n in range(5)
        ]

    monkeypatch.setattr(full, "_scenario_parts", parts)
    console = Console(record=True, quiet=False, width=200)
    assert run_full(options(tmp_path, "scenario/"), console) == 2
    text = console.export_text()
    assert "FAIL scenario/made/1: made" in text
    assert "FAILED: 3 of 5 parts" in text
    assert run_full(options(tmp_path, "scenario/"), console) == 2  # from the journal


def test_drives_are_parts_of_their_own(tmp_path: Path, drive_log: Log) -> None:
    (tmp_path / "logs" / "notes.csv").write_text("a,b\n1,2\n")
    n = 300
    swinging_a = -3.0 * (np.arange(n) % 2)
    columns = {
        "time_s": drive_log.time_s[:n],
        "current_a": swinging_a,
        "voltage_v": drive_log.voltage_v[:n],
        "temperature_c": drive_log.temperature_c[:n],
    }
    pa_parquet.write_table(pa.table(columns), tmp_path / "logs" / "swinging.parquet")
    assert run_full(options(tmp_path, "drive/"), Console(quiet=True)) == 0
    rows = [json.loads(line) for line in (tmp_path / "full.jsonl").read_text().splitlines()]
    found = {row["name"]: row["result"] for row in rows}
    assert found["drive/notes.csv"]["drive"] is None
    assert found["drive/swinging.parquet"]["seconds"] == n - 1
    merged = full.results(found, options(tmp_path))["campaigns"]["trips"]
    assert merged["passed"]
    assert merged["drives"] == 1


def descendants(pid: int) -> set[int]:
    children = {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return children.union(*(descendants(child) for child in children))


def test_told_to_end_it_leaves_no_board_behind() -> None:
    command = [Path(sys.executable).with_name("cellkeeper"), "hil", "full", "--target", "cpython"]
    running = subprocess.Popen([*command, "--jobs", "2", "--only", "scenario/cpython/internal_short"])
    end = time.monotonic() + 60
    while len(started := descendants(running.pid)) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    assert len(started) >= 3  # two workers and a board
    running.terminate()
    assert running.wait(30) == 1
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
