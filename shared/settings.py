"""Settings of all services, from environment variables named `SMALLPRINT_…`.

Each service subclasses `CommonSettings` in its own `settings.py`. A wrong value raises a
`SettingsError` at start that names the variable. No files in the working folder are read.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import SettingsError

PREFIX = "SMALLPRINT_"

S = TypeVar("S", bound="CommonSettings")


class CommonSettings(BaseSettings):
    """Settings that every service understands."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=None, extra="ignore", frozen=True)

    data: Path = Field(Path("var/data"), description="folder of databases, blobs and the bus")
    bus_url: str = Field(
        "",
        description="`sqlite:///path` or `kafka://host:port`; docs/how-to/tls-and-keys.md has TLS "
        "and users; empty: SQLite below the data folder",
    )
    blobs_url: str = Field(
        "",
        description="`s3://bucket/prefix`, with endpoint and credentials in the `AWS_…` variables; "
        "empty: files below the data folder",
    )
    bus_instance: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,200}$",
        description="name of this process in its Kafka group, unlike that of any other process of "
        "its service; after a crash it goes on with its partitions; `host`: the name of the "
        "machine, container or pod; empty: none",
    )
    bus_lease: float = Field(
        30.0, gt=0, description="seconds until work of a vanished worker is given to another"
    )
    database_connections: int = Field(
        10,
        ge=2,
        le=100,
        description="connections to PostgreSQL that one process of a service has at the most",
    )
    http_connections: int = Field(
        500,
        ge=10,
        le=100_000,
        description="connections of clients that one process has open at the same time; requests "
        "on further ones are answered 503 with `Retry-After`",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severity that is logged"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    ingest_url: str = Field(
        "http://127.0.0.1:8401", description="where the other services check keys"
    )
    key_cache: float = Field(
        60.0, ge=0, le=60, description="seconds for which a checked key is remembered"
    )
    attempts: int = Field(
        5, ge=1, description="failed tries before an event goes to the dead letters"
    )
    crashes: int = Field(
        20, ge=1, description="tries cut short by a crash before an event goes to the dead letters"
    )
    retry_delay: float = Field(
        1.0, gt=0, description="seconds before the second try; doubles with each further one"
    )
    retry_delay_most: float = Field(300.0, gt=0, description="seconds between tries at the most")
    relay_interval: float = Field(
        0.2, gt=0, description="seconds between two looks into the outbox"
    )
    outbox_days: float = Field(7, gt=0, description="days for which sent events are kept")
    inbox_days: float = Field(
        30, gt=0, description="days for which it is remembered which events were handled"
    )
    workers: int = Field(
        1, ge=1, le=64, description="events that one process of a service works on at once"
    )
    artefacts: Path | None = Field(
        None, description="folder of base and adapters; empty: the ones that came along"
    )
    adapters: Path | None = Field(
        None,
        description="folder of the adapters that `smallprint teach` made; empty: `adapters` below "
        "the data folder",
    )
    threads: int = Field(2, ge=1, le=64, description="processor threads that one inference may use")
    arithmetic: Literal["int8", "int4"] = Field(
        "int8",
        description="of inference; int4 is slower, and keeps its weights in memory once for all "
        "adapters",
    )
    rate_requests: int = Field(
        600,
        ge=0,
        description="requests a minute that one key may make of one process of a service; 0, and "
        "by default in the embedded edition: as many as it likes",
    )
    health_port: int = Field(
        0, ge=0, le=65535, description="where worker and relay processes answer probes; 0: nowhere"
    )
    traces: str = Field(
        "",
        description="collector of traces (OTLP over HTTP) such as http://127.0.0.1:4318; empty: "
        "what OTEL_EXPORTER_OTLP_ENDPOINT names, or none",
    )
    url: str = Field(
        "",
        description="where the commands that ask a suite find it, unless `--url` or `--data` is "
        "given; empty: as the data folder says",
    )
    public_url: str = Field(
        "", description="origin that browsers use, such as https://papers.example; empty: as asked"
    )

    @property
    def blobs(self) -> Path:
        """The folder of blobs, unless they are in a bucket, and of unfinished uploads."""
        return self.data / "blobs"

    @property
    def artefacts_folder(self) -> Path:
        """Where the base and the adapters lie; beside the installed `models` package by default."""
        return self.artefacts or Path(__file__).resolve().parent.parent / "models" / "artefacts"

    @property
    def adapters_folder(self) -> Path:
        """Where the adapters lie that were taught here."""
        return self.adapters or self.data / "adapters"

    @property
    def bus(self) -> str:
        """The bus URL with its default filled in, and the name of this process where it has one."""
        url = self.bus_url or f"sqlite:///{(self.data / 'bus.db').resolve()}"
        if not self.bus_instance or not url.startswith("kafka:") or "instance=" in url:
            return url
        name = socket.gethostname() if self.bus_instance == "host" else self.bus_instance
        return f"{url}{'&' if '?' in url else '?'}instance={quote(name)}&leave=1"

    def database(self, service: str, url: str) -> str:
        """The database URL of a service with its default filled in: one SQLite file each."""
        return url or f"sqlite:///{(self.data / f'{service}.db').resolve()}"


Port = Annotated[int, Field(ge=0, le=65535)]


def load(settings: type[S], **overrides: object) -> S:
    """Read the settings of a service from the environment.

    Raises:
        SettingsError: a value is missing or wrong; the message names each variable.
    """
    try:
        return settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"{PREFIX}{'_'.join(map(str, wrong['loc'])).upper()}: {wrong['msg']}"
            f" (got {wrong.get('input')!r})"
            for wrong in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from None
