"""Wrong starts: the filter begins within a held-back drive, told up to 50 points wrong, on faulty sensors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.accuracy import FUSED, SETS, Held, held_log
from bench.row import Row
from cloud.training.networks import shipped
from cloud.twin.cell import load_cell
from cloud.twin.logs import Log
from cloud.twin.table import Array
from cloud.twin.trials import truth
from hil.replay import Run, replay

STARTS, SEED = 500, 11
SPAN_S = 1500.0
OFFSET_C, GAIN, OFFSET_V, OFFSET_K, LOST = 0.017, 0.01, 0.005, 2.0, 0.01
WRONG = 0.5
LOCKED_SIGMAS, LOCKED_S = 3.0, 60.0


@dataclass(frozen=True)
class Outcome:
    """One start: error in points after 60 s and 600 s, longest time beyond 3 sigma, share inside 2 sigma."""

    ambient_c: float
    at_60: float
    at_600: float
    locked_s: float
    inside: float


def faulty(log: Log, capacity_ah: float, random: np.random.Generator) -> Run:
    """A piece of a log from a random row on, each sensor off by its fault, told wrong by up to 50 points."""
    last = int((log.time_s < log.time_s[-1] - SPAN_S).sum())
    begin = int(random.integers(0, max(1, last)))
    end = int((log.time_s < log.time_s[begin] + SPAN_S).sum())
    rows = np.arange(begin, end)
    keep = rows[random.random(len(rows)) >= LOST]
    sides = 2.0 * random.integers(0, 2, 4) - 1.0
    current_a = log.current_a[keep] * (1 + sides[0] * GAIN) + sides[1] * OFFSET_C * capacity_ah
    piece = replace(
        log,
        time_s=log.time_s[keep],
        current_a=current_a,
        voltage_v=log.voltage_v[keep] + sides[2] * OFFSET_V,
        temperature_c=log.temperature_c[keep] + sides[3] * OFFSET_K,
        soc=truth(log)[keep],
    )
    told = float(np.clip(truth(piece)[0] + random.uniform(-WRONG, WRONG), 0.0, 1.0))
    return Run(piece, told)


def longest_s(time_s: Array, excess: Array) -> float:
    """The longest time on end for which `excess` is above 0."""
    longest, begin = 0.0, -1.0
    for t, over in zip(time_s.tolist(), excess.tolist(), strict=True):
        if over <= 0:
            begin = -1.0
        elif begin < 0:
            begin = t
        else:
            longest = max(longest, t - begin)
    return longest


def outcome(ambient_c: float, run: Run, soc: Array, sigma: Array) -> Outcome:
    """How one start went."""
    wrong = 100 * np.abs(soc - truth(run.log))
    t = run.log.time_s - run.log.time_s[0]

    def after(span_s: float) -> float:
        return float(wrong[min(len(t) - 1, int((t < span_s).sum()))])

    locked_s = longest_s(t, wrong - 100 * LOCKED_SIGMAS * sigma)
    return Outcome(ambient_c, after(60.0), after(600.0), locked_s, float((wrong <= 200 * sigma).mean()))


def outcomes(
    data: Path, held: Held, count: int = STARTS, target: str = "unix", network: str | None = None
) -> list[Outcome]:
    """`count` random starts over the logs of a set, with the advice of `network` where one is given."""
    random = np.random.default_rng(SEED)
    cell = load_cell(held.cell)
    logs = [(held_log(data, held, name, ambient_c), ambient_c) for name, ambient_c in held.logs]
    plan = [
        (ambient_c, faulty(log, cell.capacity_ah, random))
        for log, ambient_c in (logs[int(n)] for n in random.integers(0, len(logs), count))
    ]
    found = replay([run for _, run in plan], cell, target, network)
    return [outcome(t, run, e.soc, e.soc_sigma) for (t, run), e in zip(plan, found, strict=True)]


def share(some: list[float], bound: float) -> float:
    """Percent of values within a bound."""
    return 100 * float(np.mean(np.array(some) <= bound)) if some else float("nan")


def _rows(name: str, found: list[Outcome]) -> Iterator[Row]:
    warm = [o for o in found if o.ambient_c >= 0]
    cold = [o for o in found if o.ambient_c < 0]
    note = f"{len(found)} starts up to 50 points wrong, faulty sensors"
    if not name.startswith("A123"):
        for what, value in (
            ("60 s, within 5 points", share([o.at_60 for o in warm], 5)),
            ("600 s, within 2.5 points", share([o.at_600 for o in warm], 2.5)),
            ("below 0 degC, 600 s, within 5 points", share([o.at_600 for o in cold], 5)),
        ):
            yield Row(f"{name}: starts, {what}", value, "%", note, ">= 90")
    locked = sum(o.locked_s > LOCKED_S for o in found)
    yield Row(f"{name}: starts beyond 3 sigma for 60 s", locked, "starts", note, "0")
    inside = 100 * float(np.mean([o.inside for o in found]))
    yield Row(f"{name}: starts, within 2 sigma", inside, "%", "pooled", "93-99")


def run() -> list[Row]:
    """Rows of every set that CELLKEEPER_DATA holds."""
    data = Path(os.environ.get("CELLKEEPER_DATA", ""))
    rows: list[Row] = []
    for name, held in SETS.items():
        if (data / held.folder).is_dir():
            rows += _rows(name, outcomes(data, held))
            if held.cell in shipped():
                rows += _rows(name + FUSED, outcomes(data, held, network=held.cell))
    return rows
