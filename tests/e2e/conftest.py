"""The whole way: where the measured logs are, and how a scenario is run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hil.logs import Log, find_log

NEEDS_DATA = "needs measured logs: set CELLKEEPER_DATA to their folder"


@pytest.fixture(scope="session")
def measured_log() -> Log:
    """The drive cycle that the rig picks from CELLKEEPER_DATA."""
    folder = os.environ.get("CELLKEEPER_DATA")
    if not folder:
        pytest.skip(NEEDS_DATA)
    return find_log(Path(folder))
