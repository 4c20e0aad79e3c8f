"""10^5 random steps of the state-of-charge filter: the same words on every interpreter."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from bms.estimate.ekf import Ekf

from boards.tools import emulator
from tests.firmware.ekf_vectors import vectors

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "firmware"
CELLS, STEPS = 400, 250
CODE = (
    "from bms.estimate.ekf import Ekf; from ekf_vectors import vectors; "
    f"print(vectors(Ekf, {CELLS}, {STEPS}))"
)


@cache
def here() -> int:
    """Digest of all steps on CPython."""
    return vectors(Ekf, CELLS, STEPS)


def test_unix() -> None:
    micropython = Path(sys.executable).with_name("micropython")
    folders = [str(ROOT / "firmware"), str(TESTS)]
    code = f"import sys; sys.path[:0] = {folders!r}; import bms; {CODE}"
    ran = subprocess.run([str(micropython), "-c", code], capture_output=True, text=True, check=True)
    assert int(ran.stdout) == here()


@pytest.mark.long
def test_cortex_m7(tmp_path: Path) -> None:
    compiled = tmp_path / "ekf_vectors.mpy"
    source = TESTS / "ekf_vectors.py"
    cross = [str(emulator.MPY_CROSS), "-march=armv7emdp", "-s", source.name, "-o", str(compiled), str(source)]
    subprocess.run(cross, check=True)
    with emulator.ReplBoard(tmp_path) as board:
        board.exec("pass")
        board.put("/ekf_vectors.mpy", compiled.read_bytes())
        assert int(board.exec(CODE, 550, fresh=False)) == here()
