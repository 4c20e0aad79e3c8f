"""UTC of stored samples, over the whole way."""

import time

from bms.tables.signals import TELE

from tests.cloud import edge
from tests.cloud.conftest import Cloud
from tests.cloud.edge import Edge, running


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_utc_of_the_device_wins(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port, resend_after_s=60)) as pack:
        utc_ms = now_ms() - 3_600_000
        body = edge.message(pack.boot_id, 0, [edge.tele(100)], 600, utc_ms=utc_ms, utc_source=0)
        await pack.publish(TELE, body)
        await pack.answered()
        one = await cloud.get("/api/packs/pack-1")
    assert one["latest"]["time_utc_ms"] == utc_ms - 500
    assert one["time_source"] == "rtc"


async def test_a_better_offset_moves_what_is_stored(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port, resend_after_s=60)) as pack:
        # sent at device time 1000, but it took 5 s to get here
        await pack.publish(TELE, edge.message(pack.boot_id, 0, [edge.tele(1000)], 1000))
        await pack.answered()
        late = (await cloud.get("/api/packs/pack-1"))["latest"]["time_utc_ms"]
        await pack.publish(TELE, edge.message(pack.boot_id, 1, [edge.tele(6000)], 6000))
        await pack.answered()
        times = (await cloud.get("/api/packs/pack-1/history"))["columns"]["time_utc_ms"]
    assert times[1] - times[0] == 5000
    assert 4000 < late - times[0] <= 5000


async def test_a_boot_known_only_from_history_lies_between_the_others_and_is_marked(cloud: Cloud) -> None:
    first, lost, now = edge.boot(1), edge.boot(2), edge.boot(3)
    async with running(Edge(cloud.mqtt_port, boot_id=now, resend_after_s=60)) as pack:
        begun = now_ms()
        for boot_id, age_ms in ((first, 600_000), (now, 0)):
            utc_ms = begun - age_ms
            body = edge.message(boot_id, 0, [edge.tele(900)], 1000, utc_ms=utc_ms, utc_source=1)
            await pack.publish(TELE, body)
            await pack.answered()
        # re-sent by boot 3, whose clock says 2000; these samples are from boot 2
        old = edge.message(lost, 0, [edge.tele(50_000), edge.tele(51_000)], 2000, stream=0)
        await pack.publish("hist", old)
        await pack.answered()
        report = await cloud.get("/api/packs/pack-1/integrity")
        times = (await cloud.get("/api/packs/pack-1/history"))["columns"]["time_utc_ms"]
    source = {entry["boot_id"]: entry["time_source"] for entry in report["streams"]}
    assert source == {f"{first:016x}": "sntp", f"{lost:016x}": "placed", f"{now:016x}": "sntp"}
    assert times[0] == begun - 600_000 - 100
    assert times[2] - times[1] == 1000
    assert times[0] < times[1] < times[2] < times[3] == begun - 100
    assert (await cloud.get("/api/packs/pack-1"))["boot_id"] == f"{now:016x}"
