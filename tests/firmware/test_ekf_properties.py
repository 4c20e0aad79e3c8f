"""The filter's arithmetic in checked mode: no intermediate leaves 32 bits. CPython only."""

from __future__ import annotations

import pytest
from bms.estimate import ekf, ekf_kernel, ekf_sample
from bms.int32 import checked, int32
from ekf_vectors import vectors


def test_no_intermediate_leaves_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = vectors(ekf.Ekf, 40, 400)
    monkeypatch.setattr(ekf_sample, "k", checked(ekf_kernel))
    assert vectors(ekf.Ekf, 40, 400) == plain


def test_checked_mode_sees_what_leaves() -> None:
    assert int32(-0x80000000) == -0x80000000
    with pytest.raises(OverflowError, match="32 bits"):
        checked(ekf_kernel).settle(300_000, 1)
