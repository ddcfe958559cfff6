"""Settings of escalation."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from shared.policy.rules import PolicySettings
from shared.settings import Port


class Settings(PolicySettings):
    """Settings of escalation."""

    escalation_port: Port = Field(8405, description="port of escalations, costs and policy")
    escalation_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: escalation.db below the data folder"
    )
    escalation_workers: int = Field(
        4,
        ge=1,
        le=64,
        description="questions that one worker process asks at once; always 1 without providers",
    )
    escalation_patience: float = Field(
        600.0,
        ge=0,
        description="seconds for which a question is retried while no provider answers. Rate "
        "limits of the policy can delay it until `SMALLPRINT_ESCALATION_OLDEST`",
    )
    escalation_oldest: float = Field(
        900.0,
        gt=0,
        description="age in seconds from which a question is no longer asked; see "
        "`SMALLPRINT_REVIEW_PATIENCE`",
    )
    escalation_recovery: float = Field(
        30.0,
        gt=0,
        description="seconds between two searches for calls of crashed processes; their costs "
        "count as spent",
    )
    escalation_machine_hour: Decimal = Field(
        Decimal("0.10"),
        ge=0,
        le=1000,
        description="US$ for an hour of the machine that runs the specialists",
    )
    escalation_training_hour: Decimal = Field(
        Decimal("0.10"),
        ge=0,
        le=1000,
        description="US$ for an hour of the machine that trained the specialists (`machine` in "
        "`/v1/costs`)",
    )
