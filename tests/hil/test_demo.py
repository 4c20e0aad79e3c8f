"""The demo as people run it: ends by itself, loses and doubles nothing, leaves no process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloud.twin.logs import Log, pa, pa_parquet
from hil.cli import hil
from hil.demo_result import count, missing_below
from hil.link import ACTUATE_DTYPE


def data_file(log: Log, folder: Path) -> Path:
    columns = ("time_s", "current_a", "voltage_v", "temperature_c", "soc")
    path = folder / "drive.parquet"
    pa_parquet.write_table(pa.table({name: getattr(log, name) for name in columns}), path)
    return path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from hil.demo import demo; demo()", "--headless", "--json", *arguments]


def children_of(folder: Path) -> list[str]:
    """Command lines of processes that still use the folder."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line and int(entry.name) != os.getpid():
            found.append(line.decode("utf-8", "replace"))
    return found


def test_killing_the_cloud_in_mid_run_loses_and_doubles_nothing(drive_log: Log, tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = subprocess.run(
        command("--seconds", "20", "--boards", "2", "--kill-cloud-after", "8",
                "--data", str(data_file(drive_log, tmp_path)), "--state-dir", str(state)),
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["lost"] == 0
    assert result["duplicated"] == 0
    assert result["sent"] == result["stored"] > 20
    assert len(result["boards"]) == 2
    for board in result["boards"]:
        assert board["machine"].startswith("MicroPython") or "Cortex-M7" in board["machine"]
        assert board["soc_mae_points"] < 3
    assert result["data"]["simulated"] is False
    assert children_of(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_its_children(
    number: signal.Signals, drive_log: Log, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    process = subprocess.Popen(
        command("--boards", "1", "--target", "cpython", "--seconds", "100",
                "--data", str(data_file(drive_log, tmp_path)), "--state-dir", str(state)),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith("page:"):
                break
        time.sleep(1.0)
        assert len(children_of(state)) >= 2
        process.send_signal(number)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert children_of(state) == []


def row(
    stream: str, low: int, high: int, gaps: list[list[int]], stored: int, conflicts: int = 0
) -> dict[str, Any]:
    distinct = high - low + 1 - sum(b - a + 1 for a, b in gaps)
    return {"stream": stream, "min_seq": low, "max_seq": high, "gaps": gaps, "stored": stored,
            "distinct": distinct, "conflicts": conflicts}  # fmt: skip


def test_counting_what_is_missing() -> None:
    assert missing_below(row("tele", 0, 9, [], 10), 10) == 0
    assert missing_below(row("tele", 0, 9, [], 10), 8) == 0
    assert missing_below(row("tele", 0, 7, [], 8), 10) == 2
    assert missing_below(row("tele", 2, 9, [[4, 5]], 6), 10) == 4
    assert missing_below(row("tele", 2, 9, [[0, 1], [4, 5]], 6), 5) == 3
    counts = count({"streams": [row("tele", 0, 9, [[3, 3]], 9), row("evt", 0, 1, [], 3, 1)]}, 12)
    assert (counts.sent, counts.stored, counts.lost, counts.duplicated) == (14, 11, 3, 2)
    assert count({"streams": []}, 4).lost == 4


def test_the_rig_lists_and_fails_with_a_status(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(hil, ["list"])
    assert listed.exit_code == 0
    assert "cell_over_voltage" in listed.output
    wrong = runner.invoke(hil, ["run", "nonsense"])
    assert wrong.exit_code == 1
    assert "nonsense" in wrong.output
    gone = runner.invoke(hil, ["run", "cell_over_voltage", "--data", str(tmp_path / "gone.csv")])
    assert gone.exit_code == 1
    assert "gone.csv: no such file" in gone.output


def test_the_rig_prints_json_and_writes_reports(drive_log: Log, tmp_path: Path) -> None:
    data, out = data_file(drive_log, tmp_path), tmp_path / "out"
    arguments = [
        "run",
        "lost_measurement",
        "--target",
        "unix",
        "--data",
        str(data),
        "--out",
        str(out),
        "--json",
    ]
    done = CliRunner().invoke(hil, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["passed"]
    assert result["outcomes"][0]["trips"][0]["fault"] == "cells_lost"
    assert {p.name for p in out.iterdir()} >= {"junit.xml", "report.html", "results.json"}
    recorded = (out / "lost_measurement.actuate.bin").stat().st_size
    assert recorded == ACTUATE_DTYPE.itemsize * result["outcomes"][0]["ticks"]
