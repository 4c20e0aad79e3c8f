"""SQL of the black box. `pack` is a row that belongs to the caller's tenant (packs.service.row_of)."""

import sqlite3


def newest(db: sqlite3.Connection, pack: int, most: int) -> list[bytes]:
    """Raw records of the newest `most` incidents."""
    query = """
SELECT record FROM black_box WHERE pack = :pack AND (boot_number, incident) IN (
  SELECT DISTINCT boot_number, incident FROM black_box WHERE pack = :pack
  ORDER BY boot_number DESC, incident DESC LIMIT :most
)
"""
    return [row[0] for row in db.execute(query, {"pack": pack, "most": most})]


def boots(db: sqlite3.Connection, pack: int) -> dict[int, tuple[str, int]]:
    """(boot_id, offset_ms) of the pack's boots by boot number, which is the upper half of the boot_id."""
    rows = db.execute("SELECT boot_id, offset_ms FROM boots WHERE pack = ? ORDER BY id", (pack,))
    return {int(row[0][:8], 16): (row[0], row[1]) for row in rows}
