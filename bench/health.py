"""Capacity and resistance of aged cells, found by the device's own estimators from ten partial cycles.

Cells are aged and cycled in PyBaMM (cloud/twin/aged.py, partial.py), their logs kept in a folder of the
system's temporary one. The device is told the fresh cell's capacity, reads the fresh cell's file (identified
from simulated tests) and the shifts of its OCV. Every cell has its own sensor errors. Truth is a C/20
discharge of the same simulated cell.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench import health_loop
from bench.row import Row
from cloud.twin import aged, partial
from cloud.twin.aged import Aged, electrodes
from cloud.twin.aged_tables import shift_block
from cloud.twin.cell import CellFile, load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.identify.build import Measured, identify
from cloud.twin.identify.report import write_cell
from cloud.twin.logs import Log
from cloud.twin.partial import Cycled, cycled
from cloud.twin.table import Array
from hil.simulate import drive_profile

ROOT = Path(__file__).resolve().parents[1]
CELLS, UNBENT = 100, 20
FOLDER = Path(tempfile.gettempdir()) / "cellkeeper-health"
GAIN, OFFSET_C, OFFSET_V, OFFSET_K = 0.01, 0.017, 0.005, 2.0
"""Sensor errors are drawn evenly from within these: what the SoC filter is tried with."""
NOISE_V, NOISE_C = 0.001, 0.001
BOUND = 1.5
"""Percent of the true capacity."""


@dataclass(frozen=True)
class Device:
    """What the device is told: the fresh cell's capacity, its tables, the shifts of its OCV."""

    capacity_mah: int
    block: bytes
    shift: bytes


@dataclass(frozen=True)
class Outcome:
    """A cell: the share of its loss that is lithium's, its true SoH (0..1), what was found
    (health_loop.Health.found)."""

    seed: int
    lithium_share: float
    soh: float
    found: dict[str, float]

    def wrong(self, what: str = "soh") -> float:
        """Error in percent of the truth."""
        return self.found[what] / self.soh / 100 - 100

    def covered(self, what: str = "soh", sigma: str = "sigma") -> bool:
        """Whether the truth lies within the 95 % interval."""
        return abs(self.found[what] - 10_000 * self.soh) <= 1.96 * self.found[sigma]


def _log(name: str, soc: float, flows_a: Array, step_s: float, ambient_c: float, rated_ah: float) -> Log:
    slow = step_s > 1
    time_s, volts, temps = aged.simulate(Aged(), soc, flows_a, ambient_c, step_s=step_s, limits=slow)
    n = len(time_s)
    moved_ah = np.concatenate(([0.0], np.cumsum((flows_a[1:] + flows_a[:-1]) / 2 * step_s)))[:n] / 3600
    soc_column = soc + moved_ah / rated_ah
    return Log(name, "PyBaMM", time_s, flows_a[:n], volts, temps, soc_column, simulated=True)


def identified(rated_ah: float) -> CellFile:
    """The fresh cell's file: fitted to a slow discharge and charge and drives at three temperatures."""
    slow_a = np.full(1300, rated_ah * aged.TEST_RATE)
    slow = [
        _log("discharge", 1.0, -slow_a, 60.0, 25.0, rated_ah),
        _log("charge", 0.0, slow_a, 60.0, 25.0, rated_ah),
    ]
    drives: list[Log] = []
    for seed, ambient_c in enumerate((15.0, 25.0, 35.0)):
        flows = np.minimum(drive_profile(9000, rated_ah, seed), 0.2 * rated_ah)
        flows = flows[np.cumsum(flows) / 3600 > -0.9 * rated_ah]
        drives.append(_log(f"drive{seed}", 0.95, np.append(flows, np.zeros(1200)), 1.0, ambient_c, rated_ah))
    return identify(Measured(slow, [], drives, rated_ah), "Chen2020", "nmc", lambda _: None).cell


def device(folder: Path = FOLDER) -> Device:
    """What the device is told; made once and kept in `folder`."""
    name = partial.made_by()
    cell_path, shift_path = folder / f"{name}-fresh.json", folder / f"{name}-fresh.shift"
    if not (cell_path.exists() and shift_path.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        write_cell(identified(aged.measured_ah(Aged())), cell_path)
        shift_path.write_bytes(shift_block(electrodes()))
    cell = load_cell(str(cell_path))
    return Device(round(1000 * cell.capacity_ah), device_block(cell), shift_path.read_bytes())


def sensed(cell: Cycled, rated_ah: float, random: np.random.Generator) -> bytes:
    """A cell's log as the device's sensors see it, each with an error of its own (health_loop.WORDS)."""
    gain, offset_c, offset_v, offset_k = random.uniform(-1, 1, 4) * (GAIN, OFFSET_C, OFFSET_V, OFFSET_K)
    noise_a, noise_v = random.standard_normal((2, len(cell.current_a)))
    current_a = cell.current_a * (1 + gain) + rated_ah * (offset_c + NOISE_C * noise_a)
    columns = (
        np.rint(1000 * current_a),
        16 * np.rint(1000 * (cell.voltage_v + offset_v + NOISE_V * noise_v)),
        np.rint(10 * (cell.temperature_c + offset_k)),
        cell.current_a == 0,
    )
    return np.stack(columns, axis=1).astype("<i4").tobytes()


def on_unix(told: Device, samples: bytes) -> dict[str, float]:
    """The loop on MicroPython's unix port, in machine code."""
    with tempfile.TemporaryDirectory(prefix="ck-health-") as name:
        paths = [Path(name) / part for part in ("block", "shift", "source")]
        for path, content in zip(paths, (told.block, told.shift, samples), strict=True):
            path.write_bytes(content)
        files = ", ".join(repr(str(path)) for path in paths)
        code = (
            f"import sys; sys.path[:0] = {[str(ROOT / 'firmware'), str(ROOT / 'bench')]!r}; "
            f"import bms, health_loop; health_loop.main({told.capacity_mah}, {files})"
        )
        micropython = Path(sys.executable).with_name("micropython")
        done = subprocess.run([str(micropython), "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the unix port failed: {(done.stdout + done.stderr).strip()[-500:]}")
    return json.loads(done.stdout)


def on_cpython(told: Device, samples: bytes) -> dict[str, float]:
    """The same loop in this process, some ten times slower."""
    health = health_loop.Health(told.capacity_mah, told.block, told.shift)
    for row in np.frombuffer(samples, "<i4").reshape(-1, health_loop.WORDS).tolist():
        health.sample(*row)
    return health.found()


def judged(seed: int, told: Device, folder: Path = FOLDER) -> Outcome:
    """One cell through the device's estimators."""
    cell = cycled(seed, drive_profile, folder)
    rated_ah = told.capacity_mah / 1000
    samples = sensed(cell, rated_ah, np.random.default_rng(1_000_000 + seed))
    return Outcome(seed, cell.lithium_share, cell.capacity_ah / rated_ah, on_unix(told, samples))


def _errors(found: list[Outcome], what: str, sigma: str = "") -> Iterator[tuple[str, float]]:
    wrong = np.abs([o.wrong(what) for o in found])
    yield "mean", float(wrong.mean())
    yield "p95", float(np.quantile(wrong, 0.95))
    yield "max", float(wrong.max())
    if sigma:
        yield "within the 95 % interval", 100 * float(np.mean([o.covered(what, sigma) for o in found]))


def rows(found: list[Outcome]) -> Iterator[Row]:
    """The figures of a population."""
    least = 100 * min(o.soh for o in found)
    note = f"{len(found)} cells, {least:.0f} to 100 % SoH, {partial.CYCLES} partial cycles"
    targets = {"p95": f"<= {BOUND}", "max": f"<= {BOUND}", "within the 95 % interval": "90-99"}
    for what, value in _errors(found, "soh", "sigma"):
        yield Row(f"capacity, error: {what}", value, "%", note, targets.get(what, ""))
    for what, value in _errors(found, "counted"):
        yield Row(f"capacity, baseline: {what}", value, "%", "least squares over the filter's own SoC", "")


def unbent_rows(found: list[Outcome]) -> Iterator[Row]:
    """The same where it is not known how ageing bends the OCV."""
    for what, value in _errors(found, "soh", "sigma"):
        yield Row(f"capacity, shifts not known: {what}", value, "%", f"{len(found)} cells", "")


def run(cells: int = CELLS) -> list[Row]:
    """Rows of `cells` cells; simulating them takes most of an hour the first time."""
    told = device()
    found = [judged(seed, told) for seed in range(1, cells + 1)]
    without = replace(told, shift=b"")
    unbent = [judged(seed, without) for seed in range(1, min(cells, UNBENT) + 1)]
    return [*rows(found), *unbent_rows(unbent)]
