"""Who gets in: generated over every route of the application."""

import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from bms.tables.signals import TELE
from fastapi.routing import APIRoute

from cloud.app import create_app
from cloud.auth.service import Role
from cloud.errors import StartError
from cloud.settings import Settings
from tests.cloud.conftest import Cloud, Start
from tests.cloud.edge import Edge, running

OPEN = {"/health", "/docs", "/"}
EXAMPLE_BODY = {"/api/packs/{pack_id}/reference": [{"time_utc_ms": 1, "soc": 0.5}]}


def _routes() -> list[tuple[str, str]]:
    schema = create_app(Settings(state_dir=Path("unused"))).openapi()
    listed = [(method.upper(), path) for path, item in schema["paths"].items() for method in item]
    return [*listed, ("GET", "/openapi.json")]


ROUTES = [(method, path) for method, path in _routes() if path not in OPEN]
PACK_ROUTES = [route for route in ROUTES if "{pack_id}" in route[1]]


async def ask(
    cloud: Cloud, method: str, path: str, headers: dict[str, str], pack: str = "pack-1"
) -> httpx.Response:
    url = path.replace("{pack_id}", pack)
    return await cloud.api.request(method, url, headers=headers, json=EXAMPLE_BODY.get(path))


def test_the_list_of_routes_is_whole() -> None:
    found = {path for _, path in ROUTES}
    assert {"/api/packs", "/api/live", "/api/alerts", "/api/tables", "/openapi.json"} <= found
    app = create_app(Settings(state_dir=Path("unused")))
    served = {route.path for route in app.routes if isinstance(route, APIRoute)}
    assert served <= found | OPEN


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_a_known_token(cloud: Cloud, method: str, path: str) -> None:
    wrong = ["", "Bearer", "Bearer " + "x" * 43, "Basic dDp0", f"bearer  {'t' * 39}", f"Token {'t' * 40}"]
    for value in wrong:
        response = await ask(cloud, method, path, {"Authorization": value})
        assert response.status_code == 401, value
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"] == "Bearer"
        assert "token" in response.json()["detail"]


@pytest.mark.parametrize(("method", "path"), PACK_ROUTES)
async def test_another_tenant_does_not_even_learn_of_a_pack(cloud: Cloud, method: str, path: str) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.tele()
        await pack.settled()
    stranger = await cloud.token("stranger")
    refused = await ask(cloud, method, path, stranger)
    missing = await ask(cloud, method, path, stranger, "pack-2")
    assert refused.status_code == missing.status_code == 404
    assert refused.json()["detail"] == missing.json()["detail"].replace("pack-2", "pack-1")
    assert (await ask(cloud, method, path, dict(cloud.api.headers))).status_code < 300


async def test_lists_show_only_the_own_tenant(cloud: Cloud) -> None:
    async with (
        running(Edge(cloud.mqtt_port)) as ours,
        running(Edge(cloud.mqtt_port, tenant="other")) as theirs,
    ):
        for pack in (ours, theirs):
            await pack.event(3, True)
            await pack.tele()
            await pack.settled()
    other = await cloud.token("other")
    for headers, boot_id in ((dict(cloud.api.headers), ours.boot_id), (other, theirs.boot_id)):
        packs: list[dict[str, Any]] = (await cloud.api.get("/api/packs", headers=headers)).json()["packs"]
        assert [one["boot_id"] for one in packs] == [f"{boot_id:016x}"]
        alerts: list[dict[str, Any]] = (await cloud.api.get("/api/alerts", headers=headers)).json()["alerts"]
        assert [one["boot_id"] for one in alerts] == [f"{boot_id:016x}"]
    stranger = await cloud.token("stranger")
    assert (await cloud.api.get("/api/packs", headers=stranger)).json() == {"packs": []}
    assert (await cloud.api.get("/api/alerts", headers=stranger)).json() == {"alerts": []}


async def test_a_viewer_may_look_but_not_write(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.record(TELE, [])
        await cloud.until("/api/packs/pack-1", lambda _: True)
    viewer = await cloud.token("local", Role.VIEWER)
    for method, path in PACK_ROUTES:
        response = await ask(cloud, method, path, viewer)
        assert response.status_code == (403 if method == "POST" else 200), path


async def test_health_tells_a_stranger_only_that_it_lives(cloud: Cloud) -> None:
    bare = await cloud.api.get("/health", headers={"Authorization": ""})
    assert set(bare.json()) == {"status"}
    wrong = await cloud.api.get("/health", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    full = await cloud.get("/health")
    assert set(full) == {"status", "version", "broker", "store", "ingest"}


async def test_the_first_start_makes_one_token_that_only_the_owner_can_read(start: Start) -> None:
    async with start(token=None) as cloud:
        path = cloud.runtime.settings.state_dir / "token"
        token = path.read_text().strip()
        assert token == cloud.runtime.new_token
        assert len(token) >= 43
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        headers = {"Authorization": f"Bearer {token}"}
        assert (await cloud.api.get("/api/packs", headers=headers)).status_code == 200
        with cloud.runtime.db.reader() as db:
            kept = [bytes(row[0]) for row in db.execute("SELECT sha256 FROM tokens")]
        assert len(kept) == 1
        assert token.encode() not in kept[0]
    assert token.encode() not in (path.parent / "cellkeeper.sqlite3").read_bytes()
    async with start(token=None) as cloud:
        assert cloud.runtime.new_token is None
        assert (await cloud.api.get("/api/packs", headers=headers)).status_code == 200


async def test_a_short_token_from_outside_is_refused(start: Start) -> None:
    with pytest.raises(StartError, match="CELLKEEPER_TOKEN has 6 characters"):
        async with start(token="secret"):
            pass


async def test_another_token_from_outside_replaces_the_one_before(start: Start) -> None:
    async with start(token="a" * 32):
        pass
    async with start(token="b" * 32) as cloud:
        for letter, status in (("a", 401), ("b", 200)):
            headers = {"Authorization": f"Bearer {letter * 32}"}
            assert (await cloud.api.get("/api/packs", headers=headers)).status_code == status
