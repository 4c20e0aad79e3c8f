"""`make hil-full`: everything, on every target, resumable; writes the results that the documentation shows.

Each finished part is a line of a journal. A run with the same firmware, rig and seed goes on behind the last.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from hil.campaigns.registry import Campaign, campaigns
from hil.logs import choose_log
from hil.matrix import matrix
from hil.runner import RunOptions, run_scenario
from hil.scenario import Scenario, load_scenario, scenarios
from hil.summary import Run, coverage, reactions
from hil.targets.base import ROOT
from hil.vary import shifted

JOURNAL = ROOT / "build" / "hil" / "full.jsonl"
RESULTS = ROOT / "docs" / "results.json"
_SOURCES = ("firmware", "boards", "hil", "cloud/twin")


@dataclass(frozen=True)
class FullOptions:
    """What `hil full` was asked for."""

    targets: tuple[str, ...]
    seed: int
    count: int
    phases: int
    data: Path | None
    state_dir: Path
    fresh: bool = False
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A piece of the work: `do` gives what goes into the journal, with `passed`."""

    name: str
    do: Callable[[], dict[str, Any]]


def fingerprint() -> str:
    """Of everything that a verdict depends on."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".c", ".h", ".yaml", ".json", ".toml"):
                digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Journal:
    """What has been done: one JSON object a line. A line that was cut off is passed over."""

    def __init__(self, path: Path, key: str, *, fresh: bool) -> None:
        self.path = path
        self._key = key
        self.done: dict[str, dict[str, Any]] = {}
        if fresh:
            path.unlink(missing_ok=True)
        if path.exists():
            for line in path.read_text().splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            return
        if row.get("key") == self._key:
            self.done[row["name"]] = row["result"]

    def add(self, name: str, result: dict[str, Any]) -> None:
        """A part is done."""
        self.done[name] = result
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"key": self._key, "name": name, "result": result}) + "\n")


def _scenario_parts(options: FullOptions) -> Iterator[Part]:
    log = choose_log(options.data, options.state_dir, short=True)

    def part(scenario: Scenario, target: str, phase: int) -> Part:
        seed = options.seed + phase

        def do() -> dict[str, Any]:
            outcome = run_scenario(shifted(scenario, phase), log, RunOptions(target, seed=seed))
            return Run.of(outcome).as_dict()

        return Part(f"scenario/{target}/{scenario.name}/{phase}", do)

    for target in options.targets:
        for path in scenarios().values():
            scenario = load_scenario(path)
            if target in scenario.targets:
                yield part(scenario, target, 0)
        for scenario in matrix().values():
            if target in scenario.targets:
                for phase in range(1 if scenario.slow else options.phases):
                    yield part(scenario, target, phase)


def _campaign_parts(options: FullOptions) -> Iterator[Part]:
    def part(campaign: Campaign) -> Part:
        return Part(
            f"campaign/{campaign.name}", lambda: campaign.run(options.count, options.seed, options.data)
        )

    return (part(campaign) for campaign in campaigns())


def run_full(options: FullOptions, console: Console) -> int:
    """Do all that has not been done; returns how many parts failed. Prints as it goes."""
    key = f"{fingerprint()}:{options.seed}:{options.count}"
    journal = Journal(JOURNAL, key, fresh=options.fresh)
    parts = [*_scenario_parts(options), *_campaign_parts(options)]
    parts = [part for part in parts if not options.only or part.name.startswith(options.only)]
    console.print(f"{len(parts)} parts, seed {options.seed}, journal {journal.path}")
    began, failures = time.monotonic(), 0
    for n, part in enumerate(parts, 1):
        known = part.name in journal.done
        if not known:
            journal.add(part.name, part.do())
        result = journal.done[part.name]
        failures += not result["passed"]
        if not result["passed"]:
            console.print(f"[red]FAIL[/] {part.name}: {result['detail']}")
        elif not known and (n % 20 == 0 or part.name.startswith("campaign")):
            console.print(f"{n} of {len(parts)} after {time.monotonic() - began:.0f} s: {part.name}")
    if not options.only:
        RESULTS.write_text(json.dumps(results(journal.done, options), indent=1) + "\n")
        console.print(f"results for the documentation: {RESULTS}")
    console.print(f"{'FAILED' if failures else 'passed'}: {len(parts) - failures} of {len(parts)} parts")
    return failures


def results(done: dict[str, dict[str, Any]], options: FullOptions) -> dict[str, Any]:
    """What the documentation keeps of a whole run."""
    runs = [Run.from_dict(result) for name, result in done.items() if name.startswith("scenario/")]
    scenario_names: dict[str, dict[str, bool]] = {}
    for run in runs:
        marks = scenario_names.setdefault(run.scenario, {})
        marks[run.target] = run.passed and marks.get(run.target, True)
    return {
        "seed": options.seed,
        "count": options.count,
        "reactions": [row.as_dict() for row in reactions(runs)],
        "coverage": [
            {"fault": row, "kind": kind, "targets": marks} for (row, kind), marks in coverage(runs).items()
        ],
        "scenarios": scenario_names,
        "campaigns": {
            name.split("/", 1)[1]: result for name, result in done.items() if name.startswith("campaign/")
        },
    }
