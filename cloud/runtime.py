"""What a running cloud consists of, and how routes get at it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from cloud.db import Database
from cloud.ingest.worker import BrokerAddress, Worker
from cloud.live.service import Hub
from cloud.settings import Settings


@dataclass
class Runtime:
    """The parts of one running cloud; `ingest` is None until the broker has its address."""

    settings: Settings
    db: Database
    hub: Hub
    ingest: Worker | None = None
    broker_address: BrokerAddress | None = None
    new_token: str | None = None
    """The operator's token when this start had to make one."""


def _runtime(request: Request) -> Runtime:
    return request.app.state.runtime


Cloud = Annotated[Runtime, Depends(_runtime)]
