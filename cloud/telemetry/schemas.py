"""What the API says of samples; the fields of a sample are generated from the signal table."""

from typing import Any

from bms.tables import signals
from bms.tables.signals import CELLS, EVT, TELE, Signal
from pydantic import BaseModel, Field, create_model

from cloud.telemetry import columns


class SampleBase(BaseModel):
    """When a sample was taken, and its key."""

    time_utc_ms: int = Field(description="UTC, ms since 1970")
    device_ms: int = Field(description=f"{signals.SIGNALS[0].doc}, ms")
    boot_id: str = Field(description="16 hex digits")
    seq: int


def _field(row: Signal) -> Any:
    scalar = int if row.per_unit == 1 else float
    kind: Any = list[scalar] if row.array else scalar
    return kind | None, Field(default=None, description=row.doc, json_schema_extra={"unit": row.unit})


def _model(name: str, stream: str) -> type[SampleBase]:
    fields: dict[str, Any] = {row.name: _field(row) for row in columns.COLUMNS[stream]}
    return create_model(name, __base__=SampleBase, **fields)


TeleSample = _model("TeleSample", TELE)
CellsSample = _model("CellsSample", CELLS)
EvtSample = _model("EvtSample", EVT)


class Reference(BaseModel):
    """A measurement of SoC that does not come from the pack: of a rig or a laboratory."""

    time_utc_ms: int = Field(ge=0, lt=1 << 53, description="UTC, ms since 1970")
    soc: float = Field(ge=-0.05, le=1.05, description="state of charge, 0..1", allow_inf_nan=False)


class Stored(BaseModel):
    """How many rows were written."""

    stored: int


class Latest(BaseModel):
    """The newest of everything that is known of a pack."""

    pack_id: str
    tele: TeleSample | None = None  # pyright: ignore[reportInvalidTypeForm]
    cells: CellsSample | None = None  # pyright: ignore[reportInvalidTypeForm]
    reference: Reference | None = None


class History(BaseModel):
    """Columns of equal length, oldest first; None where a sample had no such value."""

    pack_id: str
    from_ms: int = Field(description="UTC, ms since 1970, inclusive")
    to_ms: int = Field(description="UTC, ms since 1970, exclusive")
    bucket_ms: int = Field(description="the newest sample of every so many ms is given; 0: every sample")
    points: int
    columns: dict[str, list[Any]] = Field(description="time_utc_ms, the fields, and soc_reference when known")


class StreamIntegrity(BaseModel):
    """What is stored of one stream of one boot."""

    boot_id: str = Field(description="16 hex digits")
    stream: str
    min_seq: int
    max_seq: int
    stored: int = Field(description="rows")
    distinct: int = Field(description="distinct seq among them")
    gaps: list[tuple[int, int]] = Field(description="missing below max_seq, both ends inclusive")
    duplicates_ignored: int
    conflicts: int
    time_source: str
    offset_ms: int = Field(description="UTC of device time 0, ms since 1970")


class Integrity(BaseModel):
    """Whether everything that the pack sent is stored once."""

    pack_id: str
    streams: list[StreamIntegrity]
