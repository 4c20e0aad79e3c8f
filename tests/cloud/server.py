"""`cellkeeper serve` and mosquitto as processes of their own, ended by handle."""

import asyncio
import contextlib
import shutil
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from tests.cloud.conftest import TOKEN

READY = "Cellkeeper cloud ready on "


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """A running `cellkeeper serve`."""

    process: Process
    url: str
    said: list[str]


async def launch(state_dir: Path, *options: str, environment: dict[str, str] | None = None) -> Process:
    """Start `cellkeeper serve`, on free ports unless options say otherwise; an empty variable is left out."""
    defaults = {"CELLKEEPER_TOKEN": TOKEN, "CELLKEEPER_ACK_INTERVAL_S": "0.2", "PATH": "/usr/bin:/bin"}
    settings = defaults | (environment or {})
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from cloud.cli import main; main()",
        "serve",
        "--state-dir",
        str(state_dir),
        *(options or ("--port", "0", "--broker-port", "0")),
        stdout=PIPE,
        stderr=PIPE,
        env={name: value for name, value in settings.items() if value},
        cwd=Path(__file__).parents[2],
    )


@contextlib.asynccontextmanager
async def serving(
    state_dir: Path, *options: str, environment: dict[str, str] | None = None
) -> AsyncGenerator[Server, None]:
    """A cloud that has said that it is ready; killed at the end if it still runs."""
    process = await launch(state_dir, *options, environment=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    drain = asyncio.create_task(process.stderr.read())
    said: list[str] = []
    try:
        async with asyncio.timeout(20):
            while not (said and said[-1].startswith(READY)):
                line = (await process.stdout.readline()).decode().rstrip()
                assert line, f"ended before it was ready: {(await drain).decode()}"
                said.append(line)
        yield Server(process, said[-1].removeprefix(READY), said)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.stdout.read()
        await drain
        await process.wait()


def mosquitto() -> str | None:
    """Debian's mosquitto, which is not on everybody's PATH."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")


@contextlib.asynccontextmanager
async def mosquitto_on(port: int, folder: Path) -> AsyncGenerator[Process, None]:
    """A mosquitto on loopback that takes connections."""
    program = mosquitto()
    assert program is not None
    config = folder / f"mosquitto-{port}.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = await asyncio.create_subprocess_exec(program, "-c", str(config), stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                await asyncio.sleep(0.05)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
