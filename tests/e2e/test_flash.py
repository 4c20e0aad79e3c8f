"""`make flash` onto a running emulated board: a changed constant shows in its birth message."""

from __future__ import annotations

import asyncio
import functools
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import cbor2
import pytest
from bms.link import frame
from bms.memory import identity
from bms.memory.layout import IDENTITY
from bms.tables import signals

from boards.tools import boardfile, emulator, flash, mpy

BROKER = Path(__file__).with_name("link_broker.py")
WHO: dict[str, object] = {
    "tenant": "test", "site": "desk", "pack": "flashed",
    "chemistry": 0, "series": 4, "temps": 2, "capacity_mah": 3000,
}  # fmt: skip


@contextmanager
def running(command: list[str]) -> Generator[None]:
    """A process for as long as it is needed."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def config_frame() -> bytes:
    """The front end's CONFIG, which a board waits for at each start."""
    writer = frame.Writer()
    payload = bytes((4, 2, frame.MODE_FREE, 0, 0, 0, 0))
    writer.raw[frame.HEADER : frame.HEADER + len(payload)] = payload
    n = writer.finish(frame.CONFIG, 0, 0, len(payload))
    return bytes(writer.wire[:n])


async def births(port: int, versions: list[str]) -> None:
    """Collect the firmware version of each birth message."""
    while True:
        try:
            async with aiomqtt.Client("127.0.0.1", port) as client:
                await client.subscribe(signals.topic("test", "desk", "flashed", "birth"), qos=1)
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    versions.append(cbor2.loads(message.payload)[signals.FIRMWARE])
        except aiomqtt.MqttError:
            await asyncio.sleep(0.2)


async def until(condition: str, versions: list[str], afe: socket.socket, timeout_s: float) -> None:
    """Wait for a version, being the front end meanwhile."""
    async with asyncio.timeout(timeout_s):
        while condition not in versions:
            afe.sendall(config_frame())
            await asyncio.sleep(0.5)


@pytest.mark.timeout(300)
async def test_a_changed_constant_shows_in_the_birth_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "firmware"
    shutil.copytree(mpy.FIRMWARE, changed, ignore=shutil.ignore_patterns("__pycache__"))
    init = changed / "bms" / "__init__.py"
    text = init.read_text()
    assert 'VERSION = "0.1.0"' in text
    init.write_text(text.replace('VERSION = "0.1.0"', 'VERSION = "0.1.0+changed"'))
    monkeypatch.setattr(boardfile, "BUILD", tmp_path / "build")
    build = functools.partial(mpy.build_mpy, firmware=changed, compiler=emulator.MPY_CROSS)
    monkeypatch.setattr(mpy, "build_mpy", build)

    nvm = emulator.blank_nvm(tmp_path / "nvm.bin")
    emulator.poke(nvm, IDENTITY, identity.image(WHO))
    console, port = emulator.free_port(), emulator.free_port()
    broker = [sys.executable, str(BROKER), str(port)]
    with running(broker), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "afe"))
        listener.listen(1)
        lines = (
            f"socket,host=127.0.0.1,port={console},server=on,wait=off,nodelay=on",
            f"socket,path={tmp_path / 'afe'}",
            f"socket,host=127.0.0.1,port={port},nodelay=on,reconnect=1",
        )
        await asyncio.sleep(2)
        versions: list[str] = []
        listening = asyncio.create_task(births(port, versions))
        with running(emulator.command(nvm, lines)), listener.accept()[0] as afe:
            await until("0.1.0", versions, afe, 60)
            words = ["mps2_an500", "--port", f"socket://127.0.0.1:{console}"]
            assert await asyncio.to_thread(flash.main, words) == 0
            await until("0.1.0+changed", versions, afe, 60)
        listening.cancel()
