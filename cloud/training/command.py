"""`cellkeeper train`: a network from measured logs to what the device reads."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from cloud.training import blob, judge
from cloud.training.features import SHIFTS
from cloud.training.judge import Score, Trial
from cloud.training.split import Split, SplitError, read_split
from cloud.training.tracking import Tracking
from cloud.twin.logs import LogError
from cloud.twin.table import Array

if TYPE_CHECKING:
    from cloud.training.train import Plan, Trained

DIR = click.Path(file_okay=False, path_type=Path)


class Units(click.ParamType):  # pyright: ignore[reportMissingTypeArgument, reportUnknownVariableType]
    """`24` or `128,64`."""

    name = "units"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The list of units."""
        if isinstance(value, list):
            return value  # pyright: ignore[reportUnknownVariableType]
        try:
            units = [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 24 or 128,64", param, ctx)
        if not 1 <= len(units) <= 4 or any(not 1 <= n <= 256 for n in units):
            self.fail(f"{value!r}: one to four layers of 1 to 256 units", param, ctx)
        return units


def _print(console: Console, floats: list[Score], whole: list[Score]) -> None:
    table = Table(
        "log", "degC", "case", "float", "int8", "RMSE", "p99", "max", title="points of SoC, logs left out"
    )
    for a, b in zip(floats, whole, strict=True):
        figures = (f"{f:.2f}" for f in (a.mae, b.mae, b.rmse, b.p99, b.largest))
        table.add_row(b.log, f"{b.ambient_c:g}", b.case, *figures)
    console.print(table)
    console.print(f"mean MAE: float {judge.mean_mae(floats):.3f}, int8 {judge.mean_mae(whole):.3f}")


def _record(
    split: Split, plan: Plan, trained: Trained, floats: list[Score], whole: list[Score]
) -> dict[str, Any]:
    units = ",".join(map(str, plan.units))
    command = (
        f"cellkeeper train --model soc --split {split.name} --units {units} --seed {plan.seed} "
        f"--epochs {plan.epochs} --rounded-epochs {plan.rounded_epochs}"
    )
    return {
        "command": command,
        "plan": dataclasses.asdict(plan),
        "capacity_ah": split.capacity_ah,
        "cell_bits": trained.bits,
        "features": [dataclasses.asdict(row) for row in trained.rows],
        "train": [named.log.name for named in split.train],
        "watch": [named.log.name for named in split.watch],
        "float": judge.report(floats),
        "int8": judge.report(whole),
    }


def _numpy(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value.numpy().astype(np.float32) for key, value in state.items()}


def export(split: Split, trained: Trained, plan: Plan, out: Path, console: Console) -> list[Path]:
    """Judge, write blob, float weights, .tflite where tflite-micro is installed, record and plots."""
    network = importlib.import_module("cloud.training.network")
    layers, output = network.quantise(trained.model, trained.bits)
    weights = _numpy(trained.floats)
    watch = judge.trial(split.watch, split.capacity_ah)
    sigma = judge.sigmas(watch, judge.int8_soc(layers, output, trained.rows, watch))
    stem = out / f"soc_{split.name}"
    out.mkdir(parents=True, exist_ok=True)
    rest = blob.rest_words(SHIFTS, trained.rows, sigma)
    stem.with_suffix(".ckls").write_bytes(blob.pack(layers, output, rest))
    np.savez_compressed(stem.with_suffix(".npz"), **weights)
    written = [stem.with_suffix(".ckls"), stem.with_suffix(".npz")]
    if importlib.util.find_spec("tflite_micro") is not None:
        tflite = importlib.import_module("cloud.training.tflite")
        scaled_back = output.values.astype(np.float32) * np.float32(output.scale)
        bias = output.bias * float(np.float32(layers[-1].hidden_scale) * np.float32(output.scale))
        written.append(stem.with_suffix(".tflite"))
        written[-1].write_bytes(tflite.write(layers, scaled_back, bias))
    test = judge.trial(split.test, split.capacity_ah)
    soc: dict[str, Array] = {
        "float": judge.float_soc(weights, trained.rows, test),
        "int8": judge.int8_soc(layers, output, trained.rows, test),
    }
    floats, whole = test.scores(soc["float"]), test.scores(soc["int8"])
    _print(console, floats, whole)
    written.append(stem.with_suffix(".json"))
    record = _record(split, plan, trained, floats, whole)
    written[-1].write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return [*written, *_plots(trained, test, soc, stem)]


def _plots(trained: Trained, test: Trial, soc: dict[str, Array], stem: Path) -> list[Path]:
    if importlib.util.find_spec("matplotlib") is None:
        return []
    return [Path(name) for name in judge.plot(trained.losses, test, soc, str(stem))]


@click.command("train")
@click.option("--model", type=click.Choice(["soc"]), required=True, help="What the network estimates.")
@click.option("--data", type=DIR, envvar="CELLKEEPER_DATA", required=True, help="Folder of the data sets.")
@click.option(
    "--split", "split_name", default="lg_hg2", show_default=True, help="A shipped split, or a JSON file."
)
@click.option("--units", type=Units(), default="24", show_default=True, help="Cells of each layer.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=90, show_default=True, help="In floats.")
@click.option("--rounded-epochs", type=click.IntRange(0), default=0, show_default=True, help="With rounding.")
@click.option("--out", type=DIR, default=Path("build/training"), show_default=True)
def train_command(
    model: str, data: Path, split_name: str, units: list[int], seed: int, epochs: int,
    rounded_epochs: int, out: Path,
) -> None:  # fmt: skip
    """Train a network for the state of charge on whole logs, judge it on logs left out, and write what the
    device reads."""
    console, began = Console(), time.monotonic()
    if importlib.util.find_spec("torch") is None:
        raise click.ClickException("training needs PyTorch: pip install torch==2.13.0 (the build for CPUs)")
    training: Any = importlib.import_module("cloud.training.train")
    try:
        split = read_split(split_name, data)
    except (SplitError, LogError) as error:
        raise click.ClickException(str(error)) from error
    plan = training.Plan(units=units, seed=seed, epochs=epochs, rounded_epochs=rounded_epochs)
    with Tracking(f"soc {split.name}", out) as tracking:
        if not tracking.available:
            console.log("MLflow is not installed (extra train): the run is not tracked")
        tracking.parameters(dataclasses.asdict(plan))
        trained = training.train(split.train, split.watch, split.capacity_ah, plan, console.log)
        for entry in trained.losses:
            tracking.figures({k: v for k, v in entry.items() if k != "epoch"}, int(entry["epoch"]))
        tracking.files(export(split, trained, plan, out, console))
    console.print(f"wrote {out} after {time.monotonic() - began:.0f} s")
