"""What the API says of alerts."""

from typing import Literal

from pydantic import BaseModel, Field


class Alert(BaseModel):
    """A protection that acted, or a sample that came twice with different content."""

    kind: Literal["fault", "conflict"]
    pack_id: str
    boot_id: str = Field(description="16 hex digits")
    stream: str
    seq: int = Field(description="of the event, or of the sample that came twice")
    severity: str
    name: str = Field(description="row of the fault table, or `conflict`")
    text: str = Field(description="one sentence for people")
    active: bool
    raised_ms: int = Field(description="UTC, ms since 1970")
    cleared_ms: int | None = Field(
        default=None, description="UTC, ms since 1970; None while active or when a restart ended it"
    )
    fault: int | None = Field(default=None, description="id in the fault table")
    value: int | None = Field(default=None, description="what tripped, in `unit`")
    limit: int | None = Field(default=None, description="limit in force, in `unit`")
    unit: str | None = None
    index: int | None = Field(default=None, description="cell or sensor concerned, -1 for the whole pack")


class Alerts(BaseModel):
    """Newest first."""

    alerts: list[Alert]
