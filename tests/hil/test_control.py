"""The firmware's control in closed loop with the twin's pack: charger, load, bleeding and coolant obey it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from bms.control.control import Control
from bms.estimate.coulomb import CoulombCounter
from bms.sample import PERIOD_MS, Estimate, Snapshot
from bms.tables import limiters, params, signals

from cloud.twin.cell import load_cell
from cloud.twin.pack import Afe, Pack, Sensors, Spread, Trace
from cloud.twin.table import Array

Record = Callable[[str, object], None]

DT_S = PERIOD_MS / 1000
BLEED_A = 0.3
COOLANT_W_K = 1.5
"""Heat that the coolant takes from a cell at full drive."""


@dataclass
class Worst:
    """Extremes of the true values over a run."""

    high_v: float = 0.0
    low_v: float = 10.0
    hot_c: float = -100.0


class Loop:
    """A rested pack, and the board's estimator and control over sensors with noise.

    Contactors are closed after the first period. What control decides has effect one period later, as through
    the kernel's handover.
    """

    def __init__(
        self,
        cell: str,
        soc: float,
        *,
        spread_soc: float = 0.0,
        ageing: float = 1.0,
        ambient_c: float = 25.0,
        series: int = 6,
        **changes: int,
    ) -> None:
        self.cell = load_cell(cell)
        self.pack = Pack(
            self.cell,
            series,
            soc,
            sensors=2,
            seed=3,
            ambient_c=ambient_c,
            spread=Spread(0.01, 0.05, 0.5, spread_soc),
        )
        self.model = self.pack.model
        self.model.resistance_scale = self.model.resistance_scale * ageing
        self.chemistry = params.CHEMISTRIES.index(self.cell.chemistry)
        self.limits = (
            params.defaults(self.chemistry) | {"capacity_mah": int(1000 * self.cell.capacity_ah)} | changes
        )
        self.control = Control(self.limits, series, self.chemistry)
        self.estimator = CoulombCounter(self.limits["capacity_mah"], self.chemistry)
        self.snapshot = Snapshot(series, 2)
        self.estimate = Estimate()
        self.afe = Afe(Sensors(), seed=3)
        self.worst = Worst()
        self.cooled = True
        self.believed_cpct: int | None = None
        self._coolant = {0: self.cell}
        self.step(0.0)
        self.snapshot.state = signals.CLOSED
        self.snapshot.gates = signals.GATE_NEGATIVE | signals.GATE_POSITIVE

    def step(self, current_a: float) -> None:
        """One period at `current_a`: the plant, then the board on what its sensors say."""
        bits = np.unpackbits(np.frombuffer(self.estimate.balance, np.uint8), bitorder="little")
        bled_a: Array = BLEED_A * bits[: self.pack.series].astype(np.float64)
        self._cool(self.estimate.pump_pct if self.cooled else 0)
        voltage_v = self.model.step(
            current_a - bled_a, DT_S, self.pack.ambient_c + self.pack.ambient_offset_k
        )
        worst = self.worst
        worst.high_v = max(worst.high_v, float(voltage_v.max()))
        worst.low_v = min(worst.low_v, float(voltage_v.min()))
        worst.hot_c = max(worst.hot_c, float(self.model.temperature_c.max()))
        self._measure(current_a, voltage_v)
        self.estimator.step(self.snapshot, self.estimate)
        if self.believed_cpct is not None:
            self.estimate.soc_cpct = self.believed_cpct
        self.control.step(self.snapshot, self.estimate)

    def _measure(self, current_a: float, voltage_v: Array) -> None:
        sensors_c = self.model.temperature_c[self.pack.sensor_cell]
        trace = Trace(
            np.array([current_a]), voltage_v[None, :], voltage_v.sum()[None], np.zeros(1), sensors_c
        )
        to = self.snapshot
        to.proven = to.fast_known = to.cells_known = to.temps_known = True
        to.current_ma = int(self.afe.current_ma(trace)[0])
        to.charge_ma_ms = to.current_ma * PERIOD_MS
        to.pack_mv = int(self.afe.pack_mv(trace)[0])
        to.cell_mv[:] = type(to.cell_mv)("H", self.afe.cell_mv(voltage_v).tolist())
        to.temp_dc[:] = type(to.temp_dc)("h", self.afe.temp_dc(trace).tolist())
        to.cell_min_mv, to.cell_max_mv = min(to.cell_mv), max(to.cell_mv)
        to.temp_min_dc, to.temp_max_dc = min(to.temp_dc), max(to.temp_dc)

    def _cool(self, pump_pct: int) -> None:
        if pump_pct not in self._coolant:
            conductance_w_k = 1 / self.cell.thermal_resistance_k_w + COOLANT_W_K * pump_pct / 100
            self._coolant[pump_pct] = replace(self.cell, thermal_resistance_k_w=1 / conductance_w_k)
        self.model.cell = self._coolant[pump_pct]

    def charge(self) -> None:
        """One period with a charger: the asked current, or what holds the asked voltage of the string."""
        resting_v = float(self.model.terminal_v().sum())
        ohm = float(self.model.resistances()[0].sum())
        held_a = (self.estimate.charge_request_mv / 1000 - resting_v) / ohm
        self.step(max(0.0, min(self.estimate.charge_request_ma / 1000, held_a)))

    def load(self, demand_a: float) -> None:
        """One period of a load that wants `demand_a` and takes no more than it may."""
        self.step(-min(demand_a, self.estimate.discharge_limit_da / 10))


@pytest.mark.parametrize("cell", ["lg_hg2", "a123_26650"])
def test_a_spread_pack_ends_full_and_balanced(cell: str, record_property: Record) -> None:
    loop = Loop(cell, 0.92, spread_soc=0.01, balance_rest_s=300)
    spread_before = float(np.ptp(loop.model.soc))
    fulls = 0
    hours = 0.0
    quiet_s = 0.0
    # until it has been full and level for a while
    while quiet_s < 600 and hours < 4:
        before = loop.estimate.charge_phase
        loop.charge()
        hours += DT_S / 3600
        full = loop.estimate.charge_phase == signals.CHARGE_FULL
        fulls += full and before != signals.CHARGE_FULL
        quiet_s = quiet_s + DT_S if full and not loop.control.balance.wanted else 0.0
    spread_after = float(np.ptp(loop.model.soc))
    record_property(
        f"charge of a spread {cell} pack",
        f"spread {spread_before:.2%} -> {spread_after:.2%}, lowest {loop.model.soc.min():.1%}, "
        f"highest cell {loop.worst.high_v:.3f} V, {hours:.1f} h, full {fulls} times",
    )
    assert quiet_s >= 600, f"after {hours:.1f} h: {loop.model.soc}"
    assert loop.model.soc.min() > 0.97
    assert spread_before > 0.02
    assert spread_after < loop.limits["balance_start_cpct"] / 10_000 + 0.003
    assert loop.worst.high_v * 1000 < loop.limits["charge_cv_mv"] + 15 < loop.limits["cell_ov_mv"]


@pytest.mark.parametrize(("cell", "demand_a"), [("lg_hg2", 8.0), ("panasonic_pf", 5.0), ("a123_26650", 10.0)])
@pytest.mark.parametrize("ambient_c", [25.0, -5.0])
def test_a_load_that_follows_the_limit_empties_the_pack_without_a_trip(
    cell: str, demand_a: float, ambient_c: float, record_property: Record
) -> None:
    loop = Loop(cell, 0.25, spread_soc=0.005, ageing=1.5, ambient_c=ambient_c, series=4)
    # The device's OCV is that of 25 degC: a cold pack begins with an error that a counter keeps.
    told_low = max(0.0, 0.25 - loop.estimate.soc_cpct / 10_000)
    for n in range(24_000):  # a cold aged pack has a tenth of its current left long before its charge is out
        loop.load(demand_a)
        if n > 6000 and loop.estimate.discharge_limit_da == 0:
            break
    limiter = limiters.LIMITERS[loop.estimate.discharge_limiter].name
    record_property(
        f"discharge of {cell} at {ambient_c:g} degC",
        f"to {loop.model.soc.mean():.1%}, lowest cell {loop.worst.low_v:.3f} V, limiter {limiter}, "
        f"{loop.estimate.discharge_limit_da / 10:.1f} A left",
    )
    assert loop.worst.low_v * 1000 > loop.limits["cell_uv_mv"]
    assert loop.estimate.discharge_limit_da * 100 < 0.1 * -loop.limits["discharge_max_ma"]
    assert told_low < (0.01 if ambient_c == 25.0 else 0.05)
    assert loop.model.soc.mean() < 0.06 + told_low


@pytest.mark.parametrize(("cell", "demand_a"), [("lg_hg2", 8.0), ("panasonic_pf", 5.0), ("a123_26650", 10.0)])
@pytest.mark.parametrize("ambient_c", [25.0, -15.0])
def test_the_voltage_alone_prevents_a_trip_when_the_estimate_is_wrong(
    cell: str, demand_a: float, ambient_c: float, record_property: Record
) -> None:
    loop = Loop(cell, 0.12, spread_soc=0.01, ageing=2.0, ambient_c=ambient_c, series=4)
    loop.believed_cpct = 6000
    for _ in range(6000):
        loop.load(demand_a)
    record_property(
        f"{cell} at {ambient_c:g} degC, believed to be at 60 %",
        f"to {loop.model.soc.mean():.1%}, lowest cell {loop.worst.low_v:.3f} V",
    )
    assert loop.worst.low_v * 1000 > loop.limits["cell_uv_mv"]
    assert loop.model.soc.mean() < 0.08


def test_cooling_holds_the_temperature(record_property: Record) -> None:
    hottest: dict[bool, float] = {}
    for cooled in (True, False):
        loop = Loop("lg_hg2", 0.6, ageing=1.6, ambient_c=30.0)
        loop.cooled = cooled
        for period in range(12_000):
            loop.step(15.0 if period // 300 % 2 else -15.0)
        hottest[cooled] = loop.worst.hot_c
    record_property(
        "hottest cell, 15 A at 30 degC", f"{hottest[True]:.1f} degC, uncooled {hottest[False]:.1f}"
    )
    assert hottest[False] * 10 > loop.limits["cooling_full_dc"]
    assert hottest[True] * 10 < (loop.limits["cooling_on_dc"] + loop.limits["cooling_full_dc"]) / 2
