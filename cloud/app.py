"""The API as a FastAPI application; its lifespan runs store, broker and ingest."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from cloud import __version__, errors, health
from cloud.alerts import api as alerts
from cloud.auth import api as auth
from cloud.auth.service import ensure_operator
from cloud.blackbox import api as blackbox
from cloud.broker import service as broker
from cloud.db import Database
from cloud.ingest.worker import Worker
from cloud.live import api as live
from cloud.live.feed import Feed
from cloud.live.service import Hub
from cloud.packs import api as packs
from cloud.runtime import Runtime
from cloud.settings import Settings
from cloud.tables import api as tables
from cloud.telemetry import api as telemetry

PAGE = Path(__file__).parent / "dashboard" / "dist"
_DOCS = Path(__file__).with_name("docs.html")
_CONNECT_S = 1.0
_NO_PAGE = "The live page is not built. `make page` builds it; the API's own page is at /docs.\n"


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[Runtime, None]:
    """Store, broker and ingest, while in use. Raises StartError."""
    broker.check(settings)
    db = await asyncio.to_thread(Database, settings.state_dir / "cellkeeper.sqlite3")
    try:
        runtime = Runtime(settings, db, Hub())
        runtime.new_token = ensure_operator(db, settings)
        async with broker.running(settings) as address:
            worker = Worker(settings, address, db, Feed(db, runtime.hub).changes)
            runtime.ingest, runtime.broker_address = worker, address
            task = asyncio.create_task(worker.run(), name="ingest")
            try:
                # a broker that is down is no reason not to start, but usually this takes milliseconds
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CONNECT_S):
                        await worker.connected.wait()
                yield runtime
            finally:
                runtime.hub.close()
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
    finally:
        await asyncio.to_thread(db.close)


def create_app(settings: Settings, page: Path = PAGE) -> FastAPI:
    """The application for one set of settings; nothing runs before its lifespan begins."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with running(settings) as runtime:
            app.state.runtime = runtime
            yield

    app = FastAPI(
        title="Cellkeeper",
        version=__version__,
        summary="Packs, samples and alerts of one tenant; current is positive when charging, numbers are SI",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    # the one place where routes get their lock: everything below /api, and the schema
    api = APIRouter(prefix="/api", dependencies=[Depends(auth.authenticated)])
    for domain in (packs, telemetry, alerts, blackbox, live, tables):
        api.include_router(domain.router)
    app.include_router(api)
    app.include_router(health.router)
    _pages(app, page)
    return app


def _pages(app: FastAPI, page: Path) -> None:
    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(auth.authenticated)])
    def schema() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(app.openapi())

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:  # pyright: ignore[reportUnusedFunction]
        return HTMLResponse(_DOCS.read_text())

    if (page / "index.html").is_file():
        app.mount("/", StaticFiles(directory=page, html=True), name="page")
    else:

        @app.get("/", include_in_schema=False)
        def hint() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
            return PlainTextResponse(_NO_PAGE)
