"""Reports of a run: JUnit XML, a page with a plot of each trip, JSON, and the raw ACTUATE frames."""

from __future__ import annotations

import html
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from bms.tables import signals
from rich.console import Console
from rich.table import Table

from hil.link import TICK_MS
from hil.runner import Outcome
from hil.scenario import FAULT_ROWS
from hil.verdict import Trip, signal_of

_AROUND_TICKS = 60
_WIDTH, _HEIGHT, _PAD = 640, 220, 46
_STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto}
table{border-collapse:collapse}td{padding:.2rem .8rem .2rem 0;vertical-align:top}
.pass{color:#0a7a3d}.fail{color:#b3261e}code{font-size:.85em}svg{max-width:100%;height:auto}h2{margin-top:2rem}"""


def write_reports(outcomes: list[Outcome], folder: Path) -> Path:
    """Write junit.xml, report.html, results.json and <scenario>.actuate.bin; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        (folder / f"{outcome.scenario.name}.actuate.bin").write_bytes(bytes(outcome.record.actuates))
    (folder / "results.json").write_text(json.dumps([o.as_dict() for o in outcomes], indent=2) + "\n")
    junit(outcomes).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)
    page = folder / "report.html"
    page.write_text(_page(outcomes))
    return page


def junit(outcomes: list[Outcome]) -> ET.ElementTree[ET.Element[str]]:
    """One test case for every expectation."""
    suites = ET.Element("testsuites")
    for outcome in outcomes:
        failed = sum(not check.passed for check in outcome.checks)
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=f"{outcome.target}.{outcome.scenario.name}",
            tests=str(max(1, len(outcome.checks))),
            failures=str(failed),
            errors=str(int(bool(outcome.error))),
        )
        if outcome.error:
            case = ET.SubElement(suite, "testcase", classname=outcome.scenario.name, name="run")
            ET.SubElement(case, "error", message=outcome.error)
        for check in outcome.checks:
            case = ET.SubElement(suite, "testcase", classname=outcome.scenario.name, name=check.expectation)
            if not check.passed:
                ET.SubElement(case, "failure", message=check.detail)
    return ET.ElementTree(suites)


def _page(outcomes: list[Outcome]) -> str:
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Cellkeeper rig report</title>",
        f"<style>{_STYLE}</style><h1>Cellkeeper rig report</h1>",
    ]
    parts += [_section(outcome) for outcome in outcomes]
    return "\n".join([*parts, "</html>\n"])


def _mark(passed: bool) -> str:
    return "<b class=pass>pass</b>" if passed else "<b class=fail>FAIL</b>"


def _section(outcome: Outcome) -> str:
    esc = html.escape
    simulated = " (simulated)" if outcome.simulated else ""
    rows = "".join(
        f"<tr><td>{_mark(c.passed)}<td>{esc(c.expectation)}<td>{esc(c.detail)}" for c in outcome.checks
    )
    parts = [
        f"<h2>{_mark(outcome.passed)} {esc(outcome.scenario.name)} on {esc(outcome.target)}</h2>",
        f"<p>{esc(outcome.scenario.title)}. Input: {esc(outcome.log)}{simulated}; "
        f"{len(outcome.record.frames())} ticks of {TICK_MS} ms.</p>",
        f"<p class=fail>{esc(outcome.error)}</p>" if outcome.error else f"<table>{rows}</table>",
        *(_trip(outcome, trip) for trip in outcome.trips),
        f"<p>ACTUATE frames, SHA-256: <code>{outcome.sha256}</code></p>",
    ]
    return "\n".join(parts)


def _trip(outcome: Outcome, trip: Trip) -> str:
    reaction = "gates did not fall" if trip.reaction_ms is None else f"{trip.reaction_ms} ms"
    caption = (
        f"<h3>{html.escape(trip.fault)}</h3><p>limit {html.escape(trip.limit)} = {trip.limit_value}, "
        f"offending frame at tick {trip.offending_tick}, gates open at tick {trip.gates_tick}: {reaction} "
        f"(contract {trip.max_reaction_ms} ms){', latched' if trip.latched else ''}</p>"
    )
    return caption + _plot(outcome, trip)


def _plot(outcome: Outcome, trip: Trip) -> str:
    row = FAULT_ROWS[trip.fault]
    frames = outcome.record.frames()
    low, high = trip.raised_tick - _AROUND_TICKS, trip.raised_tick + _AROUND_TICKS
    if row.signal == "age_ms":
        ticks, values = _ages(outcome, trip, low, high)
    else:
        ticks, values = signal_of(outcome.record, row)
    near = (ticks >= low) & (ticks <= high)
    ticks, values = ticks[near], values[near]
    if not len(ticks):
        return ""
    floor, top = float(min(values.min(), trip.limit_value)), float(max(values.max(), trip.limit_value))
    margin = 0.08 * (top - floor or 1.0)
    floor, top = floor - margin, top + margin

    def x(tick: float) -> float:
        return _PAD + (tick - low) / (high - low) * (_WIDTH - 2 * _PAD)

    def y(value: float) -> float:
        return _HEIGHT - _PAD - (value - floor) / (top - floor) * (_HEIGHT - 2 * _PAD)

    path = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(ticks.tolist(), values.tolist(), strict=True))
    shut = frames[(frames["tick"] >= low) & (frames["tick"] <= high)]
    gates = " ".join(f"{x(int(f['tick'])):.1f},{_HEIGHT - (18 if f['gates'] == 0 else 34)}" for f in shut)
    limit_y = y(trip.limit_value)
    return f"""<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width={_WIDTH} role=img aria-label="{trip.fault}">
<line x1={_PAD} x2={_WIDTH - _PAD} y1={limit_y:.1f} y2={limit_y:.1f} stroke="#b3261e" stroke-dasharray="5 4"/>
<text x={_PAD} y={limit_y - 4:.1f} font-size=11 fill="#b3261e">{trip.limit} {trip.limit_value}</text>
<polyline points="{path}" fill=none stroke="#1558b0" stroke-width=1.6 />
<text x={_PAD} y=14 font-size=11 fill="#1558b0">{row.signal}</text>
<polyline points="{gates}" fill=none stroke="#333" stroke-width=1.6 />
<text x=2 y={_HEIGHT - 20} font-size=11>gates</text>
<text x={_WIDTH - _PAD} y={_HEIGHT - 4} font-size=11 text-anchor=end>{high * TICK_MS} ms</text>
<text x={_PAD} y={_HEIGHT - 4} font-size=11>{low * TICK_MS} ms</text></svg>"""


def _ages(outcome: Outcome, trip: Trip, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    # The age that the board must have seen: it grows a tick at a time since the group's last valid frame.
    row = FAULT_ROWS[trip.fault]
    samples = {0: range(len(outcome.record.currents())), 1: outcome.record.cells, 2: outcome.record.temps}[
        row.group
    ]
    missed = set(outcome.record.missed[("fast", "cells", "temps")[row.group]])
    sent = np.array([t + 1 for t in (s if isinstance(s, int) else s[0] for s in samples) if t not in missed])
    ticks = np.arange(max(1, low), high + 1)
    if not len(sent):
        return ticks, ticks * TICK_MS
    last = sent[np.maximum(np.searchsorted(sent, ticks, side="right") - 1, 0)]
    return ticks, (ticks - last) * TICK_MS


def print_table(outcomes: list[Outcome], console: Console) -> None:
    """The verdicts and trips on the terminal."""
    table = Table("", "scenario", "expectation", "outcome", title=f"target {outcomes[0].target}")
    for outcome in outcomes:
        if outcome.error:
            table.add_row("[red]ERROR[/]", outcome.scenario.name, "", outcome.error)
        for check in outcome.checks:
            mark = "[green]pass[/]" if check.passed else "[red]FAIL[/]"
            table.add_row(mark, outcome.scenario.name, check.expectation, check.detail)
    console.print(table)


def state_name(index: int) -> str:
    """Name of a contactor state."""
    return signals.STATES[index] if index < len(signals.STATES) else f"state {index}"
