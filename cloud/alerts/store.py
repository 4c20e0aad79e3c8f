"""SQL of alerts: faults paired from the event stream, and conflicting samples. Limited to a tenant."""

import sqlite3
from typing import Any

# a boot_id sorts by boot counter, so (boot_id, seq) is the order in which a pack raised its events
_FAULTS = """
WITH ordered AS (
  SELECT p.name AS pack_id, p.current_boot, e.boot, b.boot_id, e.seq, e.time_utc_ms, e.fault, e.raised,
         e.value, e."limit", e."index",
         lead(e.time_utc_ms) OVER later AS next_ms, lead(e.raised) OVER later AS next_raised
  FROM evt e JOIN boots b ON b.id = e.boot JOIN packs p ON p.id = e.pack
  WHERE p.tenant = :tenant AND (:pack IS NULL OR p.name = :pack) AND e.fault IS NOT NULL
  WINDOW later AS (PARTITION BY e.boot, e.fault ORDER BY e.seq)
)
SELECT 'fault' AS kind, pack_id, boot_id, 'evt' AS stream, seq, time_utc_ms AS raised_ms,
       CASE WHEN next_raised = 0 THEN next_ms END AS cleared_ms,
       next_raised IS NULL AND boot = current_boot AS active,
       fault, value, "limit", "index", NULL AS detail
FROM ordered WHERE raised = 1
"""
_CONFLICTS = """
SELECT 'conflict' AS kind, p.name AS pack_id, b.boot_id, c.stream, c.seq, c.time_utc_ms AS raised_ms,
       c.time_utc_ms AS cleared_ms, 0 AS active, NULL AS fault, NULL AS value,
       NULL AS "limit", NULL AS "index", c.detail
FROM conflicts c JOIN boots b ON b.id = c.boot JOIN packs p ON p.id = c.pack
WHERE p.tenant = :tenant AND (:pack IS NULL OR p.name = :pack)
"""


def alerts(
    db: sqlite3.Connection, tenant: str, pack_id: str | None, active: bool | None, most: int
) -> list[dict[str, Any]]:
    """The newest `most` alerts, newest first."""
    query = f"""
SELECT * FROM ({_FAULTS} UNION ALL {_CONFLICTS}) WHERE :active IS NULL OR active = :active
ORDER BY raised_ms DESC, seq DESC LIMIT :most
"""  # noqa: S608
    rows = db.execute(query, {"tenant": tenant, "pack": pack_id, "active": active, "most": most})
    return [dict(row) for row in rows]
