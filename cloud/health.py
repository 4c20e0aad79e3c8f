"""Liveness for anybody, details for who has a token."""

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from cloud import __version__
from cloud.auth.api import Anybody
from cloud.runtime import Cloud

router = APIRouter(tags=["health"])


class Part(BaseModel):
    """Whether a part works, and why not."""

    ok: bool
    reason: str | None = None


class Health(BaseModel):
    """`degraded`: the API answers, but samples are not being stored now."""

    status: Literal["ok", "degraded"]
    version: str | None = None
    broker: Part | None = None
    store: Part | None = None
    ingest: dict[str, int] | None = None


@router.get(
    "/health",
    summary="Whether it works; with a token also what does not, and why",
    response_model_exclude_none=True,
)
def get_health(cloud: Cloud, caller: Anybody) -> Health:
    worker = cloud.ingest
    broker = "the ingest has not started" if worker is None else worker.broker_error
    store = None if worker is None else worker.store_error
    status = "ok" if broker is None and store is None else "degraded"
    if caller is None:
        return Health(status=status)
    return Health(
        status=status,
        version=__version__,
        broker=Part(ok=broker is None, reason=broker),
        store=Part(ok=store is None, reason=store),
        ingest=None if worker is None else asdict(worker.counters),
    )
