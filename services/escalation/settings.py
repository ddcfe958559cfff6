"""What may be configured in escalation."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from shared.policy import PolicySettings
from shared.settings import Port


class Settings(PolicySettings):
    """Settings of escalation, beside the common ones."""

    escalation_port: Port = Field(8405, description="port of escalations, costs and policy")
    escalation_database_url: str = Field(
        "", description="SQLAlchemy URL; empty: escalation.db below the data folder"
    )
    escalation_workers: int = Field(
        4,
        ge=1,
        le=64,
        description="questions that one process of workers asks at once; 1 where the door is shut",
    )
    escalation_patience: float = Field(
        600.0,
        ge=0,
        description="seconds for which a question is tried again where no provider answers, before "
        "a person is asked; what the pace of the policy holds up waits until "
        "SMALLPRINT_ESCALATION_OLDEST",
    )
    escalation_oldest: float = Field(
        900.0,
        gt=0,
        description="seconds after which nothing new is paid for a question that waited so long "
        "for its turn: people have it by then (`SMALLPRINT_REVIEW_PATIENCE`)",
    )
    escalation_recovery: float = Field(
        30.0,
        gt=0,
        description="seconds between two looks for calls whose process died: they count as spent",
    )
    escalation_batch_every: float = Field(
        300.0,
        gt=0,
        description="seconds between two looks at batches, and between two that are handed in, for "
        "tenants whose policy has `batch`",
    )
    escalation_machine_hour: Decimal = Field(
        Decimal("0.10"),
        ge=0,
        le=1000,
        description="US$ that an hour of the machine costs on which specialists read: what they "
        "cost is counted by it. State your own",
    )
    escalation_training_hour: Decimal = Field(
        Decimal("0.10"),
        ge=0,
        le=1000,
        description="US$ that an hour of the machine cost on which specialists were trained: those "
        "that came along on processor cores like those that read, with no GPU (`machine` in "
        "`/v1/costs`)",
    )
