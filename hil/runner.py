"""Runs a scenario on a target in lock-step and judges it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bms.link import frame
from bms.tables import params

from cloud.twin.cell import load_cell
from cloud.twin.logs import Log
from hil.plant import Plant, PlantConfig, make_plant
from hil.scenario import Scenario
from hil.session import Record, Session
from hil.targets import BoardSetup, TargetError, make_target
from hil.targets.base import ROOT
from hil.verdict import Check, Trip, judge, limits_in_force, soc_errors, trips

DAY_TICKS = 24 * 3600 * 200


@dataclass(frozen=True)
class Outcome:
    """A scenario's result on one target. `error` says why there is no verdict."""

    scenario: Scenario
    target: str
    record: Record
    checks: list[Check]
    trips: list[Trip]
    log: str
    simulated: bool
    error: str = ""

    @property
    def passed(self) -> bool:
        """Every expectation held."""
        return not self.error and all(check.passed for check in self.checks)

    @property
    def sha256(self) -> str:
        """Of all ACTUATE frames (header and payload): equal on every target in lock-step."""
        return hashlib.sha256(self.record.actuates).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        errors = soc_errors(self.record) if self.record.actuates and self.record.soc else None
        return {
            "scenario": self.scenario.name,
            "target": self.target,
            "passed": self.passed,
            "error": self.error,
            "log": self.log,
            "simulated": self.simulated,
            "ticks": len(self.record.frames()),
            "actuate_sha256": self.sha256,
            "soc_mae_points": None if errors is None else round(float(errors.mean()), 3),
            "checks": [check.as_dict() for check in self.checks],
            "trips": [asdict(trip) for trip in self.trips],
        }


def board_identity(plant: Plant, chemistry: int, pack: str, **login: str) -> dict[str, object]:
    """Identity of a board that fits the plant."""
    config = plant.config
    return {
        "tenant": "demo",
        "site": "rig",
        "pack": pack,
        "chemistry": chemistry,
        "series": config.series,
        "temps": config.sensors,
        "capacity_mah": round(plant.source.capacity_ah * 1000),
        **login,
    }


def mutated_firmware(folder: Path, changes: dict[str, int], firmware: Path = ROOT / "firmware") -> Path:
    """A copy of the firmware in `folder` whose presets differ by `changes` (parameter -> default value)."""
    copy = folder / "firmware"
    shutil.copytree(firmware, copy, ignore=shutil.ignore_patterns("__pycache__"))
    tables = copy / "bms" / "tables" / "params.py"
    text = tables.read_text()
    for name, value in changes.items():
        row = re.search(rf'^    "{name}": \((.*)\),$', text, re.MULTILINE)
        if row is None:
            raise ValueError(f"mutate: {name!r} has no preset in {tables.name}")
        changed = re.sub(r"\(-?[\d_]+,", f"({value},", row.group(1))
        text = text[: row.start(1)] + changed + text[row.end(1) :]
    tables.write_text(text)
    return copy


@dataclass(frozen=True)
class RunOptions:
    """What a run takes besides the scenario."""

    target: str = "cpython"
    emulator: str = "qemu"
    port: str = ""
    seed: int = 1
    firmware: Path = ROOT / "firmware"
    image: Path | None = None
    start_soc: float | None = None


def run_scenario(
    scenario: Scenario, log: Log | None, options: RunOptions, progress: Callable[[int], None] | None = None
) -> Outcome:
    """Start the board, run, judge, end it. A board that fails gives an Outcome with `error`."""
    with tempfile.TemporaryDirectory(prefix="ck-mut-") as scratch:
        if scenario.mutate:
            folder = mutated_firmware(Path(scratch), scenario.mutate, options.firmware)
            options = replace(options, firmware=folder)
        return _run(scenario, log, options, progress)


def _run(
    scenario: Scenario, log: Log | None, options: RunOptions, progress: Callable[[int], None] | None
) -> Outcome:
    cell = load_cell(scenario.cell)
    chemistry = params.CHEMISTRIES.index(cell.chemistry)
    config = PlantConfig(
        scenario.series,
        scenario.sensors,
        options.start_soc or scenario.start_soc,
        scenario.rest_s,
        options.seed,
    )
    used = log if scenario.drive else None
    plant = make_plant(scenario.source, cell, used, config)
    setup = BoardSetup(
        board_identity(plant, chemistry, scenario.name), firmware=options.firmware, image=options.image
    )
    injections = [entry.injection(chemistry) for entry in scenario.inject]
    record, error = Record(), ""
    board = make_target(options.target, setup, lockstep=True, emulator=options.emulator, port=options.port)
    try:
        board.start()
        session = Session(board, plant, frame.MODE_LOCKSTEP, injections)
        record = session.record
        session.hello()
        until = (lambda: plant.finished) if scenario.duration_s == "log" else None
        ticks = DAY_TICKS if scenario.duration_s == "log" else round(scenario.duration_s * 200)
        session.lockstep(ticks, scenario.quantum_ticks, until=until, progress=progress)
    except TargetError as failure:
        error = str(failure)
    finally:
        board.stop()
    found = trips(record, limits_in_force(chemistry)) if record.actuates else []
    checks = judge(scenario, record, found) if not error else []
    name = used.name if used else "no drive"
    return Outcome(
        scenario, options.target, record, checks, found, name, bool(used and used.simulated), error
    )
