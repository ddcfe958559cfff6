"""What may be configured in ingest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from services.ingest.webhooks.addresses import read_networks, read_ports
from services.ingest.webhooks.domain import read_delays
from shared.documents import Limits
from shared.policy import PolicySettings
from shared.settings import Port

_LIMITS = Limits()


def _readable(read: Callable[[str], object]) -> AfterValidator:
    """Refuses, at start, what will not be understood later."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


class Settings(PolicySettings):
    """Settings of ingest, beside the common ones."""

    ingest_port: Port = Field(8401, description="port of uploads, documents and keys")
    ingest_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: ingest.db below the data folder"
    )
    ingest_max_bytes: int = Field(
        _LIMITS.max_bytes, ge=1, description="bytes that one document may have"
    )
    ingest_max_upload: int = Field(
        500_000_000, ge=1, description="bytes that one upload of several files may have together"
    )
    ingest_max_arriving: int = Field(
        1_000_000_000,
        ge=1,
        description="bytes of uploads that one process keeps, in memory and in the folder for "
        "temporary files, until they have come whole and are taken in; half of them, but at least "
        "one whole upload, of one key",
    )
    ingest_max_in_work: int = Field(
        10_000,
        ge=1,
        description="documents of a tenant that may be in work; a further one is answered 429",
    )
    ingest_max_in_work_together: int = Field(
        50_000, ge=1, description="documents of all tenants that may be in work together"
    )
    ingest_max_partial: int = Field(
        5_000_000_000,
        ge=1,
        description="bytes that all unfinished resumable uploads of a tenant may be going to have",
    )
    ingest_upload_hours: float = Field(
        24.0,
        gt=0,
        description="hours after which a resumable upload that nobody goes on is removed",
    )
    ingest_idempotency_hours: float = Field(
        24.0,
        gt=0,
        le=8_760,
        description="hours for which the answer to a request with an `Idempotency-Key` is kept",
    )
    ingest_retention_interval: float = Field(
        600.0,
        gt=0,
        description="seconds between two looks for documents that were kept long enough",
    )
    ingest_max_files: int = Field(100, ge=1, le=1000, description="files in one upload")
    ingest_max_pages: int = Field(
        _LIMITS.max_pages, ge=1, description="pages that one document may have"
    )
    ingest_max_text: int = Field(
        _LIMITS.max_text, ge=1, description="characters that one document with pages may have"
    )
    ingest_max_plain_text: int = Field(
        _LIMITS.max_plain_text,
        ge=1,
        description="characters that one document without pages (text, CSV, workbook) may have",
    )
    ingest_read_seconds: float = Field(
        _LIMITS.seconds,
        gt=0,
        description="seconds that reading one document may take, apart from text in pictures",
    )
    ingest_page_seconds: float = Field(
        _LIMITS.page_seconds,
        gt=0,
        description="seconds that recognising the text of one page in a picture may take",
    )
    ingest_scan_seconds: float = Field(
        _LIMITS.scan_seconds,
        ge=0,
        description="seconds that recognising all pages of one document may take together",
    )
    ingest_read_memory: int = Field(
        _LIMITS.memory_bytes,
        ge=200_000_000,
        description="bytes of memory that the process which reads a document may have",
    )
    ingest_large_bytes: int = Field(
        500_000,
        ge=1,
        description="bytes from which on a document is read beside the others, which do not wait "
        "for it",
    )
    ingest_max_parts: int = Field(
        _LIMITS.max_parts,
        ge=1,
        description="documents that one mail or archive may bring, however deep they lie in it",
    )
    ingest_max_unpacked: int = Field(
        _LIMITS.max_unpacked, ge=1, description="bytes that they may have together"
    )
    ingest_max_depth: int = Field(
        _LIMITS.max_depth,
        ge=1,
        le=50,
        description="mails and archives that may lie in one another",
    )
    ingest_renders: int = Field(
        2, ge=1, le=32, description="pages that are drawn, or passwords tried, at the same time"
    )
    ingest_page_cache: int = Field(
        2_000_000_000, ge=0, description="bytes of page images kept a tenant; 0 keeps none"
    )
    ingest_waiters: int = Field(
        16, ge=0, le=32, description="requests that may wait for a document at the same time"
    )
    ingest_streams: int = Field(
        8, ge=1, description="streams of events that one key may have open at one process"
    )
    ingest_session: float = Field(
        43_200.0, gt=0, le=604_800, description="seconds until a browser's session ends"
    )
    ingest_webhook_networks: Annotated[str, _readable(read_networks)] = Field(
        "",
        description="networks that webhooks may lie in although they are not public, "
        "comma-separated: `10.1.0.0/16,fd00::/8`",
    )
    ingest_webhook_http: bool = Field(
        False, description="whether webhooks may be called by http beside https"
    )
    ingest_webhook_ports: Annotated[str, _readable(read_ports)] = Field(
        "80,443,1024-65535", description="ports that webhooks may have, comma-separated"
    )
    ingest_webhook_proxy: str = Field(
        "",
        description="`http://host:port` that all webhooks are called through; it has to refuse "
        "what is not public, for it alone resolves names then; empty: none",
    )
    ingest_webhook_certificates: Path | None = Field(
        None, description="PEM file of authorities that receivers' certificates may come from too"
    )
    ingest_webhook_most: int = Field(100, ge=1, description="webhooks that a tenant may have")
    ingest_webhook_threads: int = Field(
        16, ge=1, le=256, description="webhooks that one process serves at the same time"
    )
    ingest_webhook_connect_seconds: float = Field(
        5.0, gt=0, description="seconds until a receiver has to accept a connection"
    )
    ingest_webhook_seconds: float = Field(
        20.0, gt=0, le=300, description="seconds until a receiver has to answer"
    )
    ingest_webhook_retries: Annotated[str, _readable(read_delays)] = Field(
        "5,300,1800,7200,18000,36000,50400,72000,86400",
        description="seconds after each failed try of a message, comma-separated; then it has "
        "failed",
    )
    ingest_webhook_rest: float = Field(
        1.0,
        ge=0,
        description="seconds for which nothing is sent to a webhook after a failure; doubles with "
        "each further one, up to five minutes",
    )
    ingest_webhook_disable_days: float = Field(
        5.0, gt=0, description="days of nothing but failures after which a webhook is disabled"
    )
    ingest_webhook_log_days: float = Field(
        30.0, gt=0, description="days for which deliveries are kept"
    )
    ingest_webhook_interval: float = Field(
        1.0, gt=0, description="seconds between two looks at what is to be sent"
    )

    @property
    def limits(self) -> Limits:
        """What reading one document may cost."""
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
