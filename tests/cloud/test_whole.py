"""From a pack over a real broker into the store, out of the API, and the acknowledgement back."""

import asyncio
import time
from typing import Any

import pytest
from bms.tables import signals
from bms.tables.signals import STREAMS, TELE

from tests.cloud import edge
from tests.cloud.conftest import Cloud, Start
from tests.cloud.edge import Edge, running


async def integrity(cloud: Cloud, pack: str = "pack-1") -> dict[tuple[str, str], Any]:
    """The integrity report of a pack by (boot_id, stream)."""
    report = await cloud.get(f"/api/packs/{pack}/integrity")
    return {(entry["boot_id"], entry["stream"]): entry for entry in report["streams"]}


async def test_a_sample_goes_all_the_way(cloud: Cloud) -> None:
    before = time.time_ns() // 1_000_000
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.tele(3)
        await pack.cells()
        await pack.settled()
        assert pack.resent == 0
        listed = (await cloud.get("/api/packs"))["packs"]
        assert [one["pack_id"] for one in listed] == ["pack-1"]
        one = await cloud.get("/api/packs/pack-1")
    assert one["online"] is True
    assert one["site"] == "hall"
    assert one["chemistry"] == "nmc"
    assert one["cells"] == 4
    assert one["capacity_ah"] == 3.0
    assert one["machine"] == "edge of the tests"
    assert one["boot_id"] == f"{pack.boot_id:016x}"
    latest = await cloud.get("/api/packs/pack-1/latest")
    assert latest["tele"]["current_a"] == -1.5
    assert latest["tele"]["soc"] == 0.7312
    assert latest["tele"]["seq"] == 2
    assert latest["tele"]["overruns"] == 2
    assert latest["tele"]["link_voltage_v"] is None
    assert latest["cells"]["cell_voltage_v"] == [3.7, 3.701, 3.702, 3.703]
    assert latest["cells"]["temperature_c"] == [25.1, 25.3]
    assert before - 100 <= latest["tele"]["time_utc_ms"] <= time.time_ns() // 1_000_000


async def test_acknowledgements_say_what_is_stored(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port, resend_after_s=60)) as pack:
        await pack.tele(4)
        await pack.settled()
        last = pack.acks[-1]
    assert last == {
        signals.STREAM: STREAMS.index(TELE),
        signals.BOOT_ID: pack.boot_id,
        signals.UPTO: 4,
        signals.GAPS: [],
    }


async def test_a_gap_is_named_at_once_and_filled_from_history(start: Start) -> None:
    # with the longest interval, only urgent acknowledgements can be this quick
    async with start(ack_interval_s=5) as cloud, running(Edge(cloud.mqtt_port, resend_after_s=60)) as pack:
        await pack.tele(2)
        await pack.tele(3, lose=True)
        begun = time.monotonic()
        await pack.tele(1)
        await pack.settled(4)
        assert time.monotonic() - begun < 2
        assert pack.acks[0][signals.GAPS] == [[2, 4]]
        assert pack.acks[-1][signals.GAPS] == []
        entry = (await integrity(cloud))[f"{pack.boot_id:016x}", TELE]
    assert pack.resent == 3
    assert entry["gaps"] == []
    assert entry["stored"] == entry["distinct"] == 6
    assert (entry["min_seq"], entry["max_seq"]) == (0, 5)


async def test_the_first_samples_missing_are_a_gap(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port, resend_after_s=60)) as pack:
        await pack.tele(5, lose=True)
        await pack.tele()
        await pack.settled()
    assert pack.acks[0][signals.GAPS] == [[0, 4]]


async def test_duplicates_are_acknowledged_again_counted_and_not_stored(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        samples = [edge.tele(10), edge.tele(20)]
        body = edge.message(pack.boot_id, 0, samples, 30)
        for _ in range(3):
            await pack.publish(TELE, body)
        await pack.answered()
        # an acknowledgement can be lost: what is sent again must be answered again
        await pack.publish("hist", edge.message(pack.boot_id, 0, samples, 40, stream=0))
        await pack.answered()
        await cloud.until(
            "/api/packs/pack-1/integrity",
            lambda report: [one["duplicates_ignored"] for one in report["streams"]] == [6],
        )
        entry = (await integrity(cloud))[f"{pack.boot_id:016x}", TELE]
    assert entry["stored"] == 2
    assert entry["conflicts"] == 0


async def test_the_same_key_with_other_content_is_an_alert_and_the_first_stays(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.publish(TELE, edge.message(pack.boot_id, 0, [edge.tele(10)], 30))
        await pack.publish(TELE, edge.message(pack.boot_id, 0, [edge.tele(10, current_a=2000)], 30))
        await pack.publish(TELE, edge.message(pack.boot_id, 0, [edge.tele(10, current_a=2000)], 30))
        alerts = (await cloud.until("/api/alerts", lambda found: found["alerts"]))["alerts"]
        await pack.tele()
        await pack.settled()
        entry = (await integrity(cloud))[f"{pack.boot_id:016x}", TELE]
        history = await cloud.get("/api/packs/pack-1/history", fields="current_a")
    assert [alert["kind"] for alert in alerts] == ["conflict"]
    assert alerts[0]["seq"] == 0
    assert "current_a" in alerts[0]["text"]
    assert history["columns"]["current_a"][0] == -1.5
    assert entry["conflicts"] >= 1


@pytest.mark.parametrize(
    ("leaf", "payload", "reason"),
    [
        (TELE, b"\xff\x00", "not CBOR"),
        (TELE, b"\x01", "must be a map"),
        (TELE, {signals.SEQ: 0}, "field n (-3) is missing"),
        ("birth", {signals.BOOT_ID: 1}, "field schema (-8) is missing"),
        ("state", {signals.BOOT_ID: -1, signals.ONLINE: 1}, "field boot_id (-1) is -1"),
        ("hist", {signals.STREAM: 3}, "field stream (-15) is 3"),
    ],
)
async def test_poison_is_set_aside_with_a_reason_and_never_acknowledged(
    cloud: Cloud, leaf: str, payload: Any, reason: str
) -> None:
    async with running(Edge(cloud.mqtt_port, resend_after_s=60)) as pack:
        await pack.publish(leaf, payload)
        await pack.publish(leaf, payload)
        rows = await poison(cloud, 2)
        assert pack.acks == []
        await pack.tele()
        await pack.settled()
    assert [row["topic"] for row in rows] == [pack.topic(leaf)]
    assert reason in rows[0]["reason"]


async def poison(cloud: Cloud, times: int) -> list[dict[str, Any]]:
    """What was set aside, once it came `times` times."""
    async with asyncio.timeout(5):
        while True:
            with cloud.runtime.db.reader() as db:
                rows = [dict(row) for row in db.execute("SELECT * FROM poison")]
            if sum(row["count"] for row in rows) >= times:
                return rows
            await asyncio.sleep(0.02)


async def test_an_unknown_key_keeps_the_message_aside_and_stores_what_is_known(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.record(TELE, [edge.tele(10) | {99: 1}])
        await pack.settled()
        rows = await poison(cloud, 1)
        latest = await cloud.get("/api/packs/pack-1/latest")
    assert latest["tele"]["current_a"] == -1.5
    assert "pack pack-1, stream tele: no such key: 99" in rows[0]["reason"]


async def test_the_same_name_at_another_site_is_refused_until_a_birth_moves_it(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.tele()
        await pack.settled()
        pack.site = "yard"
        await pack.publish(TELE, edge.message(pack.boot_id, 1, [edge.tele(10)], 30))
        rows = await poison(cloud, 1)
        assert "is at site hall, not at yard" in rows[0]["reason"]
        await pack.birth()
        await cloud.until("/api/packs/pack-1", lambda one: one["site"] == "yard")


async def test_a_last_will_takes_the_pack_offline_but_not_a_newer_boot(cloud: Cloud) -> None:
    async def online(wanted: bool) -> None:
        await cloud.until("/api/packs/pack-1", lambda one: one["online"] is wanted)

    async with running(Edge(cloud.mqtt_port)) as old:
        await old.tele()
        await old.settled()
        await online(True)
        old_will = {signals.ONLINE: 0, signals.BOOT_ID: old.boot_id}
        await old.publish("state", old_will)
        await online(False)
    async with running(Edge(cloud.mqtt_port, counter=2)) as new:
        await online(True)
        await new.publish("state", old_will)
        await new.tele()
        await new.settled()
        await online(True)


async def test_a_restart_keeps_everything_and_goes_on(start: Start) -> None:
    async with start() as cloud, running(Edge(cloud.mqtt_port)) as pack:
        await pack.tele(5)
        await pack.settled()
    async with start() as cloud:
        pack.port = cloud.mqtt_port
        async with running(pack):
            await pack.tele(5)
            await pack.settled()
            entry = (await integrity(cloud))[f"{pack.boot_id:016x}", TELE]
    assert entry["stored"] == entry["distinct"] == 10
    assert entry["gaps"] == []


async def test_many_gaps_never_stop_the_acknowledgements(start: Start) -> None:
    async with start(ack_gaps=3) as cloud, running(Edge(cloud.mqtt_port, resend_after_s=0.2)) as pack:
        for _ in range(8):
            first = await pack.tele(1, lose=True)
            del pack.held[TELE][first]  # the edge's store was full: nobody will ever send this one
            await pack.tele(1)
        await pack.settled()
        assert all(len(ack[signals.GAPS]) <= 3 for ack in pack.acks)
        entry = (await integrity(cloud))[f"{pack.boot_id:016x}", TELE]
    assert entry["stored"] == 8
    assert len(entry["gaps"]) == 8
