"""Retention rules and tombstones. Every query names the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.ingest.store import documents, metadata, newest
from shared.events import Kind
from shared.storage.tenant_isolation import across_tenants

ANY = "any"
"""The rule for every kind without its own, in a row."""

retention = sa.Table(
    "retention",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("days", sa.Integer, nullable=False),
)

_alive = documents.c.deleted.is_(None)


@dataclass(frozen=True)
class Rules:
    """Days after the upload by kind; None is every kind without its own rule."""

    days: Mapping[str | None, int] = field(default_factory=dict)

    def each_kind(self) -> dict[str, int]:
        every = {kind: self.days.get(kind, self.days.get(None)) for kind in get_args(Kind)}
        return {kind: days for kind, days in every.items() if days is not None}

    def is_expired(self, kind: str, created: datetime, now: datetime) -> bool:
        days = self.each_kind().get(kind)
        return days is not None and created < now - timedelta(days=days)


class Retention:
    """The rules of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        self._mine = retention.c.tenant == tenant

    def rules(self) -> Rules:
        rows = self.session.execute(sa.select(retention.c.kind, retention.c.days).where(self._mine))
        return Rules({None if kind == ANY else kind: days for kind, days in rows})

    def replace(self, rules: Rules) -> None:
        self.session.execute(sa.delete(retention).where(self._mine))
        rows = [
            {"tenant": self.tenant, "kind": kind or ANY, "days": days}
            for kind, days in rules.days.items()
        ]
        if rows:
            self.session.execute(sa.insert(retention), rows)

    def due(self, rules: Rules, now: datetime, limit: int = 100) -> list[str]:
        """Return ids of ended, separately uploaded documents that have expired."""
        old = [
            sa.and_(documents.c.kind == kind, documents.c.created < now - timedelta(days=days))
            for kind, days in rules.each_kind().items()
        ]
        if not old:
            return []
        query = (
            sa.select(documents.c.id)
            .where(
                documents.c.tenant == self.tenant,
                _alive,
                documents.c.state == "ended",
                documents.c.uploaded,
                sa.or_(*old),
            )
            .order_by(documents.c.created, documents.c.id)
            .limit(limit)
        )
        return list(self.session.execute(query).scalars())

    def ages(self, ids: list[str]) -> Mapping[str, tuple[str, datetime]]:
        query = sa.select(documents.c.id, documents.c.kind, documents.c.created).where(
            documents.c.tenant == self.tenant, _alive, documents.c.id.in_(ids)
        )
        return {
            document_id: (kind, created)
            for document_id, kind, created in self.session.execute(query)
        }


def tenants(session: Session) -> list[str]:
    """Return the tenants that have rules."""
    query = across_tenants(sa.select(retention.c.tenant).distinct(), "tenants with rules")
    return list(session.execute(query).scalars())


def tombstones(
    session: Session, tenant: str, *, limit: int, cursor: str | None
) -> tuple[list[sa.RowMapping], str | None]:
    """Return who deleted documents and when, newest first, and the cursor of the next page."""
    moment = documents.c.deleted
    return newest(session, _tombstones(tenant), moment, documents.c.id, limit, cursor)


def tombstone(session: Session, tenant: str, document_id: str) -> sa.RowMapping | None:
    """Return the tombstone of one document."""
    query = _tombstones(tenant).where(documents.c.id == document_id)
    return session.execute(query).mappings().one_or_none()


def _tombstones(tenant: str) -> sa.Select[Any]:
    """`removed` is when the last blob of a document was removed."""
    columns = documents.c
    named = (columns.id, columns.deleted, columns.deleted_by, columns.purged.label("removed"))
    return sa.select(*named).where(columns.tenant == tenant, ~_alive)
