"""A real cloud for tests: broker, ingest, SQLite and API in this process, on free ports of loopback."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cloud.app import create_app
from cloud.auth.service import Role, create
from cloud.runtime import Runtime
from cloud.settings import Settings

TOKEN = "t" * 40


@dataclass
class Cloud:
    """A running cloud: its application, an authenticated client and what it consists of."""

    app: FastAPI
    api: httpx.AsyncClient
    runtime: Runtime

    @property
    def mqtt_port(self) -> int:
        """Port of the broker."""
        assert self.runtime.broker_address is not None
        return self.runtime.broker_address.port

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON that a path answers with status 200."""
        response = await self.api.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def until(self, path: str, ready: Callable[[Any], bool], seconds: float = 5) -> Any:
        """The JSON of a path once it is `ready`; 404 counts as not yet."""
        async with asyncio.timeout(seconds):
            while True:
                response = await self.api.get(path)
                if response.status_code == 200 and ready(response.json()):
                    return response.json()
                await asyncio.sleep(0.02)

    async def token(self, tenant: str, role: Role = Role.OPERATOR) -> dict[str, str]:
        """Headers of a new token."""
        made = await self.runtime.db.write(create, f"{role.name} of {tenant}", role, tenant)
        return {"Authorization": f"Bearer {made}"}


Start = Callable[..., contextlib.AbstractAsyncContextManager[Cloud]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a cloud with settings of your choice; twice on the same state folder is a restart."""

    @contextlib.asynccontextmanager
    async def _start(**settings: Any) -> AsyncGenerator[Cloud, None]:
        given: dict[str, Any] = {
            "state_dir": tmp_path / "state",
            "broker_port": 0,
            "token": TOKEN,
            "ack_interval_s": 0.2,
        }
        app = create_app(Settings(**(given | settings)))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as api,
        ):
            yield Cloud(app, api, app.state.runtime)

    return _start


@pytest.fixture
async def cloud(start: Start) -> AsyncGenerator[Cloud, None]:
    """A cloud with its own broker."""
    async with start() as running:
        yield running
