"""History, reference SoC and their bad input."""

from itertools import pairwise
from typing import Any

import pytest
from bms.tables.signals import TELE

from cloud.clock import iso
from cloud.telemetry.service import interpolate
from tests.cloud import edge
from tests.cloud.conftest import Cloud
from tests.cloud.edge import Edge, running

PATH = "/api/packs/pack-1/history"


async def filled(cloud: Cloud, count: int) -> Edge:
    """A pack with `count` samples a second apart, the last of them now."""
    pack = Edge(cloud.mqtt_port, resend_after_s=60)
    async with running(pack):
        samples = [edge.tele(at * 1000, soc=at, faults=[3] if at % 2 else []) for at in range(count)]
        for at in range(0, count, 500):
            body = edge.message(pack.boot_id, at, samples[at : at + 500], count * 1000)
            await pack.publish(TELE, body)
        await cloud.until(
            "/api/packs/pack-1/integrity",
            lambda report: report["streams"] and report["streams"][0]["stored"] == count,
        )
    return pack


async def test_columns_of_equal_length_in_order(cloud: Cloud) -> None:
    await filled(cloud, 5)
    answer = await cloud.get(PATH, fields="soc,faults")
    columns = answer["columns"]
    assert columns["soc"] == [0.0, 0.0001, 0.0002, 0.0003, 0.0004]
    assert columns["faults"] == [[], [3], [], [3], []]
    steps = [after - before for before, after in pairwise(columns["time_utc_ms"])]
    assert steps == [1000] * 4
    assert answer["bucket_ms"] == 0
    assert answer["points"] == 5
    assert "soc_reference" not in columns


async def test_never_more_points_than_asked_for_and_the_newest_is_among_them(cloud: Cloud) -> None:
    await filled(cloud, 3000)
    for points in (1, 7, 2000):
        answer = await cloud.get(PATH, points=points, fields="soc")
        assert 0 < answer["points"] <= points
        assert answer["bucket_ms"] > 0
        assert answer["columns"]["soc"][-1] == pytest.approx(0.2999)
        assert answer["columns"]["time_utc_ms"] == sorted(answer["columns"]["time_utc_ms"])


async def test_a_span_in_iso_and_in_ms(cloud: Cloud) -> None:
    await filled(cloud, 10)
    times = (await cloud.get(PATH, fields="soc"))["columns"]["time_utc_ms"]
    answer = await cloud.get(PATH, fields="soc", to=times[5], **{"from": times[2]})
    assert answer["columns"]["time_utc_ms"] == times[2:5]
    answer = await cloud.get(PATH, fields="soc", to=iso(times[5]), **{"from": iso(times[2])})
    assert answer["columns"]["time_utc_ms"] == times[2:5]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"from": "2026-01-01T00:00:00"}, "has no time zone"),
        ({"from": "yesterday"}, "from is 'yesterday'"),
        ({"from": "9", "to": "9"}, "from must be earlier"),
        ({"fields": "soc,power"}, "fields has power; it can have pack_voltage_v"),
        ({"points": "2001"}, "query.points"),
        ({"hours": "0"}, "query.hours"),
        ({"hours": "nan"}, "query.hours"),
        ({"to": "9" * 60}, "after the year 9999"),
        ({"to": "9" * 65}, "query.to"),
        ({"from": "²"}, "from is '²'"),
    ],
)
async def test_bad_input_is_named(cloud: Cloud, params: dict[str, str], reason: str) -> None:
    await filled(cloud, 1)
    response = await cloud.api.get(PATH, params=params)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert reason in response.json()["detail"]


async def test_reference_soc_beside_the_estimate(cloud: Cloud) -> None:
    await filled(cloud, 10)
    times: list[int] = (await cloud.get(PATH))["columns"]["time_utc_ms"]
    rows = [{"time_utc_ms": times[2], "soc": 0.5}, {"time_utc_ms": times[6], "soc": 0.9}]
    response = await cloud.api.post("/api/packs/pack-1/reference", json=rows)
    assert response.status_code == 201
    assert response.json() == {"stored": 2}
    found: list[Any] = (await cloud.get(PATH))["columns"]["soc_reference"]
    assert found[:2] == found[7:9] == [None, None]
    assert found[2:7] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert (await cloud.get("/api/packs/pack-1/latest"))["reference"] == rows[1]


@pytest.mark.parametrize("rows", [[], [{"time_utc_ms": 1, "soc": 73}], [{"soc": 0.5}], {"soc": 1}])
async def test_a_wrong_reference_is_refused(cloud: Cloud, rows: Any) -> None:
    await filled(cloud, 1)
    response = await cloud.api.post("/api/packs/pack-1/reference", json=rows)
    assert response.status_code == 422


def test_interpolation() -> None:
    known = [(1000, 0.2), (2000, 0.4), (500_000, 0.9)]
    assert interpolate(known, 999) is None
    assert interpolate(known, 1000) == 0.2
    assert interpolate(known, 1500) == pytest.approx(0.3)
    assert interpolate(known, 2500) is None
    assert interpolate(known, 500_000) == 0.9
    assert interpolate(known, 500_001) is None
