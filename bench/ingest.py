"""Samples a second from a broker to committed rows: our ingest, and plain aiomqtt with a commit a row.

Broker (amqtt in this process as in `cellkeeper serve`; mosquitto beside it where installed), ingest, SQLite
in the temporary folder and the publisher, which is a process of its own, share this machine. Time runs from
the first publish to the last commit.
"""

import asyncio
import contextlib
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiomqtt
import cbor2
from bms.tables import signals
from bms.tables.signals import SIGNALS, TELE, topic

from bench.row import Row
from cloud.broker import service as broker
from cloud.db import Database
from cloud.ingest.schemas import Change
from cloud.ingest.worker import BrokerAddress, Worker
from cloud.settings import Settings

MESSAGES = 4000
"""Of one measurement, after a short warm-up."""
PACKS = 4
_IN_FLIGHT = 20


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def _mosquitto(folder: Path) -> AsyncGenerator[BrokerAddress, None]:
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")
    if program is None:
        raise FileNotFoundError("mosquitto")
    port = _free_port()
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = await asyncio.create_subprocess_exec(program, "-c", str(config), stdout=DEVNULL, stderr=DEVNULL)
    try:
        await asyncio.sleep(0.5)
        yield BrokerAddress("127.0.0.1", port)
    finally:
        process.kill()
        await process.wait()


def _payload(pack: int, seq: int, count: int) -> bytes:
    tele = [row for row in SIGNALS if TELE in row.streams]
    empty: list[int] = []
    # the device's clock must not outrun ours: the cloud would keep moving the times of its samples
    samples = [
        {row.key: empty if row.array else 3000 + row.key for row in tele} | {0: (seq + at) // 10}
        for at in range(count)
    ]
    body: dict[int, Any] = {
        signals.BOOT_ID: 1 << 32 | pack,
        signals.SEQ: seq,
        signals.N: count,
        signals.NOW_MS: (seq + count) // 10,
        signals.SAMPLES: samples,
    }
    return cbor2.dumps(body)


async def publish(host: str, port: int, messages: int, per_message: int, first: int) -> None:
    """QoS 1, at most _IN_FLIGHT unanswered, for PACKS packs; `first` counts messages of each."""
    ready = [
        (topic("bench", "bench", f"pack-{number % PACKS}", TELE), _payload(number % PACKS, at, per_message))
        for number in range(messages)
        for at in [(first + number // PACKS) * per_message]
    ]
    slots = asyncio.Semaphore(_IN_FLIGHT)

    async def one(client: aiomqtt.Client, where: str, payload: bytes) -> None:
        try:
            await client.publish(where, payload, qos=1, timeout=60)
        finally:
            slots.release()

    async with (
        aiomqtt.Client(host, port, max_inflight_messages=_IN_FLIGHT) as client,
        asyncio.TaskGroup() as tasks,
    ):
        client.pending_calls_threshold = _IN_FLIGHT
        print("ready", flush=True)
        for where, payload in ready:
            await slots.acquire()
            tasks.create_task(one(client, where, payload))


async def _publisher(address: BrokerAddress, *numbers: int) -> float:
    """Publish in a process of its own; the time when its first message went out."""
    arguments = [address.host, str(address.port), *map(str, numbers)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.ingest", *arguments, stdout=PIPE
    )
    assert process.stdout is not None  # noqa: S101
    await process.stdout.readline()
    begun = time.perf_counter()
    if await process.wait() != 0:
        raise RuntimeError(f"the publisher of {arguments} failed")
    return begun


class _Ours:
    """The ingest as it runs in `cellkeeper serve`."""

    def __init__(self, folder: Path, address: BrokerAddress) -> None:
        async def nobody_looks(changes: list[Change]) -> None:
            del changes

        self._db = Database(folder / "ours.sqlite3")
        settings = Settings(state_dir=folder, queue_messages=MESSAGES)
        self._worker = Worker(settings, address, self._db, nobody_looks)

    async def run(self) -> None:
        try:
            await self._worker.run()
        finally:
            await asyncio.to_thread(self._db.close)

    async def ready(self) -> None:
        await self._worker.connected.wait()

    def rows(self) -> int:
        # counted after the commit
        return self._worker.counters.stored


class _Plain:
    """What one would write first: every sample a row, every row a commit."""

    def __init__(self, folder: Path, address: BrokerAddress) -> None:
        self._path = folder / "plain.sqlite3"
        self._address = address
        self._ready = asyncio.Event()
        self._rows = 0

    async def run(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        keys = [row.key for row in SIGNALS if TELE in row.streams and not row.array]
        columns = "".join(f", c{key}" for key in keys)
        db.execute(f"CREATE TABLE tele (topic, seq{columns}, PRIMARY KEY (topic, seq))")
        insert = f"INSERT INTO tele VALUES (?, ?{', ?' * len(keys)})"  # noqa: S608
        with contextlib.closing(db):
            async with aiomqtt.Client(self._address.host, self._address.port) as client:
                await client.subscribe(topic("+", "+", "+", TELE), 1)
                self._ready.set()
                async for message in client.messages:
                    body: Any = cbor2.loads(bytes(message.payload))
                    for at, sample in enumerate(body[signals.SAMPLES], body[signals.SEQ]):
                        db.execute(insert, (str(message.topic), at, *(sample[key] for key in keys)))
                        self._rows += 1

    async def ready(self) -> None:
        await self._ready.wait()

    def rows(self) -> int:
        return self._rows


async def _until(store: _Ours | _Plain, rows: int, task: asyncio.Task[None]) -> None:
    while store.rows() < rows:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)


async def _measure(kind: type[_Ours] | type[_Plain], address: BrokerAddress, per_message: int) -> float:
    """Samples a second."""
    with tempfile.TemporaryDirectory(prefix="cellkeeper-bench-") as name:
        store = kind(Path(name), address)
        task = asyncio.create_task(store.run())
        try:
            await store.ready()
            await _publisher(address, 10 * PACKS, per_message, 0)
            await _until(store, 10 * PACKS * per_message, task)
            begun = await _publisher(address, MESSAGES, per_message, 10)
            await _until(store, (10 * PACKS + MESSAGES) * per_message, task)
            return MESSAGES * per_message / (time.perf_counter() - begun)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _on(name: str, address: BrokerAddress) -> list[Row]:
    rows: list[Row] = []
    for per_message in (10, 1):
        for kind, what in ((_Ours, "committed"), (_Plain, "peer: one commit a row")):
            rate = await _measure(kind, address, per_message)
            label = f"{name}, {per_message} a message, {what}"
            rows.append(Row(label, rate, "samples/s", f"{PACKS} packs, QoS 1, SQLite WAL, synchronous=FULL"))
    return rows


async def _run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="cellkeeper-bench-") as name:
        folder = Path(name)
        async with broker.running(Settings(state_dir=folder, broker_port=0, broker_url=None)) as address:
            rows = await _on("amqtt", address)
        with contextlib.suppress(FileNotFoundError):
            async with _mosquitto(folder) as address:
                rows += await _on("mosquitto", address)
        return rows


def run() -> list[Row]:
    """Rows of samples a second; without mosquitto only those of the broker in this process."""
    return asyncio.run(_run())


if __name__ == "__main__":
    asyncio.run(publish(sys.argv[1], *map(int, sys.argv[2:])))
