"""Settings of review."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.policy.rules import PolicySettings
from shared.settings import Port


class Settings(PolicySettings):
    """Settings of review."""

    review_port: Port = Field(8404, description="port of the queue and its pages")
    review_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: review.db below the data folder"
    )
    review_lease: float = Field(
        300.0,
        gt=0,
        le=28_800,
        description="seconds after which an abandoned claim ends",
    )
    review_patience: float = Field(
        900.0,
        gt=0,
        le=86_400,
        description="seconds for which an escalated item waits for the answer before reviewers get "
        "it. Should be longer than `SMALLPRINT_ESCALATION_PATIENCE`",
    )
    review_context: int = Field(
        600,
        ge=0,
        le=5_000,
        description="characters of context stored on each side of a clause",
    )
    review_order: Literal["mistakes", "time"] = Field(
        "mistakes",
        description="`mistakes`: by the expected cost of a mistake; `time`: by that cost per "
        "second of review, so that short items come sooner",
    )
