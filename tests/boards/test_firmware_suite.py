"""The firmware's own tests on the other interpreters: MicroPython's unix port and the emulated Cortex-M7."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from boards.tools import emulator

TESTS = Path(__file__).resolve().parents[1] / "firmware"
HELPERS = sorted(path.stem for path in TESTS.glob("*.py") if not path.stem.startswith(("test_", "conf")))
MODULES = sorted(path.stem for path in TESTS.glob("test_*.py") if not path.stem.endswith("_properties"))
ON_BOARD_TIMEOUT_S = 240


def judge(output: str) -> None:
    """The last line says how many passed; each failure stands in the output."""
    summary = re.search(r"^(\d+) passed, (\d+) failed\s*$", output, re.MULTILINE)
    assert summary, output[-2000:]
    assert int(summary[1]) > 0, "no test ran"
    assert summary[2] == "0", output[-3000:]


@pytest.mark.parametrize("module", MODULES)
def test_unix(module: str) -> None:
    micropython = Path(sys.executable).with_name("micropython")
    ran = subprocess.run(
        [str(micropython), str(TESTS / "run_tests.py"), module], capture_output=True, text=True, timeout=300
    )
    judge(ran.stdout + ran.stderr)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.ReplBoard]:
    """An emulated board with the tests on its file system, compiled for it."""
    folder = tmp_path_factory.mktemp("suite")
    cross = emulator.MPY_CROSS
    with emulator.ReplBoard(folder) as running:
        running.exec("pass")
        for name in {*HELPERS, *MODULES}:
            out = folder / f"{name}.mpy"
            subprocess.run(
                [
                    str(cross),
                    "-march=armv7emdp",
                    "-s",
                    f"{name}.py",
                    "-o",
                    str(out),
                    str(TESTS / f"{name}.py"),
                ],
                check=True,
            )
            running.put(f"/{name}.mpy", out.read_bytes())
        yield running


@pytest.mark.parametrize("module", MODULES)
def test_cortex_m7(board: emulator.ReplBoard, module: str) -> None:
    judge(board.exec(f"import run_tests; run_tests.run({module!r})", ON_BOARD_TIMEOUT_S))
