"""Scenarios: what is done to a board and what must come of it, as YAML files with a checked schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from bms.tables import faults, params
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from cloud.twin.cell import cell_names
from hil.expect import FORBID, Expect, Seconds, known_row
from hil.inject import KINDS, Injection, targets_of
from hil.link import TICK_MS
from hil.load import Load

SCENARIO_DIR = Path(__file__).with_name("scenarios")
TARGET_NAMES = ("cpython", "unix", "mps2_an500", "serial")
_PARAMS = {row.name for row in params.PARAMS}
_LEAD_S = 0.2
_WITH_VALUE = ("set", "offset", "ramp", "noise", "load", "leak", "link_leak", "slow_link")


class ScenarioError(ValueError):
    """A scenario that cannot be run; the message names the file, the field and what would be right."""


class Inject(BaseModel):
    """One fault at `at_s` (for `for_s`; else to the end). Kinds, targets and values: hil.inject.Injection.

    `beyond` names a limit parameter: the value is that limit moved by `by` to its unsafe side.
    """

    model_config = FORBID
    at_s: Seconds
    for_s: Annotated[float, Field(gt=0)] | None = None
    kind: str
    target: str = ""
    index: Annotated[int, Field(ge=0)] | None = None
    value: float | None = None
    beyond: str | None = None
    by: float = 0
    per_s: float = 0
    other: Annotated[int, Field(ge=0)] = 0
    really: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Inject:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}")
        known = targets_of(self.kind)
        if self.target not in known:
            what = ", ".join(known) if known != ("",) else "nothing"
            raise ValueError(f"kind {self.kind!r} acts on {what}, not on {self.target!r}")
        given = (self.value is not None) + (self.beyond is not None)
        if self.kind in _WITH_VALUE and given != 1:
            raise ValueError(f"kind {self.kind!r} needs either `value` or `beyond`")
        if self.kind not in _WITH_VALUE and given:
            raise ValueError(f"kind {self.kind!r} takes neither `value` nor `beyond`")
        if self.beyond is not None and self.beyond not in {row.limit for row in faults.FAULTS if row.limit}:
            raise ValueError(f"beyond {self.beyond!r} is no limit of the fault table")
        if self.really and self.target != "cell_mv":
            raise ValueError(f"only cell_mv can `really` be so, not {self.target!r}")
        return self

    def injection(self, chemistry: int, series: int = 1, seed: int = 1) -> Injection:
        """The injection for a pack of that chemistry and size."""
        value = self.value or 0
        if self.beyond is not None:
            row = next(row for row in faults.FAULTS if row.limit == self.beyond)
            sign = 1 if row.compare == faults.ABOVE else -1
            value = params.preset(self.beyond, chemistry)[0] + sign * self.by
            if row.per_cell and self.target == "pack_mv":
                value *= series
        end = {} if self.for_s is None else {"to_tick": ticks_of(self.at_s + self.for_s)}
        return Injection(
            self.kind, self.target, ticks_of(self.at_s), index=self.index, value=value, per_s=self.per_s,
            other=self.other, really=self.really, seed=seed, **end,
        )  # fmt: skip


class Controller(BaseModel):
    """A fault inside the controller, from `at_s` of its own time on: the main loop hangs (`hang`), fills the
    heap and goes on trying (`fill_heap`), does nothing but collect garbage (`collect`), or spins in machine
    code that lets nothing scheduled in (`spin`); one task is past its deadline from then on (`slow`); or the
    application is told to reboot, once (`reboot`)."""

    model_config = FORBID
    at_s: Seconds
    kind: Literal["hang", "fill_heap", "collect", "spin", "slow", "reboot"]


class LoadSpec(BaseModel):
    """What hangs on the link: a mean current with a square wave around it; `obedient`: heeds the board."""

    model_config = FORBID
    mean_a: float = 0.0
    swing_a: float = 0.0
    half_period_ms: Annotated[int, Field(ge=TICK_MS)] = 100
    obedient: bool = False

    def load(self) -> Load:
        """For the plant."""
        return Load(self.mean_a, self.swing_a, self.half_period_ms // TICK_MS, self.obedient)


class Scenario(BaseModel):
    """A scenario file. `duration_s: log` runs to the end of the log. Times are device time.

    `covers` is the cell of the coverage matrix: row of the fault table and kind of fault. `defect` says in a
    regression what the defect was. `broker` is one of hil.bad_broker. `quantum_ticks` ticks pass at once
    until `fine_s` (0.2 s before the first fault), then one by one. `resets`: the board may reset itself;
    `slow` ones run in full campaigns only. `boot_cause` is what a board at the desk is told that it started
    for; `nvm: corrupt` gives the board a state journal that cannot be read; `estimator: observer` gives it
    the tables of the cell.
    """

    model_config = FORBID
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: str
    source: Literal["model", "replay"] = "model"
    cell: str = "lg_hg2"
    drive: bool = True
    series: Annotated[int, Field(ge=1, le=96)] = 12
    sensors: Annotated[int, Field(ge=1, le=32)] = 4
    start_soc: Annotated[float, Field(gt=0, le=1)] = 0.8
    rest_s: Seconds = 1800.0
    ambient_c: float | None = None
    spread: Literal["typical", "none"] = "typical"
    broker: Literal["", "black_hole", "flood", "hang_up"] = ""
    load: LoadSpec = LoadSpec()
    duration_s: Annotated[float, Field(gt=0)] | Literal["log"]
    quantum_ticks: Annotated[int, Field(ge=1, le=20)] = 1
    fine_s: Seconds | None = None
    inject: tuple[Inject, ...] = ()
    controller: Controller | None = None
    resets: bool = False
    boot_cause: Literal["", "watchdog", "brown-out"] = ""
    nvm: Literal["", "corrupt"] = ""
    estimator: Literal["counter", "observer"] = "counter"
    expect: Annotated[tuple[Expect, ...], Field(min_length=1)]
    mutate: dict[str, int] = {}
    targets: tuple[str, ...] = TARGET_NAMES
    slow: bool = False
    covers: tuple[str, str] | None = None
    defect: str = ""

    @field_validator("cell")
    @classmethod
    def _cell(cls, name: str) -> str:
        if name not in cell_names():
            raise ValueError(f"cell {name!r} is none of {', '.join(cell_names())}")
        return name

    @field_validator("mutate")
    @classmethod
    def _mutate(cls, values: dict[str, int]) -> dict[str, int]:
        for name in values:
            if name not in _PARAMS:
                raise ValueError(f"mutate: {name!r} is no parameter")
        return values

    @model_validator(mode="after")
    def _sound(self) -> Scenario:
        if self.covers:
            known_row(self.covers[0])
        if unknown := set(self.targets) - set(TARGET_NAMES):
            raise ValueError(f"targets: {', '.join(sorted(unknown))} is none of {', '.join(TARGET_NAMES)}")
        if self.boot_cause and not set(self.targets) <= {"cpython", "unix"}:
            raise ValueError("boot_cause: only cpython and unix can be told; say so in `targets`")
        return self

    @property
    def onset_s(self) -> float | None:
        """When the first fault begins."""
        starts = [entry.at_s for entry in self.inject] + ([self.controller.at_s] if self.controller else [])
        return min(starts, default=None)

    def pieces(self) -> list[tuple[int, int]]:
        """(ticks, quantum) of the run's two pieces. Raises ValueError for a scenario as long as its log."""
        if self.duration_s == "log":
            raise ValueError(f"{self.name}: how long the log takes is not known beforehand")
        total = ticks_of(self.duration_s)
        onset = self.onset_s
        fine_s = self.fine_s
        if fine_s is None and onset is not None:
            fine_s = max(0.0, onset - _LEAD_S)
        coarse = total if fine_s is None else min(total, ticks_of(fine_s))
        return [(coarse, self.quantum_ticks), (total - coarse, 1)]


def ticks_of(seconds: float) -> int:
    """Ticks in so many seconds."""
    return round(seconds * 1000 / TICK_MS)


def load_scenario(path: Path) -> Scenario:
    """Read and check one scenario. Raises ScenarioError."""
    try:
        raw: Any = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: not YAML: {error}") from error
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        lines = [f"{'.'.join(str(p) for p in e['loc']) or 'file'}: {e['msg']}" for e in error.errors()]
        raise ScenarioError(f"{path}: {'; '.join(lines)}") from error


def scenarios() -> dict[str, Path]:
    """The scenario files that come with the project, by name."""
    return {path.stem: path for path in sorted(SCENARIO_DIR.glob("*.yaml"))}


def find_scenario(name: str) -> Scenario:
    """A scenario by name (of a file or of the matrix) or by path. Raises ScenarioError."""
    known = scenarios()
    if name in known:
        return load_scenario(known[name])
    if name.endswith((".yaml", ".yml")):
        return load_scenario(Path(name))
    from hil.matrix import matrix

    made = matrix()
    if name in made:
        return made[name]
    raise ScenarioError(
        f"scenario {name!r} is none of {', '.join(known)}, nor of the {len(made)} of the matrix"
    )
