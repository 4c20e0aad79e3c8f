"""What the API says of trips. Values that were not known at the time are None."""

from pydantic import BaseModel, Field


class Trip(BaseModel):
    """A protection that acted."""

    fault: int = Field(description="id in the fault table")
    name: str = Field(description="row of the fault table")
    device_ms: int = Field(description="since boot")
    time_utc_ms: int | None = Field(description="UTC, ms since 1970; None when the boot was never heard of")
    value: int = Field(description="what tripped, in `unit`")
    limit: int = Field(description="limit in force, in `unit`")
    unit: str
    index: int = Field(description="cell or sensor concerned, -1 for the whole pack")
    age_ms: int = Field(description="age of the sample that tripped")
    soc: float = Field(description="state of charge, 0..1")
    state: str = Field(description="of the contactor supervisor")
    gates: int = Field(description="gate command, GATE_* bits")
    limiter: int = Field(description="limiter of the power in force")
    boot_cause: int = Field(description="why the controller had started")
    params_hash: str = Field(description="hex of the hash over the parameters in force")
    faults: list[int] = Field(description="ids active or latched")
    cell_voltage_v: list[float] = Field(description="every cell, from the pack's negative end")


class Frame(BaseModel):
    """What was measured at one moment."""

    offset_ms: int = Field(description="after the first trip of the incident")
    current_a: float | None
    pack_voltage_v: float | None
    link_voltage_v: float | None
    cell_voltage_min_v: float | None
    cell_voltage_max_v: float | None
    temperature_min_c: float | None
    temperature_max_c: float | None
    isolation_kohm: int | None
    soc: float = Field(description="state of charge, 0..1")
    current_limit_a: float
    state: str
    gates: int
    limiter: int
    faults: list[int]


class Incident(BaseModel):
    """Trips close together, and the frames from 2 s before to 1 s after the first of them."""

    boot_number: int = Field(description="boot counter of the pack")
    boot_id: str | None = Field(description="16 hex digits; None when the boot was never heard of")
    incident: int = Field(description="number of the incident, modulo 65536")
    trips: list[Trip]
    frames: list[Frame]


class Incidents(BaseModel):
    """Newest first."""

    pack_id: str
    incidents: list[Incident]
