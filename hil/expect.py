"""What must come of a scenario."""

from __future__ import annotations

from typing import Annotated, Literal

from bms.tables import faults, signals
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

FAULT_ROWS = {row.name: row for row in faults.FAULTS}
FORBID = ConfigDict(extra="forbid", frozen=True)

Seconds = Annotated[float, Field(ge=0)]


def known_row(name: str) -> str:
    """`name`, if the fault table has such a row. Raises ValueError."""
    if name not in FAULT_ROWS:
        raise ValueError(f"fault {name!r} is no row of the fault table: {', '.join(FAULT_ROWS)}")
    return name


class Expect(BaseModel):
    """What must hold. Exactly one of the fields, with its companions:

    `trip`: that fault comes, before all but its `companions`, and its action follows within the row's
    max_reaction_ms (or `within_ms`) of the first offending sample (or `onset_s`); `trip_any`: one of these
    does so, the rest may; `no_trip`: these do not come; `no_faults: true`: none comes; `state` or
    `gates_open: true` from `by_s` to `until_s`; `soc_error_points` (mean absolute, from `by_s` on);
    `driven_s`: at least so long in state closed; from `by_s` to `until_s` the limit of `direction` is at most
    `limit_a` or above `limit_above_a`, and a row of the fault table is `active`, `latched_row` or `clear`.
    """

    model_config = FORBID
    trip: str | None = None
    latched: bool | None = None
    companions: tuple[str, ...] = ()
    onset_s: Seconds | None = None
    within_ms: Annotated[int, Field(gt=0)] | None = None
    trip_any: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    no_trip: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    no_faults: Literal[True] | None = None
    state: str | None = None
    gates_open: Literal[True] | None = None
    soc_error_points: Annotated[float, Field(gt=0)] | None = None
    driven_s: Annotated[float, Field(gt=0)] | None = None
    limit_a: Annotated[float, Field(ge=0)] | None = None
    limit_above_a: Annotated[float, Field(ge=0)] | None = None
    active: str | None = None
    latched_row: str | None = None
    clear: str | None = None
    direction: Literal["charge", "discharge"] = "charge"
    by_s: Seconds = 0.0
    until_s: Seconds | None = None

    @field_validator("trip", "trip_any", "no_trip", "companions", "active", "latched_row", "clear")
    @classmethod
    def _known(cls, names: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for name in (names,) if isinstance(names, str) else names or ():
            known_row(name)
        return names

    @field_validator("state")
    @classmethod
    def _state(cls, name: str | None) -> str | None:
        if name is not None and name not in signals.STATES:
            raise ValueError(f"state {name!r} is none of {', '.join(signals.STATES)}")
        return name

    @model_validator(mode="after")
    def _one(self) -> Expect:
        kinds = (
            "trip", "trip_any", "no_trip", "no_faults", "state", "gates_open", "soc_error_points", "driven_s",
            "limit_a", "limit_above_a", "active", "latched_row", "clear",
        )  # fmt: skip
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"an expectation is exactly one of {', '.join(kinds)}, not {given or 'none'}")
        if self.latched is not None and self.trip is None:
            raise ValueError("`latched` goes with `trip`")
        return self
