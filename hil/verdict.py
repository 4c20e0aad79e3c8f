"""Verdicts: a scenario's expectations against what went over the link."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from bms.sample import UNKNOWN_CPCT
from bms.tables import faults, params, signals
from numpy.typing import NDArray

from hil.link import TICK_MS
from hil.scenario import FAULT_ROWS, Expect, Scenario
from hil.session import Record


@dataclass(frozen=True)
class Trip:
    """A row of the fault table that fired: when its cause came, when the board said so, when the gates fell.

    Ticks count from 1 (the board's). `reaction_ms` runs from the first offending frame to the end of the tick
    whose ACTUATE carried open gates: an upper bound. None where something did not happen.
    """

    fault: str
    limit: str
    limit_value: int
    value: int | None
    offending_tick: int | None
    raised_tick: int
    gates_tick: int | None
    reaction_ms: int | None
    max_reaction_ms: int
    latched: bool


@dataclass(frozen=True)
class Check:
    """One expectation and its outcome."""

    expectation: str
    passed: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def signal_of(record: Record, row: faults.Fault) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ticks (board's) and values of the samples that `row` looks at, as they were sent."""
    if row.signal == "current_ma":
        current_ma = record.currents()
        return np.arange(1, len(current_ma) + 1), current_ma
    samples = np.array(record.temps if row.group == faults.TEMPS else record.cells, dtype=np.int64).reshape(
        -1, 3
    )
    return samples[:, 0] + 1, samples[:, 2 if row.compare == faults.ABOVE else 1]


def _offence(record: Record, row: faults.Fault, limit: int, raised: int) -> tuple[int | None, int | None]:
    """Tick and value of the first of the offending samples in a row that led to the trip at tick `raised`."""
    if row.signal == "age_ms":
        missed = np.array(record.missed[faults.GROUPS[row.group]], dtype=np.int64) + 1
        missed = missed[missed <= raised]
        return (int(missed[0]), None) if len(missed) else (None, None)
    ticks, values = signal_of(record, row)
    ticks, values = ticks[ticks <= raised], values[ticks <= raised]
    beyond = values > limit if row.compare == faults.ABOVE else values < limit
    good = np.flatnonzero(~beyond)
    first = int(good[-1]) + 1 if len(good) else 0
    return (int(ticks[first]), int(values[first])) if first < len(ticks) else (None, None)


def trips(record: Record, limits: dict[str, int]) -> list[Trip]:
    """Every fault that rose, in order; `limits` are those that the rig holds to be in force."""
    frames = record.frames()
    found: list[Trip] = []
    for row in faults.FAULTS:
        half, bit = ("low", row.id) if row.id < 32 else ("high", row.id - 32)
        active = (frames[f"faults_{half}"] >> np.uint32(bit) & 1).astype(np.int8)
        latched = (frames[f"latched_{half}"] >> np.uint32(bit) & 1).astype(bool)
        for k in np.flatnonzero(np.diff(active, prepend=0) == 1):
            raised = int(frames["tick"][k])
            limit = limits[row.limit]
            offending, value = _offence(record, row, limit, raised)
            opened = np.flatnonzero(frames["gates"][k:] == 0)
            gates = int(frames["tick"][k + opened[0]]) if len(opened) else None
            reaction = None if gates is None or offending is None else (gates - offending + 1) * TICK_MS
            found.append(
                Trip(row.name, row.limit, limit, value, offending, raised, gates, reaction,
                     row.max_reaction_ms, bool(latched[k:].any()))
            )  # fmt: skip
    return sorted(found, key=lambda trip: trip.raised_tick)


def judge(scenario: Scenario, record: Record, found: list[Trip]) -> list[Check]:
    """One Check for every expectation."""
    return [_judge(expect, record, found) for expect in scenario.expect]


def _judge(expect: Expect, record: Record, found: list[Trip]) -> Check:
    if expect.trip:
        return _trip(expect, found)
    if expect.no_faults:
        names = [trip.fault for trip in found]
        return Check("no fault", not names, "none" if not names else ", ".join(names))
    if expect.state:
        return _state(expect, record)
    if expect.driven_s:
        closed = int((record.frames()["state"] == signals.CLOSED).sum()) * TICK_MS / 1000
        return Check(f"driven for {expect.driven_s:g} s", closed >= expect.driven_s, f"{closed:.1f} s")
    return _soc(expect, record)


def _trip(expect: Expect, found: list[Trip]) -> Check:
    name = expect.trip or ""
    bound = FAULT_ROWS[name].max_reaction_ms
    text = f"{name}: gates open within {bound} ms"
    trip = next((trip for trip in found if trip.fault == name), None)
    if trip is None:
        return Check(text, False, "the fault did not come")
    if trip.reaction_ms is None:
        what = "no sample had offended" if trip.offending_tick is None else "the gates did not fall"
        return Check(text, False, what)
    if expect.latched is not None and trip.latched != expect.latched:
        return Check(text, False, f"latched is {trip.latched}, expected {expect.latched}")
    others = [other.fault for other in found if other.fault != name and other.raised_tick <= trip.raised_tick]
    if others:
        return Check(text, False, f"{', '.join(others)} came first")
    return Check(text, trip.reaction_ms <= bound, f"{trip.reaction_ms} ms")


def _state(expect: Expect, record: Record) -> Check:
    frames = record.frames()
    late = frames[frames["tick"] * TICK_MS >= expect.by_s * 1000]
    wanted = signals.STATES.index(expect.state or "")
    wrong = late[late["state"] != wanted]
    text = f"state {expect.state} from {expect.by_s:g} s on"
    if not len(late):
        return Check(text, False, "the run was over before")
    if len(wrong):
        seen = signals.STATES[int(wrong["state"][0])]
        return Check(text, False, f"{seen} at {wrong['tick'][0] * TICK_MS / 1000:g} s")
    return Check(text, True, f"{len(late) * TICK_MS / 1000:g} s")


def soc_errors(record: Record, by_s: float = 0.0) -> NDArray[np.float64]:
    """Absolute error of the board's SoC in points at each reference, from `by_s` on."""
    frames = record.frames()
    reference = np.array([entry for entry in record.soc if entry[0] * TICK_MS >= by_s * 1000]).reshape(-1, 2)
    at = np.minimum(np.searchsorted(frames["tick"], reference[:, 0]), len(frames) - 1)
    known = frames["sigma_cpct"][at] < UNKNOWN_CPCT
    return np.abs(frames["soc_cpct"][at] / 100.0 - reference[:, 1] * 100.0)[known]


def _soc(expect: Expect, record: Record) -> Check:
    bound = expect.soc_error_points or 0.0
    errors = soc_errors(record, expect.by_s)
    frames = record.frames()
    late = frames["sigma_cpct"][frames["tick"] * TICK_MS >= expect.by_s * 1000]
    if (late >= UNKNOWN_CPCT).any():
        return Check(f"SoC known from {expect.by_s:g} s on", False, "the board does not know it")
    text = f"SoC error below {bound:g} points (mean, from {expect.by_s:g} s on)"
    if not len(errors):
        return Check(text, False, "no estimate")
    mean = float(errors.mean())
    return Check(text, mean < bound, f"{mean:.2f} points, at most {errors.max():.2f}")


def limits_in_force(chemistry: int) -> dict[str, int]:
    """The limits that a board with default parameters must hold."""
    return params.defaults(chemistry)
