"""Tokens and principals. A token is 256 random bits; the store has its SHA-256 only."""

import hashlib
import os
import secrets
import sqlite3
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from cloud.auth import store
from cloud.clock import now_ms
from cloud.db import Database
from cloud.errors import ForbiddenError, StartError, UnauthorizedError
from cloud.settings import Settings

PRESET_LENGTH = 32
"""Characters that a token given from outside must have at least."""


class Role(IntEnum):
    """Each role may do what the ones below it may."""

    VIEWER = 1
    OPERATOR = 2
    ENGINEER = 3
    SAFETY_APPROVER = 4


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: every query of the API is limited to `tenant`."""

    name: str
    role: Role
    tenant: str

    def require(self, role: Role) -> None:
        """Raises ForbiddenError unless this principal has `role` or a higher one."""
        if self.role < role:
            raise ForbiddenError(
                f"token {self.name!r} has role {self.role.name.lower()}; this needs {role.name.lower()}"
            )


def digest(token: str) -> bytes:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def authenticate(db: Database, authorization: str | None) -> Principal:
    """The principal of an Authorization header. Raises UnauthorizedError."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedError("no token: send the header Authorization: Bearer TOKEN")
    with db.reader() as connection:
        found = store.find(connection, digest(token.strip()))
    if found is None:
        raise UnauthorizedError(
            "the token is not known here; the operator's is in the file `token` of the state folder"
        )
    return Principal(found[0], Role[found[1].upper()], found[2])


def create(db: sqlite3.Connection, name: str, role: Role, tenant: str) -> str:
    """A new token, which nobody can read again later."""
    token = secrets.token_urlsafe(32)
    store.add(db, digest(token), name, role.name.lower(), tenant, now_ms())
    return token


def _first(db: sqlite3.Connection, tenant: str) -> str | None:
    if store.exists(db, Role.OPERATOR.name.lower()):
        return None
    return create(db, "operator", Role.OPERATOR, tenant)


def _preset(db: sqlite3.Connection, token: str, tenant: str) -> None:
    store.remove(db, "preset")
    store.add(db, digest(token), "preset", Role.OPERATOR.name.lower(), tenant, now_ms())


def ensure_operator(db: Database, settings: Settings) -> str | None:
    """See that somebody can log in; the new token if one had to be made, also in `<state_dir>/token`."""
    if settings.token is not None:
        token = settings.token.get_secret_value()
        if len(token) < PRESET_LENGTH:
            raise StartError(
                f"CELLKEEPER_TOKEN has {len(token)} characters; it needs at least {PRESET_LENGTH} random ones"
            )
        db.write_now(_preset, token, settings.tenant)
        return None
    token = db.write_now(_first, settings.tenant)
    if token is not None:
        _write_private(settings.state_dir / "token", token)
    return token


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
