"""Settings of ingest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.ingest.webhooks.addresses import read_networks, read_ports
from services.ingest.webhooks.domain import read_delays
from shared.documents import Limits
from shared.policy.rules import PolicySettings
from shared.settings import Port

_LIMITS = Limits()


def _readable(read: Callable[[str], object]) -> AfterValidator:
    """Validate a text at the start with the function that parses it later."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


class Settings(PolicySettings):
    """Settings of ingest, in addition to the common ones."""

    ingest_port: Port = Field(8401, description="port of uploads, documents and keys")
    ingest_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: ingest.db below the data folder"
    )
    ingest_max_bytes: int = Field(_LIMITS.max_bytes, ge=1, description="bytes of one document")
    ingest_max_upload: int = Field(
        500_000_000, ge=1, description="bytes of one upload of several files"
    )
    ingest_max_arriving: int = Field(
        1_000_000_000,
        ge=1,
        description="most bytes of unfinished uploads in memory and temporary files of one "
        "process; one key may use half of them, and always one upload",
    )
    ingest_max_in_work: int = Field(
        10_000,
        ge=1,
        description="most unfinished documents of one tenant; beyond it, uploads get 429",
    )
    ingest_max_in_work_together: int = Field(
        50_000, ge=1, description="most unfinished documents of all tenants"
    )
    ingest_max_partial: int = Field(
        5_000_000_000,
        ge=1,
        description="most bytes of all unfinished resumable uploads of a tenant, by the length "
        "that each declares",
    )
    ingest_upload_hours: float = Field(
        24.0,
        gt=0,
        description="hours without a request after which a resumable upload is removed",
    )
    ingest_idempotency_hours: float = Field(
        24.0,
        gt=0,
        le=8_760,
        description="hours for which an answer to an `Idempotency-Key` is stored",
    )
    ingest_retention_interval: float = Field(
        600.0,
        gt=0,
        description="seconds between two runs of the retention job",
    )
    ingest_max_files: int = Field(100, ge=1, le=1000, description="files in one upload")
    ingest_max_pages: int = Field(_LIMITS.max_pages, ge=1, description="pages of one document")
    ingest_max_text: int = Field(
        _LIMITS.max_text, ge=1, description="characters of one document with pages"
    )
    ingest_max_plain_text: int = Field(
        _LIMITS.max_plain_text,
        ge=1,
        description="characters of one document without pages (text, CSV, workbook)",
    )
    ingest_read_seconds: float = Field(
        _LIMITS.seconds,
        gt=0,
        description="seconds for reading one document, without recognising text in images",
    )
    ingest_page_seconds: float = Field(
        _LIMITS.page_seconds,
        gt=0,
        description="seconds for recognising the text of one page image",
    )
    ingest_scan_seconds: float = Field(
        _LIMITS.scan_seconds,
        ge=0,
        description="seconds for recognising all pages of one document",
    )
    ingest_read_memory: int = Field(
        _LIMITS.memory_bytes,
        ge=200_000_000,
        description="bytes of memory of the process that reads a document",
    )
    ingest_large_bytes: int = Field(
        500_000,
        ge=1,
        description="size in bytes from which a document is read separately, so that others do "
        "not wait for it; for an office document or archive also a tenth of its unpacked size",
    )
    ingest_max_parts: int = Field(
        _LIMITS.max_parts,
        ge=1,
        description="documents in one mail or archive, at any depth",
    )
    ingest_max_unpacked: int = Field(
        _LIMITS.max_unpacked, ge=1, description="bytes of all documents in one mail or archive"
    )
    ingest_max_depth: int = Field(
        _LIMITS.max_depth,
        ge=1,
        le=50,
        description="how deep mails and archives may be nested",
    )
    ingest_renders: int = Field(
        2,
        ge=1,
        le=32,
        description="tenants for which pages are drawn or passwords tried at the same time",
    )
    ingest_page_cache: int = Field(
        2_000_000_000, ge=0, description="bytes of cached page images per tenant; 0: no cache"
    )
    ingest_waiters: int = Field(
        16, ge=0, le=32, description="requests that may wait for a document at the same time"
    )
    ingest_streams: int = Field(8, ge=1, description="open event streams of one key in one process")
    ingest_session: float = Field(
        43_200.0, gt=0, le=604_800, description="seconds until a browser's session ends"
    )
    ingest_openid_issuer: str = Field(
        "",
        description="OpenID Connect provider of users, exactly as it names itself: "
        "`https://login.example.com`; empty: none. `SMALLPRINT_PUBLIC_URL` must be set, too",
    )
    ingest_openid_client: str = Field("", description="client id of smallprint at the provider")
    ingest_openid_secret: SecretStr = Field(
        SecretStr(""), description="client secret at the provider; empty: a public client"
    )
    ingest_openid_name: str = Field(
        "OpenID", max_length=50, description="name of the provider on the page for signing in"
    )
    ingest_webhook_networks: Annotated[str, _readable(read_networks)] = Field(
        "",
        description="networks that are not public but that webhooks may call, comma-separated: "
        "`10.1.0.0/16,fd00::/8`",
    )
    ingest_webhook_http: bool = Field(False, description="whether webhooks may use http")
    ingest_webhook_ports: Annotated[str, _readable(read_ports)] = Field(
        "80,443,1024-65535", description="ports that webhooks may use, comma-separated"
    )
    ingest_webhook_proxy: str = Field(
        "",
        description="`http://host:port` for all webhooks; this proxy resolves names, "
        "so it must refuse addresses that are not public; empty: none",
    )
    ingest_webhook_certificates: Path | None = Field(
        None, description="PEM file of more certificate authorities to trust for receivers"
    )
    ingest_webhook_most: int = Field(100, ge=1, description="webhooks per tenant")
    ingest_webhook_threads: int = Field(
        16, ge=1, le=256, description="webhooks that one process calls at the same time"
    )
    ingest_webhook_connect_seconds: float = Field(
        5.0, gt=0, description="seconds for connecting to a receiver"
    )
    ingest_webhook_seconds: float = Field(
        20.0, gt=0, le=300, description="seconds in which a receiver must answer"
    )
    ingest_webhook_retries: Annotated[str, _readable(read_delays)] = Field(
        "5,300,1800,7200,18000,36000,50400,72000,86400",
        description="seconds to wait after each failed attempt, comma-separated; empty: no retry",
    )
    ingest_webhook_rest: float = Field(
        1.0,
        ge=0,
        description="seconds for which a webhook pauses after a failure; doubles with each "
        "failure, up to five minutes",
    )
    ingest_webhook_disable_days: float = Field(
        5.0, gt=0, description="days of failures after which a webhook is disabled"
    )
    ingest_webhook_log_days: float = Field(
        30.0, gt=0, description="days for which deliveries are stored"
    )
    ingest_webhook_interval: float = Field(
        1.0, gt=0, description="seconds between two queries for due messages"
    )

    @property
    def large_unpacked(self) -> int:
        """Unpacked bytes from which a document is read separately: XML packs well."""
        return 10 * self.ingest_large_bytes

    @property
    def limits(self) -> Limits:
        return Limits(
            max_bytes=self.ingest_max_bytes,
            max_pages=self.ingest_max_pages,
            max_text=self.ingest_max_text,
            max_plain_text=self.ingest_max_plain_text,
            seconds=self.ingest_read_seconds,
            page_seconds=self.ingest_page_seconds,
            scan_seconds=self.ingest_scan_seconds,
            memory_bytes=self.ingest_read_memory,
            max_parts=self.ingest_max_parts,
            max_unpacked=self.ingest_max_unpacked,
            max_depth=self.ingest_max_depth,
        )
