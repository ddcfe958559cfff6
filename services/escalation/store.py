"""Tables and queries of escalation. Every query names the tenant; transactions are the caller's."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.orm import Session

from services.escalation.domain import Escalation, Spend
from services.escalation.ledger.store import ledger
from shared.errors import InvalidRequest
from shared.storage.messages import Time

MIGRATIONS = Path(__file__).parent / "migrations"
MICRO = Decimal(1_000_000)

metadata = MetaData()

escalations = Table(
    "escalations",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(80), primary_key=True),
    Column("document_id", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("result_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested", Time, nullable=False),
    Index("escalations_newest", "tenant", "requested", "id"),
)


class Escalations:
    """What one tenant asked of the frontier."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def add(self, escalation: Escalation) -> None:
        """Keep a request."""
        self.session.execute(insert(escalations).values(asdict(escalation)))

    def newest(
        self, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[list[Escalation], str | None]:
        """Requests, newest first, and the cursor that the list goes on from.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        query = select(escalations).where(escalations.c.tenant == self.tenant)
        if cursor is not None:
            query = query.where(self._behind(cursor))
        rows = self.session.execute(
            query.order_by(escalations.c.requested.desc(), escalations.c.id.desc()).limit(limit + 1)
        ).all()
        found = [Escalation(**row._mapping) for row in rows[:limit]]
        return found, found[-1].id if len(rows) > limit else None

    def forget(self, document_id: str) -> None:
        """Remove every request about a document."""
        self.session.execute(
            delete(escalations).where(
                escalations.c.tenant == self.tenant, escalations.c.document_id == document_id
            )
        )

    def spent(self) -> list[Spend]:
        """What each provider was paid, from the ledger."""
        rows = self.session.execute(
            select(
                ledger.c.provider,
                func.count().label("calls"),
                func.sum(ledger.c.micro_usd).label("micro_usd"),
            )
            .where(ledger.c.tenant == self.tenant)
            .group_by(ledger.c.provider)
            .order_by(ledger.c.provider)
        )
        return [Spend(row.provider, row.calls, Decimal(row.micro_usd) / MICRO) for row in rows]

    def _behind(self, cursor: str) -> ColumnElement[bool]:
        last = self.session.execute(
            select(escalations.c.requested).where(
                escalations.c.tenant == self.tenant, escalations.c.id == cursor
            )
        ).scalar_one_or_none()
        if last is None:
            raise InvalidRequest("the cursor is not one that this list gave")
        return or_(
            escalations.c.requested < last,
            and_(escalations.c.requested == last, escalations.c.id < cursor),
        )
