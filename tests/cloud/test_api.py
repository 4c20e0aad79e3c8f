"""The API's shape: golden schema, tables, problems, pages.

`python -m tests.cloud.test_api` writes the golden file again; look at what changed before committing it.
"""

import json
from pathlib import Path

import httpx
from bms.tables import faults, limiters, params, signals

from cloud.app import create_app
from cloud.settings import Settings
from tests.cloud.conftest import Cloud

GOLDEN = Path(__file__).with_name("openapi.json")


def current() -> str:
    """The schema as it is now."""
    app = create_app(Settings(state_dir=Path("unused")))
    return json.dumps(app.openapi(), indent=1, sort_keys=True) + "\n"


def test_the_schema_is_the_golden_one() -> None:
    assert current() == GOLDEN.read_text(), "if meant: python -m tests.cloud.test_api"


async def test_tables_are_the_firmware_s(cloud: Cloud) -> None:
    tables = await cloud.get("/api/tables")
    assert [row["name"] for row in tables["signals"]] == [row.name for row in signals.SIGNALS]
    assert [row["id"] for row in tables["params"]] == [row.id for row in params.PARAMS]
    assert [row["name"] for row in tables["faults"]] == [row.name for row in faults.FAULTS]
    assert tables["states"] == list(signals.STATES)
    assert [row["name"] for row in tables["limiters"]] == [row.name for row in limiters.LIMITERS]
    over_voltage = tables["params"][0]["presets"]["nmc"]
    assert tuple(over_voltage.values()) == params.preset("cell_ov_mv", params.NMC)


async def test_what_is_not_there_is_a_problem_that_names_it(cloud: Cloud) -> None:
    for path, named in (("/api/packs/ghost", "'ghost'"), ("/api/nothing", "/api/nothing"), ("/no", "/no")):
        response = await cloud.api.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        body = response.json()
        assert named in body["detail"]
        assert body["instance"] == path
    response = await cloud.api.delete("/api/packs")
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"


async def test_pages(cloud: Cloud) -> None:
    docs = await cloud.api.get("/docs", headers={"Authorization": ""})
    assert docs.status_code == 200
    # a page that holds a token loads nothing from elsewhere
    assert "http" not in docs.text.replace("application/problem", "")


async def test_the_built_page_is_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>page</title>")
    (tmp_path / "app.js").write_text("1")
    for page, expected in (
        (tmp_path, "<title>page</title>"),
        (tmp_path / "none", "The live page is not built"),
    ):
        app = create_app(Settings(state_dir=tmp_path / "state"), page)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as api:
            assert expected in (await api.get("/")).text
            assert (await api.get("/app.js")).status_code == (200 if page == tmp_path else 404)


if __name__ == "__main__":
    GOLDEN.write_text(current())
