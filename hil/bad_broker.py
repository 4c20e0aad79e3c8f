"""Brokers as they should not be: one end of the board's link that hangs, floods or hangs up."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
from typing import Self

KINDS = ("black_hole", "flood", "hang_up")
_GARBAGE_BYTES = 4096
_HUGE_PUBLISH = b"\x30\xff\xff\x7f\x00\x03a/b" + b"x" * 2000
_POLL_S = 0.02


class BadBroker:
    """A listener on the loopback; a context manager.

    `black_hole` takes bytes and never answers, `flood` sends garbage and pieces of huge messages without end,
    `hang_up` closes each connection at once.
    """

    def __init__(self, kind: str) -> None:
        if kind not in KINDS:
            raise ValueError(f"broker {kind!r} is none of {', '.join(KINDS)}")
        self._kind = kind
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.taken_bytes = 0
        self.sent_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bad-broker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5.0)
        self._server.close()

    def _run(self) -> None:
        rng = random.Random(7)  # noqa: S311  noise, not secrets
        clients: list[socket.socket] = []
        while not self._over.is_set():
            readable = select.select([self._server, *clients], [], [], _POLL_S)[0]
            if self._server in readable:
                client, _ = self._server.accept()
                if self._kind == "hang_up":
                    client.close()
                else:
                    client.setblocking(False)
                    clients.append(client)
            for client in [c for c in clients if c in readable]:
                if not self._take(client):
                    clients.remove(client)
            if self._kind == "flood":
                self._flood(clients, rng)
        for client in clients:
            client.close()

    def _take(self, client: socket.socket) -> bool:
        try:
            data = client.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self.taken_bytes += len(data)
        if not data:
            client.close()
        return bool(data)

    def _flood(self, clients: list[socket.socket], rng: random.Random) -> None:
        data = rng.randbytes(_GARBAGE_BYTES) if rng.random() < 0.5 else _HUGE_PUBLISH
        for client in clients:
            with contextlib.suppress(OSError):
                self.sent_bytes += client.send(data)
