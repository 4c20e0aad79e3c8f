"""What many runs say together: reaction times by protection and target, and the coverage matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from bms.tables import faults

from hil.cases import UNDETECTABLE
from hil.runner import Outcome

MARKS = {"passed": "✓", "failed": "✗", "undetectable": "–"}


@dataclass(frozen=True)
class Reaction:
    """Reaction times of one protection on one target, in ms of device time, over `runs` runs."""

    fault: str
    target: str
    runs: int
    p50_ms: float
    p99_ms: float
    max_ms: int
    contract_ms: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """What is kept of one outcome: enough for the tables, small enough for thousands."""

    scenario: str
    target: str
    passed: bool
    covers: tuple[str, str] | None
    reactions: tuple[tuple[str, int], ...]
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Run:
        """From JSON."""
        covers = raw["covers"]
        pairs = tuple((str(name), int(ms)) for name, ms in raw["reactions"])
        return cls(
            raw["scenario"], raw["target"], raw["passed"], (covers[0], covers[1]) if covers else None, pairs,
            raw["detail"],
        )  # fmt: skip

    @classmethod
    def of(cls, outcome: Outcome) -> Run:
        """The gist of an outcome. Reactions are those of the trips that the scenario is about."""
        asked = {e.trip for e in outcome.scenario.expect if e.trip} | {
            name for e in outcome.scenario.expect for name in e.trip_any or ()
        }
        first: dict[str, int] = {}
        for trip in outcome.trips:
            if trip.fault in asked and trip.reaction_ms is not None:
                first.setdefault(trip.fault, trip.reaction_ms)
        wrong = [f"{check.expectation}: {check.detail}" for check in outcome.checks if not check.passed]
        detail = outcome.error or "; ".join(wrong)
        scenario = outcome.scenario
        return cls(
            scenario.name, outcome.target, outcome.passed, scenario.covers, tuple(first.items()), detail
        )


def reactions(runs: Iterable[Run]) -> list[Reaction]:
    """A row for each protection and target that any run made trip, in the table's order."""
    times: dict[tuple[str, str], list[int]] = {}
    for run in runs:
        for fault, ms in run.reactions:
            times.setdefault((fault, run.target), []).append(ms)
    found: list[Reaction] = []
    for row in faults.FAULTS:
        for (fault, target), values in sorted(times.items()):
            if fault == row.name:
                p50, p99 = np.percentile(values, (50, 99))
                found.append(
                    Reaction(
                        fault, target, len(values), round(float(p50), 1), round(float(p99), 1), max(values),
                        row.max_reaction_ms,
                    )
                )  # fmt: skip
    return found


def coverage(runs: Iterable[Run]) -> dict[tuple[str, str], dict[str, str]]:
    """(protection, kind of fault) -> target -> passed | failed | undetectable."""
    cells: dict[tuple[str, str], dict[str, str]] = {key: {"": "undetectable"} for key in UNDETECTABLE}
    for run in runs:
        if run.covers:
            cell = cells.setdefault(run.covers, {})
            cell[run.target] = "passed" if run.passed and cell.get(run.target) != "failed" else "failed"
    return cells


def reaction_rows(table: Iterable[Reaction]) -> tuple[list[str], list[list[str]]]:
    """Head and rows for a page."""
    head = ["protection", "target", "runs", "p50 ms", "p99 ms", "max ms", "contract ms"]
    rows = [
        [r.fault, r.target, str(r.runs), f"{r.p50_ms:g}", f"{r.p99_ms:g}", str(r.max_ms), str(r.contract_ms)]
        for r in table
    ]
    return head, rows


def coverage_rows(cells: dict[tuple[str, str], dict[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows for a page: protections down, kinds of fault across, a mark for every target."""
    kinds = sorted({kind for _, kind in cells})
    rows: list[list[str]] = []
    for row in faults.FAULTS:
        mine = {kind: cells[row.name, kind] for kind in kinds if (row.name, kind) in cells}
        if mine:
            rows.append([row.name, *(_marks(mine.get(kind, {})) for kind in kinds)])
    return ["protection", *kinds], rows


def _marks(cell: dict[str, str]) -> str:
    return "".join(MARKS[cell[target]] for target in sorted(cell))
