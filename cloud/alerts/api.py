"""Routes of alerts."""

from typing import Annotated

from fastapi import APIRouter, Query

from cloud.alerts import service
from cloud.alerts.schemas import Alerts
from cloud.auth.api import Viewer
from cloud.packs.api import Reader
from cloud.packs.service import row_of

router = APIRouter(tags=["alerts"])


@router.get("/alerts", summary="Faults raised and cleared, and conflicting samples, newest first")
def list_alerts(
    caller: Viewer,
    db: Reader,
    active: bool | None = None,
    pack_id: str | None = None,
    most: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Alerts:
    if pack_id is not None:
        row_of(db, caller.tenant, pack_id)
    return Alerts(alerts=service.alerts(db, caller.tenant, pack_id, active, most))
