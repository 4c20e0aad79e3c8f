"""`cellkeeper hil`: scenarios against a board."""

from __future__ import annotations

import json
from pathlib import Path

import click
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cloud.twin.logs import Log, LogError
from hil.logs import choose_log
from hil.report import print_table, write_reports
from hil.runner import DAY_TICKS, Outcome, RunOptions, run_scenario
from hil.scenario import Scenario, ScenarioError, find_scenario, load_scenario, scenarios
from hil.targets import NAMES, TargetError
from hil.targets.base import ROOT


def state_dir() -> Path:
    """Where simulated logs are kept."""
    return Path(platformdirs.user_state_dir("cellkeeper"))


@click.group()
def hil() -> None:
    """The rig: put the firmware on trial."""


@hil.command("list")
def list_scenarios() -> None:
    """Scenarios that come with the project."""
    for name, path in scenarios().items():
        click.echo(f"{name:22} {load_scenario(path).title}")


@hil.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--target", type=click.Choice(NAMES), default="cpython", show_default=True)
@click.option("--emulator", type=click.Choice(["qemu", "renode"]), default="qemu", show_default=True)
@click.option("--port", default="", help="Serial port of a real board.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Log or folder of logs [CELLKEEPER_DATA, simulated]."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where reports go [build/hil/TARGET].")
@click.option("--seed", default=1, show_default=True, help="Seed of spread and noise.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object only.")
def run(
    names: tuple[str, ...], target: str, emulator: str, port: str, data: Path | None, out: Path | None,
    seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Run scenarios (all when none is named) and report; fails when an expectation does not hold."""
    console = Console(stderr=as_json, quiet=as_json)
    folder = out or ROOT / "build" / "hil" / target
    options = RunOptions(target, emulator, port, seed)
    try:
        chosen = [find_scenario(name) for name in names or scenarios()]
        log = choose_log(data, state_dir(), short=True) if any(s.drive for s in chosen) else None
        outcomes = _run_all(chosen, log, options, console)
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
        console.print(f"{'passed' if passed else 'FAILED'}; report: {page}")
    raise SystemExit(0 if passed else 1)


def _run_all(chosen: list[Scenario], log: Log | None, options: RunOptions, console: Console) -> list[Outcome]:
    outcomes: list[Outcome] = []
    columns = (TextColumn("{task.description:22}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bars:
        for scenario in chosen:
            bar = bars.add_task(scenario.name, total=_ticks(scenario, log))
            outcomes.append(run_scenario(scenario, log, options, lambda n, bar=bar: bars.advance(bar, n)))
    return outcomes


def _ticks(scenario: Scenario, log: Log | None) -> int:
    if scenario.duration_s == "log":
        return DAY_TICKS if log is None else round(float(log.time_s[-1] - log.time_s[0]) * 200)
    return round(scenario.duration_s * 200)
