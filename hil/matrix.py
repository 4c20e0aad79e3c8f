"""The regular scenarios: every protection under every kind of fault that makes sense for it.

Names are `row__fault`. A row's `Case` says how the pack comes to offend; the kinds of fault are made from it:

    step      the signal jumps beyond the limit: trips in time
    drift     it creeps there: trips in time from the first offending sample
    noise     a burst of noise just inside the limit: must not trip
    spike     beyond the limit for one sample too few: must not trip
    stuck     the sensor freezes while the pack goes beyond: another row takes over
    swap      two cells are mixed up: their limits hold all the same
    reset     the supply fails in the middle of the trip: the path stays open, the trip comes again
    weld      the path does not open: contactor_welded says so
    drop, bad_crc, bad_length, bad_quality, stale   frames of a group: the row on its age trips
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bms.tables import faults

from hil.scenario import FAULT_ROWS, Expect, Inject, LoadSpec, Scenario

AT_S = 3.5
"""By then the path has closed."""
_CELL = 5
_LOST = {"fast": "fast_lost", "cells": "cells_lost", "temps": "temps_lost"}
_FRAME_KINDS = ("drop", "bad_crc", "bad_length", "bad_quality", "stale")


@dataclass(frozen=True)
class Case:
    """How a row's signal is driven: injection fields of a step and, where it can creep, of a drift.

    `noise` is a sigma in the signal's unit and `inside` how far inside the limit its middle lies. `stuck` is
    the target that freezes, `sees` the rows of which one must then trip; `pack` are fields of the scenario.
    """

    step: dict[str, Any]
    drift: dict[str, Any] = field(default_factory=dict[str, Any])
    drift_s: float = 3.0
    noise: float = 0.0
    inside: float = 0.0
    stuck: dict[str, Any] = field(default_factory=dict[str, Any])
    sees: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    hold_s: float = 1.5
    pack: dict[str, Any] = field(default_factory=dict[str, Any])
    onset: bool = False


def _cell(limit: str) -> dict[str, Any]:
    return {"kind": "set", "target": "cell_mv", "index": _CELL, "beyond": limit, "by": 15, "really": True}


def _all_cells(limit: str) -> dict[str, Any]:
    return {"kind": "set", "target": "cell_mv", "beyond": limit, "by": 10, "really": True}


def _creep(step: dict[str, Any], by: float, per_s: float) -> dict[str, Any]:
    kind = "ramp" if step["kind"] == "set" else step["kind"]
    return {**step, "kind": kind, "by": by, "per_s": per_s}


def _voltage(limit: str, per_s: float, **pack: Any) -> Case:
    step = _cell(limit)
    frozen = {"kind": "stuck", "target": "cell_mv", "index": _CELL}
    return Case(
        step, _creep(step, -40, per_s), noise=2, inside=12, stuck=frozen, sees=("sum_of_cells",), pack=pack
    )


def _pack_voltage(limit: str, per_s: float, **pack: Any) -> Case:
    step = _all_cells(limit)
    return Case(step, _creep(step, -20, per_s), noise=0.5, inside=5, pack=pack)


def _current(limit: str, per_s: float, by: float, lead: float, drift_s: float, **rest: Any) -> Case:
    step = {"kind": "load", "beyond": limit, "by": by}
    frozen = {"kind": "stuck", "target": "current_ma"}
    return Case(
        step, _creep(step, -lead, per_s), drift_s=drift_s, noise=60, inside=400, stuck=frozen,
        sees=("current_frozen",), **rest,
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
    "charge_overload": _current("charge_overload_ma", 400, 500, 400, 3.5, hold_s=2.5, pack={"start_soc": 0.4}),
    "discharge_overload": _current("discharge_overload_ma", -400, 500, 400, 4.5, hold_s=3.5),
    "over_temperature": _temperature("over_temp_dc", 59.4, 2, -0.5, hold_s=2.5),
    "under_temperature": _temperature("under_temp_dc", -29.4, -2, -0.3, hold_s=2.5),
    "charge_over_temperature": _temperature("charge_over_temp_dc", 44.4, 2, 1.0, hold_s=4.5),
    "charge_under_temperature": _temperature("charge_under_temp_dc", 0.6, -2, 0.3, hold_s=4.5),
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
        {"kind": "offset", "target": "cell_mv", "index": _CELL, "value": -560, "really": True}, hold_s=11,
    ),
    "temperature_rise": Case(
        {}, {"kind": "offset", "target": "temp_dc", "index": 1, "value": 0, "per_s": 7}, drift_s=5, onset=True,
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
    ("over_temperature", "stuck"): "a sensor frozen at a likely value reads as a pack of constant temperature; "
    "its neighbours, which the same heat reaches later, are all that tells",
    ("isolation", "stuck"): "a constant isolation resistance is what a sound pack shows",
}
"""Cells of the coverage matrix in which nothing can trip, and why."""


def _scenario(row: str, kind: str, title: str, case: Case, **fields: Any) -> Scenario:
    base: dict[str, Any] = {
        "name": f"{row}__{kind}",
        "title": title,
        "drive": False,
        "load": LoadSpec(mean_a=-2.0),
        "quantum_ticks": 4,
        "covers": (row, kind),
        **case.pack,
        **fields,
    }
    return Scenario.model_validate(base)


def _in_time(row: str, case: Case, **more: Any) -> Expect:
    onset_s = AT_S if case.onset else None
    latched = FAULT_ROWS[row].latch == faults.LATCHED
    return Expect(trip=row, latched=latched, companions=case.companions, onset_s=onset_s, **more)


def _stays_open(row: str, at_s: float) -> tuple[Expect, ...]:
    fault = FAULT_ROWS[row]
    if fault.action == faults.DERATE:
        return ()
    return (Expect(gates_open=True, by_s=at_s + fault.max_reaction_ms / 1000 + 0.05),)


def _step(row: str, case: Case) -> Scenario:
    title = f"{row}: the signal jumps beyond its limit"
    inject = (Inject(at_s=AT_S, **case.step),)
    expect = (_in_time(row, case), *_stays_open(row, AT_S))
    return _scenario(row, "step", title, case, inject=inject, expect=expect, duration_s=AT_S + case.hold_s)


def _drift(row: str, case: Case) -> Scenario:
    title = f"{row}: the signal creeps beyond its limit"
    inject = (Inject(at_s=AT_S, **case.drift),)
    return _scenario(
        row, "drift", title, case, inject=inject, expect=(_in_time(row, case),),
        duration_s=AT_S + case.drift_s + case.hold_s,
    )  # fmt: skip


def _noise(row: str, case: Case) -> Scenario:
    middle = {**case.step, "by": -case.inside} if "beyond" in case.step else {**case.step, "value": case.inside}
    target = {"target": "current_ma", **{k: case.step[k] for k in ("target", "index") if k in case.step}}
    noise = {"kind": "noise", "value": case.noise, **target}
    inject = (Inject(at_s=AT_S, **middle), Inject(at_s=AT_S, for_s=3, **noise))
    title = f"{row}: a burst of noise just inside the limit is no trip"
    return _scenario(
        row, "noise", title, case, inject=inject, expect=(Expect(no_trip=(row,)),), duration_s=AT_S + 3
    )


def _spike(row: str, case: Case) -> Scenario:
    fault = FAULT_ROWS[row]
    for_s = (fault.fresh - 1) * faults.PERIOD_MS[fault.group] / 1000
    inject = (Inject(at_s=AT_S, for_s=for_s, **case.step),)
    title = f"{row}: {fault.fresh - 1} offending samples are one too few"
    return _scenario(
        row, "spike", title, case, inject=inject, expect=(Expect(no_trip=(row,)),),
        duration_s=AT_S + for_s + 1.0,
    )  # fmt: skip


def _stuck(row: str, case: Case) -> Scenario:
    title = f"{row}: its sensor freezes while the pack goes beyond the limit"
    truth = {**case.step, "by": 100} if case.step["kind"] == "set" else case.step
    inject = (Inject(at_s=AT_S, **case.stuck), Inject(at_s=AT_S + 0.2, **truth))
    expect = (Expect(trip_any=case.sees), Expect(gates_open=True, by_s=AT_S + 0.7))
    return _scenario(row, "stuck", title, case, inject=inject, expect=expect, duration_s=AT_S + 1.5)


def _reset(row: str, case: Case) -> Scenario:
    title = f"{row}: the supply fails in the middle of the trip"
    fault = FAULT_ROWS[row]
    half_s = fault.fresh * faults.PERIOD_MS[fault.group] / 2000
    inject = (Inject(at_s=AT_S, **case.step), Inject(at_s=AT_S + half_s, kind="restart"))
    expect = (Expect(gates_open=True, by_s=AT_S + half_s + 0.01),)
    return _scenario(
        row, "reset", title, case, inject=inject, expect=expect, duration_s=AT_S + 4 + case.hold_s,
        targets=("cpython", "unix", "mps2_an500"),
    )  # fmt: skip


def _weld(row: str, case: Case) -> Scenario:
    title = f"{row}: both main contactors are welded when it trips"
    welds = tuple(Inject(at_s=AT_S - 0.2, kind="weld", target=name) for name in ("negative", "positive"))
    expect = (
        _in_time(row, case, within_ms=FAULT_ROWS[row].max_reaction_ms),
        Expect(trip_any=("contactor_welded",)),
        *_stays_open(row, AT_S),
    )
    return _scenario(
        row, "weld", title, case, inject=(*welds, Inject(at_s=AT_S, **case.step)), expect=expect,
        duration_s=AT_S + case.hold_s + 1.5,
    )  # fmt: skip


def _swap(row: str, case: Case) -> Scenario:
    swap = Inject(at_s=1.0, kind="swap", target="cell_mv", index=2, other=9)
    expect = (_in_time(row, case), *_stays_open(row, AT_S))
    title = f"{row}: two cells' readings are swapped; the limits hold all the same"
    inject = (swap, Inject(at_s=AT_S, **{**case.step, "index": 2}))
    return _scenario(
        row, "swap", title, case, inject=inject, expect=expect, duration_s=AT_S + case.hold_s, fine_s=AT_S - 0.2
    )


def _lost(group: str, kind: str) -> Scenario:
    row = _LOST[group]
    return _scenario(
        row, kind, f"{group.upper()} frames: {kind}", Case({}),
        inject=(Inject(at_s=AT_S, kind=kind, target=group),),
        expect=(Expect(trip=row, latched=False), *_stays_open(row, AT_S)), duration_s=AT_S + 1.0,
    )  # fmt: skip


def _afe_error() -> Scenario:
    bursts = tuple(
        Inject(at_s=AT_S + k * 0.06, for_s=0.03, kind="bad_crc", target="fast") for k in range(20)
    )
    return _scenario(
        "afe_error", "bad_crc", "Bursts of spoilt frames, each too short for a group to be lost", Case({}),
        inject=bursts, expect=(Expect(trip="afe_error", onset_s=AT_S),), duration_s=AT_S + 2.2,
    )  # fmt: skip


def _runaway() -> Scenario:
    hot = Inject(at_s=AT_S, kind="offset", target="temp_dc", index=1, value=0, per_s=12)
    fall = Inject(
        at_s=AT_S + 1, kind="offset", target="cell_mv", index=_CELL, value=-200, per_s=-600, really=True
    )
    expect = (
        Expect(
            trip="thermal_runaway", latched=True, onset_s=AT_S,
            companions=("temperature_rise", "cell_under_voltage"),
        ),
        Expect(gates_open=True, by_s=AT_S + 4),
    )  # fmt: skip
    title = "A sensor rises by more than 1 K/s while a cell's voltage collapses"
    return _scenario(
        "thermal_runaway", "drift", title, Case({}), inject=(hot, fall), expect=expect, duration_s=AT_S + 5,
    )  # fmt: skip


def _feedback(kind: str, target: str) -> Scenario:
    row = "contactor_not_closing" if kind == "feedback_low" else "contactor_welded"
    title = f"The mirror contact of {target} sticks ({kind})"
    return _scenario(
        row, kind, title, Case({}), inject=(Inject(at_s=AT_S, kind=kind, target=target),),
        expect=(Expect(trip_any=("contactor_not_closing", "contactor_welded")), *_stays_open(row, AT_S)),
        duration_s=AT_S + 1.6,
    )  # fmt: skip


def _precharge(kind: str, value: float) -> Scenario:
    title = {"link_leak": "The link is shorted", "slow_link": "The link's capacitor is 100 times too large"}
    return _scenario(
        "precharge_failed", kind, f"{title[kind]}: no precharge ends, and it is given up", Case({}),
        inject=(Inject(at_s=0, kind=kind, value=value),),
        expect=(Expect(trip="precharge_failed", onset_s=0), Expect(no_trip=("contactor_welded",))),
        duration_s=60, fine_s=60, slow=True,
    )  # fmt: skip


def _scenarios() -> Iterator[Scenario]:
    for row, case in CASES.items():
        fault = FAULT_ROWS[row]
        opens = fault.action != faults.DERATE
        if case.step:
            yield _step(row, case)
            if opens and fault.fresh > 1 and row != "temp_sensor_short":
                yield _spike(row, case)
            if opens and not case.onset:
                yield _reset(row, case)
            if opens and case.step["kind"] == "load" or row in ("cell_over_voltage", "isolation"):
                yield _weld(row, case)
        if case.drift:
            yield _drift(row, case)
        if case.noise:
            yield _noise(row, case)
        if case.stuck:
            yield _stuck(row, case)
    for row in ("cell_over_voltage", "cell_under_voltage"):
        yield _swap(row, CASES[row])
    for group in _LOST:
        for kind in _FRAME_KINDS:
            yield _lost(group, kind)
    yield _afe_error()
    yield _runaway()
    yield _feedback("feedback_low", "positive")
    yield _feedback("feedback_high", "precharge")
    yield _precharge("link_leak", 5)
    yield _precharge("slow_link", 100)


@cache
def matrix() -> dict[str, Scenario]:
    """Every generated scenario by name."""
    return {scenario.name: scenario for scenario in _scenarios()}
