"""The live stream (Server-Sent Events)."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from cloud.auth.api import Viewer
from cloud.live.feed import snapshot
from cloud.live.service import Event, follow
from cloud.runtime import Cloud, Runtime

router = APIRouter(tags=["live"])


def encode(event: Event) -> bytes:
    """The text of an event."""
    return f"event: {event.name}\ndata: {json.dumps(event.data, separators=(',', ':'))}\n\n".encode()


@router.get(
    "/live",
    summary="Server-Sent Events: snapshot, then sample, cells, event, pack and reference as they happen",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def get_live(caller: Viewer, cloud: Cloud) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(cloud, caller.tenant), media_type="text/event-stream", headers=headers)


async def _stream(cloud: Runtime, tenant: str) -> AsyncIterator[bytes]:
    # listen first, look then: what happens in between comes twice rather than never
    with cloud.hub.client(tenant) as client:
        yield encode(Event("snapshot", await asyncio.to_thread(snapshot, cloud.db, tenant)))
        async for event in follow(client):
            yield b": heartbeat\n\n" if event is None else encode(event)
        if client.slow:
            yield b": dropped, this client did not keep up; connect again\n\n"
