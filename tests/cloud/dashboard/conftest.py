"""The built page in headless Chromium, served by a real cloud on a free port of loopback."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from cloud.app import PAGE
from tests.cloud.conftest import TOKEN, Cloud


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # an interrupt is pytest's


@dataclass
class Site:
    """A cloud that browsers can reach; `serving` may be left and entered again, as in a restart."""

    cloud: Cloud
    port: int

    @property
    def url(self) -> str:
        """Address of the page, without a token."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def signed_in(self) -> str:
        """Address of the page with the operator's token, as `cellkeeper serve` prints it."""
        return f"{self.url}#token={TOKEN}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Answer HTTP while in use; open streams are cut at the end."""
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            self.port = listener.getsockname()[1]
            config = uvicorn.Config(
                self.cloud.app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
            )
            server = _Server(config)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                async with asyncio.timeout(20):
                    while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
                        await asyncio.sleep(0.01)
                yield
            finally:
                server.should_exit = True
                await task


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """A cloud with its own broker and a port of its own, not yet serving."""
    assert (PAGE / "index.html").is_file(), f"{PAGE} is not built: run `make cloud/dashboard/dist/index.html`"
    return Site(cloud, 0)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless."""
    path = shutil.which("chromium")
    assert path is not None, "chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A tab of a desk's size; an error that the page throws fails the test."""
    tab = await browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    tab.set_default_timeout(15_000)
    thrown: list[str] = []
    tab.on("pageerror", lambda error: thrown.append(str(error)))
    yield tab
    assert thrown == []
