"""Routes of the black box."""

from typing import Annotated

from fastapi import APIRouter, Query

from cloud.blackbox import service
from cloud.blackbox.schemas import Incidents
from cloud.packs.api import PackRow, Reader

router = APIRouter(prefix="/packs/{pack_id}", tags=["black box"])


@router.get("/trips", summary="What the black box recorded around trips, newest first")
def get_trips(
    pack_id: str, pack: PackRow, db: Reader, most: Annotated[int, Query(ge=1, le=200)] = 20
) -> Incidents:
    return Incidents(pack_id=pack_id, incidents=service.incidents(db, pack, most))
