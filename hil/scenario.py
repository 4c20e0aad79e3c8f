"""Scenarios: what is done to a board and what must come of it, as YAML files with a checked schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from bms.tables import faults, params
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cloud.twin.cell import cell_names
from hil.inject import FRAME_FAULTS, Injection
from hil.link import TICK_MS

SCENARIO_DIR = Path(__file__).with_name("scenarios")
FAULT_ROWS = {row.name: row for row in faults.FAULTS}
_PARAMS = {row.name for row in params.PARAMS}
_FORBID = ConfigDict(extra="forbid", frozen=True)


class ScenarioError(ValueError):
    """A scenario that cannot be run; the message names the file, the field and what would be right."""


class Inject(BaseModel):
    """One fault at `at_s` (for `for_s`; else to the end).

    `beyond` names a limit parameter: the value set is that limit moved by `by` to its unsafe side.
    """

    model_config = _FORBID
    at_s: Annotated[float, Field(ge=0)]
    for_s: Annotated[float, Field(gt=0)] | None = None
    kind: Literal["set", "offset", "stuck", "drop", "bad_crc", "bad_length", "stale", "bad_quality"]
    target: Literal["current_ma", "pack_mv", "link_mv", "cell_mv", "temp_dc", "fast", "cells", "temps"]
    index: Annotated[int, Field(ge=0)] | None = None
    value: int | None = None
    beyond: str | None = None
    by: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _value_where_needed(self) -> Inject:
        given = (self.value is not None) + (self.beyond is not None)
        if self.kind in ("set", "offset") and given != 1:
            raise ValueError(f"kind {self.kind!r} needs either `value` or `beyond`")
        if self.kind not in ("set", "offset") and given:
            raise ValueError(f"kind {self.kind!r} takes neither `value` nor `beyond`")
        if self.beyond is not None and self.beyond not in {row.limit for row in faults.FAULTS}:
            raise ValueError(f"beyond {self.beyond!r} is no limit of the fault table")
        if (self.kind in FRAME_FAULTS) != (self.target in faults.GROUPS):
            what = "group of frames" if self.kind in FRAME_FAULTS else "signal"
            raise ValueError(f"kind {self.kind!r} acts on a {what}, not on {self.target!r}")
        if self.target == "fast" and self.kind != "bad_quality":
            # a tick in lock-step ends with its FAST frame: without one the board would wait for ever
            raise ValueError(f"kind {self.kind!r} cannot act on 'fast' in lock-step; use bad_quality")
        return self

    def injection(self, chemistry: int) -> Injection:
        """The injection for a pack of that chemistry."""
        value = self.value or 0
        if self.beyond is not None:
            row = next(row for row in faults.FAULTS if row.limit == self.beyond)
            sign = 1 if row.compare == faults.ABOVE else -1
            value = params.preset(self.beyond, chemistry)[0] + sign * self.by
        end = None if self.for_s is None else _ticks(self.at_s + self.for_s)
        made = Injection(self.kind, self.target, _ticks(self.at_s), index=self.index, value=value)
        if end is not None:
            made.to_tick = end
        return made


class Expect(BaseModel):
    """What must hold. Exactly one of the fields, with its companions:

    `trip`: that fault comes first, and the gates fall within the row's max_reaction_ms; `no_faults: true`: no
    fault at all; `state` (from `by_s` to the end); `soc_error_points` (mean absolute, from `by_s` on);
    `driven_s`: at least so long with closed contactors.
    """

    model_config = _FORBID
    trip: str | None = None
    latched: bool | None = None
    no_faults: Literal[True] | None = None
    state: Literal["boot", "open", "precharge", "closed", "opening", "tripped"] | None = None
    soc_error_points: Annotated[float, Field(gt=0)] | None = None
    driven_s: Annotated[float, Field(gt=0)] | None = None
    by_s: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("trip")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in FAULT_ROWS:
            raise ValueError(f"fault {name!r} is no row of the fault table: {', '.join(FAULT_ROWS)}")
        return name

    @model_validator(mode="after")
    def _one(self) -> Expect:
        kinds = ("trip", "no_faults", "state", "soc_error_points", "driven_s")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"an expectation is exactly one of {', '.join(kinds)}, not {given or 'none'}")
        if self.latched is not None and self.trip is None:
            raise ValueError("`latched` goes with `trip`")
        return self


class Scenario(BaseModel):
    """A scenario file. `duration_s: log` runs to the end of the log. Times are device time."""

    model_config = _FORBID
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: str
    source: Literal["model", "replay"] = "model"
    cell: str = "lg_hg2"
    drive: bool = True
    series: Annotated[int, Field(ge=1, le=96)] = 12
    sensors: Annotated[int, Field(ge=1, le=32)] = 4
    start_soc: Annotated[float, Field(gt=0, le=1)] = 0.8
    rest_s: Annotated[float, Field(ge=0)] = 1800.0
    duration_s: Annotated[float, Field(gt=0)] | Literal["log"]
    quantum_ticks: Annotated[int, Field(ge=1, le=20)] = 1
    inject: list[Inject] = []
    expect: Annotated[list[Expect], Field(min_length=1)]
    mutate: dict[str, int] = {}

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
    def _judged_at_quantum_one(self) -> Scenario:
        if self.quantum_ticks > 1 and any(e.trip for e in self.expect):
            raise ValueError("a reaction is judged with quantum_ticks 1 only")
        return self


def _ticks(seconds: float) -> int:
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
    """The scenarios that come with the project, by name."""
    return {path.stem: path for path in sorted(SCENARIO_DIR.glob("*.yaml"))}


def find_scenario(name: str) -> Scenario:
    """A scenario by name or by path. Raises ScenarioError."""
    known = scenarios()
    if name in known:
        return load_scenario(known[name])
    if name.endswith((".yaml", ".yml")):
        return load_scenario(Path(name))
    raise ScenarioError(f"scenario {name!r} is none of {', '.join(known)}")
