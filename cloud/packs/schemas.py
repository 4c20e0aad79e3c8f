"""What the API says of packs."""

from pydantic import BaseModel, Field

from cloud.telemetry.schemas import TeleSample


class About(BaseModel):
    """What the pack said of itself when it last started; nothing before its first birth message."""

    firmware: str | None = Field(default=None, description="version")
    params_hash: str | None = Field(default=None, description="hex of the hash over the parameters in force")
    chemistry: str | None = Field(default=None, description="of the chemistries of the parameter table")
    cells: int | None = Field(default=None, description="cells in series")
    temperature_sensors: int | None = None
    machine: str | None = Field(default=None, description="what MicroPython says of its machine")
    capacity_ah: float | None = Field(default=None, description="usable capacity of the string, Ah")
    schema_id: int | None = Field(default=None, description="version of the signal table")


class ActiveFault(BaseModel):
    """A fault that the pack reports as active or latched."""

    id: int
    name: str
    severity: str


class Pack(About):
    """A pack with its newest sample."""

    pack_id: str
    site: str
    online: bool
    last_seen_ms: int = Field(description="UTC, ms since 1970")
    boot_id: str | None = Field(default=None, description="16 hex digits, of the boot that the pack is in")
    time_source: str | None = Field(
        default=None, description="source of UTC: arrival, placed, rtc, sntp, rig"
    )
    latest: TeleSample | None = None  # pyright: ignore[reportInvalidTypeForm]
    faults: list[ActiveFault] = Field(default_factory=lambda: [])


class Packs(BaseModel):
    """The packs of a tenant."""

    packs: list[Pack]
