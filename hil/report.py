"""Reports of a run: JUnit XML, a page with a plot of each trip, JSON, and the raw ACTUATE frames."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table

from hil.link import TICK_MS
from hil.plot import trip_svg
from hil.runner import Outcome
from hil.summary import Run, coverage, coverage_rows, reaction_rows, reactions
from hil.verdict import Trip

_STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1.5rem}
table{border-collapse:collapse}td,th{padding:.25rem 1rem .25rem 0;vertical-align:top;text-align:left}
tr+tr td{border-top:1px solid #e4e4e4}.pass{color:#0a7a3d}.fail{color:#b3261e}code{font-size:.85em}
svg{max-width:100%;height:auto}h2{margin-top:2.5rem}h3{margin-bottom:0}.wide{overflow-x:auto;font-size:.9em}
td:last-child{min-width:5rem}
.hash,.note{color:#666;font-size:.85em}a{color:inherit}"""


def write_reports(outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Write junit.xml, report.html, results.json and <scenario>.actuate.bin; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        (folder / f"{outcome.scenario.name}.actuate.bin").write_bytes(bytes(outcome.record.actuates))
    runs = [Run.of(outcome) for outcome in outcomes]
    results = {
        "reactions": [row.as_dict() for row in reactions(runs)],
        "outcomes": [outcome.as_dict() for outcome in outcomes],
    }
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    junit(outcomes).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)
    page = folder / "report.html"
    page.write_text(_page(outcomes, runs))
    return page


def junit(outcomes: Sequence[Outcome]) -> ET.ElementTree[ET.Element[str]]:
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


def _page(outcomes: Sequence[Outcome], runs: Sequence[Run]) -> str:
    failed = [outcome for outcome in outcomes if not outcome.passed]
    verdict = f"{len(outcomes) - len(failed)} of {len(outcomes)} runs passed"
    cells = coverage(run for run in runs if run.covers)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Cellkeeper rig report</title>",
        "<meta name=viewport content='width=device-width'>",
        f"<style>{_STYLE}</style><h1>Cellkeeper rig report</h1><p>{_mark(not failed)} {verdict}</p>",
        _overview(outcomes),
        "<h2>Reaction times</h2>",
        "<p>From the first offending frame on the link to open gates in ACTUATE, in ms of device time.</p>",
        _table(*reaction_rows(reactions(runs))),
    ]
    if any(run.covers for run in runs):
        parts += ["<h2>Coverage</h2>", _table(*coverage_rows(cells))]
    note = "In a plot red is the limit and the first offending frame, green the tick that acted."
    parts += [f"<p class=note>{note}</p>" if any(outcome.trips for outcome in outcomes) else ""]
    parts += [_section(outcome) for outcome in _failed_first(outcomes)]
    return "\n".join([*parts, "</html>\n"])


def _failed_first(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.passed)


def _overview(outcomes: Sequence[Outcome]) -> str:
    """One line a run, with a link to its section."""
    rows = "".join(
        f"<tr><td>{_mark(o.passed)}<td><a href='#{_anchor(o)}'>{html.escape(o.scenario.name)}</a>"
        f"<td>{html.escape(o.target)}<td>{html.escape(o.error or o.scenario.title)}"
        for o in _failed_first(outcomes)
    )
    return f"<div class=wide><table>{rows}</table></div>"


def _anchor(outcome: Outcome) -> str:
    return f"{outcome.target}-{outcome.scenario.name}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}" for cell in head)]
    lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in row) for row in rows]
    return f"<div class=wide><table>{''.join(lines)}</table></div>"


def _mark(passed: bool) -> str:
    return "<b class=pass>pass</b>" if passed else "<b class=fail>FAIL</b>"


def _section(outcome: Outcome) -> str:
    esc = html.escape
    scenario = outcome.scenario
    simulated = " (simulated)" if outcome.simulated else ""
    rows = "".join(
        f"<tr><td>{_mark(c.passed)}<td>{esc(c.expectation)}<td>{esc(c.detail)}" for c in outcome.checks
    )
    defect = f" Regression: {esc(scenario.defect)}." if scenario.defect else ""
    parts = [
        f"<h2 id='{_anchor(outcome)}'>{_mark(outcome.passed)} {esc(scenario.name)} on {esc(outcome.target)}",
        "</h2>",
        f"<p>{esc(scenario.title)}.{defect} Input: {esc(outcome.log)}{simulated}; "
        f"{len(outcome.record.frames())} ticks of {TICK_MS} ms.</p>",
        f"<p class=fail>{esc(outcome.error)}</p>" if outcome.error else f"<table>{rows}</table>",
        *(_trip(outcome, trip) for trip in outcome.trips),
        f"<p class=hash>ACTUATE frames, SHA-256 <code>{outcome.sha256}</code></p>",
    ]
    return "\n".join(parts)


def _trip(outcome: Outcome, trip: Trip) -> str:
    reaction = "no action" if trip.reaction_ms is None else f"{trip.reaction_ms} ms"
    limit = f"limit {html.escape(trip.limit)} = {trip.limit_value}, " if trip.limit else ""
    caption = (
        f"<h3>{html.escape(trip.fault)}</h3><p>{limit}"
        f"offending frame at tick {trip.offending_tick}, acted at tick {trip.acted_tick}: {reaction} "
        f"(contract {trip.max_reaction_ms} ms){', latched' if trip.latched else ''}</p>"
    )
    return caption + trip_svg(outcome.record, trip)


def print_table(outcomes: Sequence[Outcome], console: Console) -> None:
    """The verdicts on the terminal; of many runs only those that failed."""
    table = Table("", "scenario", "expectation", "outcome", title=f"target {outcomes[0].target}")
    brief = len(outcomes) > 40
    for outcome in outcomes:
        if outcome.error:
            table.add_row("[red]ERROR[/]", outcome.scenario.name, "", outcome.error)
        for check in outcome.checks:
            if not (brief and check.passed):
                mark = "[green]pass[/]" if check.passed else "[red]FAIL[/]"
                table.add_row(mark, outcome.scenario.name, check.expectation, check.detail)
    if table.row_count:
        console.print(table)
    head, rows = reaction_rows(reactions(Run.of(outcome) for outcome in outcomes))
    if rows:
        times = Table(*head, title="reaction times")
        for row in rows:
            times.add_row(*row)
        console.print(times)
