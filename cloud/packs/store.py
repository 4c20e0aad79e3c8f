"""SQL of packs as the API shows them. Every query is limited to a tenant."""

import sqlite3
from typing import Any

_SELECT = """
SELECT packs.id, packs.name AS pack_id, packs.site, packs.online, packs.last_seen_ms, boots.boot_id,
       boots.time_source, boots.birth
FROM packs LEFT JOIN boots ON boots.id = packs.current_boot
"""


def every(db: sqlite3.Connection, tenant: str) -> list[dict[str, Any]]:
    """The packs of a tenant by name."""
    return [dict(row) for row in db.execute(f"{_SELECT} WHERE tenant = ? ORDER BY name", (tenant,))]


def one(db: sqlite3.Connection, tenant: str, name: str) -> dict[str, Any] | None:
    """A pack of a tenant."""
    row = db.execute(f"{_SELECT} WHERE tenant = ? AND name = ?", (tenant, name)).fetchone()
    return None if row is None else dict(row)
