"""The page's pure parts, under Vitest."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_vitest_passes() -> None:
    ran = subprocess.run(
        ["make/node", "npm", "run", "--silent", "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
