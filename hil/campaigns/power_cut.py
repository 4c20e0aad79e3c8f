"""`cellkeeper hil power-cut`: wherever the power goes, nothing stored is lost and nothing corrupt believed.

On `mps2_an500` the emulator is killed at random moments while the board writes its journals. On `cpython`
the journal lives in a simulated NOR that is cut at chosen bits of its programs and erases. Results lie in a
JSON file; a campaign that was interrupted goes on there when seed and target are the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hil.campaigns.board_cut import BoardCuts
from hil.campaigns.journal_check import Found
from hil.campaigns.simulated_cut import Life
from hil.targets import TargetError
from hil.targets.base import ROOT

_SAVE_EVERY = 20
_A_LIFE = 200
"""Simulated cuts that are made in one life: each life begins anew."""


class Campaign:
    """Counts the cuts made so far and keeps those after which something did not hold; in the file `path`."""

    def __init__(self, path: Path, target: str, seed: int) -> None:
        self.path = path
        self.result: dict[str, Any] = {
            "target": target, "seed": seed, "cuts": 0, "in_a_record": 0, "in_an_erase": 0, "failures": [],
        }  # fmt: skip
        if path.exists():
            self.result = json.loads(path.read_text("utf-8"))

    @property
    def done(self) -> int:
        """Cuts made."""
        return self.result["cuts"]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Cuts after which something did not hold."""
        return self.result["failures"]

    def add(self, cut: dict[str, Any]) -> None:
        """One more, with `torn`, `half_erased` and `problems`."""
        self.result["cuts"] += 1
        self.result["in_a_record"] += cut["torn"]
        self.result["in_an_erase"] += cut["half_erased"]
        if cut["problems"]:
            self.failures.append(cut)
        if self.done % _SAVE_EVERY == 0:
            self.save()

    def save(self) -> None:
        """Write the results; the file is there whole or as it was."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".tmp")
        fresh.write_text(json.dumps(self.result), "utf-8")
        fresh.replace(self.path)


def board_cuts(folder: Path, seed: int, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Cuts number first..count-1 of the emulated board."""
    folder.mkdir(parents=True, exist_ok=True)
    cuts = BoardCuts(folder, seed)
    for n in range(first, count):
        yield asdict(cuts.cut(n))


def simulated_cuts(seed: int, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Cuts at `count` random bits of the life of `seed`, at every bit when count is 0; each in two ways."""
    points = Life(seed, (), lambda _point, _found, _problems: None).run()
    at: range | list[int] = range(points)
    if count:
        at = sorted(random.Random(f"{seed}").sample(at, min(count, points)))  # noqa: S311
    for begin in range(first // 2, len(at), _A_LIFE):
        batch: list[dict[str, Any]] = []

        def on_cut(
            point: int, found: Found, problems: list[str], batch: list[dict[str, Any]] = batch
        ) -> None:
            batch.append(
                {"n": point, "torn": found.torn, "half_erased": found.half_erased, "problems": problems}
            )

        Life(seed, at[begin : begin + _A_LIFE], on_cut).run()
        yield from batch


def total(target: str, seed: int, count: int) -> int:
    """How many cuts a campaign has."""
    if target != "cpython":
        return count
    points = Life(seed, (), lambda _point, _found, _problems: None).run()
    return 2 * (min(count, points) or points)


@click.command("power-cut")
@click.option("--count", default=20, show_default=True, help="Cuts; 0 on cpython: at every bit.")
@click.option("--seed", default=1, show_default=True, help="Of the moments and of what is written.")
@click.option(
    "--target", type=click.Choice(["mps2_an500", "cpython"]), default="mps2_an500", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), help="Where results go [build/hil/power-cut].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object only.")
def power_cut(count: int, seed: int, target: str, out: Path | None, as_json: bool) -> None:
    """Cut the power while the journal is being written; fails when something stored is lost or made up."""
    console = Console(stderr=as_json, quiet=as_json)
    folder = (out or ROOT / "build" / "hil" / "power-cut") / target
    # at a desk the moments depend on how many there are
    name = f"seed-{seed}-of-{count or 'all'}" if target == "cpython" else f"seed-{seed}"
    campaign = Campaign(folder / f"{name}.json", target, seed)
    console.print(f"power cuts on {target}, seed {seed}; {campaign.done} are there")
    columns = (TextColumn("cuts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        if target == "cpython":
            cuts = simulated_cuts(seed, campaign.done, count)
        else:
            cuts = board_cuts(folder, seed, campaign.done, count)
        with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
            bar = bars.add_task("cuts", total=total(target, seed, count), completed=campaign.done)
            for cut in cuts:
                campaign.add(cut)
                bars.advance(bar)
    except TargetError as error:
        raise click.ClickException(str(error)) from error
    finally:
        campaign.save()
    result = campaign.result
    if as_json:
        click.echo(json.dumps(result | {"results": str(campaign.path)}))
    for cut in campaign.failures[:5]:
        console.print(f"[red]cut {cut['n']}[/]: {'; '.join(cut['problems'])}")
    console.print(
        f"{campaign.done} cuts ({result['in_a_record']} in a record, {result['in_an_erase']} in an erase),"
        f" {len(campaign.failures)} failed; seed {seed}; results: {campaign.path}"
    )
    raise SystemExit(1 if campaign.failures else 0)
