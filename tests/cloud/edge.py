"""A pack as the cloud sees one: keeps every sample until an `/ack` covers it, re-sends on `/hist`."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, cast

import aiomqtt
import cbor2
from bms.tables import signals
from bms.tables.signals import CELLS, EVT, STREAMS, TELE, topic

BIRTH: dict[int, Any] = {
    signals.SCHEMA_ID: signals.SCHEMA,
    signals.FIRMWARE: "0.1.0",
    signals.PARAMS_HASH: bytes(8),
    signals.CHEMISTRY: 0,
    signals.TOPOLOGY: [4, 2],
    signals.MACHINE: "edge of the tests",
    signals.CAPACITY: 3000,
}
_KEY = {row.name: row.key for row in signals.SIGNALS}


def boot(counter: int) -> int:
    """A boot_id of a boot counter."""
    return counter << 32 | secrets.randbits(32)


def tele(device_ms: int, **more: int | list[int]) -> dict[int, Any]:
    """A tele sample in wire units; `more` by signal name."""
    values: dict[str, int | list[int]] = {
        "device_ms": device_ms,
        "pack_voltage_v": 14_800 + device_ms % 100,
        "current_a": -1500,
        "soc": 7312,
        "soc_sigma": 50,
        "state": signals.CLOSED,
        "faults": [],
    }
    return {_KEY[name]: value for name, value in (values | more).items()}


def cells(device_ms: int) -> dict[int, Any]:
    """A cells sample in wire units."""
    return {0: device_ms, _KEY["cell_voltage_v"]: [3700, 3701, 3702, 3703], _KEY["temperature_c"]: [251, 253]}


def event(device_ms: int, fault: int, raised: bool) -> dict[int, Any]:
    """An event in wire units: `fault` came or went at cell 2."""
    values = {
        "device_ms": device_ms,
        "fault": fault,
        "raised": int(raised),
        "value": 4260,
        "limit": 4250,
        "index": 2,
    }
    return {_KEY[name]: value for name, value in values.items()}


def message(
    boot_id: int, seq: int, samples: list[dict[int, Any]], now_ms: int, **more: Any
) -> dict[int, Any]:
    """The outer map of samples; `more` by field name."""
    fields: dict[int, Any] = {
        signals.BOOT_ID: boot_id,
        signals.SEQ: seq,
        signals.N: len(samples),
        signals.NOW_MS: now_ms,
        signals.SAMPLES: samples,
    }
    names = {row.name: row.key for row in signals.FIELDS}
    return fields | {names[name]: value for name, value in more.items()}


@dataclass
class Edge:
    """One boot of one pack. `run` keeps it connected; `held` is what no acknowledgement has covered yet."""

    port: int
    pack: str = "pack-1"
    tenant: str = "local"
    site: str = "hall"
    counter: int = 1
    resend_after_s: float = 0.5
    utc: bool = False
    boot_id: int = 0
    sent: int = 0
    resent: int = 0
    acks: list[dict[int, Any]] = field(default_factory=lambda: [])
    next_seq: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    held: dict[str, dict[int, dict[int, Any]]] = field(default_factory=lambda: {name: {} for name in STREAMS})

    def __post_init__(self) -> None:
        self.boot_id = self.boot_id or boot(self.counter)
        self._born_s = time.monotonic()
        self._client: aiomqtt.Client | None = None

    @property
    def now_ms(self) -> int:
        """Device time."""
        return int((time.monotonic() - self._born_s) * 1000)

    def topic(self, leaf: str) -> str:
        """A topic of this pack."""
        return topic(self.tenant, self.site, self.pack, leaf)

    def _more(self) -> dict[str, Any]:
        return {"utc_ms": time.time_ns() // 1_000_000, "utc_source": 1} if self.utc else {}

    async def publish(self, leaf: str, body: object, retain: bool = False) -> None:
        """Publish when connected; otherwise, or when the connection breaks, nothing happens."""
        if self._client is not None:
            payload = body if isinstance(body, bytes) else cbor2.dumps(body)
            with contextlib.suppress(aiomqtt.MqttError):
                await self._client.publish(self.topic(leaf), payload, qos=1, retain=retain, timeout=2)

    async def record(self, stream: str, samples: list[dict[int, Any]], lose: bool = False) -> int:
        """Take samples into the store and publish them (not when `lose`); their first seq."""
        first = self.next_seq[stream]
        self.next_seq[stream] += len(samples)
        self.held[stream] |= dict(enumerate(samples, first))
        self.sent += len(samples)
        if not lose:
            await self.publish(stream, message(self.boot_id, first, samples, self.now_ms, **self._more()))
        return first

    async def tele(self, count: int = 1, lose: bool = False) -> int:
        """Record `count` tele samples."""
        return await self.record(TELE, [tele(self.now_ms, overruns=at) for at in range(count)], lose)

    async def cells(self) -> int:
        """Record a cells sample."""
        return await self.record(CELLS, [cells(self.now_ms)])

    async def event(self, fault: int, raised: bool) -> int:
        """Record an event."""
        return await self.record(EVT, [event(self.now_ms, fault, raised)])

    async def resend(self, stream: str, wanted: range | None = None) -> None:
        """Everything held (of `wanted`) again on hist, under its own seq."""
        seqs = sorted(seq for seq in self.held[stream] if wanted is None or seq in wanted)
        while seqs:
            run = [seqs.pop(0)]
            while seqs and seqs[0] == run[-1] + 1 and len(run) < 20:
                run.append(seqs.pop(0))
            samples = [self.held[stream][seq] for seq in run]
            body = message(
                self.boot_id, run[0], samples, self.now_ms, stream=STREAMS.index(stream), **self._more()
            )
            self.resent += len(run)
            await self.publish("hist", body)

    async def birth(self) -> None:
        """Say what the pack is, retained."""
        about = {signals.BOOT_ID: self.boot_id, signals.NOW_MS: self.now_ms, **BIRTH}
        await self.publish("birth", about, retain=True)
        await self.publish("state", {signals.ONLINE: 1, signals.BOOT_ID: self.boot_id}, retain=True)

    async def run(self) -> None:
        """Connect, again after every failure; take acknowledgements, fill gaps."""
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._session()
            self._client = None
            await asyncio.sleep(0.1)

    async def _session(self) -> None:
        will = aiomqtt.Will(
            self.topic("state"), cbor2.dumps({signals.ONLINE: 0, signals.BOOT_ID: self.boot_id}), 1, True
        )
        name = f"{self.pack}-{secrets.token_hex(4)}"
        async with aiomqtt.Client("127.0.0.1", self.port, identifier=name, will=will, keepalive=5) as client:
            await client.subscribe(self.topic("ack"), 1)
            self._client = client
            await self.birth()
            retry = asyncio.create_task(self._retry())
            try:
                async for received in client.messages:
                    await self._on_ack(cast("dict[int, Any]", cbor2.loads(bytes(received.payload))))
            finally:
                retry.cancel()

    async def _retry(self) -> None:
        while True:
            # what is still held after a while without an acknowledgement may never have arrived
            before = {stream: list(self.held[stream]) for stream in STREAMS}
            await asyncio.sleep(self.resend_after_s)
            for stream, seqs in before.items():
                stale = [seq for seq in seqs if seq in self.held[stream]]
                if stale:
                    await self.resend(stream, range(stale[0], stale[-1] + 1))

    async def _on_ack(self, ack: dict[int, Any]) -> None:
        self.acks.append(ack)
        if ack[signals.BOOT_ID] != self.boot_id:
            return
        stream: str = STREAMS[int(ack[signals.STREAM])]
        gaps = [range(first, last + 1) for first, last in ack[signals.GAPS]]
        for seq in list(self.held[stream]):
            if seq < ack[signals.UPTO] and not any(seq in gap for gap in gaps):
                del self.held[stream][seq]
        for gap in gaps:
            await self.resend(stream, gap)

    async def settled(self, seconds: float = 20) -> None:
        """Wait until everything that was recorded is acknowledged."""
        async with asyncio.timeout(seconds):
            while any(self.held.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def answered(self, seconds: float = 5) -> None:
        """Wait for the next acknowledgement, whatever it covers."""
        before = len(self.acks)
        async with asyncio.timeout(seconds):
            while len(self.acks) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def connected(self, seconds: float = 10) -> None:
        """Wait until the broker has taken us."""
        async with asyncio.timeout(seconds):
            while self._client is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(edge: Edge) -> AsyncGenerator[Edge, None]:
    """An edge that is connected; ends with the block."""
    task = asyncio.create_task(edge.run())
    try:
        await edge.connected()
        yield edge
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
