"""The device's own telemetry code against the cloud, which is killed in between."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.auth.service import PRESET_LENGTH
from tests.cloud.server import free_port, serving

ROOT = Path(__file__).parents[3]
DEVICE = ROOT / "tests" / "e2e" / "link_device.py"
MICROPYTHON = Path(sys.executable).with_name("micropython")
SAMPLES = 240
SPEED = 12
TOKEN = "device-" + "t" * PRESET_LENGTH


@pytest.mark.parametrize("interpreter", [sys.executable, str(MICROPYTHON)], ids=["cpython", "micropython"])
async def test_a_device_loses_nothing_when_the_cloud_is_killed(tmp_path: Path, interpreter: str) -> None:
    port, api_port = free_port(), free_port()
    options = ("--port", str(api_port), "--broker-port", str(port))
    settings = {"CELLKEEPER_TOKEN": TOKEN, "CELLKEEPER_TENANT": "t"}
    arguments = [str(DEVICE), f"127.0.0.1:{port}", "pack-7", str(SAMPLES), str(SPEED)]
    async with serving(tmp_path / "state", *options, environment=settings) as server:
        device = await asyncio.create_subprocess_exec(interpreter, *arguments, stdout=PIPE)
        await asyncio.sleep(1.5)
        server.process.kill()
        await server.process.wait()
    async with serving(tmp_path / "state", *options, environment=settings) as server:
        async with asyncio.timeout(90):
            said, _ = await device.communicate()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as api:
            report: list[dict[str, Any]] = (await api.get("/api/packs/pack-7/integrity")).json()["streams"]
            # the device's clock runs fast: its newest samples may lie ahead of ours
            span = {"from": 0, "to": 9_999_999_999_999, "fields": "pack_voltage_v"}
            history = (await api.get("/api/packs/pack-7/history", params=span)).json()
    result: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert result["pending"] == result["dropped"] == result["bad_acks"] == 0, result
    assert result["connects"] >= 2
    assert [entry["stream"] for entry in report] == ["tele", "cells", "evt"]
    for entry in report:
        assert entry["gaps"] == []
        assert entry["conflicts"] == 0
        assert entry["stored"] == entry["distinct"] == entry["max_seq"] + 1
    assert report[0]["stored"] == SAMPLES
    # the device numbers its samples in mV
    assert [round(value * 1000) for value in history["columns"]["pack_voltage_v"]] == list(range(SAMPLES))
