"""What may be configured in review."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.policy import PolicySettings
from shared.settings import Port


class Settings(PolicySettings):
    """Settings of review, beside the common ones."""

    review_port: Port = Field(8404, description="port of the queue and its pages")
    review_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: review.db below the data folder"
    )
    review_lease: float = Field(
        300.0,
        gt=0,
        le=28_800,
        description="seconds until an item that was claimed and left returns to the queue",
    )
    review_patience: float = Field(
        900.0,
        gt=0,
        le=86_400,
        description="seconds for which a result that a frontier model is asked about waits for the "
        "answer; then it comes to a person without. Longer than `SMALLPRINT_ESCALATION_PATIENCE`",
    )
    review_context: int = Field(
        600,
        ge=0,
        le=5_000,
        description="characters of the document kept on each side of a clause, to read it in place",
    )
    review_order: Literal["mistakes", "time"] = Field(
        "mistakes",
        description="`mistakes`: items come by what a mistake in them is expected to cost; `time`: "
        "by that for each second of review, so that short ones come sooner",
    )
