"""The differences' arithmetic in checked mode: no intermediate leaves 32 bits. CPython only."""

from __future__ import annotations

from array import array

import pytest
from bms.estimate import differences, differences_kernel, ekf_kernel
from bms.estimate.differences import Differences
from bms.estimate.ecm import load
from bms.estimate.ekf import Ekf
from bms.int32 import checked
from difference_vectors import vectors
from ekf_vectors import Random, block
from hypothesis import given, settings
from hypothesis import strategies as st

WATCHED = checked(differences_kernel)
WATCHED.__dict__["ocv"] = checked(ekf_kernel).ocv


def test_no_intermediate_leaves_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = vectors(6, 150)
    monkeypatch.setattr(differences, "follow", WATCHED.follow)
    assert vectors(6, 150) == plain


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 30), data=st.data())
def test_whatever_is_measured_stays_within_bounds(seed: int, data: st.DataObject) -> None:
    tables = block(Random(seed))
    table = load(tables)
    n = data.draw(st.integers(2, 12))
    ekf = Ekf(data.draw(st.sampled_from((100, 2900, 500_000))), tables)
    ekf.start(data.draw(st.integers(0, 10_000)), data.draw(st.integers(0, 10_000)), data.draw(st.booleans()))
    cells = Differences(n, tables, data.draw(st.integers(0, 3000)))
    millivolts = st.one_of(st.integers(400, 6100), st.integers(3000, 3600), st.sampled_from((0, 65_535)))
    cell_mv = array("H", [3300] * n)
    for _ in range(data.draw(st.integers(1, 40))):
        cell_mv = array("H", data.draw(st.lists(millivolts, min_size=n, max_size=n)))
        current_ma = data.draw(st.one_of(st.integers(-9000, 9000), st.integers(-(1 << 29), 1 << 29)))
        temp_dc = data.draw(st.integers(-2000, 3000))
        mean_16mv = (sum(cell_mv) << 4) // n
        ekf.observe(data.draw(st.sampled_from((1, 100, 1000))), current_ma, mean_16mv, temp_dc)
        WATCHED.follow(cells.words, ekf.words, table, cell_mv)
    # a block is worked at over several samples, and centred with its last cell
    while cells.words[differences_kernel.NEXT] < n:
        WATCHED.follow(cells.words, ekf.words, table, cell_mv)
    assert all(word >= 0 for word in cells.words)
    assert all(8 <= cells.deviation_cpct(i) <= 1500 for i in range(n))
    first = differences_kernel.HEAD + differences_kernel.DELTA
    deltas = [cells.words[first + differences_kernel.STRIDE * i] - differences_kernel.BIAS for i in range(n)]
    assert 0 <= sum(deltas) < n, "centred, to the rounding of one division"
    if cells.sigma_cpct[0] < 10_000:
        assert cells.soc_low_cpct <= min(cells.soc_cpct) <= max(cells.soc_cpct) <= cells.soc_high_cpct
        assert cells.spread_cpct == cells.soc_cpct[cells.highest] - cells.soc_cpct[cells.lowest]


def test_the_words_of_the_mean_are_where_its_filter_has_them() -> None:
    for name in ("SOC", "OFFSET", "R0", "ROW", "DT", "RATE", "VOLT", "SIGMA", "V1", "V2", "UNSEEN"):
        assert getattr(differences_kernel, f"_{name}") == getattr(ekf_kernel, name), name
    assert differences_kernel.BIAS == ekf_kernel.BIAS
