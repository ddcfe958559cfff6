"""What a comparison has cost, from its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.escalation.ledger.store import ledger


@dataclass(frozen=True)
class Cost:
    """Of one document. Calls count with their worst case where no bill came."""

    calls: int
    micro_usd: int
    tokens_in: int
    tokens_out: int


def costs(session: Session, tenant: str) -> Mapping[str, Cost]:
    """What the calls about each document count with."""
    rows = session.execute(
        select(
            ledger.c.document_id,
            func.count().label("calls"),
            func.sum(ledger.c.micro_usd).label("micro_usd"),
            func.sum(ledger.c.tokens_in).label("tokens_in"),
            func.sum(ledger.c.tokens_out).label("tokens_out"),
        )
        .where(ledger.c.tenant == tenant, ledger.c.state != "released")
        .group_by(ledger.c.document_id)
    )
    return {
        row.document_id: Cost(
            row.calls, int(row.micro_usd), int(row.tokens_in), int(row.tokens_out)
        )
        for row in rows
    }
