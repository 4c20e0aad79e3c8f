"""Write the documentation that the tables and the rig's results hold.

`python -m docs.generate` writes, `--check` only says whether the files are up to date.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bms.deadlines import DEADLINES_MS
from bms.tables import faults, limiters, params, signals

from docs import cells, estimation, rig

HERE = Path(__file__).parent
NOTE = "Generated from `firmware/bms/tables/{}.py` by `make docs`; change the table, not this page.\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def parameters() -> str:
    """The page of the parameters with every chemistry's preset and envelope."""
    head = ["id", "name", "unit", "range", "class", "safer"]
    head += [f"{name} default (envelope)" for name in params.CHEMISTRIES]
    rows: list[list[object]] = []
    for row in params.PARAMS:
        cells: list[object] = [
            row.id,
            f"`{row.name}`<br>{row.doc}",
            row.unit,
            f"{row.low}..{row.high}",
            row.kind,
        ]
        cells.append({-1: "lower", 0: "", 1: "higher"}[row.safer])
        for chemistry in range(len(params.CHEMISTRIES)):
            default, low, high = params.preset(row.name, chemistry)
            cells.append(f"{default} ({low}..{high})")
        rows.append(cells)
    intro = (
        "A value is a 32-bit signed integer in the row's unit. *Safer* is the direction in which a "
        "safety-class value is tightened; the envelope is in ROM and nothing remote can leave it.\n"
    )
    return "# Parameters\n\n" + NOTE.format("params") + "\n" + intro + "\n" + table(head, rows)


def telemetry() -> str:
    """The page of the telemetry: topics, message fields, signals, enumerations."""
    fields = table(["key", "field", "meaning"], ((f.key, f"`{f.name}`", f.doc) for f in signals.FIELDS))
    rows = table(
        ["key", "signal", "unit", "integers per unit", "streams", "meaning"],
        (
            (
                s.key,
                f"`{s.name}`" + ("[]" if s.array else ""),
                s.unit,
                s.per_unit,
                ", ".join(s.streams),
                s.doc,
            )
            for s in signals.SIGNALS
        ),
    )
    states = ", ".join(f"{i} {name}" for i, name in enumerate(signals.STATES))
    phases = ", ".join(f"{i} {name}" for i, name in enumerate(signals.CHARGE_PHASES))
    tasks = ", ".join(
        f"{i} {name} ({ms} ms)" for i, (name, ms) in enumerate(zip(signals.TASKS, DEADLINES_MS, strict=True))
    )
    return (
        f"# Telemetry\n\n{NOTE.format('signals')}\nSchema {signals.SCHEMA}. Payloads are CBOR maps with "
        f"integer keys.\n\n## Message fields\n\n{fields}\n## Signals of a sample\n\n{rows}\n"
        f"## Contactor states\n\n{states}\n\n## Charge phases\n\n{phases}\n\n"
        f"## Tasks and their deadlines\n\n{tasks}\n"
    )


def protections() -> str:
    """The page of the protections."""
    rows = table(
        [
            "id",
            "name",
            "trips",
            "limit",
            "clears at",
            "fresh samples",
            "latch",
            "action",
            "severity",
            "max reaction",
        ],
        (
            (
                f.id,
                f"`{f.name}`<br>{f.doc}",
                f"{f.signal} {'above' if f.compare == faults.ABOVE else 'below'}",
                f"`{f.limit}`",
                f"`{f.clear}`",
                f"{f.fresh} of {faults.GROUPS[f.group].upper()}",
                faults.LATCHES[f.latch],
                faults.ACTIONS[f.action],
                faults.SEVERITIES[f.severity],
                f"{f.max_reaction_ms} ms",
            )
            for f in faults.FAULTS
        ),
    )
    intro = (
        "Debounce counts fresh samples, not ticks. Unknown never clears a trip; a silent group trips by "
        "itself. *Max reaction* runs from the first offending sample on the AFE link to the gate command.\n"
    )
    return "# Protections\n\n" + NOTE.format("faults") + "\n" + intro + "\n" + rows


def reaction() -> str:
    """The page of the rig's results."""
    return rig.reaction(table)


def hazards() -> str:
    """The page of the hazard analysis."""
    return rig.hazards(table)


def derating() -> str:
    """The page of the limiters and their maps."""
    names = table(
        ["id", "limiter", "meaning"], ((row.id, f"`{row.name}`", row.doc) for row in limiters.LIMITERS)
    )
    maps = table(
        ["limits", "limiter", "whole up to", "least at", "least", "inside of"],
        (
            (
                "discharge" if side == limiters.DISCHARGE else "charge",
                f"`{limiters.LIMITERS[limiter].name}`",
                f"`{begin}`",
                f"`{end}`",
                f"`{floor}`" if floor else "0",
                f"`{trip}`" if trip else "",
            )
            for side, limiter, _, begin, end, floor, trip in limiters.MAPS
        ),
    )
    intro = (
        "The current that may flow in each direction is the least that any limiter allows; that limiter is "
        "published with it. A limit falls at once. It rises when it has not fallen for `derate_hold_ms`, by "
        "`derate_ramp_pct_s` of its base (`charge_max_ma`, `discharge_max_ma`) a second.\n"
    )
    between = (
        "Between the two levels the limit is a straight line. Where a protection stands behind, the firmware "
        "refuses parameters with which the limit would not be zero before that protection's limit.\n"
    )
    head = f"# Derating\n\n{NOTE.format('limiters')}\n{intro}\n"
    return f"{head}## Limiters\n\n{names}\n## Maps\n\n{between}\n{maps}"


PAGES = {
    "parameters.md": parameters,
    "telemetry.md": telemetry,
    "protections.md": protections,
    "reaction.md": reaction,
    "hazards.md": hazards,
    "derating.md": derating,
    "cells.md": cells.page,
    "estimation.md": lambda: estimation.page(table),
}


def stale() -> list[str]:
    """Names of the pages that differ from what the tables say."""
    return [
        name
        for name, page in PAGES.items()
        if not (HERE / name).is_file() or (HERE / name).read_text("utf-8") != page()
    ]


def main() -> int:
    """Write the pages, or check them."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            print(f"docs/{name} is out of date: run make docs")
        return 1 if stale() else 0
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
