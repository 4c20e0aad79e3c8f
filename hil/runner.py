"""Runs a scenario on a target and judges it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from bms.link import frame
from bms.tables import params

from cloud.twin.cell import load_cell
from cloud.twin.device_image import image_of
from cloud.twin.logs import Log
from cloud.twin.pack import Spread
from hil.bad_broker import BadBroker
from hil.free import run_free
from hil.inject import PackFaults
from hil.plant import Plant, PlantConfig, make_plant
from hil.record import Record
from hil.saboteur import mutated_main, sabotaged_main
from hil.scenario import Scenario
from hil.session import Session
from hil.targets import BoardSetup, TargetError, make_target
from hil.targets.base import ROOT
from hil.verdict import Check, Trip, Trips, judge, limits_in_force, soc_errors

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
        """Of all ACTUATE frames (header and payload), equal on every target in lock-step."""
        return hashlib.sha256(bytes(self.record.actuates)).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        errors = soc_errors(self.record) if self.record.actuates and self.record.soc else np.zeros(0)
        return {
            "scenario": self.scenario.name,
            "target": self.target,
            "passed": self.passed,
            "error": self.error,
            "log": self.log,
            "simulated": self.simulated,
            "ticks": len(self.record.frames()),
            "actuate_sha256": self.sha256,
            "soc_mae_points": round(float(np.mean(errors)), 3) if len(errors) else None,
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
    clock: Literal["lockstep", "free"] = "lockstep"
    gdb: Path | None = None


def run_scenario(
    scenario: Scenario, log: Log | None, options: RunOptions, progress: Callable[[int], None] | None = None
) -> Outcome:
    """Start the board, run, judge, end it. A board that fails gives an Outcome with `error`."""
    return _run(scenario, log, options, progress)


def make_session(scenario: Scenario, log: Log | None, options: RunOptions, broker: str = "") -> Session:
    """The scenario's plant and a board for it, not started."""
    cell = load_cell(scenario.cell)
    chemistry = params.CHEMISTRIES.index(cell.chemistry)
    config = PlantConfig(
        scenario.series, scenario.sensors, options.start_soc or scenario.start_soc, scenario.rest_s,
        options.seed, scenario.ambient_c, Spread() if scenario.spread == "typical" else Spread(0, 0, 0, 0),
    )  # fmt: skip
    injections = [entry.injection(chemistry, scenario.series, options.seed) for entry in scenario.inject]
    plant = make_plant(
        scenario.source, cell, log if scenario.drive else None, config, scenario.load.load(),
        PackFaults(injections),
    )  # fmt: skip
    main = sabotaged_main(scenario.controller) if scenario.controller else ""
    main = mutated_main(scenario.mutate) if scenario.mutate else main
    setup = BoardSetup(
        board_identity(plant, chemistry, scenario.name), firmware=options.firmware, image=options.image,
        broker=broker, main=main, gdb=options.gdb, spoilt_state=scenario.nvm == "corrupt",
        cell=image_of(scenario.cell) if scenario.estimator == "observer" else b"",
        extra_env={"CELLKEEPER_CAUSE": scenario.boot_cause} if scenario.boot_cause else {},
    )  # fmt: skip
    lockstep = options.clock == "lockstep"
    board = make_target(
        options.target, setup, lockstep=lockstep, emulator=options.emulator, port=options.port
    )
    return Session(board, plant, frame.MODE_LOCKSTEP if lockstep else frame.MODE_FREE, injections)


def _run(
    scenario: Scenario, log: Log | None, options: RunOptions, progress: Callable[[int], None] | None
) -> Outcome:
    with BadBroker(scenario.broker) if scenario.broker else nullcontext() as broker:
        session = make_session(scenario, log, options, broker.address if broker else "")
        record, error = session.record, ""
        try:
            session.board.start()
            session.hello()
            if options.clock == "free":
                run_free(session, scenario, progress)
            else:
                _lockstep(session, scenario, progress)
        except TargetError as failure:
            error = str(failure)
        finally:
            session.board.stop()
    chemistry = params.CHEMISTRIES.index(load_cell(scenario.cell).chemistry)
    found = Trips(scenario, record, limits_in_force(chemistry)).find() if record.actuates else []
    checks = judge(scenario, record, found) if not error else []
    used = log if scenario.drive else None
    name = used.name if used else "no drive"
    return Outcome(
        scenario, options.target, record, checks, found, name, bool(used and used.simulated), error
    )


def _lockstep(session: Session, scenario: Scenario, progress: Callable[[int], None] | None) -> None:
    if scenario.duration_s == "log":
        session.lockstep(
            DAY_TICKS, scenario.quantum_ticks, until=lambda: session.plant.finished, progress=progress
        )
        return
    for ticks, quantum in scenario.pieces():
        session.lockstep(ticks, quantum, progress=progress, resets=scenario.resets)
