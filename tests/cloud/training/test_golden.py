"""10^5 random samples on MicroPython's unix port against TensorFlow Lite Micro's digests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud.training.golden import MARKS
from tests.firmware.lstm_golden import CASES

FIRMWARE = Path(__file__).parents[3] / "firmware"
TESTS = Path(__file__).parents[2] / "firmware"


@pytest.mark.parametrize("n", range(len(CASES)), ids=[case[0] for case in CASES])
def test_unix(n: int) -> None:
    steps = MARKS[-1]
    code = (
        f"import sys; sys.path[:0] = {[str(FIRMWARE), str(TESTS)]!r}; import bms, binascii; "
        "from lstm_golden import CASES, SEED; from lstm_vectors import drive; "
        f"case = CASES[{n}]; print(drive(binascii.a2b_base64(case[2]), case[1], {steps}, SEED))"
    )
    micropython = Path(sys.executable).with_name("micropython")
    done = subprocess.run([str(micropython), "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(CASES[n][3][steps]), done.stderr
