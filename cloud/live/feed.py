"""From what the ingest committed to events for live pages."""

import asyncio
from typing import Any

from bms.tables.signals import CELLS, EVT, TELE

from cloud.alerts.service import describe
from cloud.db import Database
from cloud.ingest.schemas import Change, boot_text
from cloud.live.service import Event, Hub
from cloud.packs import service as packs
from cloud.telemetry import columns
from cloud.telemetry import service as telemetry

_NAMES = {TELE: "sample", CELLS: "cells", EVT: "event"}


def sample_events(change: Change) -> list[Event]:
    """One event a sample: pack_id, key, time and the stream's columns; events also say what they mean."""
    events: list[Event] = []
    rows = columns.COLUMNS[change.kind]
    for seq, sample in change.samples:
        data: dict[str, Any] = {
            "pack_id": change.pack,
            "boot_id": boot_text(change.boot_id),
            "seq": seq,
            "time_utc_ms": change.offset_ms + sample.device_ms,
            "device_ms": sample.device_ms,
        }
        for row, cell in zip(rows, sample.cells, strict=True):
            data[row.name] = columns.from_cell(row, cell)
        if change.kind == EVT:
            data |= _meaning(data)
        events.append(Event(_NAMES[change.kind], data))
    return events


def _meaning(data: dict[str, Any]) -> dict[str, Any]:
    if data["fault"] is None:
        return {}
    raised = bool(data["raised"])
    alert = describe(
        {
            **{
                name: data[name] for name in ("pack_id", "boot_id", "seq", "fault", "value", "limit", "index")
            },
            "kind": "fault",
            "stream": EVT,
            "raised_ms": data["time_utc_ms"],
            "active": raised,
        }
    )
    return {"name": alert.name, "severity": alert.severity, "unit": alert.unit, "text": alert.text}


def snapshot(db: Database, tenant: str) -> dict[str, Any]:
    """Every pack of a tenant with the newest of everything."""
    with db.reader() as connection:
        entries: list[dict[str, Any]] = []
        for pack in packs.every(connection, tenant):
            row = packs.row_of(connection, tenant, pack.pack_id)
            latest = telemetry.latest(connection, row, pack.pack_id).model_dump()
            entries.append(
                {**pack.model_dump(), "cells_latest": latest["cells"], "reference": latest["reference"]}
            )
        return {"packs": entries}


class Feed:
    """Tells the hub what the ingest committed; costs nothing while nobody listens."""

    def __init__(self, db: Database, hub: Hub) -> None:
        self._db = db
        self._hub = hub

    async def changes(self, changes: list[Change]) -> None:
        """Publish a committed batch's changes."""
        tenants = self._hub.tenants
        heard = [change for change in changes if change.tenant in tenants]
        for tenant, name in dict.fromkeys((one.tenant, one.pack) for one in heard if one.kind == "pack"):
            self._hub.publish(tenant, "pack", await asyncio.to_thread(self._pack, tenant, name))
        for change in heard:
            if change.kind != "pack":
                for event in sample_events(change):
                    self._hub.publish(change.tenant, event.name, event.data)

    def _pack(self, tenant: str, name: str) -> dict[str, Any]:
        with self._db.reader() as connection:
            return packs.get(connection, tenant, name).model_dump()
