"""The Robot suites as far as they go without Renode: their syntax, their Python, the rig behind them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from boards.tools import emulator
from hil.matrix import matrix
from hil.scenario import load_scenario, scenarios
from hil.simulate import drive_profile
from hil.targets import renode

HERE = Path(__file__).parent
LINE = re.compile(r"^    Line Gives {4,}(\S.*?) {4,}(\S.*)$", re.MULTILINE)


def robot(suite: str, out: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a suite; results go to `out`."""
    command = [sys.executable, "-m", "robot", "--console", "none", "--outputdir", str(out), *options]
    return subprocess.run(
        [*command, str(HERE / suite)], env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )


def results(out: Path) -> dict[str, str]:
    """Status of every test."""
    tests = ET.parse(out / "output.xml").iter("test")  # noqa: S314  our own
    return {
        test.attrib["name"]: status.attrib["status"] for test in tests for status in test.findall("status")
    }


def test_the_boot_suite_is_well_formed(tmp_path: Path) -> None:
    keywords = f"RENODEKEYWORDS:{HERE / 'renode_keywords.resource'}"
    done = robot("boot.robot", tmp_path, "--dryrun", "--variable", keywords)
    assert done.returncode == 0, (tmp_path / "output.xml").read_text()
    assert len(results(tmp_path)) == 6


def test_no_word_of_the_boot_suite_is_taken_for_a_named_argument() -> None:
    named = {"timeout", "defaultPauseEmulation", "treatAsRegex"}
    for line in (HERE / "boot.robot").read_text().splitlines():
        for word in re.split(r" {2,}", line.strip()):
            found = re.match(r"(\w+)=", word)
            assert not found or found[1] in named, word


@pytest.mark.skipif(bool(emulator.missing()), reason=emulator.missing())
def test_its_lines_of_python_give_what_it_says_on_qemu(tmp_path: Path) -> None:
    text = (HERE / "boot.robot").read_text()
    cases = [case for case in text.split("\nShould ") if "machine.reset()" not in case]
    lines = [pair for case in cases for pair in LINE.findall(case)]
    assert len(lines) == 3
    with emulator.ReplBoard(tmp_path) as board:
        for code, expected in lines:
            assert re.search(expected, board.exec(code)), (code, expected)


@pytest.mark.skipif(bool(emulator.missing()), reason=emulator.missing())
def test_its_frames_give_what_it_says_on_qemu(tmp_path: Path) -> None:
    # the last case, byte for byte, with a unix socket in the place of `uart1 WriteChar`
    text = (HERE / "boot.robot").read_text().split("\nShould Receive On The Afe Link")[1]
    code = re.search(r"Write Line To Uart {4,}(.*)", text)
    expected = re.search(r"Wait For Line On Uart {4,}(\S+(?: \S+)*)", text)
    sent = bytes(int(byte, 16) for byte in re.findall(r"sysbus\.uart1 WriteChar (0x\w+)", text))
    assert code
    assert expected
    assert sent.count(0) == 2
    afe = tmp_path / "afe"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(afe))
        server.listen(1)
        with emulator.ReplBoard(tmp_path, icount=emulator.LOCKSTEP, afe=f"socket,path={afe}") as board:
            link, _ = server.accept()
            with link:
                link.sendall(sent)
                assert re.search(expected[1], board.exec(code[1]))


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A made-up log, so that the command has one to drive with."""
    current_a = drive_profile(4000, 3.0)
    rows = [f"{t},{current:.3f},3.7,25.0" for t, current in enumerate(current_a.tolist())]
    path = tmp_path / "drive.csv"
    path.write_text("\n".join(["time_s,current_a,voltage_v,temperature_c", *rows]) + "\n")
    return path


@pytest.mark.skipif(not emulator.IMAGE.is_file(), reason="no image: make firmware BOARD=mps2_an500")
@pytest.mark.usefixtures("renode")
def test_the_scenario_suite_runs_the_rig(tmp_path: Path, measured: Path) -> None:
    cellkeeper = f"CELLKEEPER:{Path(sys.executable).with_name('cellkeeper')}"
    reports = tmp_path / "reports"
    options = ("--variable", cellkeeper, "--variable", f"REPORTS:{reports}")
    done = robot(
        "scenarios.robot", tmp_path, *options, "--variable", "SCENARIO:cell_over_voltage",
        CELLKEEPER_DATA=str(measured),
    )  # fmt: skip
    assert done.returncode == 0, (tmp_path / "output.xml").read_text()[-4000:]
    assert results(tmp_path) == {"Renode Should Be On Path": "PASS", "cell_over_voltage": "PASS"}
    assert (reports / "cell_over_voltage" / "report.html").is_file()


@pytest.mark.usefixtures("renode")
@pytest.mark.parametrize("generated", [False, True])
def test_every_scenario_that_renode_can_run_is_a_test(tmp_path: Path, generated: bool) -> None:
    stub = tmp_path / "cellkeeper"
    real = Path(sys.executable).with_name("cellkeeper")
    stub.write_text(f'#!/bin/sh\n[ "$2" = list ] && exec "{real}" "$@"\ntouch "$9/junit.xml"\n')
    stub.chmod(0o755)
    options = ("--variable", f"CELLKEEPER:{stub}", "--variable", f"REPORTS:{tmp_path / 'reports'}")
    done = robot("scenarios.robot", tmp_path, *options, *(("--variable", "MATRIX:yes") if generated else ()))
    assert done.returncode == 0, (tmp_path / "output.xml").read_text()[-4000:]
    known = [load_scenario(path) for path in scenarios().values()] + [*matrix().values()] * generated
    wanted = {scenario.name for scenario in known if not renode.unsupported(scenario)}
    assert len(wanted) > 20 + 80 * generated
    assert set(results(tmp_path)) == wanted | {"Renode Should Be On Path"}
