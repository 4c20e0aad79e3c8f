"""The whole way: where the measured logs are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of measured logs."""
    folder = os.environ.get("CELLKEEPER_DATA")
    if not folder:
        pytest.skip("needs measured logs: set CELLKEEPER_DATA to their folder")
    return Path(folder)
