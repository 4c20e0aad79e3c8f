"""Write the documentation that the tables hold: parameters, signals, protections.

`python -m docs.generate` writes, `--check` only says whether the files are up to date.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bms.tables import faults, params, signals

from docs import cells

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
    return (
        f"# Telemetry\n\n{NOTE.format('signals')}\nSchema {signals.SCHEMA}. Payloads are CBOR maps with "
        f"integer keys.\n\n## Message fields\n\n{fields}\n## Signals of a sample\n\n{rows}\n"
        f"## Contactor states\n\n{states}\n"
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


PAGES = {
    "parameters.md": parameters,
    "telemetry.md": telemetry,
    "protections.md": protections,
    "cells.md": cells.page,
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
