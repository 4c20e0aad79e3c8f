"""Accuracy of the device's SoC filter on measured cells, beside baselines that get the same inputs.

Logs come from CELLKEEPER_DATA; the sets below name what is held back from fitting. Five cases, one setting
for all, the filter not told which: see `cases`; then the same with a network's advice. Errors are in points
of SoC over the whole log; `max` counts from 600 s on. The reference itself is a coulomb count, good to 1-3
points.
"""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.baselines import coulomb_soc, ocv_soc
from bench.network_baseline import Fnn
from bench.row import Row
from bench.textbook_ekf import Noise, ekf_soc, tuned
from cloud.training.networks import shipped
from cloud.twin import trials
from cloud.twin.cell import CELLS_DIR, CellFile, load_cell
from cloud.twin.logs import Log, pa_parquet
from cloud.twin.table import Array
from cloud.twin.trials import LATE_START, SETTLED_S, late, mean_mae, truth, wrong_current, wrong_voltage
from hil.replay import Run, replay


@dataclass(frozen=True)
class Held:
    """Held-back logs of one cell type: (name, ambient in degC), and the bounds to reach."""

    folder: str
    cell: str
    logs: tuple[tuple[str, float], ...]
    mean: float
    worst: float
    largest: float


SETS = {
    "LG HG2": Held(
        "lg_hg2",
        "lg_hg2",
        (
            ("40degC_557_Mixed3", 40.0),
            ("25degC_551_US06", 25.0),
            ("0degC_589_US06", 0.0),
            ("n10degC_596_UDDS", -10.0),
            ("n20degC_611_Mixed5", -20.0),
        ),
        0.7, 1.5, 4.0,
    ),
    "Panasonic": Held(
        "panasonic_pf",
        "panasonic_pf",
        (
            ("25C_US06_03_20_17_01_43", 25.0),
            ("25C_HWFTa_03_20_17_05_56", 25.0),
            ("25C_HWFTb_03_20_17_19_27", 25.0),
            ("10C_US06_03_27_17_09_06", 10.0),
            ("10C_HWFET_03_27_17_09_06", 10.0),
            ("0C_US06_06_02_17_04_58", 0.0),
            ("0C_HWFET_06_02_17_10_43", 0.0),
            ("m10C_US06_06_07_17_08_39", -10.0),
            ("m10C_HWFET_06_07_17_08_39", -10.0),
        ),
        0.9, 1.5, 4.0,
    ),
    "A123": Held(
        "a123_esc",
        "a123_26650",
        (("dyn_m5C_script1", -5.0), ("dyn_25C_script1", 25.0)),
        1.25, 2.5, 6.0,
    ),
}  # fmt: skip

FUSED = ", fused"
"""Marks the rows of the filter advised by the cell's network; without a network the filter is the output."""


def held_log(data: Path, held: Held, name: str, ambient_c: float) -> Log:
    """A held-back log; one without a temperature gets its chamber's."""
    table = pa_parquet.read_table(data / held.folder / f"{name}.parquet")
    columns = {
        key: table[key].to_numpy().astype(np.float64) for key in ("time_s", "current_a", "voltage_v", "soc")
    }
    t = columns["time_s"]
    known = "temperature_c" in table.column_names
    temperature_c = (
        table["temperature_c"].to_numpy().astype(np.float64) if known else np.full(len(t), ambient_c)
    )
    return Log(name, name, t, columns["current_a"], columns["voltage_v"], temperature_c, soc=columns["soc"])


def cases(log: Log, cell: CellFile) -> Iterator[tuple[str, float, Run]]:
    """(case, its weight in the mean, run): the reference is that of the run's log."""
    begin = float(truth(log)[0])
    yield "nominal", 1.0, Run(log, begin)
    yield "current", 1.0, Run(wrong_current(log, cell.capacity_ah), begin)
    yield "voltage", 1.0, Run(wrong_voltage(log), begin)
    yield "told 30 low", 1.0, Run(log, begin - 0.3)
    loaded = late(log)
    yield "loaded, 30 low", 0.5, Run(loaded, LATE_START - 0.3)
    yield "loaded, 30 high", 0.5, Run(loaded, LATE_START + 0.3)


@dataclass(frozen=True)
class Score(trials.Score):
    """One run, with the share of rows within two sigma."""

    inside: float


def score(log: Log, ambient_c: float, case: str, weight: float, soc: Array, sigma: Array) -> Score:
    """How an estimate lies to its log's reference."""
    wrong = np.abs(soc - truth(log)) * 100
    settled = log.time_s - log.time_s[0] >= SETTLED_S
    inside = float((wrong <= 200 * sigma).mean())
    return Score(log.name, ambient_c, case, weight, *trials.errors(wrong, settled), inside)


Plan = list[tuple[float, str, float, Run]]
"""(ambient in degC, case, its weight, run)"""


def plan_of(data: Path, held: Held, cell: CellFile) -> Plan:
    """Every held-back log of a set in every case."""
    return [
        (ambient_c, case, weight, run)
        for name, ambient_c in held.logs
        for case, weight, run in cases(held_log(data, held, name, ambient_c), cell)
    ]


def filter_scores(
    plan: Plan, cell: CellFile, target: str = "unix", network: str | None = None
) -> list[Score]:
    """Scores of the device's filter, advised by `network` where one is given."""
    found = replay([run for *_, run in plan], cell, target, network)
    return [
        score(run.log, ambient_c, case, weight, estimate.soc, estimate.soc_sigma)
        for (ambient_c, case, weight, run), estimate in zip(plan, found, strict=True)
    ]


def fitted(held: Held) -> Held:
    """The drives that the cell file was fitted to: what a baseline may be tuned on, and trained with."""
    words = shlex.split((CELLS_DIR / f"{held.cell}.args").read_text("utf-8"))
    words = words[words.index("--drive") + 1 :]
    drives = itertools.takewhile(lambda word: not word.startswith("--"), words)
    logs: list[tuple[str, float]] = []
    for drive in drives:
        path, _, ambient = drive.partition("@")
        name = Path(path).stem
        logs.append((name, float(ambient) if ambient else _ambient_c(name)))
    return replace(held, logs=tuple(logs))


def _ambient_c(name: str) -> float:
    place = name.split("_")[0].removesuffix("degC").removesuffix("C")
    return -float(place[1:]) if place[0] in "nm" else float(place)


def baseline_scores(plan: Plan, known: Plan, cell: CellFile) -> dict[str, list[Score]]:
    """Scores of each baseline over `plan`, the filter tuned and the network trained on what is `known`."""

    def scores(some: Plan, estimates: list[Array]) -> list[Score]:
        return [
            score(run.log, t, case, weight, soc, np.zeros(len(soc)))
            for (t, case, weight, run), soc in zip(some, estimates, strict=True)
        ]

    def cost(noise: Noise) -> float:
        return mean_mae(scores(known, ekf_soc([run for *_, run in known], cell, noise)))

    runs = [run for *_, run in plan]
    network = Fnn([run.log for _, case, _, run in known if case == "nominal"], cell.capacity_ah)
    found = {
        "coulomb": [coulomb_soc(run, cell) for run in runs],
        "OCV": [ocv_soc(run, cell) for run in runs],
        "2-RC EKF, tuned": ekf_soc(runs, cell, tuned(cost)),
        "FNN 64-64": [network.soc(run.log) for run in runs],
    }
    return {name: scores(plan, estimates) for name, estimates in found.items()}


def worst_mae(some: list[Score]) -> float:
    """The largest `mean_mae` of one temperature."""
    return max(mean_mae([s for s in some if s.ambient_c == t]) for t in {s.ambient_c for s in some})


def _rows(name: str, held: Held, ours: list[Score], baselines: dict[str, list[Score]]) -> Iterator[Row]:
    yield Row(f"{name}: mean MAE", mean_mae(ours), "points", "temperatures and five cases", f"<= {held.mean}")
    temperatures = sorted({s.ambient_c for s in ours})
    at = {t: [s for s in ours if s.ambient_c == t] for t in temperatures}
    worst = worst_mae(ours)
    yield Row(f"{name}: worst temperature", worst, "points", "", f"<= {held.worst}")
    largest = max(ours, key=lambda s: s.largest)
    note = f"{largest.log}, {largest.case}"
    yield Row(f"{name}: max after 600 s", largest.largest, "points", note, f"<= {held.largest}")
    inside = float(np.mean([s.inside for s in ours]))
    yield Row(f"{name}: within 2 sigma", 100 * inside, "%", "pooled", "93-99")
    least = 100 * min(float(np.mean([s.inside for s in at[t]])) for t in temperatures)
    yield Row(f"{name}: within 2 sigma, worst temperature", least, "%", "", ">= 88")
    for t in temperatures:
        for case in dict.fromkeys(s.case for s in at[t]):
            some = [s for s in at[t] if s.case == case]
            note = "RMSE {:.2f}, p99 {:.2f}, max {:.2f}".format(
                *(float(np.mean(v)) for v in zip(*((s.rmse, s.p99, s.largest) for s in some), strict=True))
            )
            yield Row(f"{name} {t:+.0f} degC, {case}", float(np.mean([s.mae for s in some])), "points", note)
    for baseline, theirs in baselines.items():
        largest = max(theirs, key=lambda s: s.largest)
        worst = worst_mae(theirs)
        note = f"worst temperature {worst:.2f}"
        yield Row(
            f"{name}: {baseline}, mean MAE", mean_mae(theirs), "points", f"{note}, max {largest.largest:.1f}"
        )


def run() -> list[Row]:
    """Rows of every set that CELLKEEPER_DATA holds."""
    data = Path(os.environ.get("CELLKEEPER_DATA", ""))
    rows: list[Row] = []
    for name, held in SETS.items():
        if (data / held.folder).is_dir() and held.folder:
            cell = load_cell(held.cell)
            plan = plan_of(data, held, cell)
            known = plan_of(data, fitted(held), cell)
            rows += _rows(name, held, filter_scores(plan, cell), baseline_scores(plan, known, cell))
            if held.cell in shipped():
                rows += _rows(name + FUSED, held, filter_scores(plan, cell, network=held.cell), {})
    return rows
