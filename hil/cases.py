"""How the pack comes to offend each row of the fault table; hil.matrix makes scenarios of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hil.scenario import LoadSpec

CELL = 5
"""The cell that goes its own way."""


@dataclass(frozen=True)
class Case:
    """How a row's signal is driven: injection fields of a step and, where it can creep, of a drift.

    `noise` is a sigma in the signal's unit and `inside` how far inside the limit its middle lies. `stuck` is
    the target that freezes, `sees` the row that must then trip; `pack` are fields of the scenario.
    """

    step: dict[str, Any]
    drift: dict[str, Any] = field(default_factory=dict[str, Any])
    drift_s: float = 3.0
    noise: float = 0.0
    inside: float = 0.0
    stuck: dict[str, Any] = field(default_factory=dict[str, Any])
    sees: str = ""
    companions: tuple[str, ...] = ()
    hold_s: float = 1.5
    pack: dict[str, Any] = field(default_factory=dict[str, Any])
    onset: bool = False


def _cell(limit: str) -> dict[str, Any]:
    return {"kind": "set", "target": "cell_mv", "index": CELL, "beyond": limit, "by": 15, "really": True}


def _all_cells(limit: str) -> dict[str, Any]:
    return {"kind": "set", "target": "cell_mv", "beyond": limit, "by": 10, "really": True}


def _creep(step: dict[str, Any], by: float, per_s: float) -> dict[str, Any]:
    kind = "ramp" if step["kind"] == "set" else step["kind"]
    return {**step, "kind": kind, "by": by, "per_s": per_s}


def _voltage(limit: str, per_s: float, **pack: Any) -> Case:
    step = _cell(limit)
    frozen = {"kind": "stuck", "target": "cell_mv", "index": CELL}
    return Case(
        step, _creep(step, -40, per_s), noise=2, inside=12, stuck=frozen, sees="sum_of_cells", pack=pack
    )


def _pack_voltage(limit: str, per_s: float, **pack: Any) -> Case:
    step = _all_cells(limit)
    return Case(step, _creep(step, -20, per_s), noise=0.5, inside=5, pack=pack)


def _current(limit: str, per_s: float, by: float, lead: float, drift_s: float, **rest: Any) -> Case:
    step = {"kind": "load", "beyond": limit, "by": by}
    frozen = {"kind": "stuck", "target": "current_ma"}
    return Case(
        step, _creep(step, -lead, per_s), drift_s=drift_s, noise=60, inside=400, stuck=frozen,
        sees="current_frozen", **rest,
    )  # fmt: skip


def _temperature(limit: str, ambient_c: float, per_s: float, mean_a: float, **rest: Any) -> Case:
    step = {"kind": "set", "target": "temp_dc", "index": 1, "beyond": limit, "by": 5}
    pack = {"ambient_c": ambient_c, "spread": "none", "load": LoadSpec(mean_a=mean_a), "start_soc": 0.6}
    return Case(step, _creep(step, -6, per_s), drift_s=6, noise=1, inside=8, pack=pack, **rest)


CASES: dict[str, Case] = {
    "cell_over_voltage": _voltage("cell_ov_mv", 30),
    "cell_under_voltage": _voltage("cell_uv_mv", -30, start_soc=0.5),
    "pack_over_voltage": _pack_voltage("pack_ov_cell_mv", 15),
    "pack_under_voltage": _pack_voltage("pack_uv_cell_mv", -15, start_soc=0.5),
    "charge_over_current": _current("charge_oc_ma", 6000, 800, 1500, 1.0, pack={"start_soc": 0.4}),
    "discharge_over_current": _current("discharge_oc_ma", -6000, 800, 1500, 1.0),
    "charge_overload": _current(
        "charge_overload_ma", 400, 500, 400, 3.5, hold_s=2.5, pack={"start_soc": 0.4}
    ),
    "discharge_overload": _current("discharge_overload_ma", -400, 500, 400, 4.5, hold_s=3.5),
    "over_temperature": _temperature("over_temp_dc", 59.4, 2, -0.5, hold_s=2.5),
    "under_temperature": _temperature("under_temp_dc", -29.4, -2, -0.3, hold_s=2.5),
    "charge_over_temperature": _temperature("charge_over_temp_dc", 51.4, 2, 1.6, hold_s=4.5),
    "charge_under_temperature": _temperature("charge_under_temp_dc", 0.6, -2, 1.6, hold_s=4.5),
    "isolation": Case(
        {"kind": "set", "target": "isolation_kohm", "beyond": "isolation_kohm", "by": 20},
        {"kind": "ramp", "target": "isolation_kohm", "beyond": "isolation_kohm", "by": -40, "per_s": -20},
        drift_s=5, noise=2, inside=12, hold_s=2.5,
    ),
    "temp_sensor_open": Case(
        {"kind": "set", "target": "temp_dc", "index": 2, "beyond": "temp_low_dc", "by": 50}
    ),
    "temp_sensor_short": Case(
        {"kind": "set", "target": "temp_dc", "index": 2, "beyond": "temp_high_dc", "by": 50},
        companions=("temperature_rise", "thermal_runaway"),
    ),
    "sum_of_cells": Case(
        {"kind": "offset", "target": "pack_mv", "value": 400},
        {"kind": "offset", "target": "pack_mv", "value": 0, "per_s": 120}, noise=10, inside=120,
    ),
    "cell_imbalance": Case(
        {"kind": "offset", "target": "cell_mv", "index": CELL, "value": -560, "really": True}, hold_s=11,
    ),
    "temperature_rise": Case(
        {}, {"kind": "offset", "target": "temp_dc", "index": 1, "value": 0, "per_s": 7},
        drift_s=5, onset=True,
    ),
    "cells_frozen": Case(
        {"kind": "stuck", "target": "cell_mv"}, onset=True, companions=("sum_of_cells",),
        pack={"load": LoadSpec(mean_a=-5, swing_a=4, half_period_ms=20)},
    ),
    "current_frozen": Case(
        {"kind": "stuck", "target": "current_ma"}, onset=True,
        pack={"load": LoadSpec(mean_a=-5, swing_a=4, half_period_ms=20)},
    ),
    "open_wire": Case(
        {"kind": "open_wire", "target": "cells", "index": 3}, onset=True,
    ),
    "contactor_not_closing": Case({"kind": "stuck_open", "target": "positive"}, onset=True),
}  # fmt: skip
"""By row of the fault table."""

UNDETECTABLE: dict[tuple[str, str], str] = {
    (
        "over_temperature",
        "stuck",
    ): "a sensor frozen at a likely value reads as a pack of constant temperature; "
    "its neighbours, which the same heat reaches later, are all that tells",
    ("isolation", "stuck"): "a constant isolation resistance is what a sound pack shows",
}
"""Cells of the coverage matrix in which nothing can trip, and why."""
