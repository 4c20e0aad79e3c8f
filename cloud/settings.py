"""Every setting of the cloud: environment variables CELLKEEPER_*, or arguments of `cellkeeper serve`."""

from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One object, read once at start; nothing in it is a working default secret."""

    model_config = SettingsConfigDict(env_prefix="CELLKEEPER_", extra="ignore")

    host: str = Field(default="127.0.0.1", description="address of the API and the page")
    port: int = Field(default=8000, ge=0, le=65535, description="port of API and page, 0 for any free one")
    state_dir: Path = Field(
        default_factory=lambda: user_data_path("cellkeeper", appauthor=False),
        description="folder of the database and the operator's token",
    )
    tenant: str = Field(default="local", min_length=1, description="tenant of the token made at first start")
    token: SecretStr | None = Field(
        default=None, description="operator's token given from outside, 32 characters or more"
    )

    broker_url: SecretStr | None = Field(
        default=None,
        description="mqtt://user:password@host:port of another broker than ours",
    )
    broker_host: str = Field(default="127.0.0.1", description="address of the broker in this process")
    broker_port: int = Field(default=1883, ge=0, le=65535, description="its port, 0 for any free one")
    broker_password_file: Path | None = Field(
        default=None, description="lines user:argon2-hash; needed when broker_host is not a loopback address"
    )

    batch_ms: int = Field(default=50, ge=1, description="longest wait of a message for others of its batch")
    batch_samples: int = Field(default=500, ge=1, description="samples that make a batch full")
    queue_messages: int = Field(default=2000, ge=1, description="messages that may wait for the store")
    ack_interval_s: float = Field(default=2.0, gt=0, le=5, description="longest wait from commit to /ack")
    ack_gaps: int = Field(default=16, ge=2, description="most gaps named in one acknowledgement")
