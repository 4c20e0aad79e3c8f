"""amqtt as a broker in its own process, which can be killed: `python link_broker.py PORT`."""

import asyncio
import sys

from amqtt.broker import Broker  # pyright: ignore[reportMissingTypeStubs]


async def main(port: int) -> None:
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1])))
