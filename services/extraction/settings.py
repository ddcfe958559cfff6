"""Settings of extraction."""

from __future__ import annotations

from pydantic import Field

from shared.policy.rules import PolicySettings
from shared.settings import Port


class Settings(PolicySettings):
    """Settings of extraction, in addition to the common ones."""

    extraction_port: Port = Field(8402, description="port of clauses, presence and values")
    extraction_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: extraction.db below the data folder"
    )
    extraction_adapter: str = Field(
        "contract-clauses",
        description="specialist for uploads that name none",
    )
    extraction_max_characters: int = Field(
        5_000_000, ge=1, description="most characters in the text of one contract"
    )
    extraction_large_text: int = Field(
        200_000,
        ge=1,
        description="bytes of text from which a contract has a separate queue, so that others do "
        "not wait for it",
    )
