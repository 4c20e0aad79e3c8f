"""Over 10^5 random steps of cells' differences: the same words on every interpreter."""

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
STRINGS, STEPS = 60, 250
"""A string has 9.5 cells on average."""
CODE = (
    "import sys; from difference_vectors import vectors; "
    f"print(vectors({STRINGS}, {STEPS}), 'native_differences' in sys.modules)"
)


def printed(interpreter: str, *folders: Path) -> list[str]:
    """What an interpreter at the desk prints: the digest, and whether it ran the native form."""
    path = [str(folder) for folder in (ROOT / "firmware", TESTS, *folders)]
    code = f"import sys; sys.path[:0] = {path!r}; import bms; {CODE}"
    return subprocess.run(
        [interpreter, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


@cache
def digest() -> str:
    """Of all steps on CPython."""
    return printed(sys.executable)[0]


@pytest.mark.parametrize("in_c", [False, True])
def test_unix(in_c: bool) -> None:
    folders = [native.modules(native.UNIX)[0].parent] if in_c else []
    micropython = Path(sys.executable).with_name("micropython")
    assert printed(str(micropython), *folders) == [digest(), str(in_c)]


@pytest.mark.long
@pytest.mark.parametrize("in_c", [False, True])
def test_cortex_m7(tmp_path: Path, in_c: bool) -> None:
    files = native.board_files("armv7emdp") if in_c else {}
    for name in ("ekf_vectors", "difference_vectors"):
        compiled = tmp_path / f"{name}.mpy"
        source = str(TESTS / f"{name}.py")
        cross = [str(emulator.MPY_CROSS), "-march=armv7emdp", "-s", f"{name}.py", "-o", str(compiled), source]
        subprocess.run(cross, check=True)
        files[f"/{name}.mpy"] = compiled.read_bytes()
    nvm = emulator.blank_nvm(tmp_path / "nvm.bin")
    write_files(nvm, files)
    with emulator.ReplBoard(tmp_path, nvm=nvm) as board:
        assert board.exec(CODE, 550).split() == [digest(), str(in_c)]
