"""Requests that wait for a batch. Every query of a tenant's names it; a job sees all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from shared.events import EscalationRequested, decode
from shared.storage.messages import Time
from shared.storage.tenants import across_tenants
from shared.storage.upsert import insert_new

metadata = MetaData()

_ROUND = "one job hands in what waits of all"
_WITHOUT = text("batch IS NULL")
_WITH = text("batch IS NOT NULL")

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
    Index("backlog_without", "kept", "event_id", sqlite_where=_WITHOUT, postgresql_where=_WITHOUT),
    Index("backlog_batch", "batch", "kept", sqlite_where=_WITH, postgresql_where=_WITH),
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

    def without(self, limit: int) -> list[Kept]:
        """Those in no batch that waited longest, of all tenants."""
        query = (
            select(backlog)
            .where(backlog.c.batch.is_(None))
            .order_by(backlog.c.kept, backlog.c.event_id)
            .limit(limit)
        )
        rows = self.session.execute(across_tenants(query, _ROUND))
        return [_kept(row) for row in rows]

    def batches(self) -> list[str]:
        """The batches that requests went with, each found by one look into the index."""
        found: list[str] = []
        query = across_tenants(select(func.min(backlog.c.batch)), _ROUND)
        while batch := self.session.execute(
            query.where(backlog.c.batch > (found[-1] if found else ""))
        ).scalar():
            found.append(batch)
        return found

    def with_batch(self, batch: str, limit: int) -> list[Kept]:
        """Those that went with a batch, the ones that waited longest first."""
        query = select(backlog).where(backlog.c.batch == batch)
        query = across_tenants(query.order_by(backlog.c.kept).limit(limit), _ROUND)
        rows = self.session.execute(query)
        return [_kept(row) for row in rows]

    def where(self, event: EscalationRequested) -> tuple[bool, str | None]:
        """Whether a request waits still, and the batch that it is in."""
        row = self.session.execute(select(backlog.c.batch).where(*_is(event))).one_or_none()
        return row is not None, row.batch if row else None

    def went(self, event: EscalationRequested, batch: str) -> bool:
        """Its questions go with a batch; returns whether that is so: it may be over by now, or in
        another one.
        """
        changed = self.session.execute(
            update(backlog)
            .where(
                *_is(event),
                or_(backlog.c.batch.is_(None), backlog.c.batch == batch),
            )
            .values(batch=batch)
        )
        return bool(changed.rowcount)  # type: ignore[attr-defined]

    def came_back(self, event: EscalationRequested, batch: str) -> None:
        """The batch that it was in never left, so that it may go with another one."""
        self.session.execute(
            update(backlog).where(*_is(event), backlog.c.batch == batch).values(batch=None)
        )

    def done(self, event: EscalationRequested) -> None:
        """It waits no more."""
        self.session.execute(delete(backlog).where(*_is(event)))

    def forget(self, tenant: str, document_id: str) -> list[str]:
        """Nobody wants to know about a deleted document; returns the events that waited."""
        mine = and_(backlog.c.tenant == tenant, backlog.c.document_id == document_id)
        gone = list(self.session.execute(select(backlog.c.event_id).where(mine)).scalars())
        self.session.execute(delete(backlog).where(mine))
        return gone


def _is(event: EscalationRequested) -> tuple[ColumnElement[bool], ...]:
    return backlog.c.tenant == event.tenant, backlog.c.event_id == event.id


def _kept(row: Any) -> Kept:
    event = decode(row.event)
    assert isinstance(event, EscalationRequested)
    return Kept(event, row.kept, row.batch)
