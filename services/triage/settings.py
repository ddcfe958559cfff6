"""Settings of triage."""

from __future__ import annotations

from pydantic import Field

from shared.policy.rules import PolicySettings
from shared.settings import Port


class Settings(PolicySettings):
    """Settings of triage, in addition to the common ones."""

    triage_port: Port = Field(8403, description="port of statements and findings")
    triage_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: triage.db below the data folder"
    )
    triage_max_characters: int = Field(
        20_000_000, ge=1, description="most characters in the text of one report"
    )
    triage_large_bytes: int = Field(
        1_000_000,
        ge=1,
        description="size in bytes, of the file or its text, from which a report has a separate "
        "worker, so that others do not wait for it",
    )
