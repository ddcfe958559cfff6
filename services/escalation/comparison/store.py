"""The cost of a comparison, from its ledger."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.escalation.ledger.store import ledger


@dataclass(frozen=True)
class Cost:
    """The cost of calls. Unbilled ones count with their worst case."""

    calls: int
    micro_usd: int
    tokens_in: int
    tokens_out: int


def cost_of(session: Session, tenant: str, documents: Collection[str] | None = None) -> Cost:
    """Return the cost of some documents; default all."""
    figures = (ledger.c.micro_usd, ledger.c.tokens_in, ledger.c.tokens_out)
    query = select(func.count(), *(func.coalesce(func.sum(one), 0) for one in figures)).where(
        ledger.c.tenant == tenant, ledger.c.state != "released"
    )
    if documents is not None:
        query = query.where(ledger.c.document_id.in_(documents))
    return Cost(*map(int, session.execute(query).one()))
