"""Power, energy and temperature with random cells: no intermediate allocates, no limit beyond its bounds."""

import importlib
import sys
import types
from array import array
from typing import Any

import pytest
from bms.int32 import checked
from ekf_vectors import Random, block
from hypothesis import given, settings
from hypothesis import strategies as st
from test_thermal import block as thermal_block

NAMES = ("circuit", "drops", "ahead", "sop", "soe", "thermal")


def small(value: Any) -> Any:
    """`value`; raises OverflowError where a 32-bit MicroPython would allocate."""
    if isinstance(value, int) and not -0x40000000 <= value <= 0x3FFFFFFF:
        raise OverflowError(f"{value} is no small integer")
    return value


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    """The modules with every operation watched, each importing the watched ones before it."""
    plain = {name: sys.modules.get(f"bms.estimate.{name}") for name in NAMES}
    copies: dict[str, types.ModuleType] = {}
    try:
        for name in NAMES:
            full = f"bms.estimate.{name}"
            copy = checked(importlib.import_module(full))
            copy.__dict__["_int32"] = small
            sys.modules[full] = copies[name] = copy
    finally:
        for name, module in plain.items():
            if module is None:
                sys.modules.pop(f"bms.estimate.{name}", None)
            else:
                sys.modules[f"bms.estimate.{name}"] = module
    return dict(copies)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1 << 30), data=st.data())
def test_limits_of_any_cell(watched: dict[str, Any], seed: int, data: st.DataObject) -> None:
    from bms.estimate.ekf import Ekf

    words = block(Random(seed))
    sop = watched["sop"]
    whole = st.integers
    limits = sop.Limits()
    limits.least_mv = data.draw(whole(1500, 3500))
    limits.most_mv = data.draw(whole(3000, 4400))
    limits.charge_ma = data.draw(whole(0, 500_000))
    limits.discharge_ma = data.draw(whole(0, 500_000))
    limits.heat_q8 = data.draw(st.sampled_from((0, 16, 3000, 65_535)))
    capacity_mah = data.draw(st.sampled_from((100, 2900, 29_999, 1_000_000)))
    ekf, circuit = Ekf(capacity_mah, words), watched["circuit"].Circuit(words)
    drops = watched["drops"].Drops(circuit, 2)
    state = sop.Sop(circuit, 2, capacity_mah, limits)
    ekf.start(data.draw(whole(0, 10_000)), data.draw(whole(0, 6000)), False)
    for _ in range(8):
        current_ma = data.draw(whole(-20 * capacity_mah, 20 * capacity_mah))
        temp_dc = data.draw(whole(-700, 1600))
        volts = array("i", data.draw(st.lists(whole(0, 100_000), min_size=2, max_size=2)))
        ekf.observe(data.draw(whole(1, 1000)), current_ma, sum(volts) // 2, temp_dc)
        drops.follow(ekf.words, volts)
    cold_dc, hot_dc = data.draw(whole(-700, 1600)), data.draw(whole(-700, 1600))
    state.observe(
        ekf.words, drops, data.draw(whole(-10, 10_010)), cold_dc, hot_dc, data.draw(whole(-400, 600))
    )
    state.solve()
    assert 0 <= min(state.charge_ma) <= max(state.charge_ma) <= limits.charge_ma
    assert 0 <= min(state.discharge_ma) <= max(state.discharge_ma) <= limits.discharge_ma
    assert min(state.charge_mw) >= 0
    assert min(state.discharge_mw) >= 0
    soe = watched["soe"]
    energy = soe.Soe(circuit, 96, capacity_mah, limits)
    load = data.draw(whole(0, 0x3FFFFFFF))
    energy.solve(state.first_empty, cold_dc, 250, load, data.draw(st.sampled_from((soe.CURRENT, soe.POWER))))
    assert energy.energy_mwh >= 0
    assert energy.sigma_mwh >= 0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-0x3FFFFFFF, 0x3FFFFFFF)] * 4), min_size=1, max_size=40))
def test_temperature_of_any_input(watched: dict[str, Any], samples: list[tuple[int, int, int, int]]) -> None:
    model = watched["thermal"].Thermal(thermal_block())
    model.observe(1000, 0, 250, 250)
    for sample in samples:
        model.observe(*sample)
    model.forecast()
    assert -600 <= model.core_dc <= 3000
    assert model.forecast_core_dc >= model.core_dc
