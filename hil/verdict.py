"""Verdicts: a scenario's expectations against what went over the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from bms.sample import UNKNOWN_CPCT
from bms.tables import faults, params, signals
from numpy.typing import NDArray

from hil.expect import FAULT_ROWS, Expect
from hil.link import TICK_MS
from hil.record import Record
from hil.scenario import Scenario, ticks_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Trip:
    """A row of the fault table that fired: when its cause came, when the board said so, when it acted.

    Ticks count from 1. `reaction_ms` runs from the first offending frame to the end of the tick whose ACTUATE
    carried open gates (for a row that only derates: the fault): an upper bound. None where something did not
    happen.
    """

    fault: str
    limit: str
    limit_value: int
    value: int | None
    offending_tick: int | None
    raised_tick: int
    acted_tick: int | None
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


def limits_in_force(chemistry: int) -> dict[str, int]:
    """The limits that a board with default parameters must hold."""
    return params.defaults(chemistry)


class Trips:
    """Finds the faults that rose in a run. `limits` are those that the rig holds to be in force."""

    def __init__(self, scenario: Scenario, record: Record, limits: dict[str, int]) -> None:
        self.record = record
        self._limits = limits
        self._series = scenario.series
        self._frames = record.frames()
        self._ticks = record.ticks()
        self._open = np.flatnonzero(self._frames["gates"] == 0)
        told = {e.trip: ticks_of(e.onset_s) + 1 for e in scenario.expect if e.trip and e.onset_s is not None}
        self._onset = told
        self._begin = None if scenario.onset_s is None else ticks_of(scenario.onset_s) + 1

    def find(self) -> list[Trip]:
        """Every fault that rose, in order."""
        found: list[Trip] = []
        for row in faults.FAULTS:
            active = bits(self._frames, "faults", row.id)
            latched = bits(self._frames, "latched", row.id)
            for k in np.flatnonzero(np.diff(active.astype(np.int8), prepend=0) == 1).tolist():
                found.append(self._trip(row, k, bool(latched[k:].any())))
        return sorted(found, key=lambda trip: trip.raised_tick)

    def _trip(self, row: faults.Fault, k: int, latched: bool) -> Trip:
        raised = int(self._ticks[k])
        limit = faults.level(row, row.limit, self._limits, self._series)
        offending, value = self._offence(row, limit, raised)
        if row.action == faults.DERATE:
            acted: int | None = raised
        else:
            later = np.searchsorted(self._open, k)
            acted = int(self._ticks[self._open[later]]) if later < len(self._open) else None
        reaction = None if acted is None or offending is None else (acted - offending + 1) * TICK_MS
        return Trip(
            row.name,
            row.limit,
            limit,
            value,
            offending,
            raised,
            acted,
            reaction,
            row.max_reaction_ms,
            latched,
        )

    def _offence(self, row: faults.Fault, limit: int, raised: int) -> tuple[int | None, int | None]:
        """Tick and value of the first of the offending samples in a row that led to the trip at `raised`."""
        if row.name in self._onset:
            return self._onset[row.name], None
        moved = self._moved(raised, closing=row.signal == "not_closing")
        if row.signal == "welded" and moved is not None:
            return moved, None
        if row.signal == "not_closing" and moved is not None:
            return max(moved, self._begin or 0), None
        missed = np.array(self.record.missed[faults.GROUPS[row.group]] if row.group < faults.SELF else [])
        if row.signal == "age_ms":
            since = missed[missed < raised] + 1
            return (int(since[0]), None) if len(since) else (None, None)
        sent = self.record.signal(row.signal)
        if sent is None:
            return (self._begin, None) if self._begin and self._begin <= raised else (None, None)
        ticks, values = sent
        keep = (ticks <= raised) & ~np.isin(ticks - 1, missed)
        ticks, values = ticks[keep], values[keep]
        beyond = values > limit if row.compare == faults.ABOVE else values < limit
        if row.when == faults.CHARGING:
            beyond &= self.record.fast_rows()[0][ticks - 1] > 0
        good = np.flatnonzero(~beyond)
        first = int(good[-1]) + 1 if len(good) else 0
        return (int(ticks[first]), int(values[first])) if first < len(ticks) else (None, None)

    def _moved(self, raised: int, *, closing: bool) -> int | None:
        """Last tick before `raised` at which a gate closed, or all opened: what sticks cannot show before."""
        gates = self._frames["gates"]
        moved = gates[1:] & ~gates[:-1] if closing else (gates[1:] == 0) & (gates[:-1] != 0)
        at = self._ticks[1:][moved != 0]
        at = at[at < raised]
        return int(at[-1]) if len(at) else None


def bits(frames: NDArray[np.void], name: str, row: int) -> Mask:
    """Bit `row` of the bitmap `faults` or `latched` in each frame."""
    half, bit = ("low", row) if row < 32 else ("high", row - 32)
    return (frames[f"{name}_{half}"] >> np.uint32(bit) & 1).astype(bool)


def judge(scenario: Scenario, record: Record, found: list[Trip]) -> list[Check]:
    """One Check for every expectation."""
    return [_judge(expect, record, found) for expect in scenario.expect]


def _judge(expect: Expect, record: Record, found: list[Trip]) -> Check:
    if expect.trip:
        return _trip(expect, found)
    if expect.trip_any:
        return _trip_any(expect.trip_any, found)
    if expect.no_trip or expect.no_faults:
        came = [trip.fault for trip in found if expect.no_faults or trip.fault in (expect.no_trip or ())]
        text = "no fault" if expect.no_faults else f"not {', '.join(expect.no_trip or ())}"
        return Check(text, not came, ", ".join(dict.fromkeys(came)) or "none")
    if expect.driven_s:
        closed = int((record.frames()["state"] == signals.CLOSED).sum()) * TICK_MS / 1000
        return Check(f"driven for {expect.driven_s:g} s", closed >= expect.driven_s, f"{closed:.1f} s")
    if expect.soc_error_points:
        return _soc(expect, record)
    return _throughout(expect, record)


def _trip(expect: Expect, found: list[Trip]) -> Check:
    name = expect.trip or ""
    row = FAULT_ROWS[name]
    bound = expect.within_ms or row.max_reaction_ms
    text = f"{name}: {'raised' if row.action == faults.DERATE else 'gates open'} within {bound} ms"
    trip = next((trip for trip in found if trip.fault == name), None)
    if trip is None:
        others = ", ".join(dict.fromkeys(other.fault for other in found))
        return Check(text, False, "the fault did not come" + (f", but {others}" if others else ""))
    if trip.reaction_ms is None:
        what = "no sample had offended" if trip.offending_tick is None else "the gates did not fall"
        return Check(text, False, what)
    if expect.latched is not None and trip.latched != expect.latched:
        return Check(text, False, f"latched is {trip.latched}, expected {expect.latched}")
    before = [o.fault for o in found if o.raised_tick < trip.raised_tick]
    others = [fault for fault in before if fault != name and fault not in expect.companions]
    if others:
        return Check(text, False, f"{', '.join(others)} came first")
    return Check(text, 0 < trip.reaction_ms <= bound, f"{trip.reaction_ms} ms")


def _trip_any(names: tuple[str, ...], found: list[Trip]) -> Check:
    text = f"{' or '.join(names)} in time"
    mine = [trip for trip in found if trip.fault in names]
    if not mine:
        others = ", ".join(dict.fromkeys(other.fault for other in found))
        return Check(text, False, "none came" + (f", but {others}" if others else ""))
    good = [t for t in mine if t.reaction_ms is not None and t.reaction_ms <= t.max_reaction_ms]
    return Check(text, bool(good), "; ".join(f"{t.fault} {t.reaction_ms} ms" for t in good or mine))


def _throughout(expect: Expect, record: Record) -> Check:
    """A condition on every ACTUATE in a span of time: state, open gates, a current limit, a row."""
    frames = record.frames()
    now_s = record.ticks() * TICK_MS / 1000
    span = now_s >= expect.by_s
    when = f"from {expect.by_s:g} s on"
    if expect.until_s is not None:
        span &= now_s < expect.until_s
        when = f"{expect.by_s:g} to {expect.until_s:g} s"
    late, now_s = frames[span], now_s[span]
    what, wrong, seen = _condition(expect, late)
    text = f"{what} {when}"
    if not len(late):
        return Check(text, False, "the run was over before")
    if wrong.any():
        return Check(text, False, f"{seen[int(np.argmax(wrong))]} at {now_s[wrong][0]:g} s")
    return Check(text, True, f"{len(late) * TICK_MS / 1000:g} s")


def _condition(expect: Expect, frames: NDArray[np.void]) -> tuple[str, Mask, Sequence[str]]:
    """In words, whether it does not hold in each frame, and what is there instead."""
    if expect.state:
        states = frames["state"]
        names = [signals.STATES[s] if s < len(signals.STATES) else str(s) for s in map(int, states)]
        return f"state {expect.state}", states != signals.STATES.index(expect.state), names
    if expect.gates_open:
        return "gates open", frames["gates"] != 0, [f"gates {gates}" for gates in frames["gates"].tolist()]
    if row := expect.active or expect.clear or expect.latched_row:
        raised = bits(frames, "latched" if expect.latched_row else "faults", FAULT_ROWS[row].id)
        what = "latched" if expect.latched_row else "active" if expect.active else "clear"
        return f"{row} {what}", raised if expect.clear else ~raised, ["it is not"] * len(frames)
    limits = frames[f"{expect.direction}_limit_da"] / 10
    seen = [f"{limit:g} A" for limit in limits.tolist()]
    if expect.limit_a is not None:
        return f"{expect.direction} limit at most {expect.limit_a:g} A", limits > expect.limit_a, seen
    least_a = expect.limit_above_a or 0.0
    return f"{expect.direction} limit above {least_a:g} A", limits <= least_a, seen


def soc_errors(record: Record, by_s: float = 0.0) -> NDArray[np.float64]:
    """Absolute error of the board's SoC in points at each reference, from `by_s` on."""
    frames = record.frames()
    reference = np.array([entry for entry in record.soc if entry[0] * TICK_MS >= by_s * 1000]).reshape(-1, 2)
    at = np.minimum(np.searchsorted(record.ticks(), reference[:, 0]), len(frames) - 1)
    known = frames["sigma_cpct"][at] < UNKNOWN_CPCT
    return np.abs(frames["soc_cpct"][at] / 100.0 - reference[:, 1] * 100.0)[known]


def _soc(expect: Expect, record: Record) -> Check:
    bound = expect.soc_error_points or 0.0
    errors = soc_errors(record, expect.by_s)
    late = record.frames()["sigma_cpct"][record.ticks() * TICK_MS >= expect.by_s * 1000]
    if (late >= UNKNOWN_CPCT).any():
        return Check(f"SoC known from {expect.by_s:g} s on", False, "the board does not know it")
    text = f"SoC error below {bound:g} points (mean, from {expect.by_s:g} s on)"
    if not len(errors):
        return Check(text, False, "no estimate")
    mean = float(errors.mean())
    return Check(text, mean < bound, f"{mean:.2f} points, at most {errors.max():.2f}")
