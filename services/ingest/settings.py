"""What may be configured in ingest."""

from __future__ import annotations

from pydantic import Field

from shared.documents import Limits
from shared.settings import CommonSettings, Port

_LIMITS = Limits()


class Settings(CommonSettings):
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
        _LIMITS.seconds, gt=0, description="seconds that reading one document may take"
    )
    ingest_read_memory: int = Field(
        _LIMITS.memory_bytes,
        ge=200_000_000,
        description="bytes of memory that the process which reads a document may have",
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
    ingest_session: float = Field(
        43_200.0, gt=0, le=604_800, description="seconds until a browser's session ends"
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
            memory_bytes=self.ingest_read_memory,
            max_parts=self.ingest_max_parts,
            max_unpacked=self.ingest_max_unpacked,
            max_depth=self.ingest_max_depth,
        )
