"""Requests that wait for a batch. Every query of a tenant's names it; a job sees all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, MetaData, String, Table, delete, select, update
from sqlalchemy.orm import Session

from shared.events import EscalationRequested, decode
from shared.storage.messages import Time
from shared.storage.upsert import insert_new

metadata = MetaData()

backlog = Table(
    "backlog",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("event", LargeBinary, nullable=False),
    Column("kept", Time, nullable=False),
    Column("batch", String(64)),
    Index("backlog_document", "tenant", "document_id"),
    Index("backlog_oldest", "kept"),
)


@dataclass(frozen=True)
class Kept:
    """A request that waits; it has no words, only names where they lie."""

    event: EscalationRequested
    kept: datetime
    batch: str | None
    """The batch that its questions went with."""


class Backlog:
    """What waits for a batch."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def keep(self, event: EscalationRequested, now: datetime) -> None:
        """Keep a request, unless it is kept already."""
        insert_new(
            self.session,
            backlog,
            event_id=event.id,
            tenant=event.tenant,
            document_id=event.document_id,
            event=event.to_json("escalation"),
            kept=now,
            batch=None,
        )

    def oldest(self, limit: int) -> list[Kept]:
        """Those that waited longest, of all tenants."""
        rows = self.session.execute(
            select(backlog).order_by(backlog.c.kept, backlog.c.event_id).limit(limit)
        )
        return [_kept(row) for row in rows]

    def went(self, event_ids: list[str], batch: str) -> None:
        """Their questions are handed in."""
        self.session.execute(
            update(backlog).where(backlog.c.event_id.in_(event_ids)).values(batch=batch)
        )

    def done(self, event_id: str) -> None:
        """It waits no more."""
        self.session.execute(delete(backlog).where(backlog.c.event_id == event_id))

    def forget(self, tenant: str, document_id: str) -> None:
        """Nobody wants to know about a deleted document."""
        self.session.execute(
            delete(backlog).where(backlog.c.tenant == tenant, backlog.c.document_id == document_id)
        )


def _kept(row: Any) -> Kept:
    event = decode(row.event)
    assert isinstance(event, EscalationRequested)
    return Kept(event, row.kept, row.batch)
