"""The live stream over real HTTP, and the hub that feeds it."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.live.service import Hub, follow
from tests.cloud.conftest import TOKEN
from tests.cloud.edge import Edge, running
from tests.cloud.server import Server, serving

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Server, None]:
    async with serving(tmp_path / "state") as running_server:
        yield running_server


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(event, data) of a stream."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def first(stream: AsyncIterator[tuple[str, dict[str, Any]]], wanted: str) -> dict[str, Any]:
    """The data of the next event of a name."""
    async with asyncio.timeout(5):
        async for name, data in stream:
            if name == wanted:
                return data
    raise AssertionError(wanted)


async def test_everything_that_happens(server: Server) -> None:
    port = int(server.said[0].rpartition(":")[2])
    async with (
        running(Edge(port)) as pack,
        httpx.AsyncClient(base_url=server.url, headers=HEADERS) as api,
    ):
        await pack.tele()
        await pack.cells()
        await pack.settled()
        async with api.stream("GET", "/api/live") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = events(response)
            snapshot = await first(stream, "snapshot")
            assert snapshot["packs"][0]["pack_id"] == "pack-1"
            assert snapshot["packs"][0]["latest"]["current_a"] == -1.5
            assert snapshot["packs"][0]["cells_latest"]["cell_voltage_v"][0] == 3.7
            await pack.tele()
            sample = await first(stream, "sample")
            assert (sample["pack_id"], sample["seq"], sample["soc"]) == ("pack-1", 1, 0.7312)
            await pack.cells()
            assert (await first(stream, "cells"))["temperature_c"] == [25.1, 25.3]
            await pack.event(3, True)
            event = await first(stream, "event")
            assert (event["name"], event["raised"], event["unit"]) == ("cell_over_voltage", 1, "mV")
            await pack.publish("state", {-14: 0, -1: pack.boot_id})
            assert (await first(stream, "pack"))["online"] is False
            rows = [{"time_utc_ms": 5, "soc": 0.5}]
            assert (await api.post("/api/packs/pack-1/reference", json=rows)).status_code == 201
            assert await first(stream, "reference") == {"pack_id": "pack-1", **rows[0]}


async def test_a_hub_tells_only_the_tenant_and_drops_who_does_not_keep_up() -> None:
    hub = Hub(queue_events=3)
    with hub.client("a") as slow, hub.client("b") as other:
        for at in range(5):
            hub.publish("a", "sample", {"at": at})
        assert slow.slow
        assert other.queue.empty()
        assert hub.tenants == {"b"}
        hub.publish("b", "sample", {"at": 9})
        stream = follow(other)
        event = await anext(stream)
        assert event is not None
        assert event.data == {"at": 9}
        hub.close()
        assert [event async for event in stream] == []
    assert hub.tenants == set()


async def test_a_dropped_client_still_gets_what_was_waiting_or_its_end() -> None:
    hub = Hub(queue_events=2)
    with hub.client("a") as client:
        for at in range(3):
            hub.publish("a", "sample", {"at": at})
        async with asyncio.timeout(1):
            assert [event async for event in follow(client)] == []


async def test_silence_has_a_heartbeat() -> None:
    hub = Hub()
    with hub.client("a") as client:
        async with asyncio.timeout(1):
            assert await anext(follow(client, heartbeat_s=0.01)) is None
