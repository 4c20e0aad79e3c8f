"""The cells' differences on simulated strings."""

from __future__ import annotations

import numpy as np
import pytest

from bench.differences import judged

STRINGS = 2


@pytest.mark.parametrize(
    ("name", "ambient_c", "mean", "largest"),
    [("lg_hg2", 0.0, 0.4, 1.2), ("panasonic_pf", 25.0, 0.4, 1.2), ("a123_26650", 25.0, 2.0, 5.0)],
)
def test_cells_are_known_after_ten_minutes(name: str, ambient_c: float, mean: float, largest: float) -> None:
    found = judged(name, ambient_c, STRINGS)
    error = np.abs(found.difference)
    assert float(error.mean()) < mean
    assert float(error.max()) < largest
    assert found.within >= 0.9
    # of no use were a sigma that covers everything
    assert float(found.difference_sigma.mean()) < 2.5 * mean
