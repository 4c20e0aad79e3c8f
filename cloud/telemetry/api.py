"""Routes of samples."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from cloud.auth.api import Operator
from cloud.clock import parse_ms
from cloud.packs.api import PackRow, Reader
from cloud.runtime import Cloud
from cloud.telemetry import service, store
from cloud.telemetry.schemas import History, Integrity, Latest, Reference, Stored

router = APIRouter(prefix="/packs/{pack_id}", tags=["telemetry"])
_Time = Annotated[str | None, Query(description="ISO 8601 with a time zone, or ms since 1970", max_length=64)]


@router.get("/latest", summary="The newest pack sample, cell arrays and reference SoC")
def get_latest(pack_id: str, pack: PackRow, db: Reader) -> Latest:
    return service.latest(db, pack, pack_id)


@router.get("/history", summary="Samples of a span of time as columns")
def get_history(
    pack_id: str,
    pack: PackRow,
    db: Reader,
    from_: Annotated[_Time, Query(alias="from")] = None,
    to: _Time = None,
    hours: Annotated[float, Query(gt=0, le=24 * 366 * 20, description="span when `from` is not given")] = 1,
    points: Annotated[int, Query(ge=1, le=service.MAX_POINTS)] = service.MAX_POINTS,
    fields: Annotated[str | None, Query(description="comma-separated names of signals")] = None,
) -> History:
    begin, end = service.span(
        None if from_ is None else parse_ms(from_, "from"), None if to is None else parse_ms(to, "to"), hours
    )
    return service.history(db, pack, pack_id, begin, end, points, service.fields(fields))


@router.get("/integrity", summary="Whether everything that the pack sent is stored once")
def get_integrity(pack_id: str, pack: PackRow, db: Reader) -> Integrity:
    return service.integrity(db, pack, pack_id)


@router.post("/reference", status_code=201, summary="Reference measurements of SoC, of a rig or a laboratory")
async def post_reference(
    pack_id: str,
    pack: PackRow,
    caller: Operator,
    cloud: Cloud,
    rows: Annotated[list[Reference], Body(min_length=1, max_length=10_000)],
) -> Stored:
    stored = await cloud.db.write(store.add_reference, pack, [(row.time_utc_ms, row.soc) for row in rows])
    newest = max(rows, key=lambda row: row.time_utc_ms)
    cloud.hub.publish(caller.tenant, "reference", {"pack_id": pack_id, **newest.model_dump()})
    return Stored(stored=stored)
