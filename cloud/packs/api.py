"""Routes of packs."""

import sqlite3
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends

from cloud.auth.api import Viewer
from cloud.packs import service
from cloud.packs.schemas import Pack, Packs
from cloud.runtime import Cloud

router = APIRouter(tags=["packs"])


def _reader(cloud: Cloud) -> Iterator[sqlite3.Connection]:
    with cloud.db.reader() as connection:
        yield connection


Reader = Annotated[sqlite3.Connection, Depends(_reader)]


def _pack_row(pack_id: str, caller: Viewer, db: Reader) -> int:
    return service.row_of(db, caller.tenant, pack_id)


PackRow = Annotated[int, Depends(_pack_row)]
"""The row of the pack in the path, which is the caller's tenant's; 404 otherwise."""


@router.get("/packs", summary="Every pack with its newest sample")
def list_packs(caller: Viewer, db: Reader) -> Packs:
    return Packs(packs=service.every(db, caller.tenant))


@router.get("/packs/{pack_id}", summary="One pack with its newest sample")
def get_pack(pack_id: str, caller: Viewer, db: Reader) -> Pack:
    return service.get(db, caller.tenant, pack_id)
