"""What the rig's tests share: a made-up drive, so that nothing depends on measured data."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.twin.cell import load_cell
from cloud.twin.logs import Log
from hil.simulate import drive_profile


@pytest.fixture(scope="session")
def drive_log() -> Log:
    """A made-up drive cycle of the LG cell from full to nearly empty, 1 Hz."""
    cell = load_cell("lg_hg2")
    current_a = drive_profile(9000, cell.capacity_ah)
    soc = 1.0 + np.concatenate(([0.0], np.cumsum(current_a[:-1]))) / 3600 / cell.capacity_ah
    keep = soc > 0.1
    temperature_c = np.full(int(keep.sum()), 25.0)
    return Log(
        "made",
        "made",
        np.arange(9000.0)[keep],
        current_a[keep],
        cell.ocv(soc)[keep],
        temperature_c,
        soc[keep],
    )
