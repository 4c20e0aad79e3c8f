"""The cloud as a child process, and its API over HTTP: the demo knows nothing else of it."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from hil.targets.base import Child, TargetError

_READY_S = 60.0


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class CloudError(RuntimeError):
    """The cloud did not start or refused a request; says which and why."""


class CloudProcess:
    """`cellkeeper serve` on free ports with a token of its own."""

    def __init__(self, state_dir: Path, tenant: str) -> None:
        self.state_dir = state_dir
        self.token = secrets.token_urlsafe(32)
        self.port = free_port()
        self.broker_port = free_port()
        self._tenant = tenant
        self._child: Child | None = None
        self._client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=10.0,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        """Of API and page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def broker(self) -> str:
        """HOST:PORT of the broker."""
        return f"127.0.0.1:{self.broker_port}"

    def start(self) -> None:
        """Start and wait until it answers. Raises CloudError."""
        env = {**os.environ, "CELLKEEPER_TOKEN": self.token, "CELLKEEPER_TENANT": self._tenant}
        command = [sys.executable, "-c", "from cloud.cli import main; main()", "serve"]
        command += ["--port", str(self.port), "--broker-port", str(self.broker_port)]
        command += ["--state-dir", str(self.state_dir)]
        self._child = Child("cloud", command, env, self.state_dir / "cloud.log")
        end = time.monotonic() + _READY_S
        while True:
            try:
                self._child.require_alive()
                if self._client.get("/health").json().get("status") == "ok":
                    return
            except TargetError as error:
                raise CloudError(str(error)) from error
            except (httpx.HTTPError, ValueError):
                pass
            if time.monotonic() > end:
                raise CloudError(f"cloud: not ready in {_READY_S:.0f} s: {self._child.tail()}")
            time.sleep(0.2)

    def get(self, path: str, **query: Any) -> Any:
        """JSON of GET /api/`path`. Raises CloudError."""
        try:
            reply = self._client.get(f"/api/{path}", params=query)
            reply.raise_for_status()
            return reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise CloudError(f"cloud: GET /api/{path}: {error}") from error

    def post(self, path: str, body: Any) -> None:
        """POST JSON to /api/`path`. Raises CloudError."""
        try:
            self._client.post(f"/api/{path}", json=body).raise_for_status()
        except httpx.HTTPError as error:
            raise CloudError(f"cloud: POST /api/{path}: {error}") from error

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._child:
            self._child.kill()

    def stop(self) -> None:
        """End it."""
        self._client.close()
        if self._child:
            self._child.stop()
