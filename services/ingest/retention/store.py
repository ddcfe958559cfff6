"""The rules, what they are about, and the tombstones. Every query names the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Column, Integer, String, Table, and_, delete, insert, or_, select
from sqlalchemy.orm import Session

from services.ingest.retention.domain import Rules, Tombstone
from services.ingest.store import decode_cursor, documents, encode_cursor, metadata
from shared.storage.tenants import across_tenants

ANY = "any"
"""In a row: the rule for every kind that has none of its own."""

retention = Table(
    "retention",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("days", Integer, nullable=False),
)

_alive = documents.c.deleted.is_(None)


class Retention:
    """The rules of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        self._mine = retention.c.tenant == tenant

    def rules(self) -> Rules:
        """Days by kind."""
        rows = self.session.execute(select(retention.c.kind, retention.c.days).where(self._mine))
        return Rules({None if kind == ANY else kind: days for kind, days in rows})

    def replace(self, rules: Rules) -> None:
        """Other rules instead of those that there were."""
        self.session.execute(delete(retention).where(self._mine))
        rows = [
            {"tenant": self.tenant, "kind": kind or ANY, "days": days}
            for kind, days in rules.days.items()
        ]
        if rows:
            self.session.execute(insert(retention), rows)

    def due(self, rules: Rules, now: datetime, most: int = 100) -> list[str]:
        """Ids of documents that were uploaded by themselves, have ended, and are too old."""
        old = [
            and_(documents.c.kind == kind, documents.c.created < now - timedelta(days=days))
            for kind, days in rules.each_kind().items()
        ]
        if not old:
            return []
        query = (
            select(documents.c.id)
            .where(
                documents.c.tenant == self.tenant,
                _alive,
                documents.c.state == "ended",
                documents.c.uploaded,
                or_(*old),
            )
            .order_by(documents.c.created, documents.c.id)
            .limit(most)
        )
        return list(self.session.execute(query).scalars())

    def ages(self, ids: list[str]) -> Mapping[str, tuple[str, datetime]]:
        """Kind and time of upload of some documents that live."""
        query = select(documents.c.id, documents.c.kind, documents.c.created).where(
            documents.c.tenant == self.tenant, _alive, documents.c.id.in_(ids)
        )
        return {one: (kind, created) for one, kind, created in self.session.execute(query)}


def tenants(session: Session) -> list[str]:
    """Those that have rules."""
    query = across_tenants(select(retention.c.tenant).distinct(), "those that have rules")
    return list(session.execute(query).scalars())


def tombstones(
    session: Session, tenant: str, *, limit: int, cursor: str | None
) -> tuple[list[Tombstone], str | None]:
    """What was deleted, the latest first, and the cursor that the list goes on from."""
    moment, one = documents.c.deleted, documents.c.id
    query = select(one, moment, documents.c.deleted_by, documents.c.purged).where(
        documents.c.tenant == tenant, ~_alive
    )
    if cursor is not None:
        then, last = decode_cursor(cursor)
        query = query.where(or_(moment < then, and_(moment == then, one < last)))
    rows = session.execute(query.order_by(moment.desc(), one.desc()).limit(limit + 1)).all()
    found = [Tombstone(*row) for row in rows]
    more = None
    if len(found) > limit:
        more = encode_cursor(found[limit - 1].deleted, found[limit - 1].id)
    return found[:limit], more


def tombstone(session: Session, tenant: str, document_id: str) -> Tombstone | None:
    """What is left of one deleted document."""
    query = select(
        documents.c.id, documents.c.deleted, documents.c.deleted_by, documents.c.purged
    ).where(documents.c.tenant == tenant, documents.c.id == document_id, ~_alive)
    row = session.execute(query).one_or_none()
    return None if row is None else Tombstone(*row)
