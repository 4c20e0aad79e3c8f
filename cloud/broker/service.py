"""The broker in this process (amqtt). It binds to loopback unless a password file is given."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import secrets
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

from amqtt.broker import Broker  # pyright: ignore[reportMissingTypeStubs]
from amqtt.contexts import (  # pyright: ignore[reportMissingTypeStubs]
    BrokerConfig,
    ListenerConfig,
)
from amqtt.errors import AMQTTError  # pyright: ignore[reportMissingTypeStubs]
from pwdlib.hashers.argon2 import Argon2Hasher

from cloud.errors import StartError
from cloud.ingest.worker import BrokerAddress, parse_url
from cloud.settings import Settings

log = logging.getLogger(__name__)
_SHUTDOWN_S = 3.0
_FIRST_BYTE_S = 30.0
_CONNECT = b"\x10"
_INGEST_USER = "cellkeeper-ingest"


async def _starts_with_connect(reader: asyncio.StreamReader) -> bool:
    """Whether the peer's first packet is a CONNECT; the byte looked at is put back.

    A device on a serial line does not see that its connection was renewed: it goes on in mid-stream. amqtt
    would read that as a CONNECT with strings of any length and wait for their ends, swallowing the true
    CONNECT. Hung up on at once, the line is renewed again, until the device has noticed.
    """
    with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError, OSError):
        async with asyncio.timeout(_FIRST_BYTE_S):
            first = await reader.readexactly(1)
        if first == _CONNECT:
            vars(reader)["_buffer"][:0] = first  # the stream has no way of its own to put a byte back
            return True
        log.info("a connection that did not begin with CONNECT was closed")
    return False


class _Broker(Broker):
    """amqtt's broker, which also ends the connections that it forgets at shutdown."""

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config)
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._open[task] = writer
        try:
            if await _starts_with_connect(reader):
                await super().stream_connected(reader, writer, listener_name)
        finally:
            del self._open[task]
            writer.close()

    async def shutdown(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHUTDOWN_S):
                await super().shutdown()
        if self._open:
            await asyncio.wait(list(self._open), timeout=0.2)
        left = dict(self._open)
        for task, writer in left.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, port: int, option: str) -> int:
    """`port`, or a free one for 0. Raises StartError when it is in use, naming port and option."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(
                f"port {port} on {host} cannot be used ({error.strerror}); choose another with {option}"
            ) from error
        return int(probe.getsockname()[1])


def check(settings: Settings) -> None:
    """Refuse what must not start. Raises StartError."""
    if settings.broker_url is not None:
        parse_url(settings.broker_url.get_secret_value())
        return
    path = settings.broker_password_file
    if path is not None and not path.is_file():
        raise StartError(f"CELLKEEPER_BROKER_PASSWORD_FILE {path} is not a file")
    if path is None and not is_loopback(settings.broker_host):
        raise StartError(
            f"the broker would listen on {settings.broker_host} without passwords: give"
            " CELLKEEPER_BROKER_PASSWORD_FILE, or use a loopback address"
        )


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[BrokerAddress, None]:
    """The broker's address, while a broker of our own runs if no other one is named. Raises StartError."""
    check(settings)
    if settings.broker_url is not None:
        yield parse_url(settings.broker_url.get_secret_value())
        return
    host = settings.broker_host
    port = free_port(host, settings.broker_port, "--broker-port")
    plugins: dict[str, object] = {}
    login: tuple[str, str] | tuple[None, None] = (None, None)
    if settings.broker_password_file is None:
        plugins["amqtt.plugins.authentication.AnonymousAuthPlugin"] = {"allow_anonymous": True}
    else:
        login = _INGEST_USER, secrets.token_urlsafe(32)
        path = _with_ingest(settings.broker_password_file, settings.state_dir, login[1])
        plugins["amqtt.plugins.authentication.FileAuthPlugin"] = {"password_file": str(path)}
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    broker = _Broker(BrokerConfig(listeners={"default": ListenerConfig(bind=bind)}, plugins=plugins))
    try:
        await broker.start()
    except AMQTTError as error:
        raise StartError(f"the broker cannot listen on {bind}: {error}") from error
    log.info("broker listens on %s", bind)
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        yield BrokerAddress(local, port, *login)
    finally:
        await broker.shutdown()


def _with_ingest(given: Path, state_dir: Path, password: str) -> Path:
    """The given password file with a user for the ingest, whose password lives as long as this process."""
    path = state_dir / "broker-passwords"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{given.read_text().rstrip()}\n{_INGEST_USER}:{Argon2Hasher().hash(password)}\n")
    return path
