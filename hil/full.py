"""`make hil-full`: everything, on every target, resumable; writes the results that the documentation shows.

Each finished part is a line of a journal. A run with the same firmware, rig and seed goes on behind the last.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from hil.campaigns.registry import Campaign, campaigns
from hil.campaigns.samples import log_files
from hil.campaigns.trips import Finding, summary, try_file
from hil.logs import choose_log
from hil.matrix import matrix
from hil.runner import RunOptions, run_scenario
from hil.scenario import Scenario, load_scenario, scenarios
from hil.summary import Run, coverage, reactions
from hil.targets.base import ROOT
from hil.vary import shifted

JOURNAL = ROOT / "build" / "hil" / "full.jsonl"
RESULTS = ROOT / "docs" / "results.json"
_SOURCES = {
    "drive/": ("firmware/bms/safety", "firmware/bms/tables", "firmware/bms/sample.py", "hil/campaigns"),
    "": ("firmware", "boards", "hil", "cloud/twin"),
}
"""What a verdict depends on, by the beginning of a part's name: measured drives meet the kernel alone."""


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
    jobs: int = 1


@dataclass(frozen=True)
class Part:
    """A piece of the work: `do` gives what goes into the journal, with `passed`."""

    name: str
    do: Callable[[], dict[str, Any]]


def fingerprint(sources: tuple[str, ...]) -> str:
    """Of files, and of all below folders."""
    digest = hashlib.sha256()
    for source in sources:
        for path in sorted([ROOT / source, *(ROOT / source).rglob("*")]):
            if path.suffix in (".py", ".c", ".h", ".yaml", ".json", ".toml"):
                digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Journal:
    """What has been done: one JSON object a line. A line that was cut off is passed over.

    `settings` and what a part depends on must be the same for its result to count.
    """

    def __init__(self, path: Path, settings: str, *, fresh: bool) -> None:
        self.path = path
        self._keys = {name: f"{fingerprint(sources)}:{settings}" for name, sources in _SOURCES.items()}
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
        if row.get("key") == self._key(str(row.get("name"))):
            self.done[row["name"]] = row["result"]

    def _key(self, name: str) -> str:
        return next(key for begin, key in self._keys.items() if name.startswith(begin))

    def add(self, name: str, result: dict[str, Any]) -> None:
        """A part is done."""
        self.done[name] = result
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"key": self._key(name), "name": name, "result": result}) + "\n")


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


def _drive_parts(options: FullOptions) -> Iterator[Part]:
    """False and missed trips on measured drives, a file a part."""
    name = options.data or os.environ.get("CELLKEEPER_DATA")
    folder = Path(name) if name else None
    if folder is None or not folder.is_dir():
        return iter(())

    def part(path: Path) -> Part:
        name = f"drive/{path.relative_to(folder).as_posix()}"
        return Part(name, lambda: try_file(path, folder, options.seed))

    return (part(path) for path in log_files(folder))


_parts: list[Part] = []
"""What the workers, who are forks, take their work from: a part is a closure and does not travel."""


def _do(index: int) -> dict[str, Any]:
    return _parts[index].do()


def _leave(*_: object) -> None:
    sys.exit(1)


def _obey() -> None:
    """In a worker: when told to end, leave by way of what ends its board."""
    signal.signal(signal.SIGTERM, _leave)


def end_all(*_: object) -> None:
    """Handler of SIGTERM: the workers end their boards, then we end."""
    for worker in multiprocessing.active_children():
        worker.terminate()
    sys.exit(1)


def _results(parts: list[Part], jobs: int) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Parts as they are done, `jobs` side by side."""
    _parts[:] = parts
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, mp_context=fork, initializer=_obey) as pool:
        running = {pool.submit(_do, index): part for index, part in enumerate(parts)}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def run_full(options: FullOptions, console: Console) -> int:
    """Do all that has not been done; returns how many parts failed. Prints as it goes."""
    journal = Journal(JOURNAL, f"{options.seed}:{options.count}", fresh=options.fresh)
    parts = [*_scenario_parts(options), *_campaign_parts(options), *_drive_parts(options)]
    parts = [part for part in parts if not options.only or part.name.startswith(options.only)]
    to_do = [part for part in parts if part.name not in journal.done]
    console.print(f"{len(parts)} parts, {len(to_do)} to do, seed {options.seed}, journal {journal.path}")
    began = time.monotonic()
    for n, (part, result) in enumerate(_results(to_do, options.jobs), 1):
        journal.add(part.name, result)
        for exception in result.get("exceptions", []):
            console.print(f"{part.name}: {exception}", highlight=False)
        if not result["passed"]:
            console.print(f"[red]FAIL[/] {part.name}: {result['detail']}")
        elif n % 20 == 0 or not part.name.startswith("scenario"):
            console.print(f"{n} of {len(to_do)} after {time.monotonic() - began:.0f} s: {part.name}")
    failed = [part.name for part in parts if not journal.done[part.name]["passed"]]
    if not options.only:
        RESULTS.write_text(json.dumps(results(journal.done, options), indent=1) + "\n")
        console.print(f"results for the documentation: {RESULTS}")
    for name in failed:
        console.print(f"[red]failed[/] {name}: {journal.done[name]['detail']}")
    console.print(f"{'FAILED' if failed else 'passed'}: {len(parts) - len(failed)} of {len(parts)} parts")
    return len(failed)


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
        }
        | {"trips": _trips(done)},
    }


def _trips(done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    findings = [
        Finding(**{key: value for key, value in result.items() if key not in ("passed", "detail")})
        for name, result in done.items()
        if name.startswith("drive/") and result["drive"] is not None
    ]
    if not findings:
        return {"passed": True, "detail": "not run: no folder of measured logs (--data or CELLKEEPER_DATA)"}
    return summary(findings)
