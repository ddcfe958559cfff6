"""Settings of all services, from environment variables named `SMALLPRINT_…`.

Each service subclasses `CommonSettings` in its own `settings.py`. A wrong value raises a
`SettingsError` at start that names the variable. No files in the working folder are read.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import SettingsError

PREFIX = "SMALLPRINT_"
ROOT = Path(__file__).resolve().parents[1]
"""The checkout, or the folder of installed packages."""

S = TypeVar("S", bound="CommonSettings")


def is_checkout(root: Path = ROOT) -> bool:
    """Whether smallprint runs from its source folder, not from an installed package."""
    return (root / "Makefile").is_file()


def default_data(root: Path | None = None) -> Path:
    """Return `var/data` of the checkout, or a folder of the user (XDG) for an installed package."""
    root = root or ROOT
    if is_checkout(root):
        return root / "var" / "data"
    shared = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(shared).expanduser() / "smallprint"


def _require_networks(text: str) -> str:
    for network in [] if text == "*" else text.split(","):
        if network.strip():
            ipaddress.ip_network(network.strip())
    return text


class CommonSettings(BaseSettings):
    """Settings that every service understands."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=None, extra="ignore", frozen=True)

    data: Path = Field(
        default_factory=default_data,
        description="folder of databases, blobs and the bus; installed as a package: "
        "`~/.local/share/smallprint`",
    )
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
        description="name of this process in its Kafka group, unique in its service, so that it "
        "keeps its partitions after a crash; `host` uses the name of the machine, container or "
        "pod; empty: no name",
    )
    bus_lease: float = Field(
        30.0, gt=0, description="seconds until the events of a crashed worker go to another worker"
    )
    database_connections: int = Field(
        10,
        ge=2,
        le=100,
        description="most connections to PostgreSQL of one process of a service",
    )
    http_connections: int = Field(
        500,
        ge=10,
        le=100_000,
        description="most open connections of clients to one process; requests on other "
        "connections get 503 with `Retry-After`",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="lowest severity that is logged"
    )
    log_format: Literal["auto", "json", "plain"] = Field(
        "auto", description="form of log lines; `auto` is plain on a terminal, otherwise JSON"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    ingest_url: str = Field(
        "http://127.0.0.1:8401", description="where the other services check keys"
    )
    key_cache: float = Field(
        60.0, ge=0, le=60, description="seconds for which a checked key is cached"
    )
    attempts: int = Field(
        5, ge=1, description="failed attempts after which an event becomes a dead letter"
    )
    crashes: int = Field(
        20, ge=1, description="crashes during an event after which it becomes a dead letter"
    )
    quick_seconds: float = Field(
        20.0,
        gt=0,
        description="seconds after which the work on a document starts again in the queue of "
        "large documents, so that others do not wait for it",
    )
    text_seconds: float = Field(
        120.0,
        gt=0,
        description="seconds of computing that the work of a service on one document may take, "
        "and once more for each million bytes; then the document fails",
    )
    retry_delay: float = Field(
        1.0, gt=0, description="seconds before the second attempt; doubles with each attempt"
    )
    retry_delay_most: float = Field(300.0, gt=0, description="most seconds between two attempts")
    relay_interval: float = Field(0.2, gt=0, description="seconds between two polls of the outbox")
    outbox_days: float = Field(7, gt=0, description="days for which sent events are kept")
    inbox_days: float = Field(
        30, gt=0, description="days for which the ids of handled events are kept"
    )
    audit_days: float = Field(
        0, ge=0, description="days for which lines of the audit trail are kept; 0: forever"
    )
    workers: int = Field(
        1, ge=1, le=64, description="events that one process of a service handles at once"
    )
    artefacts: Path | None = Field(
        None, description="folder of the base model and its adapters; empty: the installed ones"
    )
    adapters: Path | None = Field(
        None,
        description="folder of the adapters that `smallprint teach` made; empty: `adapters` in "
        "the data folder",
    )
    threads: int = Field(2, ge=1, le=64, description="processor threads that one inference may use")
    arithmetic: Literal["int8", "int4"] = Field(
        "int8",
        description="number format of inference; int4 is slower but saves memory: all adapters "
        "share one copy of the weights",
    )
    rate_requests: int = Field(
        600,
        ge=0,
        description="requests a minute of one key, or of an address without a valid key, to one "
        "process of a service; 0: no limit, the default of the embedded edition if only this "
        "machine can connect",
    )
    require_confinement: bool = Field(
        False,
        description="refuse to start where the system can't confine the process that reads "
        "documents (Landlock and seccomp); Docker Compose and Kubernetes set it",
    )
    health_port: int = Field(
        0, ge=0, le=65535, description="port on which workers and relays answer probes; 0: none"
    )
    traces: str = Field(
        "",
        description="collector of traces (OTLP over HTTP) such as http://127.0.0.1:4318; empty: "
        "the value of OTEL_EXPORTER_OTLP_ENDPOINT, if set",
    )
    url: str = Field(
        "",
        description="address of the running suite, for commands without `--url` and `--data`; "
        "empty: the address stored in the data folder",
    )
    public_url: str = Field(
        "",
        description="origin that browsers use, such as https://papers.example; empty: the host "
        "of the request",
    )
    hosts: str = Field(
        "",
        description="more names by which clients reach the suite, comma-separated. Requests for "
        "another name get 421 if `SMALLPRINT_PUBLIC_URL` is set, or if only this machine can "
        "connect; addresses and `localhost` always work",
    )
    trusted_proxies: Annotated[str, AfterValidator(_require_networks)] = Field(
        "",
        description="addresses and networks of the proxies in front, comma-separated. From them "
        "the address and the scheme of a client are taken (`X-Forwarded-For`, "
        "`X-Forwarded-Proto`); `*`: from any; empty: from none",
    )

    @property
    def blobs(self) -> Path:
        """The folder of blobs, unless they are in a bucket, and of unfinished uploads."""
        return self.data / "blobs"

    @property
    def artefacts_folder(self) -> Path:
        """The folder of the base and the adapters; in the installed `models` package by default."""
        return self.artefacts or ROOT / "models" / "artefacts"

    @property
    def adapters_folder(self) -> Path:
        """The folder of the adapters that `smallprint teach` made."""
        return self.adapters or self.data / "adapters"

    @property
    def bus(self) -> str:
        """The bus URL or its default, with the name of this process if it has one."""
        url = self.bus_url or f"sqlite:///{(self.data / 'bus.db').resolve()}"
        if not self.bus_instance or not url.startswith("kafka:") or "instance=" in url:
            return url
        name = socket.gethostname() if self.bus_instance == "host" else self.bus_instance
        return f"{url}{'&' if '?' in url else '?'}instance={quote(name)}&leave=1"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def database(self, service: str, url: str) -> str:
        """The database URL of a service, by default its own SQLite file."""
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
