"""Requests to the frontier, the policy in force, and what was spent: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from shared.events import EscalationRequested, Stage

State = Literal["unanswered"]
NO_PROVIDER = "no provider is configured: nothing leaves the house"


@dataclass(frozen=True)
class Escalation:
    """A result that a specialist was unsure of, and why nobody outside was asked."""

    id: str
    tenant: str
    document_id: str
    stage: Stage
    result_id: str
    requested: datetime
    state: State = "unanswered"
    reason: str = NO_PROVIDER

    @classmethod
    def of(cls, event: EscalationRequested) -> Escalation:
        """What one request becomes; its event's id is its own, so that it is kept once."""
        return cls(
            id=f"es_{event.id}",
            tenant=event.tenant,
            document_id=event.document_id,
            stage=event.stage,
            result_id=event.result_id,
            requested=event.time,
        )


@dataclass(frozen=True)
class Policy:
    """What may be sent out, to whom, and for how much."""

    name: str
    leaves_the_house: bool
    providers: tuple[str, ...]
    budget_usd: Decimal
    summary: str


IN_FORCE = Policy(
    name="closed",
    leaves_the_house=False,
    providers=(),
    budget_usd=Decimal(0),
    summary="Nothing leaves the house. Whatever a specialist is unsure of goes to a person.",
)


@dataclass(frozen=True)
class Spend:
    """What one provider was paid by one tenant, from the ledger."""

    provider: str
    calls: int
    usd: Decimal
