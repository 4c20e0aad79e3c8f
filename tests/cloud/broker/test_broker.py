"""The broker in this process, other brokers, and none at all."""

import asyncio
from pathlib import Path

import aiomqtt
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from cloud.broker.service import is_loopback
from cloud.errors import StartError
from cloud.ingest.worker import parse_url
from tests.cloud.conftest import Start
from tests.cloud.edge import Edge, running
from tests.cloud.server import free_port, mosquitto, mosquitto_on

NEEDS_MOSQUITTO = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")


async def test_with_a_password_file_nobody_gets_in_without_a_password(start: Start, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"pack-1:{Argon2Hasher().hash('right')}\n")
    async with start(broker_password_file=users) as cloud:
        # argon2 is slow on purpose: on a busy machine the first login takes its time
        await cloud.until("/health", lambda health: health["status"] == "ok", 10)
        for name, password in ((None, None), ("pack-1", "wrong"), ("cellkeeper-ingest", None)):
            login = aiomqtt.Client("127.0.0.1", cloud.mqtt_port, timeout=5, username=name, password=password)
            with pytest.raises(aiomqtt.MqttError):
                async with login:
                    pass
        async with aiomqtt.Client("127.0.0.1", cloud.mqtt_port, username="pack-1", password="right"):
            pass


async def test_an_open_address_needs_a_password_file(start: Start) -> None:
    with pytest.raises(StartError, match=r"listen on 0\.0\.0\.0 without passwords"):
        async with start(broker_host="0.0.0.0"):  # noqa: S104
            pass


@NEEDS_MOSQUITTO
async def test_another_broker_by_url(start: Start, tmp_path: Path) -> None:
    port = free_port()
    async with mosquitto_on(port, tmp_path), start(broker_url=f"mqtt://127.0.0.1:{port}"):
        async with running(Edge(port)) as pack:
            await pack.tele(5)
            await pack.settled()
        assert pack.resent == 0


@NEEDS_MOSQUITTO
async def test_without_its_broker_the_api_goes_on_and_says_so(start: Start, tmp_path: Path) -> None:
    port = free_port()
    async with start(broker_url=f"mqtt://user:hidden@127.0.0.1:{port}") as cloud:
        down = await cloud.until("/health", lambda health: "refused" in health["broker"]["reason"])
        assert down["status"] == "degraded"
        assert f"mqtt://127.0.0.1:{port}" in down["broker"]["reason"]
        assert "hidden" not in down["broker"]["reason"]
        assert await cloud.get("/api/packs") == {"packs": []}
        async with mosquitto_on(port, tmp_path) as broker, running(Edge(port, resend_after_s=0.2)) as pack:
            await cloud.until("/health", lambda health: health["status"] == "ok", 10)
            await pack.tele(5)
            await pack.settled()
            broker.kill()
            await cloud.until("/health", lambda health: health["status"] == "degraded", 10)
            await pack.tele(5)
            async with mosquitto_on(port, tmp_path):
                await pack.settled()
                report = await cloud.get("/api/packs/pack-1/integrity")
        assert (await cloud.api.get("/health", headers={"Authorization": ""})).status_code == 200
    assert report["streams"][0]["stored"] == 10
    assert report["streams"][0]["gaps"] == []


async def test_garbage_on_the_port_harms_nobody(start: Start) -> None:
    async with start() as cloud:
        for garbage in (b"\x00" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\x7f"):
            _, writer = await asyncio.open_connection("127.0.0.1", cloud.mqtt_port)
            writer.write(garbage)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with running(Edge(cloud.mqtt_port)) as pack:
            await pack.tele()
            await pack.settled()


def test_urls() -> None:
    address = parse_url("mqtt://me:p%40ss@broker:1884")
    assert (address.host, address.port, address.username, address.password) == ("broker", 1884, "me", "p@ss")
    assert "p@ss" not in str(address)
    assert parse_url("mqtt://broker").port == 1883
    for wrong in ("broker:1883", "mqtt://", "mqtt://h:port", "mqtts://h"):
        with pytest.raises(StartError, match="CELLKEEPER_BROKER_URL"):
            parse_url(wrong)


def test_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "127.3.2.1")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "")] == [False] * 5  # noqa: S104
