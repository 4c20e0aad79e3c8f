"""`cellkeeper identify`: from tests of a cell to its cell file."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Printed

from cloud.twin.cell import CellFile
from cloud.twin.identify.build import Identified, Measured, identify
from cloud.twin.identify.prepare import anchored
from cloud.twin.identify.read import Run, read_spec
from cloud.twin.identify.report import plot, pooled_mv, summary, write_cell
from cloud.twin.identify.score import Score, score
from cloud.twin.identify.thermal import thermal
from cloud.twin.logs import Log, LogError

POSITIVE = click.FloatRange(min=0, min_open=True)
OUTPUT = click.Path(dir_okay=False, path_type=Path)
_FILES = ("--ocv", "--pulse", "--drive", "--test")


class ListedFiles(click.Command):
    """Lets one option take several files: `--ocv A B C` means `--ocv A --ocv B --ocv C`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        current = ""
        fresh = False
        for arg in args:
            if arg.startswith("--"):
                current, fresh = (arg if arg in _FILES else ""), True
                spread.append(arg)
            elif current and not fresh:
                spread.extend((current, arg))
            else:
                spread.append(arg)
                fresh = False
        return super().parse_args(ctx, spread)


def _chemistry(cell: CellFile) -> str:
    """From the rest voltage at 80 %: LFP lies below 3.5 V; the rest cannot be told apart by it."""
    return "lfp" if float(cell.ocv(0.8)) < 3.5 else "nmc"


def _print(console: Console, title: str, scores: list[Score]) -> None:
    if not scores:
        return
    table = Printed("log", "°C", "RMSE mV", "above 10 % SoC", "mean", "worst", title=title)
    for s in scores:
        figures = (s.temperature_c, s.rmse_mv, s.rmse_above_10_mv, s.mean_mv, s.worst_mv)
        table.add_row(s.name, *(f"{value:.1f}" for value in figures))
    console.print(table)
    console.print(f"{title}: {pooled_mv(scores):.1f} mV over {len(scores)} runs, each counting once")


def _record(tests: Measured, found: Identified, fitted: list[Score], tested: list[Score]) -> dict[str, Any]:
    files = {"ocv": tests.ocv, "pulse": tests.pulse, "drive": tests.drive}
    return {
        "command": "cellkeeper identify",
        "files": {kind: [log.name for log in logs] for kind, logs in files.items() if logs},
        "rated_ah": tests.rated_ah,
        "capacity": found.capacity.source,
        "rmse": "of terminal voltage from current, temperature, SoC, weighted by time; above_10: SoC > 0.1",
        "train_rmse_mv": round(pooled_mv(fitted), 1),
        "train_rmse_above_10_mv": round(pooled_mv(fitted, above_10=True), 1),
        "test_rmse_mv": round(pooled_mv(tested), 1) if tested else None,
        "test_rmse_above_10_mv": round(pooled_mv(tested, above_10=True), 1) if tested else None,
        "test": summary(tested),
    }


def _cell(found: Identified, heat: tuple[float | None, float | None], record: dict[str, Any]) -> CellFile:
    own = thermal(found.cell, found.runs)
    capacity, resistance = heat
    record["thermal"] = {"rmse_k": own.rmse_k and round(own.rmse_k, 2)}
    if own.rmse_k is None:
        given = capacity is not None and resistance is not None
        record["thermal"] = "given" if given else "usual values for the capacity: no log warmed by 1.5 K"
    uncertainty = {
        **found.cell.uncertainty,
        "heat_capacity_j_k": own.heat_capacity_sigma if capacity is None else 0.3 * capacity,
        "thermal_resistance_k_w": own.thermal_resistance_sigma if resistance is None else 0.3 * resistance,
    }
    return replace(
        found.cell,
        heat_capacity_j_k=own.heat_capacity_j_k if capacity is None else capacity,
        thermal_resistance_k_w=own.thermal_resistance_k_w if resistance is None else resistance,
        uncertainty=uncertainty,
        fit=record,
    )


def _read(console: Console, specs: tuple[str, ...], flip: bool) -> list[Log]:
    logs: list[Log] = []
    for number, spec in enumerate(specs):
        console.log(f"reading {number + 1}/{len(specs)}: {Path(spec).name}")
        logs.append(read_spec(spec, flip))
    return logs


@click.command(cls=ListedFiles)
@click.option("--ocv", multiple=True, help="Slow discharges and charges, C/150 to C/8.")
@click.option("--pulse", multiple=True, help="Pulse tests (HPPC).")
@click.option("--drive", multiple=True, help="Drive cycles or other loads.")
@click.option("--test", multiple=True, help="Logs to score the result on; they are not fitted.")
@click.option("--capacity-ah", type=POSITIVE, required=True, help="Rated capacity.")
@click.option("--out", type=OUTPUT, required=True, help="Cell file, JSON.")
@click.option("--plot", "picture", type=OUTPUT, help="Plot, .png or .svg.")
@click.option("--name", help="Name in the cell file; default: that of the file.")
@click.option("--chemistry", help="nmc, nca, lfp, lmo, ...; default: told from the rest voltage.")
@click.option("--source", default="", help="Whom to cite for the data.")
@click.option("--heat-capacity-j-k", type=POSITIVE, help="Instead of the fitted one.")
@click.option("--thermal-resistance-k-w", type=POSITIVE, help="Instead of the fitted one.")
@click.option("--discharge-positive", is_flag=True, help="In these logs positive current discharges.")
def identify_command(
    ocv: tuple[str, ...],
    pulse: tuple[str, ...],
    drive: tuple[str, ...],
    test: tuple[str, ...],
    capacity_ah: float,
    out: Path,
    picture: Path | None,
    name: str | None,
    chemistry: str | None,
    source: str,
    heat_capacity_j_k: float | None,
    thermal_resistance_k_w: float | None,
    discharge_positive: bool,
) -> None:
    """Fit a cell file to tests of a cell.

    Logs are CSV or Parquet with time_s, current_a (positive charges), voltage_v, temperature_c; a column soc
    (0..1) is used where there is one. FILE@25 gives the temperature of a log without that column.
    """
    if picture is not None and importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException("--plot needs matplotlib: pip install 'cellkeeper[plot]'")
    console, began = Console(), time.monotonic()
    try:
        logs = [_read(console, specs, discharge_positive) for specs in (ocv, pulse, drive)]
        tests = Measured(logs[0], logs[1], logs[2], capacity_ah)
        held_back = _read(console, test, discharge_positive)
        found = identify(tests, name or out.stem, chemistry or "unknown", console.log)
        tested: list[Run] = anchored(held_back, found.curves, found.capacity, found.top_v)
    except LogError as error:
        raise click.ClickException(str(error)) from error
    scores = [score(found.cell, run) for run in found.runs], [score(found.cell, run) for run in tested]
    record = _record(tests, found, *scores)
    cell = replace(_cell(found, (heat_capacity_j_k, thermal_resistance_k_w), record), source=source)
    if chemistry is None:
        cell = replace(cell, chemistry=_chemistry(cell))
    _print(console, "fitted", scores[0])
    _print(console, "not fitted", scores[1])
    write_cell(cell, out)
    if picture is not None:
        plot(cell, found.runs, found.curves, picture)
    console.print(f"wrote {out} after {time.monotonic() - began:.0f} s")
