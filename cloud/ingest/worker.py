"""The MQTT side of the ingest: subscribe, gather batches, commit, acknowledge; again after every failure.

Nothing here relies on PUBACK or on redelivery: a message that is lost between broker and commit is
never acknowledged, and the pack sends it again.
"""

import asyncio
import contextlib
import logging
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiomqtt
import cbor2
from bms.tables.signals import topic

from cloud.clock import now_ms
from cloud.db import Database
from cloud.errors import StartError
from cloud.ingest import decode, store
from cloud.ingest.decode import LEAVES, DecodeError, Samples
from cloud.ingest.schemas import Ack, AckKey, Change, Message, Outcome, ack_payload
from cloud.ingest.service import Ingest
from cloud.settings import Settings

log = logging.getLogger(__name__)
# aiomqtt says every single time that its queue is full; we count, and say it once a batch
_QUIET = logging.getLogger(f"{__name__}.mqtt")
_QUIET.setLevel(logging.ERROR)
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is, and as whom to log in."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"mqtt://{self.host}:{self.port}"


def parse_url(url: str) -> BrokerAddress:
    """A broker's address from mqtt://user:password@host:port. Raises StartError, never with the password."""
    try:
        parts = urlsplit(url)
        port = parts.port or 1883
    except ValueError as error:
        raise StartError(
            f"CELLKEEPER_BROKER_URL: {error}; it must be mqtt://user:password@host:port"
        ) from error
    if parts.scheme != "mqtt" or not parts.hostname:
        raise StartError(
            f"CELLKEEPER_BROKER_URL has scheme {parts.scheme!r} and host {parts.hostname!r};"
            " it must be mqtt://user:password@host:port"
        )
    username = unquote(parts.username) if parts.username else None
    return BrokerAddress(parts.hostname, port, username, unquote(parts.password) if parts.password else None)


@dataclass
class Counters:
    """What the ingest has done since it started."""

    messages: int = 0
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    poison: int = 0
    acks: int = 0
    discarded: int = 0
    """Messages for which there was no place; their packs send them again."""

    def add(self, outcome: Outcome) -> None:
        """Count a committed batch."""
        self.stored += outcome.stored
        self.duplicates += outcome.duplicates
        self.conflicts += outcome.conflicts
        self.poison += outcome.poison


class Worker:
    """Runs until cancelled. `broker_error` and `store_error` say what is wrong now, None when nothing is."""

    def __init__(
        self,
        settings: Settings,
        broker: BrokerAddress,
        db: Database,
        on_changes: Callable[[list[Change]], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._db = db
        self._on_changes = on_changes
        self._ingest = Ingest(settings.ack_gaps)
        self._queue: asyncio.Queue[Message] = asyncio.Queue(settings.queue_messages)
        self._acks: dict[AckKey, Ack] = {}
        self._urgent = asyncio.Event()
        self.connected = asyncio.Event()
        """Set once the first subscription stands."""
        self.counters = Counters()
        self.broker_error: str | None = f"not yet connected to {broker}"
        self.store_error: str | None = None

    async def run(self) -> None:
        """Take in messages and commit them, whatever happens to broker and store."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consume())
            tasks.create_task(self._connect())

    async def _connect(self) -> None:
        failures = 0
        while True:
            try:
                await self._session()
            except* (aiomqtt.MqttError, OSError) as errors:
                if self.broker_error is None:
                    failures = 0
                self.broker_error = f"broker {self._broker}: {errors.exceptions[0]}"
            wait_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
            failures += 1
            log.warning("%s; trying again in %.1f s", self.broker_error, wait_s)
            await asyncio.sleep(wait_s)

    async def _session(self) -> None:
        counters = self.counters

        class Inbox(asyncio.Queue[aiomqtt.Message]):
            def put_nowait(self, item: aiomqtt.Message) -> None:
                counters.discarded += self.full()
                super().put_nowait(item)

        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            identifier=f"cellkeeper-ingest-{secrets.token_hex(4)}",
            clean_session=True,
            keepalive=10,
            queue_type=Inbox,
            max_queued_incoming_messages=self._settings.queue_messages,
            logger=_QUIET,
        )
        async with client:
            await self._db.write(store.all_offline)
            await client.subscribe([(topic("+", "+", "+", leaf), 1) for leaf in LEAVES])
            self.broker_error = None
            self.connected.set()
            log.info("ingest connected to broker %s", self._broker)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(client))
                tasks.create_task(self._acknowledge(client))

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            await self._queue.put(_message(message))
            self.counters.messages += 1

    async def _acknowledge(self, client: aiomqtt.Client) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.ack_interval_s):
                    await self._urgent.wait()
            only_urgent = self._urgent.is_set()
            self._urgent.clear()
            due = [key for key, ack in self._acks.items() if ack.urgent or not only_urgent]
            async with asyncio.TaskGroup() as tasks:
                for key in due:
                    tasks.create_task(self._send(client, key, self._acks.pop(key)))

    async def _send(self, client: aiomqtt.Client, key: AckKey, ack: Ack) -> None:
        payload = cbor2.dumps(ack_payload(key, ack))
        try:
            await client.publish(topic(key.tenant, key.site, key.pack, "ack"), payload, qos=1)
        except BaseException:
            self._acks.setdefault(key, ack)
            raise
        self.counters.acks += 1

    async def _consume(self) -> None:
        while True:
            discarded = self.counters.discarded
            batch = await self._gather()
            outcome = await self._commit(batch)
            if self.counters.discarded > discarded:
                lost = self.counters.discarded - discarded
                log.warning("%d messages came faster than the store takes them; packs will send again", lost)
            self.counters.add(outcome)
            self._acks.update(_merge(self._acks, outcome.acks))
            if any(ack.urgent for ack in outcome.acks.values()):
                self._urgent.set()
            try:
                await self._on_changes(outcome.changes)
            except Exception:  # a page that cannot be told must not stop the store
                log.exception("live pages were not told of %d changes", len(outcome.changes))

    async def _gather(self) -> list[Message]:
        batch = [await self._queue.get()]
        samples = _weight(batch[0])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.batch_ms / 1000):
                while samples < self._settings.batch_samples:
                    batch.append(await self._queue.get())
                    samples += _weight(batch[-1])
        return batch

    async def _commit(self, batch: list[Message]) -> Outcome:
        """Commit, however long the store needs; a message that the store cannot take is set aside alone."""
        for attempt in range(1_000_000_000):
            try:
                outcome = await self._db.write(self._ingest.commit, batch)
            except sqlite3.OperationalError as error:
                # full disk, locked file: not the batch's fault, and intake pauses meanwhile
                self._ingest.forget()
                self.store_error = f"store {self._db.path}: {error}"
                wait_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                log.error("%s; trying again in %.1f s", self.store_error, wait_s)
                await asyncio.sleep(wait_s)
            except Exception as error:
                self._ingest.forget()
                log.exception("a batch of %d messages could not be stored", len(batch))
                return await self._one_by_one(batch, error)
            else:
                self.store_error = None
                return outcome
        raise AssertionError

    async def _one_by_one(self, batch: list[Message], error: Exception) -> Outcome:
        if len(batch) == 1:
            only = batch[0]
            reason = f"the store refused it: {type(error).__name__}: {error}"
            bad = Message(only.topic, only.payload, only.arrival_ms, only.retained, None, None, reason)
            return await self._commit([bad])
        total = Outcome()
        for message in batch:
            outcome = await self._commit([message])
            total.acks.update(_merge(total.acks, outcome.acks))
            total.changes += outcome.changes
            total.stored += outcome.stored
            total.duplicates += outcome.duplicates
            total.conflicts += outcome.conflicts
            total.poison += outcome.poison
        return total


def _weight(message: Message) -> int:
    return len(message.body.samples) if isinstance(message.body, Samples) else 1


def _merge(older: dict[AckKey, Ack], newer: dict[AckKey, Ack]) -> dict[AckKey, Ack]:
    """`newer`, urgent also where the one it replaces was."""
    return {
        key: Ack(ack.upto, ack.gaps, ack.urgent or (key in older and older[key].urgent))
        for key, ack in newer.items()
    }


def _message(message: aiomqtt.Message) -> Message:
    where = str(message.topic)
    payload = bytes(message.payload)
    address = None
    try:
        address = decode.address(where)
        body = decode.decode(address.leaf, payload)
    except DecodeError as error:
        return Message(where, payload, now_ms(), bool(message.retain), address, None, str(error))
    return Message(where, payload, now_ms(), bool(message.retain), address, body)
