"""`cellkeeper bench`: run the benchmarks, print one table, write one JSON file."""

import importlib
import json
import pkgutil
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

import bench as package
from bench.row import Row

NOT_BENCHMARKS = {"baselines", "cli", "health_loop", "mutants", "network_baseline", "row", "textbook_ekf"}


def benchmarks() -> list[str]:
    """Names of the benchmark modules."""
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in NOT_BENCHMARKS)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/bench.json"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON instead of a table.")
def bench(names: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Measure speed and memory: every benchmark, or the NAMES given."""
    known = benchmarks()
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is not a benchmark; there are {', '.join(known)}")
    err = Console(stderr=True)
    rows: dict[str, list[Row]] = {}
    for name in names or known:
        with err.status(f"measuring {name}"):
            rows[name] = importlib.import_module(f"bench.{name}").run()
    report = {name: [row.as_dict() for row in rows[name]] for name in rows}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if as_json:
        click.echo(json.dumps(report))
        return
    view = Table("benchmark", "figure", "value", "unit", "target", "note", title=f"written to {out}")
    for name, figures in rows.items():
        for row in figures:
            view.add_row(name, row.name, f"{row.value:,.6g}", row.unit, row.target, row.note)
    Console().print(view)
