"""`cellkeeper hil`: scenarios and campaigns against a board."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import click
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cloud.twin.logs import Log, LogError
from hil.campaigns.power_cut import power_cut
from hil.full import FullOptions, end_all, run_full
from hil.logs import choose_log
from hil.matrix import matrix
from hil.report import print_table, write_reports
from hil.runner import DAY_TICKS, Outcome, RunOptions, run_scenario
from hil.scenario import Scenario, ScenarioError, find_scenario, load_scenario, scenarios
from hil.targets import NAMES, TargetError, renode
from hil.targets.base import ROOT
from hil.vary import shifted


def state_dir() -> Path:
    """Where simulated logs are kept."""
    return Path(platformdirs.user_state_dir("cellkeeper"))


@click.group()
def hil() -> None:
    """The rig: put the firmware on trial."""


hil.add_command(power_cut)


@hil.command("list")
@click.option("--matrix", "with_matrix", is_flag=True, help="The generated ones, too.")
@click.option("--emulator", type=click.Choice(["qemu", "renode"]), default="qemu", show_default=True)
def list_scenarios(with_matrix: bool, emulator: str) -> None:
    """Scenarios that come with the project and that the emulator can run."""
    known = [load_scenario(path) for path in scenarios().values()]
    for scenario in [*known, *(matrix().values() if with_matrix else ())]:
        if emulator == "qemu" or not renode.unsupported(scenario):
            defect = f" (regression: {scenario.defect})" if scenario.defect else ""
            click.echo(f"{scenario.name:34} {scenario.title}{defect}")


def choose(names: Iterable[str], target: str, with_matrix: bool) -> list[Scenario]:
    """The scenarios to run on that target: those named, else all but the slow ones. Raises ScenarioError."""
    if named := [find_scenario(name) for name in names]:
        for scenario in named:
            if target not in scenario.targets:
                raise ScenarioError(f"{scenario.name} runs on {', '.join(scenario.targets)}, not on {target}")
        return named
    everything = [load_scenario(path) for path in scenarios().values()]
    everything += matrix().values() if with_matrix else []
    return [scenario for scenario in everything if target in scenario.targets and not scenario.slow]


@hil.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--matrix", "with_matrix", is_flag=True, help="Every protection under every kind of fault.")
@click.option("--phases", default=1, show_default=True, help="Repeat with the faults shifted in time.")
@click.option("--target", type=click.Choice(NAMES), default="cpython", show_default=True)
@click.option("--emulator", type=click.Choice(["qemu", "renode"]), default="qemu", show_default=True)
@click.option(
    "--clock", type=click.Choice(["lockstep", "free"]), help="Of the board [lockstep; serial: free]."
)
@click.option("--port", default="", help="Serial port of a real board.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Log or folder of logs [CELLKEEPER_DATA, simulated]."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where reports go [build/hil/TARGET].")
@click.option("--seed", default=1, show_default=True, help="Seed of spread and noise.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object only.")
def run(
    names: tuple[str, ...], with_matrix: bool, phases: int, target: str, emulator: str, clock: str | None,
    port: str, data: Path | None, out: Path | None, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Run scenarios (all when none is named) and report; fails when an expectation does not hold."""
    console = Console(stderr=as_json, quiet=as_json)
    on_renode = target == "mps2_an500" and emulator == "renode"
    folder = out or ROOT / "build" / "hil" / (f"{target}-renode" if on_renode else target)
    free = clock == "free" or (clock is None and target == "serial")
    options = RunOptions(target, emulator, port, seed, clock="free" if free else "lockstep")
    try:
        chosen = choose(names, target, with_matrix)
        if on_renode:
            chosen = _on_renode(chosen, named=bool(names), console=console)
        log = choose_log(data, state_dir(), short=True) if any(s.drive for s in chosen) else None
        varied = [shifted(scenario, phase) for scenario in chosen for phase in range(phases)]
        outcomes = _run_all(varied, log, options, console)
    except (ScenarioError, LogError, TargetError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    page = write_reports(outcomes, folder)
    passed = all(outcome.passed for outcome in outcomes)
    if as_json:
        click.echo(
            json.dumps({"passed": passed, "outcomes": [o.as_dict() for o in outcomes], "report": str(page)})
        )
    else:
        print_table(outcomes, console)
        good = sum(outcome.passed for outcome in outcomes)
        verdict = "passed" if passed else "FAILED"
        console.print(f"{verdict}: {good} of {len(outcomes)} runs; report: {page}")
    raise SystemExit(0 if passed else 1)


def _on_renode(chosen: list[Scenario], *, named: bool, console: Console) -> list[Scenario]:
    """Those that Renode can run; one asked for by name that it cannot is an error."""
    if lack := renode.missing():
        raise TargetError(f"renode: {lack}")
    kept = [scenario for scenario in chosen if not renode.unsupported(scenario)]
    for scenario in chosen:
        if why := renode.unsupported(scenario):
            if named:
                raise TargetError(f"{scenario.name}: {why}; use --emulator qemu")
            console.print(f"left out: {scenario.name}: {why}")
    return kept


def _run_all(chosen: list[Scenario], log: Log | None, options: RunOptions, console: Console) -> list[Outcome]:
    outcomes: list[Outcome] = []
    columns = (TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        runs = bars.add_task("runs", total=len(chosen))
        now = bars.add_task("ticks")
        for scenario in chosen:
            bars.reset(now, total=_ticks(scenario, log), description=scenario.name)
            outcomes.append(run_scenario(scenario, log, options, lambda n: bars.advance(now, n)))
            bars.advance(runs)
    return outcomes


def _ticks(scenario: Scenario, log: Log | None) -> int:
    if scenario.duration_s == "log":
        return DAY_TICKS if log is None else round(float(log.time_s[-1] - log.time_s[0]) * 200)
    return round(scenario.duration_s * 200)


@hil.command()
@click.option("--target", "targets", type=click.Choice(NAMES), multiple=True, help="[all but serial]")
@click.option("--seed", default=1, show_default=True, help="Of spread, noise and random positions.")
@click.option("--count", default=500, show_default=True, help="Random positions of each campaign.")
@click.option("--phases", default=5, show_default=True, help="Of each generated scenario.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Log or folder of logs [CELLKEEPER_DATA, simulated]."
)
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on.")
@click.option("--only", multiple=True, help="Only the parts whose names begin so.")
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="processors", help="Parts tried side by side."
)
def full(
    targets: tuple[str, ...], seed: int, count: int, phases: int, data: Path | None, fresh: bool,
    only: tuple[str, ...], jobs: int,
) -> None:  # fmt: skip
    """Every scenario and campaign on every target; goes on where it was interrupted."""
    console = Console()
    options = FullOptions(targets or NAMES[:-1], seed, count, phases, data, state_dir(), fresh, only, jobs)
    signal.signal(signal.SIGTERM, end_all)
    try:
        failures = run_full(options, console)
    except (ScenarioError, LogError, TargetError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(1 if failures else 0)
