"""10^5 random steps of the filter's kernels: the same words on every interpreter, and in C."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from boards.tools import emulator, native
from boards.tools.file_system import write_files

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "firmware"
VECTORS = ("ekf_vectors", "difference_vectors")
CODES = {
    "native_ekf": (
        "from bms.estimate.ekf import Ekf; from ekf_vectors import vectors; print(vectors(Ekf, 400, 250)"
    ),
    # a string has 9.5 cells on average
    "native_differences": "from difference_vectors import vectors; print(vectors(60, 250)",
}


def code(kernel: str) -> str:
    """Prints the digest of all steps, and whether the native form ran."""
    return f"import sys; {CODES[kernel]}, {kernel!r} in sys.modules)"


def printed(interpreter: str, kernel: str, *folders: Path) -> list[str]:
    """What an interpreter at the desk prints."""
    path = [str(folder) for folder in (ROOT / "firmware", TESTS, *folders)]
    words = [interpreter, "-c", f"import sys; sys.path[:0] = {path!r}; import bms; {code(kernel)}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


@cache
def digest(kernel: str) -> str:
    """Of all steps on CPython."""
    return printed(sys.executable, kernel)[0]


@pytest.mark.parametrize("kernel", CODES)
@pytest.mark.parametrize("in_c", [False, True])
def test_unix(kernel: str, in_c: bool) -> None:
    folders = [native.modules(native.UNIX)[0].parent] if in_c else []
    micropython = Path(sys.executable).with_name("micropython")
    assert printed(str(micropython), kernel, *folders) == [digest(kernel), str(in_c)]


@pytest.mark.long
@pytest.mark.parametrize("kernel", CODES)
@pytest.mark.parametrize("in_c", [False, True])
def test_cortex_m7(tmp_path: Path, kernel: str, in_c: bool) -> None:
    files = native.board_files("armv7emdp") if in_c else {}
    for name in VECTORS:
        compiled = tmp_path / f"{name}.mpy"
        source = str(TESTS / f"{name}.py")
        cross = [str(emulator.MPY_CROSS), "-march=armv7emdp", "-s", f"{name}.py", "-o", str(compiled), source]
        subprocess.run(cross, check=True)
        files[f"/{name}.mpy"] = compiled.read_bytes()
    nvm = emulator.blank_nvm(tmp_path / "nvm.bin")
    write_files(nvm, files)
    with emulator.ReplBoard(tmp_path, nvm=nvm) as board:
        assert board.exec(code(kernel), 550).split() == [digest(kernel), str(in_c)]
