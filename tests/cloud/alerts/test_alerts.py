"""Faults as they come and go."""

from tests.cloud import edge
from tests.cloud.conftest import Cloud
from tests.cloud.edge import Edge, running


async def test_a_fault_is_raised_and_cleared_with_what_the_table_says(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.event(3, True)
        await pack.settled()
        raised = (await cloud.get("/api/alerts", active=True, pack_id="pack-1"))["alerts"]
        await pack.event(3, False)
        await pack.settled()
        assert (await cloud.get("/api/alerts", active=True))["alerts"] == []
        cleared = (await cloud.get("/api/alerts", active=False))["alerts"]
    assert len(raised) == len(cleared) == 1
    assert raised[0]["cleared_ms"] is None
    assert cleared[0] == raised[0] | {"active": False, "cleared_ms": cleared[0]["cleared_ms"]}
    assert cleared[0]["cleared_ms"] >= cleared[0]["raised_ms"]
    assert raised[0]["name"] == "cell_over_voltage"
    assert raised[0]["severity"] == "critical"
    assert (raised[0]["value"], raised[0]["limit"], raised[0]["unit"]) == (4260, 4250, "mV")
    assert raised[0]["index"] == 2
    assert raised[0]["text"] == "highest cell above its limit: 4260 mV against 4250 mV, index 2"


async def test_faults_do_not_clear_each_other_and_order_does_not_matter(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port, resend_after_s=60)) as pack:
        await pack.event(3, True)
        first = await pack.record("evt", [], lose=True)
        assert first == 1
        await pack.event(4, True)
        await pack.event(4, False)
        await pack.settled()
        alerts = (await cloud.get("/api/alerts"))["alerts"]
    assert [(alert["fault"], alert["active"]) for alert in alerts] == [(4, False), (3, True)]


async def test_a_restart_ends_what_the_boot_before_had_raised(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as old:
        await old.event(3, True)
        await old.settled()
    async with running(Edge(cloud.mqtt_port, counter=2)) as new:
        await new.tele()
        await new.settled()
        alerts = (await cloud.get("/api/alerts"))["alerts"]
    assert [(alert["active"], alert["cleared_ms"]) for alert in alerts] == [(False, None)]


async def test_a_fault_that_the_table_does_not_have_keeps_its_number(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.event(63, True)
        await pack.settled()
        alerts = (await cloud.get("/api/alerts"))["alerts"]
    assert alerts[0]["name"] == "fault 63"


async def test_active_faults_are_named_in_the_list_of_packs(cloud: Cloud) -> None:
    async with running(Edge(cloud.mqtt_port)) as pack:
        await pack.record("tele", [edge.tele(5, faults=[3, 7])])
        await pack.settled()
        faults = (await cloud.get("/api/packs"))["packs"][0]["faults"]
    assert [fault["name"] for fault in faults] == ["cell_over_voltage", "over_temperature"]


async def test_alerts_of_a_pack_that_is_not_there(cloud: Cloud) -> None:
    response = await cloud.api.get("/api/alerts", params={"pack_id": "nobody"})
    assert response.status_code == 404
    assert "'nobody'" in response.json()["detail"]
