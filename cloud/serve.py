"""`cellkeeper serve`: broker, ingest, store, API and page in one process."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click
import uvicorn
from pydantic import ValidationError

from cloud.app import create_app
from cloud.errors import StartError
from cloud.runtime import Runtime
from cloud.settings import Settings


@click.command()
@click.option("--host", help="Address of API and page.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of API and page, 0: any.  [default: 8000]")
@click.option(
    "--broker-port", type=click.IntRange(0, 65535), help="Port of the broker, 0: any.  [default: 1883]"
)
@click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder of store and token."
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(verbose: bool, **given: Any) -> None:
    """Run the cloud: broker, ingest, store, API and live page.

    Settings are also read from CELLKEEPER_* variables; options go before them.
    """
    _log(verbose)
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(
            f"CELLKEEPER_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
        )
        raise click.ClickException(wrong) from error
    try:
        asyncio.run(_serve(settings))
    except StartError as error:
        raise click.ClickException(str(error)) from error


def _log(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("amqtt", "transitions", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.INFO if verbose else logging.WARNING)


class _Server(uvicorn.Server):
    """Says that it is ready, ends live streams when it is to stop, and leaves cleaning up to its caller."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime, url: str) -> None:
        super().__init__(config)
        self._runtime = runtime
        self._url = url

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn's own way raises the signal again before broker and store could close
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        click.echo(f"MQTT broker: {self._runtime.broker_address}")
        if self._runtime.new_token is not None:
            path = self._runtime.settings.state_dir / "token"
            click.echo(f"Operator's token: {path}; open {self._url}/#token={self._runtime.new_token}")
        click.echo(f"Cellkeeper cloud ready on {self._url}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._runtime.hub.close()
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise StartError(
            f"port {settings.port} on {settings.host} cannot be used ({error.strerror});"
            " choose another with --port"
        ) from error
    return listener


async def _serve(settings: Settings) -> None:
    with contextlib.closing(_listen(settings)) as listener:
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            host, port = settings.host, listener.getsockname()[1]
            config = uvicorn.Config(
                app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=3
            )
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            await _Server(config, app.state.runtime, url).serve(sockets=[listener])
