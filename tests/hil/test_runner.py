"""The real firmware under the rig: the same verdicts, trips and bytes on every target that is here."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bms.link import frame

from cloud.twin.cell import load_cell
from cloud.twin.logs import Log
from hil.plant import PlantConfig, make_plant
from hil.report import write_reports
from hil.runner import Outcome, RunOptions, board_identity, mutated_firmware, run_scenario
from hil.scenario import Scenario, find_scenario
from hil.session import Session
from hil.targets import BoardSetup, TargetError, make_target, qemu
from hil.targets.base import SocketTarget
from hil.verdict import soc_errors

TARGETS = [
    "cpython",
    "unix",
    pytest.param("mps2_an500", marks=pytest.mark.skipif(bool(qemu.missing()), reason=qemu.missing())),
]
VERDICTS = ("cell_over_voltage", "lost_measurement")


def run(name: str, target: str, log: Log, **change: object) -> Outcome:
    scenario = find_scenario(name).model_copy(update=change)
    return run_scenario(scenario, log, RunOptions(target))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", VERDICTS)
def test_trips_come_in_time_and_equal_those_on_cpython(name: str, target: str, drive_log: Log) -> None:
    outcome = run(name, target, drive_log)
    assert outcome.error == ""
    assert outcome.passed, outcome.as_dict()
    assert len(outcome.trips) == 1
    reference = run(name, "cpython", drive_log)
    assert outcome.trips == reference.trips
    assert outcome.sha256 == reference.sha256


@pytest.mark.parametrize("source", ["model", "replay"])
def test_a_drive_from_an_unknown_start_keeps_its_charge(source: str, drive_log: Log) -> None:
    outcome = run("drive_cycle", "unix", drive_log, source=source, start_soc=0.55, duration_s=300, expect=[])
    assert outcome.trips == []
    assert outcome.error == ""
    assert soc_errors(outcome.record, 5.0).mean() < 3.0
    assert (outcome.record.frames()["state"][-100:] == 3).all()


@pytest.mark.parametrize("target", TARGETS[:2])
def test_a_mutated_limit_fails(target: str, drive_log: Log) -> None:
    outcome = run("cell_over_voltage", target, drive_log, mutate={"cell_ov_mv": 4290})
    assert outcome.error == ""
    assert not outcome.passed
    assert outcome.checks[0].detail == "the fault did not come"


def test_a_slowed_protection_fails_on_its_deadline(drive_log: Log, tmp_path: Path) -> None:
    firmware = mutated_firmware(tmp_path, {})
    table = firmware / "bms" / "tables" / "faults.py"
    text = table.read_text()
    slow = text.replace('"cell_ov_mv", "cell_ov_clear_mv", 2,', '"cell_ov_mv", "cell_ov_clear_mv", 8,')
    assert slow != text
    table.write_text(slow)
    outcome = run_scenario(
        find_scenario("cell_over_voltage"), drive_log, RunOptions("unix", firmware=firmware)
    )
    assert not outcome.checks[0].passed
    assert outcome.trips[0].reaction_ms == 145


def test_reports_say_what_happened(drive_log: Log, tmp_path: Path) -> None:
    good = run("cell_over_voltage", "unix", drive_log)
    bad = run("cell_over_voltage", "unix", drive_log, mutate={"cell_ov_mv": 4290})
    page = write_reports([good, bad], tmp_path).read_text()
    assert "<svg" in page
    assert "FAIL" in page
    assert "cell_over_voltage" in page
    assert good.sha256 in page
    suites = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314  our own file
    assert [suite.get("failures") for suite in suites] == ["0", "2"]
    results = json.loads((tmp_path / "results.json").read_text())
    rows = results["outcomes"]
    assert rows[0]["passed"]
    assert not rows[1]["passed"]
    assert rows[0]["trips"][0]["reaction_ms"] == 25
    assert results["reactions"][0]["max_ms"] == 25


def setup_of(pack: str = "p", **change: object) -> BoardSetup:
    plant = make_plant("model", load_cell("lg_hg2"), None, PlantConfig())
    return BoardSetup({**board_identity(plant, 0, pack), **change})


def test_a_front_end_of_another_size_is_refused_by_name() -> None:
    plant = make_plant("model", load_cell("lg_hg2"), None, PlantConfig(series=8))
    board = make_target("cpython", setup_of(), lockstep=True)
    try:
        board.start()
        session = Session(board, plant, frame.MODE_LOCKSTEP)
        with pytest.raises(TargetError, match="8 cells"):
            session.hello(5.0)
    finally:
        board.stop()


def test_a_board_that_dies_is_reported_and_leaves_nothing(drive_log: Log, tmp_path: Path) -> None:
    firmware = mutated_firmware(tmp_path, {})
    (firmware / "main.py").write_text("raise SystemExit('no such luck')\n")
    scenario: Scenario = find_scenario("cell_over_voltage")
    outcome = run_scenario(scenario, drive_log, RunOptions("cpython", firmware=firmware))
    assert "ended with status 1" in outcome.error
    assert "no such luck" in outcome.error
    assert not outcome.passed


def test_stop_ends_the_child_and_may_come_twice() -> None:
    board = make_target("unix", setup_of(), lockstep=True)
    assert isinstance(board, SocketTarget)
    board.start()
    assert board.child is not None
    process, folder = board.child.process, board.folder
    board.stop()
    board.stop()
    assert process.poll() is not None
    assert not folder.exists()


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("serial", {}, "--port"),
        ("serial", {"port": "/dev/nowhere"}, "lock-step"),
        ("toaster", {}, "is none of"),
    ],
)
def test_what_is_missing_is_said_in_one_line(target: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(TargetError, match=says) as caught:
        make_target(target, setup_of(), lockstep=True, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_serial_port_that_is_not_there() -> None:
    board = make_target("serial", setup_of(), lockstep=False, port="/dev/nowhere")
    with pytest.raises(TargetError, match="/dev/nowhere"):
        board.start()


def test_a_missing_emulator_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="apt-get install qemu-system-arm"):
        make_target("mps2_an500", setup_of(), lockstep=True)
    with pytest.raises(TargetError, match="no `renode` on PATH; get version"):
        make_target("mps2_an500", setup_of(), lockstep=True, emulator="renode")
