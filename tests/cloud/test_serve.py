"""`cellkeeper serve` as a process: ready, killed, restarted, refused."""

import asyncio
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.cloud.conftest import TOKEN
from tests.cloud.edge import Edge, running
from tests.cloud.server import Server, free_port, launch, mosquitto, mosquitto_on, serving

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


async def refused(process: asyncio.subprocess.Process) -> str:
    """What a start that must fail says; one line, no traceback."""
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    assert process.returncode == 1
    lines = [line for line in err.decode().splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, err.decode()
    assert "Traceback" not in err.decode()
    return lines[0]


async def assert_whole(server: Server, edges: list[Edge]) -> None:
    """Every sample that an edge recorded is stored, once."""
    async with httpx.AsyncClient(base_url=server.url, headers=HEADERS) as api:
        for edge in edges:
            report = (await api.get(f"/api/packs/{edge.pack}/integrity")).json()
            found = {entry["stream"]: entry for entry in report["streams"]}
            for stream, count in edge.next_seq.items():
                if count:
                    entry = found[stream]
                    assert (entry["stored"], entry["distinct"], entry["gaps"]) == (count, count, []), entry
                    assert entry["conflicts"] == 0


async def keep_recording(edges: list[Edge], stop: asyncio.Event) -> None:
    while not stop.is_set():
        for edge in edges:
            await edge.tele(3)
            await edge.cells()
        await asyncio.sleep(0.01)


async def test_killed_in_mid_stream_nothing_is_lost_and_nothing_is_twice(tmp_path: Path) -> None:
    port, api_port = free_port(), free_port()
    options = ("--port", str(api_port), "--broker-port", str(port))
    edges = [Edge(port, pack=f"pack-{at}", resend_after_s=1) for at in range(3)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(edge.run()) for edge in edges]
    recorder: asyncio.Task[None] | None = None
    try:
        for _ in range(3):
            async with serving(tmp_path / "state", *options) as server:
                for edge in edges:
                    await edge.connected()
                recorder = recorder or asyncio.create_task(keep_recording(edges, stop))
                await asyncio.sleep(0.7)
                server.process.send_signal(signal.SIGKILL)
                await server.process.wait()
        async with serving(tmp_path / "state", *options) as server:
            await asyncio.sleep(0.5)
            stop.set()
            assert recorder is not None
            await recorder
            for edge in edges:
                await edge.settled(30)
            await assert_whole(server, edges)
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(edge.sent for edge in edges) > 100
    assert sum(edge.resent for edge in edges) > 0


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed (apt-get install mosquitto)")
async def test_killed_beside_a_broker_that_goes_on(tmp_path: Path) -> None:
    port = free_port()
    edges = [Edge(port, pack=f"pack-{at}", resend_after_s=1) for at in range(2)]
    url = {"CELLKEEPER_BROKER_URL": f"mqtt://127.0.0.1:{port}"}
    stop = asyncio.Event()
    async with mosquitto_on(port, tmp_path), running(edges[0]), running(edges[1]):
        recorder = asyncio.create_task(keep_recording(edges, stop))
        for _ in range(2):
            async with serving(tmp_path / "state", environment=url) as server:
                await asyncio.sleep(0.7)
                server.process.send_signal(signal.SIGKILL)
                await server.process.wait()
        async with serving(tmp_path / "state", environment=url) as server:
            stop.set()
            await recorder
            for edge in edges:
                await edge.settled(30)
            await assert_whole(server, edges)
            async with httpx.AsyncClient(base_url=server.url, headers=HEADERS) as api:
                packs = (await api.get("/api/packs")).json()["packs"]
    # a pack that did not connect again is known from what the broker retained
    assert [(one["online"], one["machine"]) for one in packs] == [(True, "edge of the tests")] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_with_pages_open(tmp_path: Path, number: signal.Signals) -> None:
    async with (
        serving(tmp_path / "state") as server,
        httpx.AsyncClient(headers=HEADERS) as api,
        api.stream("GET", f"{server.url}/api/live") as live,
    ):
        lines = live.aiter_lines()
        assert await anext(lines) == "event: snapshot"
        server.process.send_signal(number)
        async with asyncio.timeout(5):
            async for _ in lines:
                pass
            assert await server.process.wait() == 0


async def test_the_first_start_says_once_where_to_look(tmp_path: Path) -> None:
    for first in (True, False):
        async with serving(tmp_path / "state", environment={"CELLKEEPER_TOKEN": ""}) as server:
            token = (tmp_path / "state" / "token").read_text().strip()
            said = [line for line in server.said if token in line]
        assert len(said) == first
        assert not first or said[0].endswith(f"open {server.url}/#token={token}")


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = await refused(await launch(tmp_path / "a", "--port", str(port), "--broker-port", "0"))
        assert f"port {port} on 127.0.0.1" in said
        assert "--port" in said
        said = await refused(await launch(tmp_path / "b", "--port", "0", "--broker-port", str(port)))
        assert f"port {port} on 127.0.0.1" in said
        assert "--broker-port" in said


async def test_one_state_folder_has_one_server(tmp_path: Path) -> None:
    async with serving(tmp_path / "state"):
        said = await refused(await launch(tmp_path / "state"))
    assert "in use by another `cellkeeper serve`" in said


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CELLKEEPER_BROKER_HOST": "0.0.0.0"}, "CELLKEEPER_BROKER_PASSWORD_FILE"),  # noqa: S104
        ({"CELLKEEPER_BROKER_PASSWORD_FILE": "/nowhere"}, "/nowhere is not a file"),
        ({"CELLKEEPER_BROKER_URL": "http://u:hidden@h:1"}, "must be mqtt://user:password@host:port"),
        ({"CELLKEEPER_TOKEN": "short"}, "CELLKEEPER_TOKEN has 5 characters"),
        ({"CELLKEEPER_BATCH_MS": "soon"}, "CELLKEEPER_BATCH_MS"),
    ],
)
async def test_what_must_not_start(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    line = await refused(await launch(tmp_path / "state", environment=environment))
    assert said in line
    assert "hidden" not in line
