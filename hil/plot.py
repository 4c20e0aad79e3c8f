"""A trip as an inline SVG: the signal, its limit, and the gates, around the moment of the trip."""

from __future__ import annotations

import html

import numpy as np

from hil.expect import FAULT_ROWS
from hil.link import TICK_MS
from hil.record import Record, Values
from hil.verdict import Trip, bits

_AROUND_TICKS = 60
_MOST_TICKS = 2400
_WIDTH, _HEIGHT, _PAD = 640, 220, 46


def _signal(record: Record, trip: Trip) -> tuple[Values, Values, str]:
    row = FAULT_ROWS[trip.fault]
    if row.signal == "age_ms":
        return *record.ages_ms(row.group, TICK_MS), "age in ms"
    sent = record.signal(row.signal)
    if sent is not None:
        return *sent, row.signal
    return (
        record.ticks(),
        bits(record.frames(), "faults", row.id).astype(np.int64),
        f"{row.signal}: fault active",
    )


def trip_svg(record: Record, trip: Trip) -> str:
    """The plot; empty when nothing was sent around the trip."""
    began = trip.offending_tick if trip.offending_tick is not None else trip.raised_tick
    ended = trip.acted_tick if trip.acted_tick is not None else trip.raised_tick
    low = max(1, began - _AROUND_TICKS, trip.raised_tick - _MOST_TICKS)
    high = max(ended, trip.raised_tick) + _AROUND_TICKS
    ticks, values, name = _signal(record, trip)
    near = (ticks >= low) & (ticks <= high)
    ticks, values = ticks[near], values[near]
    if not len(ticks):
        return ""
    shown = FAULT_ROWS[trip.fault].signal == name or name == "age in ms"
    limit = trip.limit_value if shown else 0
    floor, top = float(min(values.min(), limit)), float(max(values.max(), limit))
    margin = 0.08 * (top - floor or 1.0)
    floor, top = floor - margin, top + margin

    def x(tick: float) -> float:
        return _PAD + (tick - low) / (high - low) * (_WIDTH - 2 * _PAD)

    def y(value: float) -> float:
        return _HEIGHT - _PAD - (value - floor) / (top - floor) * (_HEIGHT - 2 * _PAD)

    every = max(1, len(ticks) // 1200)
    pairs = zip(ticks[::every].tolist(), values[::every].tolist(), strict=True)
    line = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in pairs)
    gates = _gates(record, low, high)
    steps = " ".join(f"{x(tick):.1f},{_HEIGHT - (18 if shut == 0 else 34)}" for tick, shut in gates)
    limit_text = html.escape(f"{trip.limit} {limit}") if shown and trip.limit else ""
    level = f"{y(limit):.1f}"
    right = _WIDTH - _PAD
    threshold = f"""<line x1={_PAD} x2={right} y1={level} y2={level} stroke="#b3261e" stroke-dasharray="5 4"/>
<text x={_PAD + 4} y={y(limit) - 4:.1f} font-size=11 fill="#b3261e">{limit_text}</text>
<text x={_PAD - 4} y={y(float(values.max())) + 4:.1f} font-size=11 text-anchor=end>{values.max()}</text>
<text x={_PAD - 4} y={y(float(values.min())) + 4:.1f} font-size=11 text-anchor=end>{values.min()}</text>"""
    moments = "".join(
        f'<line x1={x(tick):.1f} x2={x(tick):.1f} y1=20 y2={_HEIGHT - 16} stroke="{colour}" opacity=.5 />'
        for tick, colour in ((trip.offending_tick, "#b3261e"), (trip.acted_tick, "#0a7a3d"))
        if tick is not None
    )
    return f"""<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width={_WIDTH} role=img aria-label="{trip.fault}">
{moments}{threshold if shown else ""}
<polyline points="{line}" fill=none stroke="#1558b0" stroke-width=1.6 />
<text x={_PAD} y=14 font-size=11 fill="#1558b0">{html.escape(name)}</text>
<polyline points="{steps}" fill=none stroke="#333" stroke-width=1.6 />
<text x=2 y={_HEIGHT - 34} font-size=11>closed</text><text x=2 y={_HEIGHT - 16} font-size=11>open</text>
<text x={_WIDTH - _PAD} y={_HEIGHT - 4} font-size=11 text-anchor=end>{high * TICK_MS / 1000:g} s</text>
<text x={_PAD} y={_HEIGHT - 4} font-size=11>{low * TICK_MS / 1000:g} s</text></svg>"""


def _gates(record: Record, low: int, high: int) -> list[tuple[int, int]]:
    # Only the corners of the line: before and at each change.
    ticks, gates = record.ticks(), record.frames()["gates"]
    near = (ticks >= low) & (ticks <= high)
    ticks, gates = ticks[near], gates[near]
    change = np.flatnonzero(np.diff(gates.astype(np.int16)))
    keep = np.unique(np.concatenate(([0], change, change + 1, [len(gates) - 1])))
    return [(int(ticks[k]), int(gates[k])) for k in keep] if len(ticks) else []
