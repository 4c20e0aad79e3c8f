"""Balancing, charging and cooling for any course of inputs: what must never happen."""

from collections import deque
from collections.abc import Generator
from typing import Any

import healthy
from bms.control.balance import AVERAGE, Balance
from bms.control.charge import Charge
from bms.control.cooling import Cooling
from bms.sample import Snapshot
from bms.tables import signals
from bms.tables.params import CHEMISTRIES, defaults
from hypothesis import given, settings
from hypothesis import strategies as st

CHEMISTRY = st.integers(0, len(CHEMISTRIES) - 1)
KNOWN = st.sampled_from([True] * 9 + [False])
SPAN = st.fixed_dictionaries(
    {
        "cell_mv": st.lists(st.integers(0, 65_535) | st.integers(3200, 4250), min_size=4, max_size=4),
        "temp_dc": st.lists(st.integers(-32_768, 32_767) | st.integers(-100, 600), min_size=2, max_size=2),
        "current_ma": st.sampled_from([0, 0, 50, -50, 140, 1500, -20_000, 2**30 - 1, -(2**30)]),
        "state": st.sampled_from([signals.CLOSED] * 6 + list(range(len(signals.STATES)))),
        "known": st.lists(KNOWN, min_size=3, max_size=3),
        "phase": st.integers(0, 3),
        "limit_da": st.integers(0, 100),
        "periods": st.sampled_from([1, 7, 50, 99, 700]),
    }
)
COURSE = st.lists(SPAN, min_size=1, max_size=8)


def steps(course: list[dict[str, Any]]) -> Generator[tuple[Snapshot, dict[str, Any]]]:
    """(snapshot, span) of every period."""
    snapshot = healthy.snapshot()
    for span in course:
        healthy.cells(snapshot, *span["cell_mv"])
        healthy.temps(snapshot, *sorted(span["temp_dc"]))
        snapshot.current_ma = span["current_ma"]
        snapshot.state = span["state"]
        snapshot.fast_known, snapshot.cells_known, snapshot.temps_known = span["known"]
        for _ in range(span["periods"]):
            yield snapshot, span


@settings(deadline=None)
@given(CHEMISTRY, COURSE)
def test_what_is_never_bled(chemistry: int, course: list[dict[str, Any]]) -> None:
    limits = {**defaults(chemistry), "balance_rest_s": 10, "balance_max_cells": 2}
    balance = Balance(limits, 4, chemistry)
    heard: deque[list[int]] = deque(maxlen=AVERAGE)  # what a decision looks at
    before = 0
    for snapshot, span in steps(course):
        heard.append(span["cell_mv"])
        balance.step(snapshot, span["phase"])
        bits = int.from_bytes(balance.bits, "little")
        if bits and not before:
            sums = [sum(cell) for cell in zip(*heard, strict=True)]
            assert not bits >> sums.index(min(sums)) & 1, "the lowest cell is bled"
        assert before in (0, bits) or bits == 0, "other cells without a pause"
        before = bits
        assert bits < 16
        assert bits.bit_count() <= 2
        if not all(span["known"]) or snapshot.temp_max_dc >= limits["balance_hot_dc"]:
            assert bits == 0
        if snapshot.state in (signals.BOOT, signals.TRIPPED):
            assert bits == 0


@settings(deadline=None)
@given(CHEMISTRY, COURSE)
def test_what_is_never_asked_of_a_charger(chemistry: int, course: list[dict[str, Any]]) -> None:
    limits = defaults(chemistry)
    charge = Charge(limits, 4)
    for snapshot, span in steps(course):
        charge.step(snapshot, span["limit_da"])
        assert 0 <= charge.request_ma <= 100 * span["limit_da"]
        assert 0 <= charge.request_mv <= 4 * limits["charge_cv_mv"]
        asked = charge.request_ma > 0 or charge.request_mv > 0
        assert not asked or charge.phase in (signals.CHARGE_CC, signals.CHARGE_CV)
        forbidden = (
            not all(span["known"])
            or snapshot.state != signals.CLOSED
            or snapshot.temp_min_dc <= limits["charge_cold_end_dc"]
            or snapshot.temp_max_dc >= limits["charge_hot_end_dc"]
        )
        assert not (asked and forbidden)
        if snapshot.cell_max_mv >= limits["cell_ov_mv"]:
            assert charge.request_mv < max(snapshot.pack_mv, 1)


@settings(deadline=None)
@given(CHEMISTRY, COURSE)
def test_cooling_stays_in_range_slews_and_fails_safe(chemistry: int, course: list[dict[str, Any]]) -> None:
    cooling = Cooling(defaults(chemistry))
    before = 0
    for snapshot, span in steps(course):
        cooling.step(snapshot)
        now = cooling.pump_pct
        assert 0 <= now <= 100
        if span["known"][2]:
            assert abs(now - before) <= 1
        else:
            assert now == 100
        before = now
