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
from functools import cache
from typing import Any

from bms.tables import faults

from hil.cases import CASES, CELL, Case
from hil.expect import FAULT_ROWS, Expect
from hil.link import CELLS_EVERY, TEMPS_EVERY, TICK_MS
from hil.scenario import Inject, LoadSpec, Scenario

AT_S = 3.5
"""By then the path has closed."""
_LOST = {"fast": "fast_lost", "cells": "cells_lost", "temps": "temps_lost"}
_EVERY = {"fast": 1, "cells": CELLS_EVERY, "temps": TEMPS_EVERY}
_OTHERS = tuple(row.name for row in faults.FAULTS if row.latch == faults.LATCHED)
"""What does not come again must not lock the pack out: a lost group latches nothing."""
_FRAME_KINDS = ("drop", "bad_crc", "bad_length", "bad_quality", "stale")


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


def _inject(at_s: float, fields: dict[str, Any], **more: Any) -> Inject:
    return Inject.model_validate({"at_s": at_s, **fields, **more})


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
    inject = (_inject(AT_S, case.step),)
    expect = (_in_time(row, case), *_stays_open(row, AT_S))
    return _scenario(row, "step", title, case, inject=inject, expect=expect, duration_s=AT_S + case.hold_s)


def _drift(row: str, case: Case) -> Scenario:
    title = f"{row}: the signal creeps beyond its limit"
    inject = (_inject(AT_S, case.drift),)
    return _scenario(
        row, "drift", title, case, inject=inject, expect=(_in_time(row, case),),
        duration_s=AT_S + case.drift_s + case.hold_s,
    )  # fmt: skip


def _noise(row: str, case: Case) -> Scenario:
    middle = (
        {**case.step, "by": -case.inside} if "beyond" in case.step else {**case.step, "value": case.inside}
    )
    target = {"target": "current_ma", **{k: case.step[k] for k in ("target", "index") if k in case.step}}
    noise = {"kind": "noise", "value": case.noise, **target}
    inject = (_inject(AT_S, middle), _inject(AT_S, noise, for_s=3))
    title = f"{row}: a burst of noise just inside the limit is no trip"
    return _scenario(
        row, "noise", title, case, inject=inject, expect=(Expect(no_trip=(row,)),), duration_s=AT_S + 3
    )


def _spike(row: str, case: Case) -> Scenario:
    fault = FAULT_ROWS[row]
    for_s = (fault.fresh - 1) * faults.PERIOD_MS[fault.group] / 1000
    inject = (_inject(AT_S, case.step, for_s=for_s),)
    title = f"{row}: {fault.fresh - 1} offending samples are one too few"
    return _scenario(
        row, "spike", title, case, inject=inject, expect=(Expect(no_trip=(row,)),),
        duration_s=AT_S + for_s + 1.0,
    )  # fmt: skip


def _stuck(row: str, case: Case) -> Scenario:
    title = f"{row}: its sensor freezes while the pack goes beyond the limit"
    truth = {**case.step, "by": 100} if case.step["kind"] == "set" else case.step
    inject = (_inject(AT_S, case.stuck), _inject(AT_S + 0.2, truth))
    seen = Expect(trip=case.sees, latched=True, onset_s=AT_S + 0.2)
    expect = (seen, Expect(gates_open=True, by_s=AT_S + 0.7))
    return _scenario(row, "stuck", title, case, inject=inject, expect=expect, duration_s=AT_S + 1.5)


def _reset(row: str, case: Case) -> Scenario:
    title = f"{row}: the supply fails in the middle of the trip"
    fault = FAULT_ROWS[row]
    half_s = fault.fresh * faults.PERIOD_MS[fault.group] / 2000
    inject = (_inject(AT_S, case.step), Inject(at_s=AT_S + half_s, kind="restart"))
    began_s = AT_S + half_s + 0.01
    # a load's or charger's offence goes when the path opens: then it may close again, and must trip again
    gone = case.step["kind"] == "load" or fault.when == faults.CHARGING
    expect = (
        (Expect(gates_open=True, by_s=began_s, until_s=began_s + 0.5), _in_time(row, case))
        if gone
        else (Expect(gates_open=True, by_s=began_s),)
    )
    return _scenario(
        row, "reset", title, case, inject=inject, expect=expect, duration_s=AT_S + 4.5 + case.hold_s,
        targets=("cpython", "unix", "mps2_an500"),
    )  # fmt: skip


def _weld(row: str, case: Case) -> Scenario:
    title = f"{row}: both main contactors are welded when it trips"
    welds = tuple(Inject(at_s=AT_S - 0.2, kind="weld", target=name) for name in ("negative", "positive"))
    expect = (
        _in_time(row, case),
        Expect(trip="contactor_welded", latched=True, companions=tuple(FAULT_ROWS)),
        *_stays_open(row, AT_S),
    )
    return _scenario(
        row, "weld", title, case, inject=(*welds, _inject(AT_S, case.step)), expect=expect,
        duration_s=AT_S + case.hold_s + 1.5,
    )  # fmt: skip


def _swap(row: str, case: Case) -> Scenario:
    swap = Inject(at_s=1.0, kind="swap", target="cell_mv", index=2, other=9)
    expect = (_in_time(row, case), *_stays_open(row, AT_S))
    title = f"{row}: two cells' readings are swapped; the limits hold all the same"
    inject = (swap, _inject(AT_S, {**case.step, "index": 2}))
    return _scenario(
        row,
        "swap",
        title,
        case,
        inject=inject,
        expect=expect,
        duration_s=AT_S + case.hold_s,
        fine_s=AT_S - 0.2,
    )


def _lost(group: str, kind: str) -> Scenario:
    row = _LOST[group]
    # However the fault lies to the group's period: nothing is missed before the next frame is due.
    first_missing_s = AT_S + (_EVERY[group] - 1) * TICK_MS / 1000
    return _scenario(
        row, kind, f"{group.upper()} frames: {kind}", Case({}),
        inject=(Inject(at_s=AT_S, kind=kind, target=group),),
        expect=(Expect(trip=row, latched=False), *_stays_open(row, first_missing_s), Expect(no_trip=_OTHERS)),
        duration_s=AT_S + 1.0,
    )  # fmt: skip


def _afe_error() -> Scenario:
    bursts = tuple(Inject(at_s=AT_S + k * 0.06, for_s=0.03, kind="bad_crc", target="fast") for k in range(20))
    return _scenario(
        "afe_error", "bad_crc", "Bursts of spoilt frames, each too short for a group to be lost", Case({}),
        inject=bursts, expect=(Expect(trip="afe_error", onset_s=AT_S),), duration_s=AT_S + 2.2,
    )  # fmt: skip


def _runaway() -> Scenario:
    hot = Inject(at_s=AT_S, kind="offset", target="temp_dc", index=1, value=0, per_s=12)
    fall = Inject(
        at_s=AT_S + 1, kind="offset", target="cell_mv", index=CELL, value=-200, per_s=-600, really=True
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
            if (opens and case.step["kind"] == "load") or row in ("cell_over_voltage", "isolation"):
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
