"""Packs with what they last said."""

import json
import sqlite3
from typing import Any

from bms.tables import faults

from cloud.errors import NotFoundError
from cloud.packs import store
from cloud.packs.schemas import ActiveFault, Pack
from cloud.telemetry import service as telemetry

_FAULTS = {row.id: row for row in faults.FAULTS}


def named_fault(id: int) -> ActiveFault:
    """A fault id with what the table says of it; an id that is not in the table keeps its number as name."""
    row = _FAULTS.get(id)
    if row is None:
        return ActiveFault(id=id, name=f"fault {id}", severity="critical")
    return ActiveFault(id=id, name=row.name, severity=faults.SEVERITIES[row.severity])


def row_of(db: sqlite3.Connection, tenant: str, pack_id: str) -> int:
    """The row of a pack: the one place where a pack's name meets a tenant. Raises NotFoundError."""
    found = store.one(db, tenant, pack_id)
    if found is None:
        raise NotFoundError(f"there is no pack {pack_id!r}")
    return found["id"]


def get(db: sqlite3.Connection, tenant: str, pack_id: str) -> Pack:
    """A pack with its newest sample. Raises NotFoundError."""
    found = store.one(db, tenant, pack_id)
    if found is None:
        raise NotFoundError(f"there is no pack {pack_id!r}")
    return _pack(db, found)


def every(db: sqlite3.Connection, tenant: str) -> list[Pack]:
    """Every pack of a tenant, by name."""
    return [_pack(db, found) for found in store.every(db, tenant)]


def _pack(db: sqlite3.Connection, found: dict[str, Any]) -> Pack:
    latest = telemetry.latest_tele(db, found.pop("id"))
    birth: dict[str, Any] = json.loads(found.pop("birth") or "{}")
    active: list[int] = (latest or {}).get("faults") or []
    return Pack.model_validate(
        {**found, **birth, "latest": latest, "faults": [named_fault(id) for id in active]}
    )
