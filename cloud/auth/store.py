"""SQL of tokens: only their SHA-256 is kept."""

import sqlite3


def find(db: sqlite3.Connection, sha256: bytes) -> tuple[str, str, str] | None:
    """(name, role, tenant) of a token."""
    row = db.execute("SELECT name, role, tenant FROM tokens WHERE sha256 = ?", (sha256,)).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def exists(db: sqlite3.Connection, role: str) -> bool:
    """Whether any token has a role."""
    return db.execute("SELECT 1 FROM tokens WHERE role = ?", (role,)).fetchone() is not None


def add(db: sqlite3.Connection, sha256: bytes, name: str, role: str, tenant: str, created_ms: int) -> None:
    """A token; the same token again changes its row."""
    db.execute(
        "INSERT OR REPLACE INTO tokens (sha256, name, role, tenant, created_ms) VALUES (?, ?, ?, ?, ?)",
        (sha256, name, role, tenant, created_ms),
    )


def remove(db: sqlite3.Connection, name: str) -> None:
    """Every token of a name."""
    db.execute("DELETE FROM tokens WHERE name = ?", (name,))
