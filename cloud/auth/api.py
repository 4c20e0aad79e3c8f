"""Dependencies that authenticate a request; the tenant of every query comes from here."""

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cloud.auth.service import Principal, Role, authenticate
from cloud.runtime import Cloud

_bearer = HTTPBearer(auto_error=False, description="token of a user or a machine")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


def _viewer(cloud: Cloud, credentials: _Credentials) -> Principal:
    header = None if credentials is None else f"{credentials.scheme} {credentials.credentials}"
    return authenticate(cloud.db, header)


Viewer = Annotated[Principal, Depends(_viewer)]
"""Anybody with a token."""


def _operator(caller: Viewer) -> Principal:
    caller.require(Role.OPERATOR)
    return caller


Operator = Annotated[Principal, Depends(_operator)]
"""Somebody who may change things."""


def _maybe(cloud: Cloud, credentials: _Credentials) -> Principal | None:
    return None if credentials is None else _viewer(cloud, credentials)


Anybody = Annotated[Principal | None, Depends(_maybe)]
"""A principal, or None without a token; a wrong token is refused all the same."""


def authenticated(caller: Viewer) -> None:
    """For whole routers: refuses who has no token."""
    del caller
