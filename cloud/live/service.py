"""Who looks at what happens now: one bounded queue a client, a slow one is dropped."""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

QUEUE_EVENTS = 256
HEARTBEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """A name and the data of a Server-Sent Event."""

    name: str
    data: dict[str, Any]


@dataclass(eq=False)
class Client:
    """A page that listens; `slow` once its queue was full."""

    tenant: str
    queue: asyncio.Queue[Event | None]
    slow: bool = field(default=False)


class Hub:
    """Hands events to the clients of their tenant. Belongs to one event loop."""

    def __init__(self, queue_events: int = QUEUE_EVENTS) -> None:
        self._queue_events = queue_events
        self._clients: set[Client] = set()
        self._closed = False

    @property
    def tenants(self) -> set[str]:
        """Tenants of which anybody listens."""
        return {client.tenant for client in self._clients}

    @contextmanager
    def client(self, tenant: str) -> Generator[Client, None, None]:
        """Listen as a tenant, from now on."""
        # one place more than events: the end must always fit
        client = Client(tenant, asyncio.Queue(self._queue_events + 1))
        if self._closed:
            client.queue.put_nowait(None)
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

    def publish(self, tenant: str, name: str, data: dict[str, Any]) -> None:
        """Tell every client of a tenant; who has not taken `queue_events` earlier ones is dropped."""
        for client in [one for one in self._clients if one.tenant == tenant]:
            if client.queue.qsize() >= self._queue_events:
                client.slow = True
                self._end(client)
            else:
                client.queue.put_nowait(Event(name, data))

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        for client in list(self._clients):
            self._end(client)

    def _end(self, client: Client) -> None:
        self._clients.discard(client)
        client.queue.put_nowait(None)


async def follow(client: Client, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[Event | None]:
    """Events as they come, None as heartbeat; ends when the client is dropped or the hub closes."""
    while not client.slow:
        try:
            async with asyncio.timeout(heartbeat_s):
                event = await client.queue.get()
        except TimeoutError:
            yield None
            continue
        if event is None:
            return
        yield event
